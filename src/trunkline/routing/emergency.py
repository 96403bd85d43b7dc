"""Emergency numbers: what reaches police, ambulance and fire brigade in a country. Pure.

Numbers: 112 (GSM and the EU), 911 (North America) and 999 (the Commonwealth) everywhere, since travellers dial the
numbers of their own country, and the country's own from the short-number metadata of ``phonenumbers``.
"""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers
from phonenumbers.phonemetadata import PhoneMetadata

from trunkline.directory.model import Account, NumberStatus, Trunk, VirtualNumber

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


def emergency_trunks(account: Account, own: VirtualNumber | None) -> list[Trunk]:
    """Trunks by which an emergency call may leave: that of the caller's own number first, then all active ones."""
    first = account.trunk_for(own)
    trunks = [first] if first is not None else []
    others = (one for one in (*account.trunks.values(), *account.carriers.values()) if one.is_active)
    return trunks + [one for one in others if first is None or one.trunk_id != first.trunk_id]


def emergency_caller(account: Account, trunk: Trunk, own: VirtualNumber | None) -> VirtualNumber | None:
    """The number that a trunk is given as caller: the caller's own if it may go by this trunk, else a verified one that
    belongs to it, else the caller's own."""
    trunk_ids = (own.trunk_id, own.carrier_trunk_id) if own is not None else ()
    if own is not None and own.is_verified and (trunk.trunk_id in trunk_ids or trunk_ids == (None, None)):
        return own
    of_trunk = (
        number
        for number in account.numbers.values()
        if trunk.trunk_id in (number.trunk_id, number.carrier_trunk_id)
        and number.status is NumberStatus.ACTIVE
        and number.is_verified
    )
    return next(of_trunk, own or account.default_number)


@lru_cache(maxsize=512)
def emergency_numbers(country: str) -> frozenset[str]:
    """All emergency numbers that :func:`emergency_number` recognises in a country.

    :param country: ISO 3166 alpha-2.
    """
    metadata = PhoneMetadata.short_metadata_for_region(country)
    if metadata is None or metadata.emergency is None or not metadata.emergency.national_number_pattern:
        return EVERYWHERE
    pattern = re.compile(metadata.emergency.national_number_pattern)
    lengths = [length for length in metadata.emergency.possible_length or () if 2 <= length <= _LONGEST]
    own = (f"{digits:0{length}}" for length in lengths for digits in range(10**length))
    return EVERYWHERE | {digits for digits in own if pattern.fullmatch(digits)}


@lru_cache(maxsize=4096)
def _is_own(digits: str, country: str) -> bool:
    return bool(phonenumbers.is_emergency_number(digits, country))
