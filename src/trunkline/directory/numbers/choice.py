"""Which of an account's numbers a call to a contact goes out with. Pure; the pick is the caller's.

The rules are those of ``virtual_phone_usage_rule`` (Call API, the methods that start calls). A rule chooses
among the active numbers of the group of the number that the request names; when none fits the rule, the
named number is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import phonenumbers

from trunkline.directory.model import Account, NumberStatus, VirtualNumber

Pick = Callable[[Sequence[VirtualNumber]], VirtualNumber]
"""One of at least one number, e.g. ``random.choice``."""


class NumberRule(StrEnum):
    FIXED = "fixed"
    """The named number."""
    FIXED_FOR_NUMA = "fixed_for_numa"
    """Any at first, then always the one the contact was called with before."""
    RANDOM = "random"
    """Any."""
    REGIONAL_RANDOM = "regional_random"
    """Any of the contact's region."""
    REGIONAL_FIXED_FOR_NUMA = "regional_fixed_for_numa"
    """Any of the contact's region at first, then always the same."""

    @property
    def remembers(self) -> bool:
        """Whether what was chosen must be remembered (:mod:`trunkline.directory.numbers.memory`)."""
        return self in (NumberRule.FIXED_FOR_NUMA, NumberRule.REGIONAL_FIXED_FOR_NUMA)


def candidates(account: Account, named: VirtualNumber) -> tuple[VirtualNumber, ...]:
    """The numbers that may replace ``named``, by id: the active, verified ones of its group; without a group itself."""
    if named.group is None:
        return (named,)
    found = (
        number
        for number in account.numbers.values()
        if number.group == named.group and number.is_verified and number.status is NumberStatus.ACTIVE
    )
    return tuple(sorted(found, key=lambda number: number.virtual_number_id))


def choose(
    account: Account, named: VirtualNumber, rule: NumberRule, contact: str, remembered: int | None, pick: Pick
) -> VirtualNumber:
    """The number to call with.

    :param contact: the number to call, E.164 digits without plus; anything else is of no region.
    :param remembered: id of the number among the candidates that the contact was called with before.
    """
    if rule is NumberRule.FIXED:
        return named
    fitting: Sequence[VirtualNumber] = candidates(account, named)
    if rule in (NumberRule.REGIONAL_RANDOM, NumberRule.REGIONAL_FIXED_FOR_NUMA):
        fitting = of_region(fitting, contact)
    if rule.remembers:
        kept = next((number for number in fitting if number.virtual_number_id == remembered), None)
        if kept is not None:
            return kept
    return pick(fitting) if fitting else named


def of_region(numbers: Sequence[VirtualNumber], contact: str) -> list[VirtualNumber]:
    """Those of the contact's area code; if there are none, those of its country."""
    home = _region(contact)
    if home is None:
        return []
    placed = [(number, _region(number.phone_number)) for number in numbers]
    near = [number for number, region in placed if region == home]
    if near and home.area:
        return near
    return [number for number, region in placed if region is not None and region.country == home.country]


@dataclass(frozen=True, slots=True)
class _Region:
    country: str
    """ISO 3166 alpha-2; the main country of a calling code of several countries."""
    area: str
    """Area code; empty for numbers that have none, like most mobile ones."""


def _region(digits: str) -> _Region | None:
    try:
        parsed = phonenumbers.parse(f"+{digits}", None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    code = phonenumbers.region_code_for_number(parsed)
    if code is None:  # within the numbering plan, but not in use
        code = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    national = phonenumbers.national_significant_number(parsed)
    area = national[: phonenumbers.length_of_geographical_area_code(parsed)]
    return _Region(code, area)
