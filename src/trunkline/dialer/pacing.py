"""How many calls to begin now. Pure.

Progressive: one call for each free agent. Predictive: with A agents who are free or become free in time, and X calls that
persons will answer, one more call is begun while P(X >= A) is at most the risk. The risk follows the results, so that the
share of abandoned calls stays under its aim also when the estimates are wrong. Whatever they say: no call beyond the agents
is begun unless the cap permits its loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from trunkline.dialer.estimates import Estimates
from trunkline.dialer.outcomes import DialOutcome
from trunkline.dialer.settings import CampaignSettings, Mode

AIM_BELOW_LIMIT = 0.01
"""The aim is the limit minus this, and at least two thirds of the limit."""

GAIN = 0.2
LEAST_RISK, MOST_RISK, FIRST_RISK = 0.005, 0.3, 0.02
LEAST_BUDGET = 2
"""When the cap permits fewer abandoned calls than this, dialing is progressive."""

EXACT = 30
"""Up to so many agents and calls the probability is exact; with more the normal distribution is as good."""


@dataclass(frozen=True, slots=True)
class Situation:
    """The agents and calls of a campaign at one moment.

    :ivar agents: who are at work.
    :ivar free: of them, without a call or reservation for another purpose.
    :ivar waiting: answered calls that no agent has yet, and callers from elsewhere who come first.
    :ivar busy: for how many seconds each busy agent has been so.
    :ivar ringing: for how many seconds each call to a lead has been dialled.
    :ivar lines: calls to leads in all, talking ones included.
    """

    agents: int
    free: int
    waiting: int = 0
    busy: Sequence[float] = ()
    ringing: Sequence[float] = ()
    lines: int = 0


@dataclass(slots=True)
class Risk:
    """The probability at which one more call is begun, corrected by the results."""

    aim: float
    value: float = field(default=FIRST_RISK)

    @classmethod
    def under(cls, limit: float) -> Risk:
        """For a cap on abandoned calls."""
        return cls(max(limit - AIM_BELOW_LIMIT, limit * 2 / 3))

    def add(self, outcome: DialOutcome) -> None:
        """An attempt has ended."""
        if outcome is DialOutcome.ANSWERED:
            self.value *= math.exp(GAIN * self.aim)
        elif outcome is DialOutcome.ABANDONED:
            self.value *= math.exp(-GAIN * (1 - self.aim))
        self.value = min(MOST_RISK, max(LEAST_RISK, self.value))


def is_predictive(
    settings: CampaignSettings, situation: Situation, estimates: Estimates, budget: int
) -> bool:
    """Whether calls beyond the free agents may be begun: the campaign wants it, enough is known, enough agents are
    there, and the cap permits it.

    :param budget: :meth:`trunkline.dialer.abandonment.Abandonment.budget`.
    """
    return (
        settings.mode is Mode.PREDICTIVE
        and settings.abandon_limit > 0
        and estimates.is_enough
        and situation.agents >= settings.least_agents
        and budget >= LEAST_BUDGET
    )


def calls_to_begin(
    settings: CampaignSettings, situation: Situation, estimates: Estimates, risk: float, budget: int
) -> int:
    """How many calls to begin now.

    :param risk: of :class:`Risk`.
    :param budget: as for :func:`is_predictive`.
    """
    room = max(0, settings.max_lines - situation.lines)
    sure = min(room, max(0, situation.free - situation.waiting - len(situation.ringing)))
    if not is_predictive(settings, situation, estimates, budget):
        return sure
    return min(room, max(sure, _predicted(situation, estimates, risk, room)))


def _predicted(situation: Situation, estimates: Estimates, risk: float, room: int) -> int:
    freeing = [estimates.will_be_free(one) for one in situation.busy]
    answering = [estimates.will_be_answered(one) for one in situation.ringing]
    share = estimates.person_share
    agents = situation.free - situation.waiting
    if len(freeing) + len(answering) + room <= EXACT:
        return _exact(agents, freeing, answering, share, risk, room)
    mean = sum(answering) - sum(freeing) - agents + 0.5
    variance = sum(one * (1 - one) for one in answering) + sum(one * (1 - one) for one in freeing)
    for count in range(room):
        if _normal(mean + share * count, variance + share * (1 - share) * count) > risk:
            return count
    return room


def _normal(mean: float, variance: float) -> float:
    """P that a normal variable with this mean and variance is above 0."""
    if variance <= 1e-9:
        return 1.0 if mean > 0 else 0.0
    return 0.5 * math.erfc(-mean / math.sqrt(2 * variance))


def _exact(
    agents: int, freeing: Sequence[float], answering: Sequence[float], share: float, risk: float, room: int
) -> int:
    free, answered = distribution(freeing), distribution(answering)
    for count in range(room):
        lost = sum(
            probability * sum(answered[max(0, agents + number) :]) for number, probability in enumerate(free)
        )
        if lost > risk:
            return count
        answered = _with(answered, share)
    return room


def distribution(chances: Sequence[float]) -> list[float]:
    """The probability of each number of successes of independent trials."""
    found = [1.0]
    for chance in chances:
        found = _with(found, chance)
    return found


def _with(found: list[float], chance: float) -> list[float]:
    longer = [*found, 0.0]
    return [
        longer[number] * (1 - chance) + (longer[number - 1] * chance if number else 0.0)
        for number in range(len(longer))
    ]
