"""Rules of campaigns: states, leads, hours, outcomes, the cap, and pacing."""

from __future__ import annotations

import itertools
from datetime import datetime
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trunkline.core.clock import Instant, to_datetime, to_instant
from trunkline.core.errors import InvalidInput, InvalidState
from trunkline.dialer import estimates
from trunkline.dialer.abandonment import WINDOWS, Abandonment, Counts
from trunkline.dialer.campaigns import MOVES, Action, CampaignState, state_after
from trunkline.dialer.estimates import Estimates
from trunkline.dialer.hours import is_open, next_open, zones_of
from trunkline.dialer.leads import Attempt, Lead, LeadPool, progress
from trunkline.dialer.outcomes import DAY, HOUR, NOT_CALLED, RULES, Closing, DialOutcome, of_unanswered
from trunkline.dialer.pacing import Risk, Situation, calls_to_begin, distribution
from trunkline.dialer.settings import CampaignSettings, Hours, Mode

MANY = settings(max_examples=1000, deadline=None)
NOON = to_instant(datetime(2026, 3, 2, 12, tzinfo=ZoneInfo("Asia/Dubai")))
"""A Monday."""
DUBAI = ("Asia/Dubai",)
ALWAYS = "mon-sun 00:00-24:00"


# --- states


@pytest.mark.parametrize(("state", "action"), list(itertools.product(CampaignState, Action)))
def test_every_action_has_its_state_or_is_refused(state: CampaignState, action: Action) -> None:
    if (state, action) in MOVES:
        assert state_after(state, action) is MOVES[state, action]
    else:
        with pytest.raises(InvalidState):
            state_after(state, action)


def test_only_a_started_campaign_runs_and_stop_always_ends_that() -> None:
    for (state, action), result in MOVES.items():
        if result is CampaignState.RUNNING and state is not CampaignState.RUNNING:
            assert action is Action.START
        if action is Action.STOP:
            assert result is CampaignState.STOPPED


# --- settings and hours


@pytest.mark.parametrize(
    "values",
    [
        {"mode": "fast"}, {"ring_seconds": 14}, {"abandon_limit": 0.2}, {"max_lines": 0}, {"hours": "always"},
        {"hours": "mon 18:00-09:00"}, {"hours": "mon 09:00-25:00"}, {"colour": "red"}, {"max_attempts": True},
        {"detect_machines": "yes"}, {"detect_machines": True, "mode": "preview"},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        CampaignSettings.of(values)


def test_hours_may_pass_the_end_of_the_week() -> None:
    days = {day for day, _, _ in Hours.of("sat-mon 10:00-12:00").spans}
    assert days == {5, 6, 0}


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        ("12025550110", ("America/New_York",)),
        ("4930123456", ("Europe/Berlin",)),
        ("97140000200", DUBAI),  # the zone of the account, because none follows from the number
    ],
)
def test_the_zone_follows_from_the_number(number: str, zones: tuple[str, ...]) -> None:
    assert zones_of(number, "Asia/Dubai") == zones


def test_a_number_of_many_zones_is_called_when_it_is_open_in_all() -> None:
    zones = zones_of("79161234567", "Asia/Dubai")
    assert len(zones) > 5
    hours = Hours.of("mon-sun 09:00-23:00")
    opening = next_open(hours, zones, NOON)
    assert opening is not None
    for zone in zones:
        assert 9 <= to_datetime(opening).astimezone(ZoneInfo(zone)).hour < 23
    assert next_open(Hours.of("mon-sun 09:00-12:00"), zones, NOON) is None, "never open in all"


_HOURS = st.builds(
    lambda first, last, begin, length: f"{first}-{last} {begin:02}:00-{min(24, begin + length):02}:00",
    *(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]) for _ in range(2)),
    st.integers(0, 23),
    st.integers(1, 12),
)
_ZONES = st.sampled_from([DUBAI, ("America/New_York",), ("Europe/Berlin",), ("Asia/Kolkata", "Asia/Dubai")])


@MANY
@given(_HOURS, _ZONES, st.floats(0, 370 * DAY))
@example(
    "sun-sun 02:00-03:00", ("America/New_York",), 0.0
)  # there is no such hour on the first of these Sundays
def test_the_next_opening_is_open_and_the_first_one(text: str, zones: tuple[str, ...], offset: float) -> None:
    hours, at = Hours.of(text), Instant(NOON + offset)
    opening = next_open(hours, zones, at)
    if opening is None:
        assert len(zones) > 1
        return
    assert opening >= at
    assert is_open(hours, zones, opening)
    assert (opening == at) == is_open(hours, zones, at)
    if opening > at:
        assert not is_open(hours, zones, Instant(opening - 60))


# --- leads


_OUTCOMES = st.sampled_from(list(DialOutcome))


@MANY
@given(
    st.lists(st.tuples(_OUTCOMES, st.floats(0, 2 * DAY)), max_size=40), st.integers(1, 7), st.integers(1, 3)
)
def test_no_history_of_a_lead_exceeds_its_limits(
    steps: list[tuple[DialOutcome, float]], most: int, per_day: int
) -> None:
    """Whatever comes out, a lead is called within its limits, never before its time, and not at all when it is closed."""
    own = CampaignSettings(max_attempts=most, max_per_day=per_day)
    history: list[Attempt] = []
    at = NOON
    for outcome, delay in steps:
        after = progress(history, own)
        if after.closed is not None:
            break
        at = Instant(max(at, after.next_at) + delay)
        history.append(Attempt(at, outcome, Instant(at + HOUR) if outcome is DialOutcome.CALLBACK else None))
    called = [one for one in history if one.outcome not in NOT_CALLED]
    agreed = sum(before.next_at is not None for before in history[:-1])
    assert sum(RULES[one.outcome].counts for one in history) - agreed <= most
    for one in called:
        assert sum(one.at - DAY < other.at <= one.at for other in called) <= per_day
    for outcome, rule in RULES.items():
        same = [one for one in history if one.outcome is outcome]
        if rule.closes is not None:
            assert len(same) <= 1
        elif rule.most is not None and not rule.per_day:
            assert len(same) <= rule.most
    if history and RULES[history[-1].outcome].closes is not None:
        assert progress(history, own).closed is RULES[history[-1].outcome].closes


def test_an_agreed_call_is_made_after_all_attempts_and_any_number_of_times() -> None:
    own = CampaignSettings(max_attempts=2, max_per_day=5)
    history: list[Attempt] = []
    for day in range(6):
        history.append(
            Attempt(Instant(NOON + day * DAY), DialOutcome.CALLBACK, Instant(NOON + (day + 1) * DAY))
        )
        after = progress(history, own)
        assert (after.closed, after.next_at) == (None, history[-1].next_at)
    history.append(Attempt(Instant(NOON + 6 * DAY), DialOutcome.NO_ANSWER))
    assert progress(history, own).closed is Closing.ATTEMPTS_USED


@pytest.mark.parametrize(
    ("outcome", "least", "most"),
    [
        (DialOutcome.BUSY, 15 * 60, 30 * 60),
        (DialOutcome.NO_ANSWER, 2 * HOUR, 4 * HOUR),
        (DialOutcome.FAILED, 5 * 60, 10 * 60),
        (DialOutcome.ABANDONED, 72 * HOUR, 72 * HOUR),
        (DialOutcome.HUNG_UP, DAY, DAY),
        (DialOutcome.MACHINE, 20 * HOUR, 28 * HOUR),
        (DialOutcome.REJECTED, 20 * HOUR, 28 * HOUR),
    ],
)
def test_the_interval_follows_from_the_outcome(outcome: DialOutcome, least: float, most: float) -> None:
    after = progress([Attempt(NOON, outcome)], CampaignSettings())
    assert after.closed is None
    assert least <= after.next_at - NOON <= most


def test_a_trunk_that_fails_uses_no_attempt_and_gives_up_after_three() -> None:
    own = CampaignSettings(max_per_day=9)
    history = [Attempt(Instant(NOON + n * 600), DialOutcome.FAILED) for n in range(3)]
    assert progress(history[:2], own).attempts == 0
    assert progress(history, own).closed is Closing.OUTCOME_REPEATED


def test_priority_then_new_leads_then_time_and_agreed_times_first() -> None:
    leads = [
        Lead("1", DUBAI, priority=0),
        Lead("2", DUBAI, priority=5, attempts=1),
        Lead("3", DUBAI, priority=5),
        Lead("4", DUBAI, is_callback=True),
        Lead("5", DUBAI, priority=9, next_at=Instant(NOON + 60)),
    ]
    pool = LeadPool(CampaignSettings(), leads)
    taken = [lead.phone for lead in iter(lambda: pool.take(NOON), None) if lead is not None]
    assert taken == ["4", "3", "2", "1"]
    later = pool.take(Instant(NOON + 60))
    assert later is not None
    assert later.phone == "5"


def test_a_lead_waits_until_its_own_hour() -> None:
    """At noon in Dubai it is three in the morning in New York."""
    pool = LeadPool(
        CampaignSettings(), [Lead("12025550110", ("America/New_York",)), Lead("971500000001", DUBAI)]
    )
    first = pool.take(NOON)
    assert first is not None
    assert first.phone == "971500000001"
    assert pool.take(NOON) is None
    opening = pool.next_at()
    assert opening is not None
    assert to_datetime(opening).astimezone(ZoneInfo("America/New_York")).hour == 9
    assert pool.take(opening) is not None


@MANY
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(-3, 3), st.floats(0, 5 * DAY)), max_size=60))
def test_every_lead_is_taken_once_in_its_hours(rows: list[tuple[int, int, float]]) -> None:
    own = CampaignSettings()
    pool = LeadPool(own)
    added = [
        str(phone) for phone, priority, delay in rows
        if pool.add(Lead(str(phone), DUBAI, priority, next_at=Instant(NOON + delay)))
    ]  # fmt: skip
    taken: list[str] = []
    at: Instant | None = NOON
    while (at := pool.next_at()) is not None:
        at = max(at, NOON)
        while (lead := pool.take(at)) is not None:
            assert lead.next_at <= at
            assert is_open(own.spans, lead.zones, at)
            taken.append(lead.phone)
    assert sorted(taken) == sorted(added)


# --- outcomes


@pytest.mark.parametrize(
    ("cause", "code", "outcome"),
    [
        (17, 486, DialOutcome.BUSY),
        (0, 0, DialOutcome.NO_ANSWER),
        (19, 480, DialOutcome.NO_ANSWER),
        (18, 408, DialOutcome.NO_ANSWER),
        (1, 404, DialOutcome.INVALID),
        (22, 410, DialOutcome.INVALID),
        (28, 484, DialOutcome.INVALID),
        (1, 604, DialOutcome.INVALID),
        (21, 603, DialOutcome.REJECTED),
        (21, 0, DialOutcome.REJECTED),
        (34, 503, DialOutcome.FAILED),
        (38, 500, DialOutcome.FAILED),
        (27, 0, DialOutcome.FAILED),
        (21, 403, DialOutcome.REJECTED),
    ],
)
def test_the_outcome_follows_from_status_and_cause(cause: int, code: int, outcome: DialOutcome) -> None:
    assert of_unanswered(cause, code) is outcome


# --- the cap


@MANY
@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 3 * HOUR)), max_size=200),
    st.sampled_from([0.01, 0.03, 0.05]),
)
def test_the_budget_is_what_the_cap_permits(calls: list[tuple[bool, float]], limit: float) -> None:
    counted = Abandonment()
    at = NOON
    for is_lost, delay in calls:
        at = Instant(at + delay)
        counted.add(at, DialOutcome.ABANDONED if is_lost else DialOutcome.ANSWERED)
    budget = counted.budget(limit, at)
    for window in WINDOWS:
        found = counted.counts(window, at)
        if budget >= 0:
            assert found.abandoned + budget <= limit * (found.answered + budget) + 1e-6
    worst = max((counted.counts(one, at) for one in WINDOWS), key=lambda one: one.rate)
    assert (budget < 0) <= (worst.rate > limit)


def test_one_abandoned_call_needs_33_more_answered_ones() -> None:
    counted = Abandonment()
    counted.add_counts(NOON, Counts(32, 0))
    assert counted.budget(0.03, NOON) == 0
    counted.add_counts(NOON, Counts(1, 0))
    assert counted.budget(0.03, NOON) == 1


def test_counts_leave_their_windows() -> None:
    counted = Abandonment()
    counted.add_counts(NOON, Counts(10, 5))
    counted.add_counts(Instant(NOON + 2 * HOUR), Counts(10, 0))
    later = Instant(NOON + 2 * HOUR)
    assert counted.counts(HOUR, later) == Counts(10, 0)
    assert counted.counts(DAY, later) == Counts(20, 5)
    assert counted.counts(DAY, Instant(NOON + 3 * DAY)) == Counts(0, 0)
    assert counted.counts(30 * DAY, Instant(NOON + 3 * DAY)) == Counts(20, 5)


# --- pacing


def measured(persons: float = 0.3, dials: int = 1000) -> Estimates:
    random, found = Random(1), Estimates()
    for _ in range(dials):
        is_person = random.random() < persons
        found.add_dial(2 + random.expovariate(1 / 8) if is_person else 30.0, is_person=is_person)
        if is_person:
            found.add_handling(random.expovariate(1 / 165))
    return found


_SITUATIONS = st.builds(
    lambda free, busy, ringing, waiting: Situation(
        free + len(busy), free, waiting, busy, ringing, len(busy) + len(ringing) + waiting
    ),
    st.integers(0, 20),
    st.lists(st.floats(0, 600), max_size=40),
    st.lists(st.floats(0, 29), max_size=60),
    st.integers(0, 5),
)
_MEASURED = measured()
_PREDICTIVE = CampaignSettings(mode=Mode.PREDICTIVE, max_lines=90)


@MANY
@given(_SITUATIONS, st.floats(0.005, 0.3), st.integers(-5, 50))
def test_progressive_dialing_never_loses_a_call_and_lines_have_a_limit(
    situation: Situation, risk: float, budget: int
) -> None:
    one_to_one = max(0, situation.free - situation.waiting - len(situation.ringing))
    room = max(0, _PREDICTIVE.max_lines - situation.lines)
    progressive = CampaignSettings(mode=Mode.PROGRESSIVE, max_lines=90)
    assert calls_to_begin(progressive, situation, _MEASURED, risk, budget) == min(one_to_one, room)
    predicted = calls_to_begin(_PREDICTIVE, situation, _MEASURED, risk, budget)
    assert min(one_to_one, room) <= predicted <= room
    if budget < 2 or situation.agents < _PREDICTIVE.least_agents:
        assert predicted == min(one_to_one, room)
    assert calls_to_begin(_PREDICTIVE, situation, Estimates(), risk, budget) == min(one_to_one, room)


@MANY
@given(_SITUATIONS, st.floats(0.005, 0.15))
def test_more_risk_means_no_fewer_calls(situation: Situation, risk: float) -> None:
    fewer = calls_to_begin(_PREDICTIVE, situation, _MEASURED, risk, 20)
    assert calls_to_begin(_PREDICTIVE, situation, _MEASURED, 2 * risk, 20) >= fewer


def test_estimates_find_what_is_there() -> None:
    found = measured(dials=5000)
    assert found.person_share == pytest.approx(0.3, abs=0.04)
    assert found.will_be_answered(0) == pytest.approx(0.3, abs=0.04)
    assert found.will_be_answered(15) < 0.15, "who has not answered by then mostly does not"
    # Exponential handling times have no memory: 1 - exp(-10/165) whatever has passed.
    assert found.will_be_free(20) == pytest.approx(0.059, abs=0.03)


def test_estimates_of_many_dials_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Older observations get lighter; no number grows until it is infinite."""
    expected = measured(dials=8000)
    monkeypatch.setattr(estimates, "HEAVIEST", 2.0)
    found = measured(dials=8000)
    assert found.weight <= 2.0 < expected.weight
    for age in (0.0, 3.0, 20.0):
        assert found.will_be_answered(age) == pytest.approx(expected.will_be_answered(age))
        assert found.will_be_free(10 * age) == pytest.approx(expected.will_be_free(10 * age))


def test_the_exact_distribution_is_the_binomial_one() -> None:
    assert distribution([0.5] * 4) == pytest.approx([1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16])


def test_the_risk_rests_where_the_results_meet_the_aim() -> None:
    risk = Risk.under(0.03)
    assert risk.aim == pytest.approx(0.02)
    before = risk.value
    for _ in range(49):
        risk.add(DialOutcome.ANSWERED)
    risk.add(DialOutcome.ABANDONED)
    assert risk.value == pytest.approx(before)
