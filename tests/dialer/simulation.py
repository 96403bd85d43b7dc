"""A day of a campaign: leads, agents and time are simulated, the rules are those of the product."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from trunkline.core.clock import Instant
from trunkline.dialer.abandonment import Abandonment
from trunkline.dialer.estimates import Estimates
from trunkline.dialer.leads import Attempt, Lead, LeadPool, progress
from trunkline.dialer.outcomes import PERSONS, DialOutcome
from trunkline.dialer.pacing import Risk, Situation, calls_to_begin
from trunkline.dialer.settings import CampaignSettings

NINE = Instant(1_772_427_600.0)
"""Monday 2026-03-02, 09:00 in Dubai."""
ZONE = ("Asia/Dubai",)
HANDLING_MEAN, HANDLING_CV = 165.0, 0.8


@dataclass(slots=True)
class Day:
    """Results of one simulated day, by hour."""

    answered: Counter[int] = field(default_factory=Counter)
    abandoned: Counter[int] = field(default_factory=Counter)
    outcomes: Counter[DialOutcome] = field(default_factory=Counter)
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    talk_seconds: float = 0.0
    most_lines: int = 0
    worst_rolling: float = 0.0


def simulate(
    settings: CampaignSettings,
    *,
    leads: int = 20_000,
    agents: int = 50,
    hours: float = 8.0,
    seed: int = 1,
    persons: float = 0.3,
    jump: float = 1.0,
) -> Day:
    """
    :param persons: share of dials that a person answers.
    :param jump: by which it is multiplied from the middle of the day on.
    """
    random = Random(seed)
    day = Day()
    pool = LeadPool(settings, (Lead(f"9715{number:08}", ZONE) for number in range(leads)))
    estimates, abandonment, risk = Estimates(), Abandonment(), Risk.under(settings.abandon_limit)
    sigma = math.sqrt(math.log(1 + HANDLING_CV**2))
    mu = math.log(HANDLING_MEAN) - sigma**2 / 2
    order = itertools.count()
    events: list[tuple[float, int, str, Any]] = []
    free = agents
    busy: dict[int, float] = {}
    ringing: dict[str, float] = {}
    waiting: dict[str, float] = {}
    end = NINE + hours * 3600

    def finish(phone: str, outcome: DialOutcome, at: float) -> None:
        hour = int((at - NINE) // 3600)
        day.outcomes[outcome] += 1
        day.answered[hour] += outcome in (DialOutcome.ANSWERED, DialOutcome.ABANDONED)
        day.abandoned[hour] += outcome is DialOutcome.ABANDONED
        abandonment.add(Instant(at), outcome)
        risk.add(outcome)
        history = day.attempts.setdefault(phone, [])
        history.append(Attempt(Instant(at), outcome))
        after = progress(history, settings)
        if after.closed is None:
            pool.add(Lead(phone, ZONE, attempts=after.attempts, next_at=after.next_at))

    def connect(phone: str, at: float) -> None:
        nonlocal free
        free -= 1
        number = next(order)
        seconds = random.lognormvariate(mu, sigma)
        busy[number] = at
        heapq.heappush(events, (at + seconds, number, "free", (number, seconds)))
        day.talk_seconds += min(seconds, max(0.0, end - at))
        finish(phone, DialOutcome.ANSWERED, at)

    def dial(at: float) -> None:
        budget = abandonment.budget(settings.abandon_limit, Instant(at))
        situation = Situation(
            agents,
            free,
            len(waiting),
            [at - begun for begun in busy.values()],
            [at - begun for begun in ringing.values()],
            len(ringing) + len(waiting) + len(busy),
        )
        for _ in range(calls_to_begin(settings, situation, estimates, risk.value, budget)):
            lead = pool.take(Instant(at))
            if lead is None:
                return
            ringing[lead.phone] = at
            share = persons * (jump if at > NINE + hours * 1800 else 1.0)
            kind = random.random()
            if kind < share:
                seconds, outcome = 2 + random.expovariate(1 / 8), DialOutcome.ANSWERED
                if seconds >= settings.ring_seconds:
                    seconds, outcome = float(settings.ring_seconds), DialOutcome.NO_ANSWER
            elif kind < share + 0.1:
                seconds, outcome = 3.0, DialOutcome.BUSY
            elif kind < share + 0.13:
                seconds, outcome = 1.0, DialOutcome.INVALID
            else:
                seconds, outcome = float(settings.ring_seconds), DialOutcome.NO_ANSWER
            heapq.heappush(events, (at + seconds, next(order), "rung", (lead.phone, outcome, seconds)))
        day.most_lines = max(day.most_lines, len(ringing) + len(waiting) + len(busy))

    tick = NINE
    while tick < end:
        while events and events[0][0] <= tick:
            at, _, kind, data = heapq.heappop(events)
            if kind == "free":
                number, seconds = data
                del busy[number]
                free += 1
                estimates.add_handling(seconds)
                if waiting:
                    phone = next(iter(waiting))
                    del waiting[phone]
                    connect(phone, at)
            elif kind == "rung":
                phone, outcome, seconds = data
                del ringing[phone]
                estimates.add_dial(seconds, is_person=outcome in PERSONS)
                if outcome is not DialOutcome.ANSWERED:
                    finish(phone, outcome, at)
                elif free:
                    connect(phone, at)
                else:
                    waiting[phone] = at
                    heapq.heappush(events, (at + settings.connect_seconds, next(order), "late", phone))
            elif data in waiting and waiting[data] <= at - settings.connect_seconds + 1e-6:
                del waiting[data]
                finish(str(data), DialOutcome.ABANDONED, at)
        dial(tick)
        if tick > NINE + 1800:
            counts = abandonment.counts(3600.0, tick)
            day.worst_rolling = max(day.worst_rolling, counts.rate)
        tick = Instant(tick + 1.0)
    return day
