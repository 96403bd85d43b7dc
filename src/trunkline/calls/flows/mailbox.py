"""An employee listens to the own mailbox: PIN, messages, keys. Pure.

The keys of a PIN are no events: nothing of it is stored. The messages are in memory only; after a restart of the switch
the PIN is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.calls.decision import Decision
from trunkline.calls.effects import Answer, Hangup
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
from trunkline.calls.flows.table import Table, pairs, row
from trunkline.calls.session import Leg
from trunkline.calls.states import Finishing, MailboxLogin, MailboxOpen
from trunkline.calls.timers import MENU_TIMER, Ask, CancelTimer, Question, StartTimer
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason

PIN_MAX = 8
TRIES = 3
"""PINs in one call."""

KEY_SECONDS = 5.0
OPEN = "mailbox_open"
MARK = "mailbox_mark"


def call(decision: Decision, leg: Leg) -> Reason | None:
    """A line called the mailbox; why not, if it has none."""
    if leg.employee_id is None:
        return Reason.EMPLOYEES_NOT_EXISTS
    decision.do(Answer(leg.channel))
    resume(decision, leg)
    return None


def resume(decision: Decision, leg: Leg) -> None:
    """Ask for the PIN, at the beginning and after a restart of the switch."""
    decision.do(CancelTimer(MENU_TIMER))
    decision.emit(EventType.MAILBOX_CALLED, leg_id=leg.leg_id, employee_id=leg.employee_id)
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
    if leg is None or not leg.alive:
        return
    if decision.session.mailbox_pin:
        _ask(decision, leg)
    else:
        _hang_up(decision, leg)


def opened(decision: Decision, flow_input: QuestionReply) -> None:
    """Whether the PIN is right, and the messages."""
    session, leg = decision.session, decision.session.initiator
    if flow_input.key != OPEN or leg is None or not leg.alive:
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
    """1: again, 2: save, 3: delete, #: the next one."""
    session, leg = decision.session, flow_input.leg
    if session.mailbox_at >= len(session.mailbox):
        return
    if flow_input.key in "23":
        action = "save" if flow_input.key == "2" else "delete"
        message = session.mailbox[session.mailbox_at]
        data = {"employee_id": leg.employee_id, "recording_id": message["id"], "action": action}
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
    if kind != MARK or flow_input.value is not None or leg is None or not leg.alive:
        return
    if int(at) >= len(session.mailbox):
        return  # the switch was restarted: the PIN is asked again
    consultation.stop_playback(decision, leg)
    session.mailbox_at = min(session.mailbox_at, int(at))
    _play(decision, leg, "technical_problem")


def played(decision: Decision, flow_input: MessagePlayed) -> None:
    """What was said is over: a key is awaited, or nothing follows."""
    session = decision.session
    is_open = isinstance(session.state, MailboxOpen)
    if session.mailbox_at < 0 or (is_open and session.mailbox_at >= len(session.mailbox)):
        _hang_up(decision, flow_input.leg)
    else:
        decision.do(StartTimer(MENU_TIMER, KEY_SECONDS))


def messages_elapsed(decision: Decision, _given: InputElapsed) -> None:
    """No key: the message stays as it is, and the call ends."""
    leg = decision.session.initiator
    if leg is not None and leg.alive:
        _hang_up(decision, leg)


def _ask(decision: Decision, leg: Leg) -> None:
    session = decision.session
    decision.do(CancelTimer(MENU_TIMER))
    data = {"employee_id": leg.employee_id, "pin": session.mailbox_pin}
    decision.do(Ask(OPEN, Question(OPEN, data)))


def _play(decision: Decision, leg: Leg, *before: str) -> None:
    """The present message, and what may be done with it; sounds ``before`` it."""
    session = decision.session
    decision.do(CancelTimer(MENU_TIMER))
    if session.mailbox_at >= len(session.mailbox):
        _say(decision, leg, "mailbox_end")
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


def _hang_up(decision: Decision, leg: Leg) -> None:
    decision.end_session(Reason.SUCCESS_FINISH)
    decision.do(Hangup(leg.channel))


_STATES = (MailboxLogin, MailboxOpen)

TABLE = Table(
    rows={
        (MailboxLogin, Key): row(key_of_pin, MailboxLogin),
        (MailboxLogin, InputElapsed): row(pin_elapsed, MailboxLogin, Finishing),
        (MailboxLogin, QuestionReply): row(opened, MailboxLogin, MailboxOpen, Finishing),
        (MailboxLogin, MessagePlayed): row(played, MailboxLogin, Finishing),
        (MailboxOpen, Key): row(key_of_messages, MailboxOpen, Finishing),
        (MailboxOpen, QuestionReply): row(marked, MailboxOpen, Finishing),
        (MailboxOpen, InputElapsed): row(messages_elapsed, Finishing),
        (MailboxOpen, MessagePlayed): row(played, MailboxOpen, Finishing),
        **{(state, LegGone): row(engine_connect.party_gone, state, Finishing) for state in _STATES},
    },
    refused=pairs(_STATES, *COMMANDS),
    ignored=pairs(
        _STATES, PartyTaken, RingElapsed, JoinFailed, ScenarioPlayed, MessageRecorded, NotConnected, TalkOver
    ),
    expected=pairs(_STATES, LegAnswered, LegUnreached),
)
"""Of an employee in the own mailbox."""
