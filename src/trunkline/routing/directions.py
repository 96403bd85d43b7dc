"""Which permissions of an account's security settings a number needs: one rule for every way to dial it. Pure.

Phones, the API, scenarios, forwarding, transfers and coaches all use :func:`refused_direction`. Source of the kinds:
the numbering plans in ``phonenumbers`` and ITU-T E.164 (assigned country codes of networks and services).
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumberType

from trunkline.directory.model import Account


class Direction(StrEnum):
    """Permissions of the security settings."""

    MOBILE = "mobile"
    NATIONAL = "national"
    INTERNATIONAL = "international"
    PREMIUM = "premium"
    """Satellite and international networks, premium-rate and other numbers with a price of their own."""


_PREMIUM_CODES = frozenset({870, 878, 881, 882, 883, 888, 979, 808})
"""Satellite (870, 881), universal personal numbers (878), international networks (882, 883), formerly disaster relief
(888), international premium rate (979) and international shared cost (808). +800 (freephone) is only international."""

_PREMIUM_TYPES = frozenset(
    {PhoneNumberType.PREMIUM_RATE, PhoneNumberType.PERSONAL_NUMBER, PhoneNumberType.PAGER}
)
_PREMIUM_TYPES_ABROAD = _PREMIUM_TYPES | {
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.UAN,
    PhoneNumberType.VOICEMAIL,
}

_SHORTEST = 4
"""Digits with country code that are no number yet."""


def direction_of(account: Account, number: str) -> str:
    """``mobile``, ``national`` or ``international``, seen from the account's country.

    Numbers of the same country are mobile or national; a number whose kind the plan does not define is national. A
    number of another country under the same country code (+1 876 seen from the United States) is international.
    """
    return _needed(account.country, number)[0].value


def needed_directions(account: Account, number: str) -> tuple[Direction, ...]:
    """All permissions a number needs, the one of :func:`direction_of` first.

    :param number: E.164 digits without plus.
    """
    return _needed(account.country, number)


def refused_direction(account: Account, number: str) -> Direction | None:
    """The first permission that the account lacks for this number; None = it may be dialled."""
    return next((one for one in _needed(account.country, number) if not account.may_call(one)), None)


@lru_cache(maxsize=8192)
def _needed(country: str, number: str) -> tuple[Direction, ...]:
    try:
        parsed = _parsed(number)
    except phonenumbers.NumberParseException:
        # No assigned country code: some networks route such numbers nevertheless, at any price.
        return (Direction.INTERNATIONAL, Direction.PREMIUM)
    kind = phonenumbers.number_type(parsed)
    if _is_abroad(parsed, country):
        premium = parsed.country_code in _PREMIUM_CODES or kind in _PREMIUM_TYPES_ABROAD
        basic = Direction.INTERNATIONAL
    elif _leads_abroad(parsed, country, number):
        return (Direction.INTERNATIONAL, Direction.PREMIUM)
    else:
        premium = kind in _PREMIUM_TYPES or _is_short(parsed)
        basic = Direction.MOBILE if kind == PhoneNumberType.MOBILE else Direction.NATIONAL
    return (basic, Direction.PREMIUM) if premium else (basic,)


def _parsed(number: str) -> phonenumbers.PhoneNumber:
    """The number, cut where the plan has a whole one: an exchange connects then and ignores what follows, so digits more
    make no other number of it.

    :raises phonenumbers.NumberParseException: no assigned country code.
    """
    whole = phonenumbers.parse(f"+{number}", None)
    for length in range(len(number), _SHORTEST, -1):
        try:
            one = phonenumbers.parse(f"+{number[:length]}", None)
        except phonenumbers.NumberParseException:
            break
        if phonenumbers.is_valid_number(one):
            return one
    return whole


def _leads_abroad(parsed: phonenumbers.PhoneNumber, country: str, number: str) -> bool:
    """Whether the digits after the country's own code are those that people there dial for another country: a network that
    removes the code of its country dials them."""
    plan = phonenumbers.PhoneMetadata.metadata_for_region(country)
    if plan is None or not plan.international_prefix or phonenumbers.is_valid_number(parsed):
        return False
    at_home = number[len(str(parsed.country_code)) :]
    return re.match(plan.international_prefix, at_home) is not None


def _is_short(parsed: phonenumbers.PhoneNumber) -> bool:
    """Whether it has fewer digits than any number of its plan: it may be the short number of a service, at any price."""
    reason = phonenumbers.is_possible_number_with_reason(parsed)
    return bool(reason == phonenumbers.ValidationResult.TOO_SHORT)


def _is_abroad(parsed: phonenumbers.PhoneNumber, country: str) -> bool:
    if parsed.country_code != phonenumbers.country_code_for_region(country):
        return True
    region = phonenumbers.region_code_for_number(parsed)
    return region is not None and region != country
