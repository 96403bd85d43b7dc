"""Hang-up causes of ITU-T Q.850, as Asterisk reports them, and their names in call center interfaces. Pure."""

from __future__ import annotations

from collections.abc import Mapping

UNALLOCATED_NUMBER = 1
NO_ROUTE = 3
NORMAL_CLEARING = 16
USER_BUSY = 17
NO_USER_RESPONDING = 18
NO_ANSWER = 19
SUBSCRIBER_ABSENT = 20
CALL_REJECTED = 21
REDIRECTED = 23
ANSWERED_ELSEWHERE = 26
DESTINATION_OUT_OF_ORDER = 27
INVALID_NUMBER_FORMAT = 28
CONGESTION = 34
NETWORK_OUT_OF_ORDER = 38
"""Also of the legs of a call during which Asterisk ended."""
TEMPORARY_FAILURE = 41
SWITCH_CONGESTION = 42
MEDIA_LOST = 44
"""Of an answered leg: Asterisk received neither sound nor its reports for ``sip.media_timeout``. Otherwise as in Q.850."""
NOT_ACCEPTABLE = 58
"""What Asterisk makes of SIP 488 of the called phone or carrier."""
INTERWORKING = 127
"""Asterisk has it for a channel that it has cancelled."""

CUT_SHORT = frozenset({0, NORMAL_CLEARING, ANSWERED_ELSEWHERE, INTERWORKING})
"""Causes of a leg that was ended from our side before it was answered."""

CARRIER_REFUSALS = frozenset({401, 403, 407})
"""SIP statuses of a carrier that does not accept the trunk's login, or forbids the call, when nothing rang before."""

DECLINED = 603
"""SIP status of a party that declines, for which Asterisk has the cause of a carrier that forbids the call."""

NAMES: Mapping[int, str] = {
    1: "UNALLOCATED_NUMBER",
    2: "NO_ROUTE_TRANSIT_NET",
    3: "NO_ROUTE_DESTINATION",
    6: "CHANNEL_UNACCEPTABLE",
    16: "NORMAL_CLEARING",
    17: "USER_BUSY",
    18: "NO_USER_RESPONSE",
    19: "NO_ANSWER",
    20: "SUBSCRIBER_ABSENT",
    21: "CALL_REJECTED",
    22: "NUMBER_CHANGED",
    26: "LOSE_RACE",
    27: "DESTINATION_OUT_OF_ORDER",
    28: "INVALID_NUMBER_FORMAT",
    29: "FACILITY_REJECTED",
    31: "NORMAL_UNSPECIFIED",
    34: "NORMAL_CIRCUIT_CONGESTION",
    38: "NETWORK_OUT_OF_ORDER",
    41: "NORMAL_TEMPORARY_FAILURE",
    42: "SWITCH_CONGESTION",
    50: "FACILITY_NOT_SUBSCRIBED",
    52: "OUTGOING_CALL_BARRED",
    54: "INCOMING_CALL_BARRED",
    58: "BEARERCAPABILITY_NOTAVAIL",
    65: "BEARERCAPABILITY_NOTIMPL",
    88: "INCOMPATIBLE_DESTINATION",
    102: "RECOVERY_ON_TIMER_EXPIRE",
    127: "INTERWORKING",
}


def cause_name(cause: int | None) -> str:
    """The name of a cause; ``NORMAL_UNSPECIFIED`` for others."""
    return NAMES.get(cause or 0, "NORMAL_UNSPECIFIED")
