"""ITU-T Q.850 cause codes in words: one sentence for each code from 0 to 127, so none appears without one."""

from __future__ import annotations

from collections.abc import Mapping

_OWN: Mapping[int, str] = {
    0: "No cause was reported",
    1: "The number is not assigned",
    2: "No route to the transit network",
    3: "No route to the destination",
    4: "The number is not reachable, and a special information tone is played",
    5: "Misdialled trunk prefix",
    6: "The channel cannot be used",
    7: "The call is handed over in an existing channel",
    8: "The call was cleared for one of higher priority",
    9: "The call was cleared for one of higher priority, and the circuit is kept",
    14: "The number was moved to another operator",
    16: "The call was ended normally",
    17: "The party is busy",
    18: "The party's equipment does not respond",
    19: "The party was alerted and did not answer",
    20: "The party is not registered or out of coverage",
    21: "The call was declined",
    22: "The number has changed",
    23: "The call is redirected to a new destination",
    24: "The call was refused because of a feature of the called party",
    25: "The networks exchanged the call in a loop",
    26: "The call was answered elsewhere",
    27: "The destination is out of order",
    28: "The number is incomplete or malformed",
    29: "A requested facility was rejected",
    30: "Response to a status enquiry",
    31: "Normal, without further detail",
    34: "No free channel",
    35: "The call is queued",
    37: "The quality of service was reduced",
    38: "The network is out of order",
    39: "The permanent connection is out of service",
    40: "The permanent connection works",
    41: "Temporary failure of the network",
    42: "The switching equipment is overloaded",
    43: "Access information was lost",
    44: "The requested channel is not available",
    45: "The call gave way to one of higher priority",
    46: "A call of higher priority holds the channel",
    47: "Resources are not available",
    49: "The quality of service is not available",
    50: "The facility is not subscribed to",
    52: "Outgoing calls are barred",
    53: "Outgoing calls are barred within the group",
    54: "Incoming calls are barred",
    55: "Incoming calls are barred within the group",
    57: "The bearer capability is not authorised",
    58: "The bearer capability is not available now",
    62: "The outgoing access and the subscriber's class do not fit",
    63: "The service is not available",
    65: "The bearer capability is not implemented",
    66: "The channel type is not implemented",
    69: "The facility is not implemented",
    70: "Only restricted digital information is available",
    79: "The service is not implemented",
    81: "Invalid call reference",
    82: "The identified channel does not exist",
    83: "A suspended call exists, but not with this identity",
    84: "The call identity is in use",
    85: "No call is suspended",
    86: "The call with this identity was cleared",
    87: "The caller is not a member of the closed group",
    88: "Incompatible destination, for example no common codec",
    90: "The closed group does not exist",
    91: "The transit network is invalid",
    95: "Invalid message",
    96: "A mandatory information element is missing",
    97: "Unknown message type",
    98: "The message does not fit the call state or does not exist",
    99: "Unknown information element",
    100: "Invalid content of an information element",
    101: "The message does not fit the call state",
    102: "A timer expired",
    103: "A parameter is unknown and was passed on",
    110: "A message with an unknown parameter was discarded",
    111: "Protocol error",
    127: "Interworking, the cause is not known",
}

_CLASSES = (
    (31, "The call was ended, without further detail"),
    (47, "The network has no resources for the call"),
    (63, "The network does not offer the service to this party, or not now"),
    (79, "The network does not implement the service"),
    (95, "The message of the signalling is not valid"),
    (111, "The signalling failed because of an error of the protocol"),
    (127, "Another network ended the call, the cause is not known"),
)
"""The last code of each class of causes, and what a code of it means that Q.850 leaves open."""


def cause_description(code: int | None) -> str:
    """What a cause means, in words; for one that does not exist, that it is unknown."""
    return CAUSE_DESCRIPTIONS.get(str(code), "unknown")


def _of_class(code: int) -> str:
    return next(text for last, text in _CLASSES if code <= last)


CAUSE_DESCRIPTIONS: Mapping[str, str] = {
    str(code): _OWN.get(code) or _of_class(code) for code in range(_CLASSES[-1][0] + 1)
}
"""By code."""
