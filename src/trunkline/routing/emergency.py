"""Emergency numbers: what reaches police, ambulance and fire brigade in a country. Pure.

Numbers: 112 (GSM and the EU), 911 (North America) and 999 (the Commonwealth) everywhere, since travellers dial the
numbers of their own country, and the country's own from the short-number metadata of ``phonenumbers``.
"""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

EVERYWHERE = frozenset({"112", "911", "999"})

_DRESSING = re.compile(r"[\s()./-]+")
_LONGEST = 6
"""Digits of the longest emergency number in use; longer ones need no look-up."""


def emergency_number(dialled: str, country: str) -> str | None:
    """The emergency number that was dialled (its digits, to be sent as they are), or None.

    :param dialled: as keyed in; ``+112`` and ``tel``-like dressings count.
    :param country: ISO 3166 alpha-2.
    """
    if len(dialled) > 2 * _LONGEST:
        return None
    digits = _DRESSING.sub("", dialled).removeprefix("+")
    if not digits.isascii() or not digits.isdigit() or not 2 <= len(digits) <= _LONGEST:
        return None
    return digits if digits in EVERYWHERE or _is_own(digits, country) else None


@lru_cache(maxsize=4096)
def _is_own(digits: str, country: str) -> bool:
    return bool(phonenumbers.is_emergency_number(digits, country))
