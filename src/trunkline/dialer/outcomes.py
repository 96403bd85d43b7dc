"""What an attempt ended with, and the rule for the next one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
NEXT_DAY = 22 * HOUR
"""Another hour of the next day."""


class DialOutcome(StrEnum):
    ANSWERED = "answered"
    """The person talked with an agent."""
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    MACHINE = "machine"
    FAILED = "failed"
    """The network or the trunk, not the lead."""
    INVALID = "invalid"
    """There is no such number."""
    REJECTED = "rejected"
    """Somebody refused the call."""
    ABANDONED = "abandoned"
    """A person answered and no agent was connected in time."""
    HUNG_UP = "hung_up"
    """The person hung up before an agent was connected, in time."""
    AGENT_MISSED = "agent_missed"
    """Preview: the agent did not answer; the lead was not called."""
    INTERRUPTED = "interrupted"
    """The system does not have the end of the call."""
    DO_NOT_CALL = "do_not_call"
    """The number was on the list of numbers that are not called; the lead was not called."""
    NOT_ALLOWED = "not_allowed"
    """The security settings of the account are closed for the number; the lead was not called."""
    CALLBACK = "callback"
    """Another time was agreed."""


PERSONS = frozenset({DialOutcome.ANSWERED, DialOutcome.ABANDONED, DialOutcome.HUNG_UP, DialOutcome.CALLBACK})
"""A person answered. The share of abandoned calls is counted among these, without ``hung_up``."""

NOT_CALLED = frozenset({DialOutcome.AGENT_MISSED, DialOutcome.DO_NOT_CALL, DialOutcome.NOT_ALLOWED})
"""The lead's phone did not ring."""


class Closing(StrEnum):
    """Why a lead is not called any more."""

    REACHED = "reached"
    INVALID = "invalid"
    DO_NOT_CALL = "do_not_call"
    ATTEMPTS_USED = "attempts_used"
    REMOVED = "removed"
    """It is in no list of the campaign any more."""
    OUTCOME_REPEATED = "outcome_repeated"
    """The same outcome came more often than its rule permits."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What follows from an outcome.

    :ivar after: seconds to the next attempt.
    :ivar most: attempts with this outcome, per day or in all; None: not limited.
    :ivar per_day: ``most`` counts the last 24 hours, and the next attempt is the next day; else the lead is closed.
    :ivar counts: whether it is one of the attempts of the lead.
    :ivar closes: the lead is closed at once.
    """

    after: float = 0.0
    most: int | None = None
    per_day: bool = False
    counts: bool = True
    closes: Closing | None = None


RULES: Mapping[DialOutcome, Rule] = MappingProxyType(
    {
        DialOutcome.ANSWERED: Rule(closes=Closing.REACHED),
        DialOutcome.BUSY: Rule(20 * MINUTE, most=3, per_day=True),
        DialOutcome.NO_ANSWER: Rule(3 * HOUR, most=2, per_day=True),
        DialOutcome.MACHINE: Rule(NEXT_DAY, most=3),
        DialOutcome.FAILED: Rule(7 * MINUTE, most=3, counts=False),
        DialOutcome.INVALID: Rule(closes=Closing.INVALID),
        DialOutcome.REJECTED: Rule(NEXT_DAY, most=2),
        DialOutcome.ABANDONED: Rule(3 * DAY, most=2),
        DialOutcome.HUNG_UP: Rule(DAY, most=2),
        DialOutcome.AGENT_MISSED: Rule(MINUTE, counts=False),
        DialOutcome.INTERRUPTED: Rule(20 * MINUTE, most=3),
        DialOutcome.DO_NOT_CALL: Rule(closes=Closing.DO_NOT_CALL),
        DialOutcome.NOT_ALLOWED: Rule(3 * HOUR, counts=False),
        DialOutcome.CALLBACK: Rule(),
    }
)
"""The rule of each outcome. ``most`` of 2 is one more try."""

_CAUSES: Mapping[int, DialOutcome] = MappingProxyType(
    {
        1: DialOutcome.INVALID,
        3: DialOutcome.INVALID,
        22: DialOutcome.INVALID,
        28: DialOutcome.INVALID,
        17: DialOutcome.BUSY,
        16: DialOutcome.NO_ANSWER,
        18: DialOutcome.NO_ANSWER,
        19: DialOutcome.NO_ANSWER,
        20: DialOutcome.NO_ANSWER,
        0: DialOutcome.NO_ANSWER,
        127: DialOutcome.NO_ANSWER,
        21: DialOutcome.REJECTED,
    }
)

_SIP: Mapping[int, DialOutcome] = MappingProxyType(
    {
        404: DialOutcome.INVALID, 410: DialOutcome.INVALID, 484: DialOutcome.INVALID, 604: DialOutcome.INVALID,
        486: DialOutcome.BUSY, 600: DialOutcome.BUSY,
        408: DialOutcome.NO_ANSWER, 480: DialOutcome.NO_ANSWER,
        603: DialOutcome.REJECTED,
    }
)  # fmt: skip


def of_unanswered(cause: int, sip_code: int = 0) -> DialOutcome:
    """The outcome of a call that nobody answered.

    :param cause: Q.850; 0: the ring time was over.
    :param sip_code: the final SIP status, when it is known; 0: it is not.
    """
    return _SIP.get(sip_code) or _CAUSES.get(cause, DialOutcome.FAILED)
