"""An employee changes the PIN by phone, records the greeting, and listens to the mailbox of a group."""

from __future__ import annotations

import pytest

from tests.calls import company as c
from tests.calls.company import company, media
from tests.calls.simulation import CallSimulation, evolved, walk
from tests.calls.test_mailbox_calls import NEW, Mailbox, calling, opened
from trunkline.calls import rules
from trunkline.calls.decision import Decision
from trunkline.calls.effects import PlayFiles, RecordMessage
from trunkline.calls.flows import mailbox
from trunkline.calls.flows.number_plan import ToMailbox, destination
from trunkline.calls.states import MailboxGreeting, MailboxLogin, MailboxNewPin, MailboxOpen, State
from trunkline.calls.timers import QuestionFailed
from trunkline.core.clock import Instant
from trunkline.events.catalogue import EventType

OWN = {"employee_id": c.ANNA, "group_id": None}


def state(simulation: Mailbox) -> State:
    """A property that a key changes."""
    return simulation.session.state


def results(simulation: Mailbox) -> list[tuple[str, str]]:
    data = [event.data for event in simulation.events if event.type is EventType.MAILBOX_CHANGED]
    return [(one["what"], one["result"]) for one in data]


# --- a new PIN


def test_a_new_pin_is_entered_twice_and_is_in_no_event() -> None:
    simulation = opened(NEW).keys("9")
    assert simulation.heard() == ["mailbox_new_pin"]
    simulation.keys("7391#")
    assert state(simulation) == MailboxNewPin(c.ANNA, is_repeat=True)
    assert simulation.heard() == ["mailbox_new_pin_again"]
    simulation.keys("7391#")
    assert simulation.asked[-1].question.data == {**OWN, "pin": "7391"}
    assert "7391" not in str([event.data for event in simulation.events])
    pressed = [event.data["key"] for event in simulation.events if event.type is EventType.KEY_PRESSED]
    assert pressed == ["9"]
    simulation.reply("changed")
    assert simulation.heard() == ["mailbox_changed", "mailbox_new", "n", "mailbox_keys"]
    assert state(simulation) == MailboxOpen(c.ANNA)
    assert (simulation.session.mailbox_pin, simulation.session.mailbox_new_pin) == ("", "")
    walk(simulation.events)


def test_two_different_pins_change_nothing() -> None:
    simulation = opened(NEW).keys("97391#7392#")
    assert results(simulation) == [("pin", "different")]
    assert len(simulation.asked) == 1
    assert simulation.heard()[0] == "mailbox_pin_different"


def test_a_pin_that_is_refused_or_not_stored() -> None:
    simulation = opened(NEW).keys("91234#1234#").reply("refused")
    assert simulation.heard()[0] == "mailbox_pin_refused"
    simulation.keys("97391#7391#")
    failed = QuestionFailed(simulation.asked[-1].key, Instant(simulation.clock), "timed_out")
    simulation.take(rules.signal(simulation.session, failed, simulation.context()))
    simulation.flow()
    assert results(simulation) == [("pin", "refused"), ("pin", "failed")]
    assert simulation.heard()[0] == "technical_problem"


def test_nobody_enters_the_new_pin() -> None:
    simulation = opened(NEW).keys("9").ends()
    simulation.at(6).flow()
    assert results(simulation) == [("pin", "unchanged")]
    assert isinstance(state(simulation), MailboxOpen)


def test_an_empty_mailbox_offers_the_changes() -> None:
    simulation = opened()
    assert simulation.heard() == ["mailbox_end", "mailbox_options"]
    simulation.keys("9")
    assert isinstance(state(simulation), MailboxNewPin)


# --- the greeting


def speaking() -> Mailbox:
    simulation = opened().keys("0")
    assert simulation.heard() == ["mailbox_greeting", "beep"]
    return simulation.ends()


def test_a_greeting_is_recorded_and_kept() -> None:
    simulation = speaking()
    speaks = state(simulation)
    assert isinstance(speaks, MailboxGreeting)
    [recording] = [one for one in simulation.engine.done if isinstance(one, RecordMessage)]
    assert (recording.path, recording.channel) == (speaks.path, simulation.channel)
    simulation.at(4)
    simulation.engine.recorded(simulation.channel)
    simulation.flow()
    assert simulation.asked[-1].question.data == {**OWN, "path": speaks.path}
    assert simulation.asked[-1].question.is_change
    simulation.reply("changed")
    assert results(simulation) == [("greeting", "changed")]
    assert state(simulation) == MailboxOpen(c.ANNA)
    walk(simulation.events)


def test_a_greeting_that_is_too_short_changes_nothing() -> None:
    simulation = speaking()
    simulation.engine.recorded(simulation.channel)
    simulation.flow()
    assert results(simulation) == [("greeting", "unchanged")]
    assert len(simulation.asked) == 1


def test_who_hangs_up_while_speaking_changes_nothing() -> None:
    simulation = speaking().at(4)
    simulation.hang_up()
    assert len(simulation.asked) == 1  # type: ignore[attr-defined]
    assert simulation.end["finish_reason"] == "operator_disconnects"


# --- the mailbox of a group


def test_a_member_opens_the_mailbox_of_the_group_with_the_own_pin() -> None:
    account = company()
    group = account.groups[c.ALL]
    assert destination(account, "*98200") == ToMailbox(group)
    assert destination(account, "*98999") is None
    simulation = Mailbox()
    simulation.dial(c.ANNA_LINE, "*98200")
    of_group = {"employee_id": c.ANNA, "group_id": c.ALL}
    simulation.keys("2580#")
    assert simulation.asked[-1].question.data == {**of_group, "pin": "2580"}
    simulation.reply("wrong")
    assert state(simulation) == MailboxLogin(c.ANNA, 2, group_id=c.ALL)
    simulation.keys("2580#").reply("right", NEW)
    assert state(simulation) == MailboxOpen(c.ANNA, group_id=c.ALL)
    simulation.keys("9")
    assert isinstance(state(simulation), MailboxOpen), "a group has no PIN"
    simulation.keys("3")
    assert simulation.asked[-1].question.data == {**of_group, "recording_id": NEW["id"], "action": "delete"}
    assert simulation.heard() == ["mailbox_end", "mailbox_group_options"]
    simulation.keys("0")
    assert isinstance(state(simulation), MailboxGreeting)
    again = evolved(None, simulation.events)
    decision = Decision(again, simulation.context(), Instant(simulation.clock))
    leg = again.initiator
    assert leg is not None
    mailbox.resume(decision, leg)
    assert again.state == MailboxLogin(c.ANNA, 1, group_id=c.ALL)
    walk(simulation.events)


def test_who_is_not_in_the_group_is_refused() -> None:
    simulation = CallSimulation(online=[c.DORA_LINE])
    simulation.dial(c.DORA_LINE, "*98200")
    assert simulation.end["finish_reason"] == "incorrect_input"


@pytest.mark.parametrize("keys", ["9", "97391#", "0"])
def test_a_restart_asks_for_the_pin_again(keys: str) -> None:
    again = evolved(None, opened(NEW).keys(keys).events)
    decision = Decision(again, calling().context(), Instant(again.last_at))
    leg = again.initiator
    assert leg is not None
    mailbox.resume(decision, leg)
    assert again.state == MailboxLogin(c.ANNA, 1)


# --- who leaves a message


def prompt(**media_files: str) -> list[str]:
    """What is played to a caller before the message for the group with the extension 200."""
    more = {700 + n: media(700 + n, key) for n, key in enumerate(media_files.values())}
    simulation = CallSimulation(company(media={**company().media, **more})).arrive(c.MAIL)
    plays = [one for one in simulation.engine.done if isinstance(one, PlayFiles)]
    return [file.rsplit("/", 1)[-1] for file in plays[-1].files]


def test_the_greeting_of_the_owner_replaces_the_prompt() -> None:
    assert prompt() == ["mail", "beep"]
    assert prompt(own="greeting_200") == ["greeting_200", "beep"]
    assert prompt(of_another="greeting_201") == ["mail", "beep"]
