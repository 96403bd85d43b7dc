"""An employee calls their own mailbox, or that of a group: PIN, messages, keys, a new PIN, the greeting. Pure.

The keys of a PIN, and of a new one, are no events: nothing of them is stored. The messages are in memory only; after a
restart of the switch the PIN is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.calls.decision import Decision
from trunkline.calls.effects import Answer, RecordMessage
from trunkline.calls.flows import consultation, engine_connect
from trunkline.calls.flows.inputs import (
    COMMANDS,
    InputElapsed,
    JoinFailed,
    Key,
    LegAnswered,
    LegGone,
    LegUnreached,
    MessagePlayed,
    MessageRecorded,
    NotConnected,
    PartyTaken,
    QuestionReply,
    RingElapsed,
    ScenarioPlayed,
    TalkOver,
)
from trunkline.calls.flows.number_plan import ToMailbox
from trunkline.calls.flows.table import Table, pairs, row
from trunkline.calls.session import Leg
from trunkline.calls.states import (
    Finishing,
    InMailbox,
    MailboxGreeting,
    MailboxLogin,
    MailboxNewPin,
    MailboxOpen,
    State,
)
from trunkline.calls.timers import MENU_TIMER, Ask, CancelTimer, Question, StartTimer
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason

PIN_MAX = 8
TRIES = 3
"""PINs in one call."""

KEY_SECONDS = 5.0
OPEN = "mailbox_open"
MARK = "mailbox_mark"
SET_PIN = "mailbox_set_pin"
KEEP_GREETING = "mailbox_keep_greeting"
"""Kinds of questions. Their data have ``employee_id`` and ``group_id`` (null: their own mailbox)."""

GREETING_SECONDS_MAX = 60
GREETING_SILENCE_SECONDS = 5
GREETING_SECONDS_MIN = 1.0
"""A shorter greeting is a key that was pressed too early."""


def call(decision: Decision, leg: Leg, where: ToMailbox) -> Reason | None:
    """A line called a mailbox; why not, if it has none, or its employee is not in the group."""
    if leg.employee_id is None:
        return Reason.EMPLOYEES_NOT_EXISTS
    if where.group is not None and leg.employee_id not in where.group.employee_ids:
        return Reason.INCORRECT_INPUT
    decision.do(Answer(leg.channel))
    _begin(decision, leg, where.group.group_id if where.group is not None else None)
    return None


def resume(decision: Decision, leg: Leg) -> None:
    """After a restart of the switch: ask for the PIN again."""
    state = decision.session.state
    _begin(decision, leg, state.group_id if isinstance(state, InMailbox) else None)


def _begin(decision: Decision, leg: Leg, group_id: int | None) -> None:
    decision.do(CancelTimer(MENU_TIMER))
    decision.emit(EventType.MAILBOX_CALLED, leg_id=leg.leg_id, employee_id=leg.employee_id, group_id=group_id)
    decision.session.mailbox_pin, decision.session.mailbox, decision.session.mailbox_at = "", (), 0
    _say(decision, leg, "mailbox_pin")


def key_of_pin(decision: Decision, flow_input: Key) -> None:
    """A key of the PIN: ``#``, or the eighth digit, ends it."""
    session = decision.session
    if OPEN in session.questions:
        return
    consultation.stop_playback(decision, flow_input.leg)
    if flow_input.key.isdecimal():
        session.mailbox_pin += flow_input.key
    if flow_input.key == "#" or len(session.mailbox_pin) >= PIN_MAX:
        _ask(decision, flow_input.leg)
    else:
        decision.do(StartTimer(MENU_TIMER, KEY_SECONDS))


def pin_elapsed(decision: Decision, _given: InputElapsed) -> None:
    """No further key: what was pressed is the PIN."""
    leg = decision.session.initiator
    if leg is None or not leg.is_alive:
        return
    if decision.session.mailbox_pin:
        _ask(decision, leg)
    else:
        decision.hang_up_served(leg)


def opened(decision: Decision, flow_input: QuestionReply) -> None:
    """Whether the PIN is right, and the messages."""
    session, leg = decision.session, decision.session.initiator
    if flow_input.key != OPEN or leg is None or not leg.is_alive:
        return
    reply: Mapping[str, Any] = (
        flow_input.value if isinstance(flow_input.value, Mapping) else {"result": "failed"}
    )
    session.mailbox_pin = ""
    if reply["result"] != "right":
        _refused(decision, leg, reply["result"])
        return
    session.mailbox, session.mailbox_at = tuple(reply["messages"]), 0
    new = sum(not one["is_saved"] for one in session.mailbox)
    decision.emit(EventType.MAILBOX_OPENED, new=new, saved=len(session.mailbox) - new)
    _play(decision, leg)


def _refused(decision: Decision, leg: Leg, result: str) -> None:
    state = decision.session.state
    decision.emit(EventType.MAILBOX_REFUSED, result=result)
    if result == "wrong" and isinstance(state, MailboxLogin) and state.tries < TRIES:
        _say(decision, leg, "mailbox_wrong_pin", "mailbox_pin")
        return
    sound = {"wrong": "mailbox_wrong_pin", "locked": "mailbox_locked", "no_pin": "mailbox_no_pin"}
    decision.session.mailbox_at = -1
    _say(decision, leg, sound.get(result, "technical_problem"))


def key_of_messages(decision: Decision, flow_input: Key) -> None:
    """1: again, 2: save, 3: delete, #: the next one; 9: a new PIN, 0: the greeting."""
    session, leg = decision.session, flow_input.leg
    if flow_input.key == "9" and _group(decision) is None:
        _ask_new_pin(decision, leg)
        return
    if flow_input.key == "0":
        _ask_greeting(decision, leg)
        return
    if session.mailbox_at >= len(session.mailbox):
        return
    if flow_input.key in "23":
        action = "save" if flow_input.key == "2" else "delete"
        message = session.mailbox[session.mailbox_at]
        data = {**_owner(decision), "recording_id": message["id"], "action": action}
        decision.emit(EventType.MAILBOX_MARKED, recording_id=message["id"], action=action)
        decision.do(Ask(f"{MARK}:{session.mailbox_at}", Question(MARK, data, is_change=True)))
    if flow_input.key not in "123#":
        return
    consultation.stop_playback(decision, leg)
    session.mailbox_at += flow_input.key != "1"
    _play(decision, leg)


def marked(decision: Decision, flow_input: QuestionReply) -> None:
    """A message that could not be saved or deleted is offered again."""
    session, leg = decision.session, decision.session.initiator
    kind, _, at = flow_input.key.partition(":")
    if kind != MARK or flow_input.value is not None or leg is None or not leg.is_alive:
        return
    if int(at) >= len(session.mailbox):
        return  # the switch was restarted: the PIN is asked again
    consultation.stop_playback(decision, leg)
    session.mailbox_at = min(session.mailbox_at, int(at))
    _play(decision, leg, "technical_problem")


def played(decision: Decision, flow_input: MessagePlayed) -> None:
    """What was said is over: a key is awaited, or nothing follows."""
    if decision.session.mailbox_at < 0:
        decision.hang_up_served(flow_input.leg)
    else:
        decision.do(StartTimer(MENU_TIMER, KEY_SECONDS))


def messages_elapsed(decision: Decision, _given: InputElapsed) -> None:
    """No key: the message stays as it is, and the call ends."""
    leg = decision.session.initiator
    if leg is not None and leg.is_alive:
        decision.hang_up_served(leg)


def _ask(decision: Decision, leg: Leg) -> None:
    session = decision.session
    decision.do(CancelTimer(MENU_TIMER))
    data = {**_owner(decision), "pin": session.mailbox_pin}
    decision.do(Ask(OPEN, Question(OPEN, data)))


def _group(decision: Decision) -> int | None:
    """The group whose mailbox it is; None: the employee's own."""
    state = decision.session.state
    return state.group_id if isinstance(state, InMailbox) else None


def _owner(decision: Decision) -> dict[str, Any]:
    """Who calls, and whose mailbox it is."""
    state = decision.session.state
    return {
        "employee_id": state.employee_id if isinstance(state, InMailbox) else None,
        "group_id": _group(decision),
    }


# --- a new PIN, and the greeting


def _ask_new_pin(decision: Decision, leg: Leg, *, is_repeat: bool = False) -> None:
    consultation.stop_playback(decision, leg)
    decision.do(CancelTimer(MENU_TIMER))
    decision.emit(EventType.MAILBOX_PIN_ASKED, is_repeat=is_repeat)
    decision.session.mailbox_pin = ""
    _say(decision, leg, "mailbox_new_pin_again" if is_repeat else "mailbox_new_pin")


def key_of_new_pin(decision: Decision, flow_input: Key) -> None:
    """A key of the new PIN: ``#``, or the eighth digit, ends it."""
    session = decision.session
    if SET_PIN in session.questions:
        return
    consultation.stop_playback(decision, flow_input.leg)
    if flow_input.key.isdecimal():
        session.mailbox_pin += flow_input.key
    if flow_input.key == "#" or len(session.mailbox_pin) >= PIN_MAX:
        _new_pin(decision, flow_input.leg)
    else:
        decision.do(StartTimer(MENU_TIMER, KEY_SECONDS))


def new_pin_elapsed(decision: Decision, _given: InputElapsed) -> None:
    """No further key: what was pressed is the PIN."""
    leg = decision.session.initiator
    if leg is not None and leg.is_alive:
        _new_pin(decision, leg)


def _new_pin(decision: Decision, leg: Leg) -> None:
    session, state = decision.session, decision.session.state
    entered = session.mailbox_pin
    if not entered or not isinstance(state, MailboxNewPin):
        _changed(decision, leg, "pin", "unchanged")
    elif not state.is_repeat:
        session.mailbox_new_pin = entered
        _ask_new_pin(decision, leg, is_repeat=True)
    elif entered != session.mailbox_new_pin:
        _changed(decision, leg, "pin", "different")
    else:
        decision.do(CancelTimer(MENU_TIMER))
        data = {**_owner(decision), "pin": entered}
        decision.do(Ask(SET_PIN, Question(SET_PIN, data, is_change=True)))


def _ask_greeting(decision: Decision, leg: Leg) -> None:
    session = decision.session
    consultation.stop_playback(decision, leg)
    decision.do(CancelTimer(MENU_TIMER))
    path = f"{session.call_session_id}/{leg.leg_id}-greeting-{session.seq}.wav"
    decision.emit(EventType.MAILBOX_GREETING_ASKED, path=path)
    _say(decision, leg, "mailbox_greeting", "beep")


def record_greeting(decision: Decision, flow_input: MessagePlayed) -> None:
    """The beep is over: the employee speaks, until a key, silence, or the longest time."""
    session, state = decision.session, decision.session.state
    if not isinstance(state, MailboxGreeting):
        return
    if decision.context.recording_obstacle is not None:
        _changed(decision, flow_input.leg, "greeting", "failed")
        return
    decision.do(
        RecordMessage(
            flow_input.leg.channel,
            f"{session.call_session_id}-greeting-{session.seq}",
            state.path,
            GREETING_SECONDS_MAX,
            GREETING_SILENCE_SECONDS,
        )
    )


def greeting_recorded(decision: Decision, flow_input: MessageRecorded) -> None:
    """The greeting is spoken. One that is too short, or of who has hung up, changes nothing."""
    state, leg = decision.session.state, decision.session.initiator
    if not isinstance(state, MailboxGreeting) or leg is None or not leg.is_alive or not flow_input.go_on:
        return
    if flow_input.seconds < GREETING_SECONDS_MIN:
        _changed(decision, leg, "greeting", "unchanged")
        return
    data = {**_owner(decision), "path": state.path}
    decision.do(Ask(KEEP_GREETING, Question(KEEP_GREETING, data, is_change=True)))


def change_replied(decision: Decision, flow_input: QuestionReply) -> None:
    """The new PIN or the greeting is stored, was refused, or could not be stored."""
    leg = decision.session.initiator
    if leg is None or not leg.is_alive or flow_input.key not in (SET_PIN, KEEP_GREETING):
        return
    reply = flow_input.value if isinstance(flow_input.value, Mapping) else {}
    what = "pin" if flow_input.key == SET_PIN else "greeting"
    _changed(decision, leg, what, str(reply.get("result", "failed")))


_RESULTS = {
    "changed": "mailbox_changed",
    "refused": "mailbox_pin_refused",
    "different": "mailbox_pin_different",
    "unchanged": "mailbox_unchanged",
}
"""What is played, by the result of a change."""


def _changed(decision: Decision, leg: Leg, what: str, result: str) -> None:
    decision.session.mailbox_pin = decision.session.mailbox_new_pin = ""
    decision.emit(EventType.MAILBOX_CHANGED, what=what, result=result)
    consultation.stop_playback(decision, leg)
    _play(decision, leg, _RESULTS.get(result, "technical_problem"))


def _play(decision: Decision, leg: Leg, *before: str) -> None:
    """The present message, and what may be done with it; sounds ``before`` it."""
    session = decision.session
    decision.do(CancelTimer(MENU_TIMER))
    if session.mailbox_at >= len(session.mailbox):
        options = "mailbox_options" if _group(decision) is None else "mailbox_group_options"
        _say(decision, leg, *before, "mailbox_end", options)
        return
    message = session.mailbox[session.mailbox_at]
    kind = "mailbox_saved" if message["is_saved"] else "mailbox_new"
    _say(decision, leg, *before, kind, message["file"], "mailbox_keys")


def _say(decision: Decision, leg: Leg, *sounds: str) -> None:
    """Sounds of the system set, and files by their path."""
    paths = (one if one.startswith("/") else decision.context.system_media_path(one) for one in sounds)
    files = tuple(path for path in paths if path is not None)
    if files:
        consultation.say(decision, leg, files)
    else:
        played(decision, MessagePlayed(leg))


_STATES: tuple[type[State], ...] = (MailboxLogin, MailboxOpen, MailboxNewPin, MailboxGreeting)

TABLE = Table(
    rows={
        (MailboxLogin, Key): row(key_of_pin, MailboxLogin),
        (MailboxLogin, InputElapsed): row(pin_elapsed, MailboxLogin, Finishing),
        (MailboxLogin, QuestionReply): row(opened, MailboxLogin, MailboxOpen, Finishing),
        (MailboxLogin, MessagePlayed): row(played, MailboxLogin, Finishing),
        (MailboxOpen, Key): row(key_of_messages, MailboxOpen, MailboxNewPin, MailboxGreeting, Finishing),
        (MailboxOpen, QuestionReply): row(marked, MailboxOpen, Finishing),
        (MailboxOpen, InputElapsed): row(messages_elapsed, Finishing),
        (MailboxOpen, MessagePlayed): row(played, MailboxOpen, Finishing),
        (MailboxNewPin, Key): row(key_of_new_pin, MailboxNewPin, MailboxOpen),
        (MailboxNewPin, InputElapsed): row(new_pin_elapsed, MailboxNewPin, MailboxOpen),
        (MailboxNewPin, QuestionReply): row(change_replied, MailboxNewPin, MailboxOpen),
        (MailboxNewPin, MessagePlayed): row(played, MailboxNewPin, Finishing),
        (MailboxGreeting, MessagePlayed): row(record_greeting, MailboxGreeting, MailboxOpen),
        (MailboxGreeting, MessageRecorded): row(greeting_recorded, MailboxGreeting, MailboxOpen),
        (MailboxGreeting, QuestionReply): row(change_replied, MailboxGreeting, MailboxOpen),
        **{(state, LegGone): row(engine_connect.party_gone, state, Finishing) for state in _STATES},
    },
    refused=pairs(_STATES, *COMMANDS),
    ignored=pairs(_STATES, PartyTaken, RingElapsed, JoinFailed, ScenarioPlayed, NotConnected, TalkOver)
    | pairs((MailboxLogin, MailboxOpen, MailboxNewPin), MessageRecorded)
    | pairs((MailboxGreeting,), InputElapsed),
    expected=pairs(_STATES, LegAnswered, LegUnreached) | pairs((MailboxGreeting,), Key),
)
"""Of an employee in their own mailbox."""
