"""A dry run through scenarios without a call, by the rules of calls."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.company import company, hangup, number_of, scenario, to_employee, to_group, voicemail
from tests.calls.queue_node import TO_QUEUE, with_queue
from trunkline.directory.model import Account, OperationKind
from trunkline.events.reasons import Reason
from trunkline.routing.dry_run import (
    SENTENCES,
    STEPS_MAX,
    Assumptions,
    QueueEnd,
    Step,
    StepKind,
    dry_run_of_number,
    dry_run_of_scenario,
)

FRIDAY = datetime(2026, 3, 6, 19, 5)  # noqa: DTZ001 - wall clock of the account's zone
SID = 50


def menu(**settings: Any) -> tuple[OperationKind, dict[str, Any]]:
    return OperationKind.MENU, {"media_file_ids": [c.GREETING], "repeats": 2, **settings}


def go(account: Account, *operations: Any, **assumed: Any) -> list[Step]:
    one = scenario(SID, *[(key, *rest) for key, rest in operations])
    account = replace(account, scenarios={**account.scenarios, SID: one})
    return list(dry_run_of_scenario(account, one, c.CUSTOMER, FRIDAY, Assumptions(**assumed)))


def kinds(steps: list[Step]) -> list[str]:
    return [one.kind.value for one in steps[1:]]


def test_phones_ring_one_after_another_until_the_end() -> None:
    steps = go(company(), ("a", to_employee(c.ANNA, "b")), ("b", voicemail()))
    assert kinds(steps)[:2] == ["rings", "unanswered"]
    assert kinds(steps)[-2:] == ["message", "ended"]
    assert steps[1].values["name"] == company().employees[c.ANNA].full_name
    assert [one.at for one in steps] == sorted(one.at for one in steps)
    assert steps[-1].at > FRIDAY
    answered = go(company(), ("a", to_employee(c.ANNA, "b")), ("b", voicemail()), answered=1)
    assert kinds(answered) == ["rings", "answered"]


def test_an_outside_phone_that_the_security_settings_forbid_is_not_called() -> None:
    account = replace(company(), security={"mobile": False, "national": False, "international": False})
    steps = go(account, ("a", to_employee(c.CLARA, "b")), ("b", hangup()))
    assert StepKind.RINGS not in {one.kind for one in steps}
    [skipped] = [one for one in steps if one.kind is StepKind.SKIPPED]
    assert skipped.reason is Reason.LOCKED_NUMB


def test_offline_lines_are_not_called() -> None:
    steps = go(company(), ("a", to_group(c.ALL, "b")), ("b", hangup()), registered=frozenset())
    skipped = [one for one in steps if one.kind is StepKind.SKIPPED]
    assert Reason.SIP_OFFLINE in {one.reason for one in skipped}
    assert {one.operation for one in skipped} == {"a"}


def test_keys_choose_branches_and_wrong_ones_repeat_the_prompt() -> None:
    flow = (
        ("a", menu(keys={"1": "b", "2": None}, invalid="c", timeout="d")),
        ("b", to_employee(c.ANNA)),
        ("c", hangup()),
        ("d", voicemail()),
    )
    assert "menu_key" in kinds(go(company(), *flow, keys=("1",), answered=1))
    assert kinds(go(company(), *flow, keys=("7", "8")))[-3:] == ["played", "menu_wrong", "ended"]
    assert kinds(go(company(), *flow))[:4] == ["played", "menu_silent", "played", "menu_silent"]
    assert "message" in kinds(go(company(), *flow))
    second = go(company(), *flow, keys=("", "1"), answered=1)
    assert kinds(second)[-4:] == ["played", "menu_key", "rings", "answered"]


def test_a_schedule_is_asked_at_the_time_of_its_step() -> None:
    flow = (
        ("a", (OperationKind.SCHEDULE, {"schedule_id": c.NEVER, "open": "b", "closed": None})),
        ("b", hangup()),
    )
    assert kinds(go(company(), *flow)) == ["closed", "ended"]


@pytest.mark.parametrize(
    ("settings", "assumed", "expected"),
    [
        ({"codes": {"7": "b"}, "otherwise": None}, {"returned_code": "7"}, ["played", "code", "ended"]),
        ({"codes": {"7": "b"}, "otherwise": "b"}, {"returned_code": "8"}, ["played", "no_code", "ended"]),
        ({"codes": {}, "code_length": 4}, {"keys": ("1234",)}, ["played", "menu_key", "no_code", "ended"]),
    ],
)
def test_another_system(settings: dict[str, Any], assumed: dict[str, Any], expected: list[str]) -> None:
    steps = go(company(), ("a", (OperationKind.EXTERNAL_DECISION, settings)), ("b", hangup()), **assumed)
    assert kinds(steps) == expected


@pytest.mark.parametrize(
    ("assumed", "expected"),
    [
        ({"keys": ("1",)}, ["queue_callback", "ended"]),
        ({"keys": ("2",), "answered": 1}, ["queue_key", "rings", "answered"]),
        ({"keys": ("3",)}, ["queue_agent"]),
        ({"queue_end": QueueEnd.TIMEOUT}, ["queue_left", "message", "scenario", "ended"]),
        ({"queue_end": QueueEnd.NO_AGENTS}, ["queue_left", "message", "scenario", "ended"]),
    ],
)
def test_a_queue_has_its_own_exits(assumed: dict[str, Any], expected: list[str]) -> None:
    exits = {"1": "callback", "2": f"employee:{c.ANNA}", "timeout": "voicemail"}
    account = with_queue(c.BORIS, exits=exits)
    one = account.scenarios[TO_QUEUE]
    steps = dry_run_of_scenario(account, one, c.CUSTOMER, FRIDAY, Assumptions(**assumed))
    found = kinds(list(steps))
    assert [one for one in found if one != "played"] == expected
    named = with_queue(c.BORIS, exits=exits, operation={"exits": {"2": "m"}, "next": "m"})
    steps = dry_run_of_scenario(named, named.scenarios[TO_QUEUE], None, FRIDAY, Assumptions(keys=("2",)))
    assert "message" in kinds(list(steps)), "the operation names a place"


def test_a_text_that_is_played_ends_with_one_full_stop() -> None:
    account = company()
    greeting = replace(account.media[c.GREETING], name="Hello. We connect you.")
    account = replace(account, media={**account.media, c.GREETING: greeting})
    [played] = {one.values["name"] for one in go(account, ("a", menu())) if one.kind is StepKind.PLAYED}
    assert SENTENCES[StepKind.PLAYED] % {"name": played} == "The caller hears Hello. We connect you."


def test_a_walk_ends_in_a_circle() -> None:
    steps = go(company(), ("a", menu(keys={"1": "a"}, timeout="a")))
    assert len(steps) <= STEPS_MAX + 10
    assert steps[-1].kind is StepKind.STOPPED


def test_a_number_leads_to_its_scenario_or_refuses_the_call() -> None:
    account = company()
    number = account.number_by_phone(number_of(c.TO_ANNA))
    steps = dry_run_of_number(account, number, c.CUSTOMER, FRIDAY, Assumptions(answered=1))
    assert steps[0].values == {"name": account.scenarios[c.TO_ANNA].name}
    [refused] = dry_run_of_number(account, number, c.BLOCKED, FRIDAY, Assumptions())
    assert refused.reason is Reason.NUMA_IN_BLACK_LIST
    assert dry_run_of_number(account, None, c.CUSTOMER, FRIDAY, Assumptions())[0].kind is StepKind.ENDED


def test_every_scenario_of_the_company_comes_to_an_end() -> None:
    account = company()
    for one in account.scenarios.values():
        for answered in (0, 1, 2):
            for end in QueueEnd:
                steps = dry_run_of_scenario(
                    account, one, None, FRIDAY, Assumptions(answered=answered, queue_end=end)
                )
                assert steps[-1].kind in (
                    StepKind.ENDED, StepKind.ANSWERED, StepKind.QUEUE_AGENT, StepKind.STOPPED,
                )  # fmt: skip


def test_each_step_has_a_sentence() -> None:
    assert set(SENTENCES) == set(StepKind)
