"""Voice messages that a scenario takes: prompt, recording, and what is found of them after a restart. Pure."""

from __future__ import annotations

import json
from typing import Any

from trunkline.calls.decision import Decision
from trunkline.calls.effects import RecordMessage
from trunkline.calls.flows import playing
from trunkline.calls.flows.recording import message_id
from trunkline.calls.session import Leg, Session
from trunkline.core.clock import Instant
from trunkline.events.catalogue import EventType
from trunkline.routing.branches import ReturnPoint
from trunkline.routing.decisions import TakeMessage
from trunkline.telephony.port import SeenRecording

BEEP = "beep"
"""Mnemonic of the system media file played before a voice mail is recorded."""

SHORTEST_MESSAGE_SECONDS = 1.0
"""A shorter voice mail is a click, not a message."""


def take_message(decision: Decision, contact: Leg, routing_decision: TakeMessage) -> bool:
    """The scenario takes a message: play its greeting, then record.

    :returns: False: it may not be recorded now, so it is over.
    """
    session = decision.session
    playing.answer(decision, contact)
    more: dict[str, Any] = {"emails": list(routing_decision.emails)} if routing_decision.emails else {}
    decision.emit(
        EventType.VOICE_MAIL_STARTED,
        leg_id=contact.leg_id,
        path=f"{session.call_session_id}/{contact.leg_id}-voice-mail.wav",
        employee_id=routing_decision.employee_id,
        group_id=routing_decision.group_id,
        max_seconds=routing_decision.max_seconds,
        silence_seconds=routing_decision.silence_seconds,
        **more,
    )
    own = _greeting(decision, routing_decision)
    return play_prompt(
        decision, contact, playing.media_files(decision, own or routing_decision.media_file_ids)
    )


def _greeting(decision: Decision, routing_decision: TakeMessage) -> tuple[int, ...]:
    """The greeting that the employee or the group of the message has recorded; it replaces that of the operation."""
    account = decision.context.account
    owner = account.employees.get(routing_decision.employee_id or 0) or account.groups.get(
        routing_decision.group_id or 0
    )
    own = account.greeting(owner.extension) if owner is not None and owner.extension else None
    return (own.media_file_id,) if own is not None else ()


def play_prompt(decision: Decision, contact: Leg, said: tuple[str, ...]) -> bool:
    """Play these files and the beep, then record.

    :returns: as :func:`take_message`.
    """
    beep = decision.context.system_media_path(BEEP)
    said += (beep,) if beep is not None else ()
    if not said:
        return start_recording(decision, contact)
    playing.play_files(decision, contact, said)
    return True


def start_recording(decision: Decision, contact: Leg) -> bool:
    """The prompt is over.

    :returns: as :func:`take_message`.
    """
    message = decision.session.message or {}
    obstacle = decision.context.recording_obstacle
    if obstacle is not None:
        message_left(decision, 0.0, refused=obstacle)
        return False
    decision.session.speaking_since = decision.at
    decision.do(
        RecordMessage(
            contact.channel,
            message_id(decision.session) or "",
            message["path"],
            message["max_seconds"],
            message["silence_seconds"],
            _note(decision.session),
        )
    )
    return True


def message_left(decision: Decision, seconds: float, refused: str | None = None) -> bool:
    """Write that the voice mail is over: a key, silence, its longest time, or the contact hung up. False: there was none.

    :param refused: why it was not recorded.
    """
    message = decision.session.message
    if message is None:
        return False
    more = {} if refused is None else {"refused": refused}
    decision.emit(
        EventType.VOICE_MAIL_LEFT,
        **{**message, "seconds": seconds, "is_empty": seconds < SHORTEST_MESSAGE_SECONDS, **more},
    )
    return True


def spoken_seconds(session: Session, at: Instant) -> float:
    """How long the contact has spoken into the voice mail; nothing while its greeting still plays.

    After a restart of the switch the end of the greeting is known by the recording only (:func:`note_recording`); without
    one, the greeting counts.
    """
    if session.playing is not None:
        return 0.0
    return max(0.0, at - (session.speaking_since or session.last_message_at))


def restore_message(decision: Decision, record_id: str, recording: SeenRecording, until: Instant) -> None:
    """The events of a call were lost with its switch, and the contact leaves, or has left, a voice mail.

    :param recording: with the note that was made when it began.
    :param until: the contact's end, or now.
    """
    session, contact = decision.session, decision.session.contact
    noted = _note_of(recording)
    if contact is None or noted is None or session.message is not None:
        return
    scenario = decision.context.account.scenarios.get(noted["scenario_id"] or 0)
    operation = scenario.operation(noted["operation_key"]) if scenario is not None else None
    if scenario is not None and operation is not None:
        returns = tuple(ReturnPoint(scenario_id, key) for scenario_id, key in noted["returns"])
        decision.enter_scenario(scenario, returns)
        decision.enter((operation,))
    message = {**noted["message"], "leg_id": contact.leg_id, "record_id": record_id}
    decision.emit(EventType.VOICE_MAIL_STARTED, **message)
    ended_at = min(recording.ended_at or until, until)
    session.speaking_since = Instant(ended_at - recording.seconds)
    if recording.ended_at is not None:
        message_left(decision, recording.seconds)


def _note_of(recording: SeenRecording) -> dict[str, Any] | None:
    try:
        noted = json.loads(recording.note)
    except ValueError:
        return None
    is_whole = isinstance(noted, dict) and noted.keys() >= {
        "scenario_id",
        "operation_key",
        "returns",
        "message",
    }
    return noted if is_whole else None


def _note(session: Session) -> str:
    """What :func:`restore_message` needs."""
    return json.dumps(
        {
            "scenario_id": session.present_scenario_id,
            "operation_key": session.operation_key,
            "returns": session.returns,
            "message": session.message,
        }
    )


def note_recording(session: Session, recording: SeenRecording, at: Instant) -> None:
    """After an interruption: since when the contact has spoken, as the engine's recording shows."""
    if is_of_message(session, recording):
        session.playing = None
        session.speaking_since = Instant((recording.ended_at or at) - recording.seconds)


def is_of_message(session: Session, recording: SeenRecording) -> bool:
    """Whether it is the recording of this voice mail, and not of one before it in the same call."""
    return session.message is not None and (
        recording.ended_at is None or recording.ended_at >= session.last_message_at
    )
