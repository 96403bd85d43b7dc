"""Codes that an employee dials: do-not-disturb and call forwarding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.company import company, media, number_of
from tests.calls.simulation import CallSimulation, evolved, walk
from trunkline.calls import rules
from trunkline.calls.decision import Decision
from trunkline.calls.effects import Answer, Hangup, PlayFiles
from trunkline.calls.flows import employee_settings
from trunkline.calls.flows.number_plan import Setting, ToSetting, destination
from trunkline.calls.states import ChangingSetting
from trunkline.calls.timers import Ask, QuestionAnswered, QuestionFailed
from trunkline.core.clock import Instant
from trunkline.directory.model import Account, MediaKind

SOUNDS = (
    "do_not_disturb_on", "do_not_disturb_off", "forwarding_on", "forwarding_off", "technical_problem", "checked_in",
)  # fmt: skip


class Coded(CallSimulation):
    """A call to a code; keeps the questions of the rules."""

    def __init__(self, account: Account | None = None) -> None:
        more = {100 + n: media(100 + n, name, MediaKind.SYSTEM) for n, name in enumerate(SOUNDS)}
        account = account or company()
        super().__init__(replace(account, media={**account.media, **more}))
        self.asked: list[Ask] = []

    def take(self, decision: Decision) -> None:
        self.asked += decision.questions
        super().take(decision)

    def written(self) -> Coded:
        value = {"result": "written"}
        answered = QuestionAnswered(self.asked[-1].key, Instant(self.clock), value)
        self.take(rules.signal(self.session, answered, self.context()))
        self.flow()
        return self

    def heard(self) -> list[str]:
        plays = [one for one in self.engine.done if isinstance(one, PlayFiles)]
        return [file.rsplit("/", 1)[-1] for one in plays for file in one.files]


def dialled(code: str, account: Account | None = None) -> Coded:
    simulation = Coded(account)
    simulation.dial(c.ANNA_LINE, code)
    return simulation


@pytest.mark.parametrize(
    ("code", "setting", "value", "sound"),
    [
        ("*78", "do_not_disturb", "on", "do_not_disturb_on"),
        ("*79", "do_not_disturb", "off", "do_not_disturb_off"),
        ("*72102", "forward_always", "102", "forwarding_on"),
        ("*72200", "forward_always", "200", "forwarding_on"),
        ("*7200" + c.PARTNER, "forward_always", c.PARTNER, "forwarding_on"),
        ("*90102", "forward_busy", "102", "forwarding_on"),
        ("*92102", "forward_no_answer", "102", "forwarding_on"),
        ("*73", "forward_always", "", "forwarding_off"),
        ("*91", "forward_busy", "", "forwarding_off"),
        ("*93", "forward_no_answer", "", "forwarding_off"),
        ("***123456", "check_in", "123456", "checked_in"),
    ],
)
def test_each_code(code: str, setting: str, value: str, sound: str) -> None:
    simulation = dialled(code)
    assert any(isinstance(one, Answer) for one in simulation.engine.done)
    [ask] = simulation.asked
    line = company().line_by_login(c.ANNA_LINE)
    assert line is not None
    assert ask.question.data == {
        "employee_id": c.ANNA, "setting": setting, "value": value, "sip_line_id": line.sip_line_id
    }  # fmt: skip
    assert simulation.heard() == [], "confirmed when it is written, not before"
    simulation.written()
    assert simulation.heard() == [sound]
    simulation.engine.played(simulation.channel)
    simulation.flow()
    assert simulation.end["finish_reason"] == "success_finish"
    assert simulation.end["is_internal"] is True
    walk(simulation.events)


@pytest.mark.parametrize(
    "code",
    ["*72", "*90", "*72101", "*72112", "*90999", "*72199", "*72" + number_of(2), "*72" + c.BLOCKED, "*72*98", "*77",
     "***", "***12*4"],
    ids=["alone", "alone, busy", "self", "emergency", "emergency 2", "nobody", "own number", "blocked", "code", "none",
         "no digits", "other keys"],
)  # fmt: skip
def test_a_target_that_may_not_be_is_refused_at_once(code: str) -> None:
    simulation = dialled(code)
    assert not simulation.asked
    assert not any(isinstance(one, Answer) for one in simulation.engine.done)
    assert simulation.end["finish_reason"] in ("incorrect_input", "incorrect_config", "locked_numb")


def test_an_agent_checks_in_at_a_line_without_an_employee() -> None:
    account = company()
    nobody = {key: replace(one, phones=()) for key, one in account.employees.items()}
    lines = {key: replace(one, employee_id=None) for key, one in account.lines.items()}
    simulation = dialled("***123456", company(employees=nobody, lines=lines))
    [ask] = simulation.asked
    assert (ask.question.data["employee_id"], ask.question.data["value"]) == (None, "123456")
    simulation.written()
    assert simulation.heard() == ["checked_in"]
    assert not dialled("*78", company(employees=nobody, lines=lines)).asked


def test_what_the_employee_may_not_call_is_refused() -> None:
    anna = replace(company().employees[c.ANNA], out_external_allowed=frozenset({"in"}))
    account = company(employees={**company().employees, c.ANNA: anna})
    assert not dialled("*72" + c.PARTNER, account).asked
    assert dialled("*72102", account).asked
    abroad = company(security={"mobile": True, "national": True, "international": False})
    assert not dialled("*72" + c.PARTNER, abroad).asked


def test_a_line_of_nobody_has_no_settings() -> None:
    simulation = Coded(company(lines={**company().lines, 9: c.line(9, "0260009")}))
    simulation.dial("0260009", "*78")
    assert not simulation.asked
    assert simulation.end["finish_reason"] == "employees_not_exists"


def test_what_could_not_be_written_is_said() -> None:
    simulation = dialled("*78")
    failed = QuestionFailed(simulation.asked[-1].key, Instant(simulation.clock), "timed_out")
    simulation.take(rules.signal(simulation.session, failed, simulation.context()))
    simulation.flow()
    assert simulation.heard() == ["technical_problem"]


def test_who_hangs_up_before_the_confirmation_has_changed_it() -> None:
    simulation = dialled("*78")
    simulation.hang_up()
    assert simulation.end["finish_reason"] == "operator_disconnects"
    assert simulation.asked


def resumed(simulation: Coded) -> tuple[Decision, Any]:
    session = evolved(None, simulation.events)
    decision = Decision(session, simulation.context(), Instant(simulation.clock))
    leg = session.initiator
    assert leg is not None
    employee_settings.resume(decision, leg)
    return decision, session


def test_a_restarted_switch_writes_it_again() -> None:
    simulation = dialled("*72102")
    decision, session = resumed(simulation)
    assert session.state == ChangingSetting(c.ANNA, "forward_always", "102")
    assert [one.question for one in decision.questions] == [one.question for one in simulation.asked]
    decision, _ = resumed(simulation.written())
    assert not decision.questions
    assert any(isinstance(one, Hangup) for one in decision.effects)


def test_codes_are_no_numbers_and_numbers_no_codes() -> None:
    account = company()
    assert destination(account, "*78") == ToSetting(Setting.DO_NOT_DISTURB, is_on=True)
    assert destination(account, "*721") == ToSetting(Setting.FORWARD_ALWAYS, is_on=True, to="1")
    assert destination(account, "78") is None
    assert destination(account, "*7") is None
