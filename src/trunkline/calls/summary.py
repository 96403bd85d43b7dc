"""What is known of a session when it ends: the data of SESSION_FINISHED, and of the history row while it lives. Pure."""

from __future__ import annotations

from typing import Any

from trunkline.calls.durations import covered, durations, whole_seconds
from trunkline.calls.session import Leg, Role, Session
from trunkline.core.clock import Instant
from trunkline.events.reasons import Reason


def finished(session: Session, at: Instant) -> dict[str, Any]:
    """The data of a call for reports and notifications, as of ``at``. Durations in whole seconds."""
    lasting = durations(
        session.started_at,
        session.first_answer_at,
        [(talk.started_at, talk.ended_at if talk.ended_at is not None else at) for talk in session.talks],
        at,
    )
    return {
        "finish_reason": session.ending,
        "is_lost": is_lost(session),
        "finish_time": at,
        "direction": session.direction,
        "source": session.source,
        "is_internal": session.is_internal,
        "virtual_phone_number": session.virtual_phone_number,
        "contact_phone_number": session.contact_phone_number,
        "contact_id": session.contact_id,
        "contact_full_name": session.contact_full_name,
        "wait_duration": lasting.wait,
        "total_wait_duration": lasting.total_wait,
        "talk_duration": lasting.talk,
        "clean_talk_duration": lasting.clean_talk,
        "total_duration": lasting.total,
        "postprocess_duration": lasting.postprocess,
        "employees": employees(session),
        **firsts_and_lasts(session),
        "is_transfer": any(leg.is_transfered for leg in session.legs.values()),
        "scenario_id": session.scenario_id,
        "scenario_name": session.scenario_name,
        "external_id": session.external_id,
        "leg_ids": list(session.legs),
        "recorded": session.recorded,
    }


def is_lost(session: Session) -> bool:
    """Whether somebody was called and nobody talked. A code calls nobody, and a message that was played has no talk."""
    return not (session.talks or session.is_code or session.ending is Reason.SUCCESS_FINISH)


def employees(session: Session) -> list[dict[str, Any]]:
    """Who took part, once each, in order of appearance. An initiating employee counts as answered."""
    people: dict[int, dict[str, Any]] = {}
    for leg in session.legs.values():
        if leg.employee_id is None:
            continue
        person = people.setdefault(
            leg.employee_id,
            {
                "employee_id": leg.employee_id,
                "employee_full_name": leg.employee_full_name,
                "is_answered": False,
                "is_talked": False,
            },
        )
        person["is_answered"] |= _serves_contact(leg) and (
            leg.answered_at is not None or leg.direction == "in"
        )
        person["is_talked"] |= leg.is_talked
    return list(people.values())


def employee_talks(session: Session, at: Instant) -> dict[str, int]:
    """Whole seconds that each employee talked with the contact, by the text of ``employee_id``, as of ``at``: holds and
    consultations are no talk."""
    spans: dict[int, list[tuple[float, float]]] = {}
    for talk in session.talks:
        employee_id = session.legs[talk.leg_id].employee_id
        if employee_id is not None:
            end = talk.ended_at if talk.ended_at is not None else at
            spans.setdefault(employee_id, []).append((talk.started_at, end))
    return {str(employee_id): whole_seconds(covered(own)) for employee_id, own in spans.items()}


def _serves_contact(leg: Leg) -> bool:
    """Whether picking up was answering the call: a coach who only listens or whispers has taken part, no more."""
    return leg.role is not Role.COACH or leg.is_talked


def firsts_and_lasts(session: Session) -> dict[str, Any]:
    """First and last employee who answered, and who talked."""
    answered = sorted(
        (
            leg
            for leg in session.legs.values()
            if leg.employee_id is not None and leg.answered_at is not None and _serves_contact(leg)
        ),
        key=lambda leg: leg.answered_at or 0.0,
    )
    talked = [
        session.legs[talk.leg_id]
        for talk in session.talks
        if session.legs[talk.leg_id].employee_id is not None
    ]
    result: dict[str, Any] = {}
    for kind, legs in (("answered", answered), ("talked", talked)):
        for which, leg in (("first", legs[0] if legs else None), ("last", legs[-1] if legs else None)):
            result |= _named(f"{which}_{kind}", leg)
    return result


def _named(prefix: str, leg: Leg | None) -> dict[str, Any]:
    return {
        f"{prefix}_employee_id": leg.employee_id if leg else None,
        f"{prefix}_employee_full_name": leg.employee_full_name if leg else None,
    }
