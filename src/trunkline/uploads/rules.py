"""Representation of an uploaded call in reports: durations and legs from the uploaded data. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trunkline.uploads.model import UploadedCall


@dataclass(frozen=True, slots=True)
class Durations:
    """Whole seconds. ``wait`` until the first employee answered; ``talk`` from there to the last employee's end."""

    wait: int
    talk: int
    total: int


@dataclass(frozen=True, slots=True)
class LegPlan:
    """One participant. Its id is given when it is stored."""

    start: datetime
    answer: datetime | None
    finish: datetime
    duration: int | None
    """Seconds talked; None when it was not answered."""
    total_duration: int
    record: int | None = None
    """Index of the leg's record in the call; None: the contact, or no record."""
    is_contact: bool = False
    is_transfered: bool = False
    """The call was handed on to it."""


def durations(call: UploadedCall) -> Durations:
    """Uploaded values are used; missing ones are derived. They may exceed the total if the client sent such values."""
    total = max(round((call.finish_time - call.start_time).total_seconds()), 0)
    if call.is_lost:
        wait = total if call.wait_duration is None else call.wait_duration
        return Durations(wait=wait, talk=0, total=total)
    if call.wait_duration is not None:
        talk = max(total - call.wait_duration, 0) if call.talk_duration is None else call.talk_duration
        return Durations(wait=call.wait_duration, talk=talk, total=total)
    talk = total if call.talk_duration is None else call.talk_duration
    return Durations(wait=max(total - talk, 0), talk=talk, total=total)


def legs(call: UploadedCall, spoken: Sequence[float]) -> list[LegPlan]:
    """The contact's leg, and one for each record (for an answered call without records: one, without a name). Of a
    lost call none was answered.

    The talk is shared among the records in their order, each as long as its recording, the last to the end; so the
    talks of the employees' legs add up to the call's.

    :param spoken: length of each of the call's recordings, seconds.
    """
    spent = durations(call)
    answer = None if call.is_lost else call.start_time + timedelta(seconds=spent.wait)
    finish = (
        call.finish_time if answer is None else max(call.finish_time, answer + timedelta(seconds=spent.talk))
    )
    planned = [
        LegPlan(
            call.start_time,
            answer,
            finish,
            None if answer is None else spent.talk,
            spent.total,
            is_contact=True,
        )
    ]
    if answer is None:
        return planned + [
            LegPlan(call.start_time, None, finish, None, spent.total, record=position)
            for position in range(len(spoken))
        ]
    bounds = _bounds(spent.talk, spoken)
    for position, (first, last) in enumerate(bounds):
        began = answer + timedelta(seconds=first)
        ended = answer + timedelta(seconds=last)
        start = call.start_time if position == 0 else began
        planned.append(
            LegPlan(
                start,
                began,
                ended,
                last - first,
                round((ended - start).total_seconds()),
                record=position if spoken else None,
                is_transfered=call.is_transfer and position > 0,
            )
        )
    return planned


def _bounds(talk: int, spoken: Sequence[float]) -> list[tuple[int, int]]:
    """Where in the talk each of them begins and ends, seconds."""
    bounds = []
    first, reached = 0, 0.0
    for length in spoken[:-1]:
        reached += length
        last = min(max(round(reached), first), talk)
        bounds.append((first, last))
        first = last
    bounds.append((first, talk))
    return bounds


def name_parts(full_name: str) -> tuple[str, str]:
    """Last and first name such that, put together again, they are the name that was sent."""
    last, _, first = " ".join(full_name.split()).partition(" ")
    return last, first
