"""An employee calls their own mailbox: PIN, messages, keys, and what is stored of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.company import company, media
from tests.calls.simulation import CallSimulation, evolved, walk
from trunkline.calls import rules
from trunkline.calls.decision import Decision
from trunkline.calls.effects import Answer, PlayFiles
from trunkline.calls.flows import mailbox
from trunkline.calls.states import MailboxLogin, MailboxOpen
from trunkline.calls.timers import Ask, QuestionAnswered, QuestionFailed
from trunkline.core.clock import Instant
from trunkline.directory.model import MediaKind
from trunkline.events.catalogue import EventType

SOUNDS = (
    "mailbox_pin", "mailbox_wrong_pin", "mailbox_locked", "mailbox_no_pin", "mailbox_new", "mailbox_saved", "mailbox_keys",
    "mailbox_end", "technical_problem", "mailbox_options", "mailbox_group_options", "mailbox_new_pin",
    "mailbox_new_pin_again",
    "mailbox_pin_refused", "mailbox_pin_different", "mailbox_greeting", "mailbox_changed", "mailbox_unchanged",
)  # fmt: skip
NEW = {"id": "n" * 64, "is_saved": False, "file": "/recordings/n"}
SAVED = {"id": "s" * 64, "is_saved": True, "file": "/recordings/s"}


class Mailbox(CallSimulation):
    """A call to the mailbox; keeps the questions of the rules."""

    def __init__(self) -> None:
        more = {100 + n: media(100 + n, name, MediaKind.SYSTEM) for n, name in enumerate(SOUNDS)}
        super().__init__(company(media={**company().media, **more}))
        self.asked: list[Ask] = []

    def take(self, decision: Decision) -> None:
        self.asked += decision.questions
        super().take(decision)

    def keys(self, text: str) -> Mailbox:
        for key in text:
            self.press(self.channel, key)
        return self

    def reply(self, result: str, *messages: dict[str, Any]) -> Mailbox:
        value = {"result": result, "messages": list(messages)}
        answered = QuestionAnswered(self.asked[-1].key, Instant(self.clock), value)
        self.take(rules.signal(self.session, answered, self.context()))
        self.flow()
        return self

    def heard(self) -> list[str]:
        """What the last thing that is played consists of."""
        plays = [one for one in self.engine.done if isinstance(one, PlayFiles)]
        return [file.rsplit("/", 1)[-1] for file in plays[-1].files]

    def ends(self) -> Mailbox:
        """What is played is over."""
        self.engine.played(self.channel)
        self.flow()
        return self


def calling() -> Mailbox:
    simulation = Mailbox()
    simulation.dial(c.ANNA_LINE, "*98")
    return simulation


def opened(*messages: dict[str, Any]) -> Mailbox:
    return calling().keys("2580#").reply("right", *messages)


def marked(simulation: Mailbox) -> list[tuple[str, str]]:
    data = [event.data for event in simulation.events if event.type is EventType.MAILBOX_MARKED]
    return [(one["recording_id"], one["action"]) for one in data]


def test_the_pin_is_asked_and_is_in_no_event() -> None:
    simulation = calling()
    assert any(isinstance(one, Answer) for one in simulation.engine.done)
    assert simulation.heard() == ["mailbox_pin"]
    simulation.keys("2580#")
    [ask] = simulation.asked
    assert ask.question.data == {"employee_id": c.ANNA, "group_id": None, "pin": "2580"}
    assert EventType.KEY_PRESSED not in simulation.types
    assert "2580" not in str([event.data for event in simulation.events])
    simulation.reply("right")
    assert simulation.heard() == ["mailbox_end", "mailbox_options"]
    simulation.ends().at(6).flow()
    assert simulation.end["finish_reason"] == "success_finish"
    walk(simulation.events)


def test_new_messages_come_with_their_keys() -> None:
    simulation = opened(NEW, SAVED)
    assert isinstance(simulation.session.state, MailboxOpen)
    assert simulation.heard() == ["mailbox_new", "n", "mailbox_keys"]
    simulation.keys("1")
    assert simulation.heard() == ["mailbox_new", "n", "mailbox_keys"]
    simulation.keys("2")
    assert simulation.asked[-1].question.data == {
        "employee_id": c.ANNA, "group_id": None, "recording_id": NEW["id"], "action": "save",
    }  # fmt: skip
    assert simulation.heard() == ["mailbox_saved", "s", "mailbox_keys"]
    simulation.keys("3")
    assert marked(simulation) == [(NEW["id"], "save"), (SAVED["id"], "delete")]
    assert simulation.heard() == ["mailbox_end", "mailbox_options"]
    simulation.keys("3").ends().at(6).flow()
    assert len(marked(simulation)) == 2
    assert simulation.end["finish_reason"] == "success_finish"
    walk(simulation.events)


def test_a_message_that_could_not_be_deleted_is_offered_again() -> None:
    """PostgreSQL is unavailable: the employee must not believe that it is gone."""
    simulation = opened(NEW, SAVED).keys("3")
    failed = QuestionFailed(simulation.asked[-1].key, Instant(simulation.clock), "TimeoutError")
    assert simulation.asked[-1].question.is_change
    assert simulation.heard() == ["mailbox_saved", "s", "mailbox_keys"]
    simulation.take(rules.signal(simulation.session, failed, simulation.context()))
    simulation.flow()
    assert simulation.heard() == ["technical_problem", "mailbox_new", "n", "mailbox_keys"]
    simulation.keys("3").reply("done")
    assert simulation.heard() == ["mailbox_saved", "s", "mailbox_keys"]
    assert [one.question.data["recording_id"] for one in simulation.asked[1:]] == [NEW["id"]] * 2
    simulation.keys("3")
    failed = QuestionFailed(simulation.asked[-1].key, Instant(simulation.clock), "TimeoutError")
    assert simulation.heard() == ["mailbox_end", "mailbox_options"]
    simulation.take(rules.signal(simulation.session, failed, simulation.context()))
    assert simulation.flow().session.ending is None
    assert simulation.heard() == ["technical_problem", "mailbox_saved", "s", "mailbox_keys"]
    walk(simulation.events)


def test_the_next_without_a_change_and_other_keys() -> None:
    simulation = opened(NEW, SAVED).keys("78")
    assert simulation.heard() == ["mailbox_new", "n", "mailbox_keys"]
    simulation.keys("#")
    assert simulation.heard() == ["mailbox_saved", "s", "mailbox_keys"]
    assert marked(simulation) == []


def test_nobody_presses_a_key_after_a_message() -> None:
    simulation = opened(NEW).ends()
    simulation.at(20).flow()
    assert simulation.end["finish_reason"] == "success_finish"
    assert marked(simulation) == []


def test_a_pin_without_hash_is_taken_after_a_while_and_eight_digits_at_once() -> None:
    simulation = calling().keys("2580")
    assert simulation.asked == []
    simulation.at(6).flow()
    assert simulation.asked[0].question.data["pin"] == "2580"
    assert calling().keys("12345678").asked[0].question.data["pin"] == "12345678"


def test_nobody_enters_a_pin() -> None:
    simulation = calling().ends()
    simulation.at(6).flow()
    assert simulation.end["finish_reason"] == "success_finish"


def test_three_wrong_pins_end_the_call() -> None:
    simulation = calling()
    for tries in (1, 2):
        simulation.keys("1111#").reply("wrong")
        assert simulation.heard() == ["mailbox_wrong_pin", "mailbox_pin"]
        assert simulation.session.state == MailboxLogin(c.ANNA, tries + 1)
    simulation.keys("1111#").reply("wrong")
    assert simulation.heard() == ["mailbox_wrong_pin"]
    simulation.ends()
    assert simulation.end["finish_reason"] == "success_finish"
    walk(simulation.events)


@pytest.mark.parametrize(("result", "said"), [("locked", "mailbox_locked"), ("no_pin", "mailbox_no_pin")])
def test_a_mailbox_that_does_not_open(result: str, said: str) -> None:
    simulation = calling().keys("2580#").reply(result)
    assert simulation.heard() == [said]
    simulation.ends()
    assert simulation.end is not None


def test_a_database_that_does_not_answer() -> None:
    simulation = calling().keys("2580#")
    failed = QuestionFailed("mailbox_open", Instant(simulation.clock), "timed_out")
    simulation.take(rules.signal(simulation.session, failed, simulation.context()))
    simulation.flow()
    assert simulation.heard() == ["technical_problem"]


def test_keys_while_the_pin_is_checked_do_nothing() -> None:
    simulation = calling().keys("2580#123")
    assert len(simulation.asked) == 1
    simulation.reply("right", NEW)
    assert simulation.heard()[0] == "mailbox_new"


@pytest.mark.parametrize("keys", ["", "2580#"])
def test_an_employee_hangs_up(keys: str) -> None:
    simulation = calling().keys(keys)
    simulation.hang_up()
    assert simulation.end["finish_reason"] is not None
    walk(simulation.events)


def test_a_restarted_switch_asks_for_the_pin_again() -> None:
    simulation = opened(NEW)
    again = evolved(None, simulation.events)
    assert isinstance(again.state, MailboxOpen)
    decision = Decision(again, simulation.context(), Instant(simulation.clock))
    leg = again.initiator
    assert leg is not None
    mailbox.resume(decision, leg)
    assert decision.session.state == MailboxLogin(c.ANNA, 1)
    assert decision.session.mailbox == ()


def test_a_line_without_an_employee_has_no_mailbox() -> None:
    simulation = CallSimulation(company(employees={}))
    simulation.dial(c.ANNA_LINE, "*98")
    assert simulation.end["finish_reason"] == "employees_not_exists"
