"""``get.calls_report``, ``get.call_legs_report`` and ``get.financial_call_legs_report``."""

from __future__ import annotations

from trunkline.apis.data_api.lists import PERIOD, list_method
from trunkline.apis.jsonrpc.derive import override
from trunkline.billing.financial_legs import FINANCIAL_LEGS, financial_legs_report
from trunkline.reports.calls import CALLS, calls_report
from trunkline.reports.legs import LEGS, call_legs_report

METHODS = (
    list_method(
        "get.calls_report",
        "Call sessions that started in a period.",
        CALLS,
        read=calls_report,
        params=(
            *PERIOD,
            override("include_ongoing_calls", description="Also calls that still live."),
        ),
    ),
    list_method(
        "get.call_legs_report",
        "Legs of call sessions: who was called, for how long, and how it ended.",
        LEGS,
        read=call_legs_report,
        params=PERIOD,
    ),
    list_method(
        "get.financial_call_legs_report",
        "What legs of call sessions cost.",
        FINANCIAL_LEGS,
        read=financial_legs_report,
        params=PERIOD,
        permissions=(("account_access", "select"),),
    ),
)
