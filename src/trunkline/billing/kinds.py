"""Which kind of call it is, seen from the account: by the numbers alone, as numbering plans have them. Pure."""

from __future__ import annotations

import functools
from enum import StrEnum

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberType

_MOBILE = frozenset({PhoneNumberType.MOBILE})
"""Where a numbering plan does not distinguish fixed lines from mobiles (North America), a number counts as fixed."""


class DirectionType(StrEnum):
    INTERNATIONAL = "international"
    NATIONAL = "national"
    LOCAL = "local"
    MOBILE = "mobile"


@functools.lru_cache(maxsize=20_000)
def type_of_number(number: str | None, own: str | None, country: str) -> DirectionType | None:
    """What a call with this number is.

    :param number: E.164 digits of the other party.
    :param own: our number in the call: local is what has its area code.
    :param country: the account's, ISO 3166.
    :return: None for what is not an outside number (withheld, an extension).
    """
    parsed = _parsed(number)
    if parsed is None:
        return None
    if phonenumbers.region_code_for_number(parsed) != country:
        return DirectionType.INTERNATIONAL
    if phonenumbers.number_type(parsed) in _MOBILE:
        return DirectionType.MOBILE
    area, own_area = _area(parsed), _area(_parsed(own))
    return DirectionType.LOCAL if area is not None and area == own_area else DirectionType.NATIONAL


def _parsed(number: str | None) -> PhoneNumber | None:
    if not number:
        return None
    try:
        parsed = phonenumbers.parse(f"+{number}", None)
    except phonenumbers.NumberParseException:
        return None
    return parsed if phonenumbers.is_possible_number(parsed) else None


def _area(number: PhoneNumber | None) -> tuple[int, str] | None:
    """Country code and area code; None when the number has no area."""
    if number is None:
        return None
    length = phonenumbers.length_of_geographical_area_code(number)
    if not length or number.country_code is None:
        return None
    return number.country_code, phonenumbers.national_significant_number(number)[:length]
