"""Results of connects: translation of Asterisk's statuses and Q.850 causes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.core.hangup_causes import CALL_REJECTED, NO_ANSWER, NO_USER_RESPONDING, USER_BUSY
from trunkline.telephony.port import ConnectResult

_BY_STATUS: Mapping[str, ConnectResult] = {
    "ANSWER": ConnectResult.ANSWERED,
    "BUSY": ConnectResult.BUSY,
    "CANCEL": ConnectResult.CANCELLED,
    "NOANSWER": ConnectResult.NO_ANSWER,
}

# How Asterisk turns a final response into a cause: 486 and 600 -> 17, 603 and 403 -> 21, 408 -> 18,
# 480 -> 19, 404 -> 1, 410 -> 22, 502 -> 38, 503 -> 42, no registration -> 20 or 3.
_BY_CAUSE: Mapping[int, ConnectResult] = {
    USER_BUSY: ConnectResult.BUSY,
    NO_USER_RESPONDING: ConnectResult.NO_ANSWER,
    NO_ANSWER: ConnectResult.NO_ANSWER,
    CALL_REJECTED: ConnectResult.DECLINED,
}


def connect_result(status: str, cause: int) -> ConnectResult:
    """Result of a complete connect.

    :param status: ``DIALSTATUS``; it sums up all targets.
    :param cause: ``HANGUPCAUSE`` of the last target; decides where the status lumps together (CONGESTION,
        CHANUNAVAIL).
    """
    return _BY_STATUS.get(status) or _BY_CAUSE.get(cause, ConnectResult.UNREACHABLE)
