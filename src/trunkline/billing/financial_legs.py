"""``get.financial_call_legs_report``: what each leg of a call cost, as it was charged when the call was over.

Legs between the PBX and its own devices are listed, and cost nothing. Nothing is paid with bonuses here. Without
``sort`` the oldest leg comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.contract.columns import field, listed
from trunkline.db.query import Listing, Page
from trunkline.reports.period import condition
from trunkline.reports.reader import Reader

SOURCES = (
    "callapi",
    "callapi_informer_call",
    "callapi_scenario_call",
    "call_tracking",
    "dynamic_call_tracking",
    "va",
    "sip",
    "consultant",
    "lead",
    "sitephone",
    "faxout",
    "retailcrm",
)

_ALL = "filter sort default"

FINANCIAL_LEGS = Listing(
    name="financial_call_legs",
    table="leg_charges c",
    where="c.account_id = %(account_id)s",
    order="c.start_time, c.leg_id",
    key=("account_id", "call_session_id", "leg_id"),
    columns=listed(
        "get.financial_call_legs_report",
        field("start_time", "c.start_time"),
        field("direction", "c.direction"),
        field("source", "c.source"),
        field("call_session_id", "c.call_session_id"),
        field("leg_id", "c.leg_id"),
        field("calling_phone_number", "c.calling_phone_number"),
        field("called_phone_number", "c.called_phone_number"),
        field("duration", "c.duration"),
        field("chargeable_duration", "c.chargeable_duration"),
        field("direction_type", "c.direction_type"),
        field("cost_per_minute", "c.cost_per_minute", shown="trim_scale(c.cost_per_minute)"),
        field("total_charge", "c.total_charge", shown="trim_scale(c.total_charge)"),
        field("bonuses_charge", "0::numeric"),
    ),
)

_CONDITION = condition("c")


async def financial_legs_report(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of charged legs; ``params`` as the method's (``date_from``, ``date_till`` required)."""
    return await reader.report(FINANCIAL_LEGS, params, _CONDITION)
