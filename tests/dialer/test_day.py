"""A simulated day of 20 000 leads and 50 agents: the cap holds in every hour, and agents talk more than by progressive
dialing."""

from __future__ import annotations

import pytest

from tests.dialer.simulation import Day, simulate
from trunkline.dialer.leads import progress
from trunkline.dialer.outcomes import DialOutcome
from trunkline.dialer.settings import CampaignSettings, Mode

HOURS, AGENTS = 8, 50


def minutes_per_hour(day: Day, agents: int = AGENTS, hours: float = HOURS) -> float:
    """Talk and wrap-up of an agent, in minutes of each hour."""
    return day.talk_seconds / 60 / agents / hours


def check(day: Day, limit: float = 0.03) -> None:
    for hour, answered in sorted(day.answered.items()):
        assert day.abandoned[hour] <= limit * answered, f"hour {hour}: {day.abandoned[hour]} of {answered}"


@pytest.mark.parametrize("jump", [1.0, 1.5, 0.5])
def test_a_day_keeps_the_cap_in_every_hour_and_beats_progressive_dialing(jump: float) -> None:
    predictive = simulate(CampaignSettings(mode=Mode.PREDICTIVE, max_lines=300), jump=jump)
    progressive = simulate(CampaignSettings(mode=Mode.PROGRESSIVE, max_lines=300), jump=jump)
    check(predictive)
    assert progressive.outcomes[DialOutcome.ABANDONED] == 0
    gained = minutes_per_hour(predictive) - minutes_per_hour(progressive)
    print(
        f"jump {jump}: {minutes_per_hour(predictive):.1f} min/h predictive, {minutes_per_hour(progressive):.1f} progressive,"
        f" abandoned {sum(predictive.abandoned.values())} of {sum(predictive.answered.values())},"
        f" by hour {[f'{100 * predictive.abandoned[h] / max(1, predictive.answered[h]):.1f}' for h in range(HOURS)]}"
    )
    assert gained >= 4


@pytest.mark.parametrize("seed", range(2, 5))
def test_the_cap_holds_with_any_seed(seed: int) -> None:
    check(simulate(CampaignSettings(mode=Mode.PREDICTIVE, max_lines=300), seed=seed, hours=3))


@pytest.mark.parametrize("agents", [3, 6, 10, 20])
def test_the_cap_holds_for_small_teams(agents: int) -> None:
    settings = CampaignSettings(mode=Mode.PREDICTIVE)
    day = simulate(settings, agents=agents, leads=4000, seed=agents)
    total = sum(day.answered.values())
    assert sum(day.abandoned.values()) <= 0.03 * total
    if agents < settings.least_agents:
        assert not day.outcomes[DialOutcome.ABANDONED]
    print(
        f"{agents} agents: {minutes_per_hour(day, agents):.1f} min/h, {day.outcomes[DialOutcome.ABANDONED]} of {total}"
    )


def test_no_lead_is_called_more_often_than_its_rules_permit() -> None:
    settings = CampaignSettings(mode=Mode.PREDICTIVE, max_lines=300)
    day = simulate(settings, leads=3000)
    for history in day.attempts.values():
        assert len(history) <= settings.max_per_day
        for number in range(1, len(history)):
            before = progress(history[:number], settings)
            assert before.closed is None
            assert history[number].at >= before.next_at
