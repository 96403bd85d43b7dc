"""Names and values of the REST API (section 17)."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tests.queues.simulation import ANN, Q2, Q, QueueSimulation
from trunkline.core.errors import InvalidInput
from trunkline.queues import inputs as i
from trunkline.queues import names
from trunkline.queues.agents import Agent, Tier
from trunkline.queues.settings import AgentSettings, QueueSettings, TimeBase
from trunkline.queues.states import AgentStatus, LeavingReason

API_FIELDS = {
    "strategy", "time_base_score", "max_wait_time", "max_wait_time_with_no_agent",
    "max_wait_time_with_no_agent_time_reached", "tier_rules_apply", "tier_rule_wait_second", "tier_rule_no_agent_no_wait",
    "tier_rule_wait_multiply_level", "discard_abandoned_after", "abandoned_resume_allowed", "announce_id",
    "announce_frequency", "moh_id", "sla_strategy", "sla_answer_time", "auto_answer", "pre_bridge_announce",
    "join_announce", "ring_timeout",
}  # fmt: skip


def test_17_fields_of_queues_have_the_same_names() -> None:
    assert {one.name for one in fields(QueueSettings)} >= API_FIELDS
    assert QueueSettings.of({"time_base_score": ""}).time_base_score is TimeBase.QUEUE


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("hangup", "BREAK_OUT"), ("break_out", "BREAK_OUT"), ("timeout", "TIMEOUT"),
        ("no_agent_timeout", "NO_AGENT_TIMEOUT"), ("exit_key", "NONE"), ("answered", None),
    ],
)  # fmt: skip
def test_17_canceled(reason: str, expected: str | None) -> None:
    assert names.canceled(LeavingReason(reason)) == expected


def test_17_the_position_comes_before_the_level() -> None:
    assert names.tier_of_item(Q, [17798, 3, 10, 2, None]) == i.SetTier(Q, 17798, level=2, position=10)
    assert names.tier_of_item(Q, ["17798"]) == i.SetTier(Q, 17798, 1, 1)
    agent = Agent(17798, AgentSettings())
    item = names.item_of_tier(agent, Tier(Q, level=2, position=10), "user name", mode=3)
    assert item == [17798, 3, 10, 2, "user name", None], "the name follows the level"
    for wrong in ([], ["x"], [1, 0, "first"]):
        with pytest.raises(InvalidInput):
            names.tier_of_item(Q, wrong)


def test_17_settings_of_users_override_the_defaults_of_the_account() -> None:
    account = {"wrap_up_time": 20, "busy_delay_time": 5, "max_no_answer": 3}
    user = {"wrap_up_time": 0, "busy_delay_time": None, "reject_delay_time": 7}
    assert names.settings_of_user(user, account, ring_timeout=30) == AgentSettings(
        wrap_up_time=0, busy_delay_time=5, reject_delay_time=7, max_no_answer=3, ring_timeout=30
    )
    with pytest.raises(InvalidInput):
        names.settings_of_user({"wrap_up_time": -5}, account)


def test_17_commands() -> None:
    assert names.check_in(ANN) == i.SetStatus(ANN, AgentStatus.AVAILABLE)
    assert names.check_out(ANN) == i.SetStatus(ANN, AgentStatus.LOGGED_OUT)
    assert names.set_pause(ANN, 4) == i.SetStatus(ANN, AgentStatus.ON_BREAK, "4")
    assert names.set_pause(ANN, 0) == i.SetStatus(ANN, AgentStatus.AVAILABLE)
    assert names.wrap_up(ANN, 0) == i.SetWrapUp(ANN, 0)
    assert names.wrap_up(ANN) == i.SetWrapUp(ANN, None)
    assert names.cc_wait(12.9) == 12


def test_17_set_queues_adds_and_removes_tiers() -> None:
    simulation = QueueSimulation().queue().queue(Q2).agent(ANN, Q)
    for given in names.set_queues(simulation.the_agent(ANN), [Q2, Q2]):
        simulation.give(given)
    assert list(simulation.the_agent(ANN).tiers) == [Q2]
    assert names.set_queues(simulation.the_agent(ANN), [Q2]) == []
