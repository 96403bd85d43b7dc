"""Virtual numbers: their rules, and the campaigns that show them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class NumberStatus(StrEnum):
    ACTIVE = "active"
    WAITING = "waiting"
    CLEANING = "cleaning"
    PRERESERVED = "prereserved"
    RESERVED = "reserved"
    MANUAL_LOCK = "manual_lock"
    LIMIT_LOCK = "limit_lock"


@dataclass(frozen=True, slots=True)
class Rule:
    """The scenario for a number's calls, and its schedule (none = always). The first open rule applies."""

    call_processing_rule_id: int
    scenario_id: int
    schedule_id: int | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class NumberCampaign:
    """The active campaign that shows a number, and its site."""

    campaign_id: int
    campaign_name: str
    site_id: int
    site_domain_name: str
    default_scenario_id: int | None = None
    """The site's, for calls that no rule of the number takes."""
    redirection_virtual_number_id: int | None = None
    """Of a call tracking number: whose rules its calls follow."""
    default_virtual_number_id: int | None = None
    """The site's default number, when it is one of the account: its rules take those calls."""


@dataclass(frozen=True, slots=True)
class VirtualNumber:
    account_id: int
    virtual_number_id: int
    phone_number: str
    name: str
    status: NumberStatus
    trunk_id: int | None
    """Calls out with this number leave by this trunk."""
    default_sip_line_id: int | None
    """Rings when no switch decides in time."""
    max_in_calls: int
    """0 = no limit."""
    max_out_calls: int
    """0 = no limit."""
    rules: tuple[Rule, ...]
    group: str | None = None
    """Numbers of one group are interchangeable, see :mod:`trunkline.directory.numbers.choice`."""
    carrier_trunk_id: int | None = None
    """Of a number from the inventory: a trunk of another account that brings its calls, and takes those out."""
    campaign: NumberCampaign | None = None
    is_verified: bool = True
    """Whether the number is verified for this account. Several accounts may have a number that is not verified; it is never
    a caller id, and an account receives calls to it only over its own registration."""
