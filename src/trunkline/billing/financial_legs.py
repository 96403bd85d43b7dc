"""``get.financial_call_legs_report``: what each leg of a call cost, as it was charged when the call was over.

Legs between the PBX and its own devices are listed, and cost nothing. Nothing is paid with bonuses here. Without
``sort`` the oldest leg comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.billing.kinds import DirectionType
from trunkline.billing.rates import Direction
from trunkline.db.query import Listing, Page
from trunkline.db.query.columns import enum, number, string, time
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
    columns=(
        time("start_time", "c.start_time", "sort default"),
        enum("direction", "c.direction", _ALL, enum=tuple(Direction)),
        enum("source", "c.source", _ALL, enum=SOURCES),
        number("call_session_id", "c.call_session_id", _ALL),
        number("leg_id", "c.leg_id", _ALL),
        string("calling_phone_number", "c.calling_phone_number", _ALL),
        string("called_phone_number", "c.called_phone_number", _ALL),
        number("duration", "c.duration", _ALL),
        number("chargeable_duration", "c.chargeable_duration", _ALL),
        enum("direction_type", "c.direction_type", _ALL, enum=tuple(DirectionType)),
        number("cost_per_minute", "c.cost_per_minute", _ALL, shown="trim_scale(c.cost_per_minute)"),
        number("total_charge", "c.total_charge", _ALL, shown="trim_scale(c.total_charge)"),
        number("bonuses_charge", "0::numeric", _ALL),
    ),
)

_CONDITION = condition("c")


async def financial_legs_report(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of charged legs; ``params`` as the method's (``date_from``, ``date_till`` required)."""
    return await reader.report(FINANCIAL_LEGS, params, _CONDITION)
