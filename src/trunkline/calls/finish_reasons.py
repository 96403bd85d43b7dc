"""How finish reasons follow from the causes that the engine reports.

Cases that the reports' tables of reasons leave open are decided here and documented in docs/api/choices.md.
"""

from __future__ import annotations

from enum import StrEnum

from trunkline.core.hangup_causes import (
    CALL_REJECTED,
    CONGESTION,
    CUT_SHORT,
    DESTINATION_OUT_OF_ORDER,
    INTERWORKING,
    INVALID_NUMBER_FORMAT,
    NETWORK_OUT_OF_ORDER,
    NO_ANSWER,
    NO_ROUTE,
    NO_USER_RESPONDING,
    NORMAL_CLEARING,
    REDIRECTED,
    SUBSCRIBER_ABSENT,
    SWITCH_CONGESTION,
    TEMPORARY_FAILURE,
    UNALLOCATED_NUMBER,
    USER_BUSY,
)
from trunkline.events.reasons import Reason
from trunkline.telephony.port import ConnectResult


class Side(StrEnum):
    """On which side of the conversation a leg is."""

    CONTACT = "contact"
    OPERATOR = "operator"


_NOT_ANSWERED = frozenset({0, NORMAL_CLEARING, NO_USER_RESPONDING, NO_ANSWER, INTERWORKING})
_RESPONSE_SECONDS = 10.0
"""Within which a server that works reports ringing, or refuses the call."""

_NETWORK = frozenset(
    {DESTINATION_OUT_OF_ORDER, NETWORK_OUT_OF_ORDER, TEMPORARY_FAILURE, CONGESTION, SWITCH_CONGESTION}
)


def reason_unanswered(side: Side, cause: int, *, is_line: bool) -> Reason:
    """Why a called party was not reached.

    :param cause: Q.850 of the ended leg; 0 when the engine gave up after the ring time.
    :param is_line: the leg went to a SIP line of the PBX (not through a trunk).
    """
    operator = side is Side.OPERATOR
    if cause == USER_BUSY:
        return Reason.OPERATOR_BUSY if operator else Reason.CALLER_BUSY
    if cause == CALL_REJECTED:
        return Reason.OPERATOR_DISCONNECTS if operator else Reason.CALLER_DISCONNECTS
    if cause == SUBSCRIBER_ABSENT and is_line:
        return Reason.SIP_OFFLINE
    if cause in _NOT_ANSWERED:
        return Reason.OPERATOR_NOT_RESPONSIVE if operator else Reason.CALLER_NOT_RESPONSIVE
    if cause in _NETWORK and is_line:
        return Reason.LOCKED_PHONE
    return Reason.OPERATOR_NUMBER_PROBLEMS if operator else Reason.CALLER_NUMBER_PROBLEMS


def is_unresponsive(cause: int, seconds: float) -> bool:
    """Whether the server of a trunk did not respond, when a call over it ended without ringing, sound or answer.

    A response that refuses the call has another cause. Only 19 may also be a response (SIP 480), which comes sooner.

    :param cause: Q.850 of the ended leg; 0, 16 and 19 when we gave up, 18 when Asterisk did (SIP 408), 16, 26 and 127 when
        the calling party hung up, or another party answered.
    :param seconds: how long the leg lasted.
    """
    return cause == NO_USER_RESPONDING or (
        (is_cut_short(cause) or cause == NO_ANSWER) and seconds >= _RESPONSE_SECONDS
    )


def is_cut_short(cause: int) -> bool:
    """Whether a call over a trunk may have been ended from our side, so that its end is no response of the server."""
    return cause in CUT_SHORT


def reason_media_lost(side: Side) -> Reason:
    """Nothing was received from an answered party any more."""
    return Reason.OPERATOR_NUMBER_PROBLEMS if side is Side.OPERATOR else Reason.CALLER_NUMBER_PROBLEMS


def reason_hung_up(side: Side) -> Reason:
    """Who ended the talk."""
    return Reason.OPERATOR_DISCONNECTS if side is Side.OPERATOR else Reason.CALLER_DISCONNECTS


_CAUSE_FOR = {
    ConnectResult.BUSY: USER_BUSY,
    ConnectResult.NO_ANSWER: NO_ANSWER,
    ConnectResult.DECLINED: CALL_REJECTED,
    ConnectResult.CANCELLED: NORMAL_CLEARING,
    ConnectResult.ANSWERED: NORMAL_CLEARING,
}


def cause_for_result(result: ConnectResult, cause: int) -> int:
    """The cause for the calling phone when its target was not reached."""
    if cause == REDIRECTED:  # the phone would get a redirection in place of a refusal
        return USER_BUSY
    return _CAUSE_FOR.get(result) or cause or SUBSCRIBER_ABSENT


_REFUSAL_CAUSES = {
    Reason.NUMB_NOT_EXISTS: UNALLOCATED_NUMBER,
    Reason.INCORRECT_INPUT: INVALID_NUMBER_FORMAT,
    Reason.NUMA_IN_BLACK_LIST: CALL_REJECTED,
    Reason.MAX_IN_CALL_REACHED: USER_BUSY,
    Reason.MAX_OUT_CALL_REACHED: USER_BUSY,
    Reason.NO_RESOURCES: SWITCH_CONGESTION,
    Reason.OPERATOR_CHANNELS_BUSY: USER_BUSY,
    Reason.OPERATOR_BUSY: USER_BUSY,
    Reason.SIP_OFFLINE: SUBSCRIBER_ABSENT,
    Reason.OPERATOR_NOT_RESPONSIVE: NO_ANSWER,
    Reason.INTERNAL_ERROR: TEMPORARY_FAILURE,
    # SIP 404: no way to the destination is configured. A 500 reads as a fault of the PBX, and a 503 as one that passes.
    Reason.INCORRECT_CONFIG: NO_ROUTE,
    Reason.SIP_TRUNK_IS_LOCKED: NO_ROUTE,
    Reason.SCENARIO_DISCONNECTS: NORMAL_CLEARING,
    Reason.NO_OPERATION: NORMAL_CLEARING,
    Reason.NO_SUCCESS_OPERATOR_CALL: SUBSCRIBER_ABSENT,
    Reason.NO_OPERATORS_AVAILABLE: SUBSCRIBER_ABSENT,
}


def cause_for_refusal(reason: Reason) -> int:
    """The Q.850 cause of a refused incoming call."""
    return _REFUSAL_CAUSES.get(reason, CALL_REJECTED)
