"""Recording the voices of the parties: when it begins, pauses and ends. Pure.

A party's voice is kept in parts: a file for each stretch it was recorded without a break. So what is said on hold or
while consulting is in no file, and each part has its exact place in time, that of its RECORDING_STARTED.
"""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.calls.decision import Decision
from trunkline.calls.effects import RecordVoice, StopMessage
from trunkline.calls.session import Leg, Session
from trunkline.core import not_recorded
from trunkline.directory.model import CallRecording
from trunkline.events.catalogue import EventType

_TALK, _VOICE_MAIL = "talk", "voice_mail"
"""Kinds of recordings, see ``recording_cut``."""


def is_required(decision: Decision, employee_ids: Iterable[int | None]) -> bool:
    """Whether the settings of one of these employees require a recording of calls in this direction.

    A call without an employee is recorded.

    :param employee_ids: of those who are, or may be, in the talk; None and unknown ids are ignored.
    """
    known = decision.context.account.employees
    employees = [found for one in employee_ids if one is not None and (found := known.get(one)) is not None]
    wanted = (CallRecording.ALL, CallRecording(decision.session.direction))
    return not employees or any(one.call_recording in wanted for one in employees)


def begin(decision: Decision, leg: Leg, *, by_engine: bool = False, asked: bool = False) -> None:
    """Record a party from now on.

    :param by_engine: the engine does it already, since it connected the party.
    :param asked: by a command, whatever the settings of the employee say.
    """
    if leg.is_recorded:
        return
    obstacle = None if by_engine else decision.context.recording_obstacle
    if obstacle is not None:
        refuse(decision, leg, obstacle)
        return
    part = leg.recorded_parts + 1
    if not by_engine:
        decision.do(RecordVoice(leg.channel, on=True, part=part))
    decision.emit(
        EventType.RECORDING_STARTED,
        leg_id=leg.leg_id,
        channel=leg.channel,
        file=part_name(leg.channel, part),
        asked=asked,
    )


def refuse(decision: Decision, leg: Leg, reason: str) -> None:
    """Do not record this talk; published once for a call.

    :param reason: of :mod:`trunkline.core.not_recorded`.
    """
    if not decision.session.record_refused:
        decision.emit(EventType.RECORDING_REFUSED, leg_id=leg.leg_id, reason=reason)


def cut(decision: Decision) -> None:
    """The disk is full, so sound of what is being recorded now is lost; published once for a call and kind."""
    if any(leg.is_recorded for leg in decision.session.living):
        _note_cut(decision, _TALK, not_recorded.CUT)
    if decision.session.message is not None:
        _note_cut(decision, _VOICE_MAIL, not_recorded.CUT)


def stop_all(decision: Decision, reason: str) -> None:
    """The account may not record any more: stop what is being recorded now. The call goes on.

    A message that is being left ends with what was said; so the scenario goes on.

    :param reason: of :data:`trunkline.core.not_recorded.CUTS`.
    """
    session, contact = decision.session, decision.session.contact
    recorded = [leg for leg in session.living if leg.is_recorded]
    if recorded:
        _note_cut(decision, _TALK, reason)
    for leg in recorded:
        pause(decision, leg)
    if session.message is not None and session.playing is None and contact is not None and contact.is_alive:
        _note_cut(decision, _VOICE_MAIL, reason)
        decision.do(StopMessage(contact.channel, message_id(session) or ""))


def message_id(session: Session) -> str | None:
    """Id of the recording of the voice mail that the contact leaves; None when there is none."""
    message = session.message
    if message is None:
        return None
    return str(message.get("record_id") or f"{session.call_session_id}-{message['leg_id']}")


def _note_cut(decision: Decision, kind: str, reason: str) -> None:
    if kind not in decision.session.record_cut:
        decision.emit(EventType.RECORDING_CUT, kind=kind, reason=reason)


def pause(decision: Decision, leg: Leg) -> None:
    """Record a party no more until it talks again."""
    _stop(decision, leg, paused=True)


def end(decision: Decision, leg: Leg) -> None:
    """Record a party no more: by a command."""
    _stop(decision, leg, paused=False)


def part_name(channel: str, part: int) -> str:
    """Name of a part's file in the session's folder, without extension; the engine names it so, too."""
    return channel if part == 1 else f"{channel}.{part}"


def _stop(decision: Decision, leg: Leg, *, paused: bool) -> None:
    if leg.is_recorded:
        decision.do(RecordVoice(leg.channel, on=False))
        decision.emit(EventType.RECORDING_STOPPED, leg_id=leg.leg_id, paused=paused)
