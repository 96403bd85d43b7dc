"""What an attempt ended with, and the rule for the next one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
NEXT_DAY = 22 * HOUR
"""Another hour of the next day."""


class Outcome(StrEnum):
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


PERSONS = frozenset({Outcome.ANSWERED, Outcome.ABANDONED, Outcome.HUNG_UP, Outcome.CALLBACK})
"""A person answered. The share of abandoned calls is counted among these, without ``hung_up``."""

NOT_CALLED = frozenset({Outcome.AGENT_MISSED, Outcome.DO_NOT_CALL, Outcome.NOT_ALLOWED})
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


RULES: Mapping[Outcome, Rule] = MappingProxyType(
    {
        Outcome.ANSWERED: Rule(closes=Closing.REACHED),
        Outcome.BUSY: Rule(20 * MINUTE, most=3, per_day=True),
        Outcome.NO_ANSWER: Rule(3 * HOUR, most=2, per_day=True),
        Outcome.MACHINE: Rule(NEXT_DAY, most=3),
        Outcome.FAILED: Rule(7 * MINUTE, most=3, counts=False),
        Outcome.INVALID: Rule(closes=Closing.INVALID),
        Outcome.REJECTED: Rule(NEXT_DAY, most=2),
        Outcome.ABANDONED: Rule(3 * DAY, most=2),
        Outcome.HUNG_UP: Rule(DAY, most=2),
        Outcome.AGENT_MISSED: Rule(MINUTE, counts=False),
        Outcome.INTERRUPTED: Rule(20 * MINUTE, most=3),
        Outcome.DO_NOT_CALL: Rule(closes=Closing.DO_NOT_CALL),
        Outcome.NOT_ALLOWED: Rule(3 * HOUR, counts=False),
        Outcome.CALLBACK: Rule(most=3),
    }
)
"""The rule of each outcome. ``most`` of 2 is one more try."""

_CAUSES: Mapping[int, Outcome] = MappingProxyType(
    {
        1: Outcome.INVALID, 3: Outcome.INVALID, 22: Outcome.INVALID, 28: Outcome.INVALID,
        17: Outcome.BUSY,
        16: Outcome.NO_ANSWER, 18: Outcome.NO_ANSWER, 19: Outcome.NO_ANSWER, 20: Outcome.NO_ANSWER, 0: Outcome.NO_ANSWER,
        127: Outcome.NO_ANSWER,
        21: Outcome.REJECTED,
    }
)  # fmt: skip

_SIP: Mapping[int, Outcome] = MappingProxyType(
    {
        404: Outcome.INVALID, 410: Outcome.INVALID, 484: Outcome.INVALID, 604: Outcome.INVALID,
        486: Outcome.BUSY, 600: Outcome.BUSY,
        408: Outcome.NO_ANSWER, 480: Outcome.NO_ANSWER,
        603: Outcome.REJECTED,
    }
)  # fmt: skip


def of_unanswered(cause: int, sip_code: int = 0) -> Outcome:
    """The outcome of a call that nobody answered.

    :param cause: Q.850; 0: the ring time was over.
    :param sip_code: the final SIP status, when it is known; 0: it is not.
    """
    return _SIP.get(sip_code) or _CAUSES.get(cause, Outcome.FAILED)
