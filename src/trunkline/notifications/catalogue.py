"""Which notifications there are, and how they follow from events. Pure.

Two families of names mean the same moments, because two kinds of receivers exist: ``in_call_session`` and its
kin, and ``call_start`` and its kin. A subscription chooses by name and gets only what it chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from trunkline.core.clock import to_text
from trunkline.events.catalogue import Event, EventType
from trunkline.notifications import call_center
from trunkline.notifications.facts import CallFacts, Leg
from trunkline.notifications.variables import (
    CALL_GROUPS,
    LINE_GROUPS,
    ROW_GROUPS,
    SCENARIO_GROUPS,
    VARIABLES,
    Group,
    Kind,
    Value,
)


class Mnemonic(StrEnum):
    """Wire names of notifications."""

    IN_CALL_SESSION = "in_call_session"
    """A call came in on a virtual number."""
    OUT_CALL_SESSION = "out_call_session"
    """A call goes out."""
    CALL_START = "call_start"
    """A call began, in or out."""
    CALL_WAITING_ANSWER = "call_waiting_answer"
    """An employee's phone rings; once for each phone."""
    CALL_ANSWER = "call_answer"
    """The called side picked up first: an employee when the call came in, the contact when it goes out."""
    EMPLOYEE_ANSWER = "employee_answer"
    """An employee picked up; once for each who does."""
    CALL_CONNECTED = "call_connected"
    """A talk began: two parties are connected; also after a transfer."""
    TALK_FINISHED = "talk_finished"
    """A talk ended; ``talk_time_duration`` is that talk's."""
    EMPLOYEE_DISCONNECT = "employee_disconnect"
    """An employee who had picked up is no longer in the call."""
    CALL_SESSION_FINISHED = "call_session_finished"
    CALL_FINISH = "call_finish"
    """The call is over, with its durations."""
    LOST_CALL = "lost_call"
    """An incoming call ended without a talk with the contact."""
    CALL_RECORD_COMPLETED = "call_record_completed"
    CALL_RECORD_READY = "call_record_ready"
    """The recording of the talks is there, with its links."""
    VOICE_MAIL_READY = "voice_mail_ready"
    """The contact left a message, with its links."""
    SET_MARK = "set_mark"
    """The call was given a tag."""
    UNSET_MARK = "unset_mark"
    """A tag was taken from the call."""
    CALL_HELD = "call_held"
    """An employee holds the call."""
    CALL_UNHELD = "call_unheld"
    """The employee talks with the contact again."""
    CONSULT_STARTED = "consult_started"
    """An employee talks with a third party, which the contact does not hear."""
    CALL_TRANSFERRED = "call_transferred"
    """A third party takes over the call; ``employee_id`` is the one who takes over, if it is an employee."""
    CALL_FORWARDED = "call_forwarded"
    """The call goes where an employee forwards calls."""
    CALL_PARKED = "call_parked"
    """The contact waits in a parking slot."""
    CALL_RETRIEVED = "call_retrieved"
    """A phone has taken the contact out of a parking slot."""
    COACH_JOINED = "coach_joined"
    """A coach hears the talk."""
    SCENARIO_NOTIFICATION = "scenario_notification"
    """A call passed the operation ``notification`` of a scenario."""
    LINE_LOST = "line_lost"
    """A SIP line has no registered phone any more."""
    LINE_RESTORED = "line_restored"
    """A SIP line has its first registered phone again."""
    SIP_PASSWORD_WEAK = "sip_password_weak"  # noqa: S105 - the name of an event
    """The password of a SIP line can be guessed."""
    LOGIN_GUESSING = "login_guessing"
    """Somebody tries many passwords of a SIP line."""
    LOGIN_BANNED = "login_banned"
    """An address that tried passwords of a SIP line is refused for a while."""
    LIMIT_REACHED = "limit_reached"
    """Outgoing calls of a SIP line or the account, or recordings of its uploaded calls, are refused until they are below a
    limit."""
    TRUNK_LOST = "trunk_lost"
    """A trunk is not registered at its carrier any more."""
    TRUNK_RESTORED = "trunk_restored"
    """It is registered again."""
    ROW_LEFT_OUT = "row_left_out"
    """A line, trunk, number or sound has a value that Asterisk cannot load, and does not work until it is corrected."""
    # Events of the Call Center API (notifications/call_center.py)
    AGENT_CHECKIN = "agent:checkin"
    AGENT_CHECKOUT = "agent:checkout"
    AGENT_STATUS = "agent:status"
    QUEUE_JOIN = "queue:join"
    QUEUE_LEAVE = "queue:leave"
    CENTER_CALL_START = "call:start"
    CENTER_CALL_RING = "call:ring"
    CENTER_CALL_ANSWER = "call:answer"
    CENTER_CALL_END = "call:end"


class Links(Protocol):
    """Addresses of a recording; made by ``recordings``."""

    @property
    def file(self) -> str: ...
    @property
    def wav(self) -> str: ...
    @property
    def full(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Background:
    """What the events do not carry: read from the tables when a notification is made."""

    account_name: str
    communication_number: int | None = None
    attributes: tuple[str, ...] = ()
    links: Links | None = None
    open_links: bool = False
    """Whether the account lets recordings be fetched by an unguessable address alone."""
    contact_group_ids: tuple[int, ...] = ()
    visit: Mapping[str, Any] = field(default_factory=dict)
    """What is known of the visit behind the call, under the names of reports."""


_ALWAYS: dict[EventType, tuple[Mnemonic, ...]] = {
    EventType.SESSION_STARTED: (Mnemonic.CALL_START,),
    EventType.TALK_STARTED: (Mnemonic.CALL_CONNECTED,),
    EventType.TALK_ENDED: (Mnemonic.TALK_FINISHED,),
    EventType.SESSION_FINISHED: (Mnemonic.CALL_SESSION_FINISHED, Mnemonic.CALL_FINISH),
    EventType.TAG_SET: (Mnemonic.SET_MARK,),
    EventType.TAG_UNSET: (Mnemonic.UNSET_MARK,),
    EventType.CALL_HELD: (Mnemonic.CALL_HELD,),
    EventType.CALL_UNHELD: (Mnemonic.CALL_UNHELD,),
    EventType.CONSULT_STARTED: (Mnemonic.CONSULT_STARTED,),
    EventType.TRANSFERRED: (Mnemonic.CALL_TRANSFERRED,),
    EventType.CALL_PARKED: (Mnemonic.CALL_PARKED,),
    EventType.CALL_RETRIEVED: (Mnemonic.CALL_RETRIEVED,),
    EventType.COACH_JOINED: (Mnemonic.COACH_JOINED,),
    EventType.SCENARIO_NOTIFICATION: (Mnemonic.SCENARIO_NOTIFICATION,),
}

_OF_ROWS = {
    EventType.ROW_LEFT_OUT: Mnemonic.ROW_LEFT_OUT,
    EventType.SIP_PASSWORD_WEAK: Mnemonic.SIP_PASSWORD_WEAK,
    EventType.LOGIN_GUESSING: Mnemonic.LOGIN_GUESSING,
    EventType.LOGIN_BANNED: Mnemonic.LOGIN_BANNED,
    EventType.OUTGOING_LIMIT_REACHED: Mnemonic.LIMIT_REACHED,
    EventType.UPLOADS_LIMIT_REACHED: Mnemonic.LIMIT_REACHED,
    EventType.RECORDINGS_LIMIT_REACHED: Mnemonic.LIMIT_REACHED,
    EventType.TRUNK_LOST: Mnemonic.TRUNK_LOST,
    EventType.TRUNK_RESTORED: Mnemonic.TRUNK_RESTORED,
}
"""Events of one row of the account's configuration."""

_SOMETIMES: dict[EventType, tuple[Mnemonic, ...]] = {
    EventType.SESSION_STARTED: (Mnemonic.IN_CALL_SESSION, Mnemonic.OUT_CALL_SESSION),
    EventType.LEG_RINGING: (Mnemonic.CALL_WAITING_ANSWER,),
    EventType.LEG_ANSWERED: (Mnemonic.EMPLOYEE_ANSWER, Mnemonic.CALL_ANSWER),
    EventType.LEG_ENDED: (Mnemonic.EMPLOYEE_DISCONNECT,),
    EventType.SESSION_FINISHED: (Mnemonic.LOST_CALL,),
    EventType.RECORDING_READY: (
        Mnemonic.CALL_RECORD_COMPLETED,
        Mnemonic.CALL_RECORD_READY,
        Mnemonic.VOICE_MAIL_READY,
    ),
    EventType.CALL_FORWARDED: (Mnemonic.CALL_FORWARDED,),
    EventType.LINE_LOST: (Mnemonic.LINE_LOST,),
    EventType.LINE_REGISTERED: (Mnemonic.LINE_RESTORED,),
    **{type_: (mnemonic,) for type_, mnemonic in _OF_ROWS.items()},
}


def possible(type_: EventType) -> frozenset[Mnemonic]:
    """Notifications that may follow from an event of this type; a fast check for subscriptions."""
    of_call_center = tuple(Mnemonic(one.value) for one in call_center.possible(type_))
    return frozenset(_ALWAYS.get(type_, ()) + _SOMETIMES.get(type_, ()) + of_call_center)


def follow(event: Event, facts: CallFacts) -> list[Mnemonic]:
    """The notifications that do follow from an event; those of the Call Center API:
    :func:`trunkline.notifications.call_center.follow`.

    :param facts: of its call, this event included; empty for events of lines.
    """
    found = list(_ALWAYS.get(event.type, ()))
    match event.type:
        case EventType.SESSION_STARTED:
            incoming = event.data.get("direction") == "in"
            found.append(Mnemonic.IN_CALL_SESSION if incoming else Mnemonic.OUT_CALL_SESSION)
        case EventType.LEG_RINGING:
            leg = facts.leg(event.data.get("leg_id"))
            if leg is not None and leg.role == "employee":
                found.append(Mnemonic.CALL_WAITING_ANSWER)
        case EventType.LEG_ANSWERED:
            found += _answers(event, facts)
        case EventType.LEG_ENDED:
            leg = facts.leg(event.data.get("leg_id"))
            if leg is not None and leg.role == "employee" and leg.answered_at is not None:
                found.append(Mnemonic.EMPLOYEE_DISCONNECT)
        case EventType.SESSION_FINISHED:
            if event.data.get("is_lost") and facts.session.get("direction") == "in":
                found.append(Mnemonic.LOST_CALL)
        case EventType.RECORDING_READY:
            is_talk = event.data.get("kind") == "talk"
            found += (
                [Mnemonic.CALL_RECORD_COMPLETED, Mnemonic.CALL_RECORD_READY]
                if is_talk
                else [Mnemonic.VOICE_MAIL_READY]
            )
        case EventType.CALL_FORWARDED if event.data.get("refused") is None:
            found.append(Mnemonic.CALL_FORWARDED)
        case one if one in _OF_ROWS:
            found.append(_OF_ROWS[event.type])
        case EventType.LINE_LOST if not event.data.get("devices"):
            found.append(Mnemonic.LINE_LOST)
        case EventType.LINE_REGISTERED if event.data.get("devices") == 1:
            found.append(Mnemonic.LINE_RESTORED)
        case _:
            pass
    return found


def _answers(event: Event, facts: CallFacts) -> list[Mnemonic]:
    leg = facts.leg(event.data.get("leg_id"))
    if leg is None:
        return []
    found = [Mnemonic.EMPLOYEE_ANSWER] if leg.role == "employee" else []
    if [one for one in facts.called_legs() if one.answered_at is not None] == [leg]:
        found.append(Mnemonic.CALL_ANSWER)
    return found


def variables(event: Event, facts: CallFacts, background: Background) -> dict[str, Value]:
    """Values of all variables of a notification about this event, in the table's order, None where there is
    none.

    ``notification_name`` and ``notification_mnemonic`` are the subscription's to add (:func:`named`).
    """
    of_call = event.call_session_id is not None
    of_row = event.type in _OF_ROWS
    of_scenario = event.type is EventType.SCENARIO_NOTIFICATION
    groups = (
        SCENARIO_GROUPS if of_scenario else CALL_GROUPS if of_call else ROW_GROUPS if of_row else LINE_GROUPS
    )
    values: dict[str, Value] = {
        "notification_time": to_text(event.at),
        "notification_timestamp": int(event.at),
        "app_id": event.account_id,
        "account_name": background.account_name,
    }
    if of_call:
        values |= _call(event, facts, background)
        values |= _people(event, facts, background)
        values |= _visit(background.visit)
        values |= _durations(event, facts)
        if of_scenario:
            values |= {name: event.data.get(name) for name in ("operation_id", "operation_name", "message")}
        values |= _files(event, facts, background)
    elif of_row:
        values |= _row(event, background)
    else:
        values |= _line(event.data)
    return {name: values.get(name) for name, variable in VARIABLES.items() if variable.group in groups}


def named(values: Mapping[str, Value], name: str, mnemonic: str) -> dict[str, Value]:
    """The values with the subscription's name and the notification's mnemonic in them."""
    return {**values, "notification_name": name, "notification_mnemonic": mnemonic}


def sample(mnemonic: Mnemonic, account_id: int, account_name: str, at: float) -> dict[str, Value]:
    """Plausible values for a try of a subscription, with reserved telephone numbers."""
    if mnemonic.value in call_center.NAMES:
        return call_center.sample(call_center.CenterEvent(mnemonic.value), at)
    values: dict[str, Value] = dict.fromkeys(VARIABLES)
    values |= {
        "notification_time": to_text(at),
        "notification_timestamp": int(at),
        "app_id": account_id,
        "account_name": account_name,
    }
    if mnemonic in (Mnemonic.LINE_LOST, Mnemonic.LINE_RESTORED):
        values |= {"sip_line_id": 1, "sip_line_phone_number": "0160001", "devices": 0}
        return _only(values, LINE_GROUPS)
    if mnemonic in _OF_ROWS.values():
        values |= {"entity": "trunk", "entity_id": 100, "entity_name": "Sample carrier"}
        values |= {
            "reason": "'a:b:c' is not a server address: write a host name or an IP address, without port"
        }
        return _only(values, ROW_GROUPS)
    if mnemonic is Mnemonic.SCENARIO_NOTIFICATION:
        values |= {"operation_id": 1, "operation_name": "Notify", "message": "A customer has waited."}
    values |= {
        "call_session_id": 1,
        "communication_id": 1,
        "communication_type": "call",
        "communication_number": 1,
        "call_source": "va",
        "direction": "in",
        "is_internal": False,
        "start_time": to_text(at),
        "virtual_phone_number": "971500000010",
        "contact_phone_number": "12025550110",
        "calling_phone_number": "12025550110",
        "called_phone_number": "971500000010",
        "talk_time_duration": 42,
        "total_time_duration": 50,
        "wait_time_duration": 8,
        "employee_id": 1,
        "employee_full_name": "Sample Employee",
        "employee_ids": [1],
        "leg_ids": [1, 2],
        "tag_ids": [],
        "tag_names": [],
    }
    of_scenario = mnemonic is Mnemonic.SCENARIO_NOTIFICATION
    return _only(values, SCENARIO_GROUPS if of_scenario else CALL_GROUPS)


def _only(values: Mapping[str, Value], groups: frozenset[Group]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if VARIABLES[name].group in groups}


def _call(event: Event, facts: CallFacts, background: Background) -> dict[str, Value]:
    session = facts.session
    virtual, contact = session.get("virtual_phone_number"), session.get("contact_phone_number")
    incoming = session.get("direction") == "in"
    leg_id = event.data.get("leg_id")
    return {
        "call_session_id": event.call_session_id,
        "external_id": session.get("external_id"),
        "call_source": session.get("source"),
        "direction": session.get("direction"),
        "is_internal": session.get("is_internal"),
        "start_time": None if facts.started_at is None else to_text(facts.started_at),
        "virtual_phone_number": virtual,
        "contact_phone_number": contact,
        "calling_phone_number": contact if incoming else virtual,
        "called_phone_number": virtual if incoming else contact,
        "scenario_id": facts.scenario_id,
        "scenario_name": facts.scenario_name,
        "finish_reason": session.get("finish_reason"),
        "leg_id": leg_id if isinstance(leg_id, int) else None,
        "leg_ids": list(facts.legs),
        "communication_id": event.call_session_id,
        "communication_type": "call",
        "communication_number": background.communication_number,
        "attributes": list(background.attributes),
    }


def _people(event: Event, facts: CallFacts, background: Background) -> dict[str, Value]:
    leg = _employee_leg(event, facts)
    session = facts.session
    return {
        "employee_id": leg.employee_id if leg else None,
        "employee_full_name": leg.employee_full_name if leg else None,
        "employee_phone_number": leg.employee_phone_number if leg else None,
        "employee_ids": facts.employee_ids(),
        "contact_id": session.get("contact_id"),
        "contact_full_name": session.get("contact_full_name"),
        "contact_group_ids": list(background.contact_group_ids),
    }


def _employee_leg(event: Event, facts: CallFacts) -> Leg | None:
    """The employee of the event, else the one who has the call."""
    own = facts.leg(event.data.get("leg_id"))
    if own is not None and own.employee_id is not None:
        return own
    return facts.leg(facts.last_employee_leg)


def talk_seconds(event: Event, facts: CallFacts) -> int | None:
    """Length of the talk that this event ends, or of all talks of a call that is over; None: no talk has ended."""
    if event.type is EventType.TALK_ENDED:
        leg = facts.leg(event.data.get("leg_id"))
        return leg.talk_seconds if leg else None
    return facts.session.get("talk_duration")


def _durations(event: Event, facts: CallFacts) -> dict[str, Value]:
    session = facts.session
    file_duration = event.data.get("file_duration")
    return {
        "talk_time_duration": talk_seconds(event, facts),
        "total_time_duration": session.get("total_duration"),
        "wait_time_duration": session.get("wait_duration"),
        "file_duration": None if file_duration is None else round(float(file_duration)),
    }


def _files(event: Event, facts: CallFacts, background: Background) -> dict[str, Value]:
    links = background.links
    data: Mapping[str, Any] = event.data
    return {
        "tag_ids": list(facts.tags),
        "tag_names": list(facts.tags.values()),
        "is_incomplete": bool(data.get("is_incomplete")) if event.type is EventType.RECORDING_READY else None,
        "file_link": links.file if links and data.get("has_mp3") else None,
        "wav_file_link": links.wav if links and data.get("has_wav") else None,
        "full_record_file_link": links.full if links and background.open_links else None,
    }


_OF_VISIT = tuple(name for name, variable in VARIABLES.items() if variable.group is Group.VISIT)
_NAMES_IN_REPORTS = {"page_url": "communication_page_url"}


def _visit(visit: Mapping[str, Any]) -> dict[str, Value]:
    """Uploaded calls have what their uploader wrote, so values of another type are none."""
    found: dict[str, Value] = {}
    for name in _OF_VISIT:
        value = visit.get(_NAMES_IN_REPORTS.get(name, name))
        is_number = VARIABLES[name].kind is Kind.INTEGER
        fits = isinstance(value, int) and not isinstance(value, bool) if is_number else isinstance(value, str)
        found[name] = value if fits else None
    return found


def _row(event: Event, background: Background) -> dict[str, Value]:
    data = event.data
    if event.type is EventType.LOGIN_BANNED:
        reason = f"{data.get('failures')} wrong passwords from {data.get('ip') or 'many addresses'}"
        line = {"entity": "sip_line", "entity_id": data.get("sip_line_id")}
        return {**line, "entity_name": data.get("phone_number"), "reason": reason}
    if _OF_ROWS.get(event.type) is Mnemonic.LIMIT_REACHED:
        reason = f"{data.get('limit')}: {data.get('limit_max_value')}"
        line_id = data.get("sip_line_id")
        if line_id is not None:
            return {"entity": "sip_line", "entity_id": line_id, "reason": reason}
        return {
            "entity": "account",
            "entity_id": event.account_id,
            "entity_name": background.account_name,
            "reason": reason,
        }
    return {name: data.get(name) for name in ("entity", "entity_id", "entity_name", "reason")}


def _line(data: Mapping[str, Any]) -> dict[str, Value]:
    return {
        "sip_line_id": data.get("sip_line_id"),
        "sip_line_phone_number": data.get("phone_number"),
        "ip": data.get("ip"),
        "port": data.get("port"),
        "user_agent": data.get("user_agent"),
        "devices": data.get("devices"),
    }
