"""Which messages of Asterisk's manager interface are what they seem. Pure.

Asterisk writes the user part of a request's From address into an event as it came, escaped line ends decoded. So anybody
the sender of a packet can add headers to an ``InvalidAccountID`` event, or end it early and begin other messages. But
Asterisk shortens that text to 36 bytes, and writes the rest of its event after it, with the address from which the packet
really came:

- An event that is not requested is accepted only if it has exactly the headers that Asterisk writes, in their order.
- A security event that ends before its last headers was cut. All that follows is dropped up to these last headers, which
  do not fit into 36 bytes. What was cut is taken as an unknown name from the address in them.
- Any other message that begins with neither ``Event`` nor ``Response`` is a fragment, and dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

Header = tuple[str, str]

_HEAD = ("Event", "Privilege", "EventTV", "Severity", "Service", "EventVersion", "AccountID")
_TAIL = ("SessionID", "LocalAddress", "RemoteAddress")
_CONTACT = ("Event", "Privilege", "URI", "ContactStatus", "AOR", "EndpointName")
UNKNOWN_NAME = "InvalidAccountID"
CHALLENGE = "ChallengeSent"
"""Asked for only with :data:`UNKNOWN_ACCOUNT`: each registration and call of a line has one as well."""
UNKNOWN_ACCOUNT = "<unknown>"
"""Account of a request that identifies neither a line nor a trunk."""
_FORMS: dict[str, tuple[tuple[str, ...], ...]] = {
    UNKNOWN_NAME: (_HEAD + _TAIL,),
    "ChallengeResponseFailed": ((*_HEAD, *_TAIL, "Challenge", "Response", "ExpectedResponse"),),
    CHALLENGE: ((*_HEAD, *_TAIL, "Challenge"),),
    "SuccessfulAuth": (
        (*_HEAD, *_TAIL, "UsingPassword"),
        (*_HEAD, *_TAIL, "UsingPassword", "SessionTV"),  # a login at the manager interface itself
    ),
    "ContactStatus": (_CONTACT, (*_CONTACT, "RoundtripUsec")),
    "UserEvent": (("Event", "Privilege", "UserEvent", "ActionID", "Token"),),
    "FullyBooted": (
        ("Event", "Privilege", "Status", "Uptime", "LastReload"),
        ("Event", "Privilege", "Uptime", "LastReload", "Status"),
    ),
}
"""Headers of each event that is accepted without a request."""
EVENTS = tuple(_FORMS)
FAILED_LOGINS = (UNKNOWN_NAME, "ChallengeResponseFailed", CHALLENGE)
"""Events that anybody can cause, as many as the network carries: they come over a connection of their own."""
_PAST_THE_FILTER = frozenset({"Registry", "Reload"})
"""Events that Asterisk sends although the filter of the user does not name them. They mean nothing here."""
_ADDRESS = re.compile(r"IPV[46]/[A-Z]+/[0-9A-Fa-f.:]+/[0-9]{1,5}")


class Framing:
    """Checks the messages of one connection, in order.

    :param bad: gets the headers of each message that is not accepted as it came, and the reason.
    """

    def __init__(self, bad: Callable[[Sequence[Header], str], None]) -> None:
        self._bad = bad
        self._cut = False
        """A security event was cut, and its last headers have not come yet."""

    def unrequested(self, headers: Sequence[Header]) -> Sequence[Header] | None:
        """An event that answers no action, as it is to be taken; None when it is dropped."""
        names = tuple(name for name, _ in headers)
        event = headers[0][1] if names[0] == "Event" else ""
        if names in _FORMS.get(event, ()):
            return headers
        if event in _PAST_THE_FILTER:
            return None
        if names[: len(_HEAD)] == _HEAD:
            if _ends_security_event(headers):
                self._bad(headers, "a security event with headers added by the sender")
                return _unknown_name(headers)
            self._cut = True
            self._bad(headers, "a security event cut by the sender")
            return None
        self._bad(headers, "not an event of Asterisk as it was asked for")
        return None

    def fragment(self, headers: Sequence[Header]) -> tuple[bool, Sequence[Header] | None]:
        """Whether a message is not a message by itself; if so, the event to be taken for it, None when there is none."""
        if self._cut:
            if _ends_security_event(headers):
                self._cut = False
                return True, _unknown_name(headers)
            self._bad(headers, "within a security event cut by the sender")
            return True, None
        if headers[0][0] not in ("Event", "Response"):
            self._bad(headers, "begins with neither Event nor Response")
            return True, None
        return False, None


def _ends_security_event(headers: Sequence[Header]) -> bool:
    last = headers[-len(_TAIL) :]
    return tuple(name for name, _ in last) == _TAIL and _ADDRESS.fullmatch(last[-1][1]) is not None


def _unknown_name(headers: Sequence[Header]) -> Sequence[Header]:
    return [("Event", UNKNOWN_NAME), ("Service", "PJSIP"), ("AccountID", ""), headers[-1]]
