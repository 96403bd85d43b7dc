"""Telephone numbers on their way in: E.164 without the plus, as all interfaces carry them."""

from __future__ import annotations

import re
from typing import NamedTuple

from trunkline.core.errors import InvalidInput

_SEPARATORS = re.compile(r"[\s()./\u00a0-]+")
_E164 = re.compile(r"[1-9][0-9]{5,14}\Z")
_EXTENSION = re.compile(r"(?P<number>[^.].*?)(?P<keys>\.{2}[0-9*#.]{0,30}[0-9*#])\Z")
"""Two dots or more: a single one may be a separator in the number itself."""

_LENGTH_MAX = 128
"""Characters of a number with its separators and its extension."""


def normalise(text: str) -> str | None:
    """Digits of an E.164 number with its usual separators (``+971 50-000 0001``, ``00971500000001``); None if it is none.

    What has an extension behind dots is not one number: see :func:`with_extension`.
    """
    if ".." in text or len(text) > _LENGTH_MAX:
        return None
    bare = _SEPARATORS.sub("", text.strip())
    if bare.startswith("+"):
        bare = bare[1:]
    elif bare.startswith("00"):
        bare = bare[2:]
    return bare if _E164.match(bare) else None


def in_full(text: str, field: str | None = None) -> str:
    """Digits of an E.164 number, see :func:`normalise`.

    :param field: for the error.
    :raises InvalidInput: it is no number in full.
    """
    digits = normalise(text)
    if digits is None:
        raise InvalidInput("Write the number in full, for example +12025550110.", field=field, value=text)
    return digits


class Dialled(NamedTuple):
    """What is called, and what is keyed in once it has answered."""

    number: str
    """E.164 digits."""
    keys: str | None = None
    """An extension behind it: ``0-9*#``; a dot is a pause of one second before what follows."""


def with_extension(text: str) -> str | None:
    """A number that may have an extension behind two or more dots, as it is kept: ``12025550110...2345``.

    None if it is no number. The number is normalised, the dots stay: each is a pause.
    """
    bare = text.strip()
    if len(bare) > _LENGTH_MAX:
        return None
    found = _EXTENSION.match(bare)
    number = normalise(found["number"] if found else bare)
    return number if number is None or found is None else f"{number}{found['keys']}"


def split_number(number: str) -> Dialled:
    """What :func:`with_extension` kept, in its two parts."""
    digits, dots, keys = number.partition("..")
    return Dialled(digits, f"{dots}{keys}" if dots else None)
