"""Recording the voices of the parties: when it begins, pauses and ends. Pure.

A party's voice is kept in parts: a file for each stretch it was recorded without a break. So what is said on hold or
while consulting is in no file, and each part has its exact place in time, that of its RECORDING_STARTED.
"""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.calls.decision import Decision
from trunkline.calls.effects import RecordVoice
from trunkline.calls.session import Leg
from trunkline.core import not_recorded
from trunkline.directory.model import CallRecording
from trunkline.events.catalogue import EventType


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
    if not by_engine and not decision.context.may_record:
        refuse(decision, leg)
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


def refuse(decision: Decision, leg: Leg, reason: str = not_recorded.DISK) -> None:
    """Do not record this talk; published once for a call.

    :param reason: of :mod:`trunkline.core.not_recorded`.
    """
    if not decision.session.record_refused:
        decision.emit(EventType.RECORDING_REFUSED, leg_id=leg.leg_id, reason=reason)


def cut(decision: Decision) -> None:
    """The disk is full, so sound of what is being recorded now is lost; published once for a call and kind."""
    session = decision.session
    is_under_way = {
        "talk": any(leg.is_recorded for leg in session.living),
        "voice_mail": session.message is not None,
    }
    for kind, is_recorded in is_under_way.items():
        if is_recorded and kind not in session.record_cut:
            decision.emit(EventType.RECORDING_CUT, kind=kind, reason=not_recorded.CUT)


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
