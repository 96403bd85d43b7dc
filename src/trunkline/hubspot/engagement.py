"""A finished call as the properties of an engagement, and as a task. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from trunkline.events.reasons import Reason
from trunkline.hubspot import api

EXTERNAL_ID = "hs_call_external_id"
RECORDING_URL = "hs_call_recording_url"
OWNER = "hubspot_owner_id"
ESSENTIAL = (
    "hs_timestamp",
    "hs_call_direction",
    "hs_call_status",
    "hs_call_duration",
    "hs_call_from_number",
    "hs_call_to_number",
    RECORDING_URL,
    OWNER,
)
"""Properties that people do not write by themselves: repair compares these."""

OPTIONAL = frozenset({"hs_call_disposition", "hs_call_external_account_id", OWNER})
"""Properties without which an engagement is created when the portal refuses them: it can have other outcomes of calls, and
an owner can be removed."""

TEXTS = ("hs_call_title", "hs_call_body")
"""Properties that people edit."""

_TAG = re.compile(r"<[^>]*>")

_TRUNCATED = "<br>(shortened)"

_NO_ANSWER, _BUSY, _CANCELED, _FAILED = "NO_ANSWER", "BUSY", "CANCELED", "FAILED"

_CONTACT_NOT_REACHED: Mapping[Reason, str] = {
    Reason.CALLER_BUSY: _BUSY,
    Reason.CALLER_DISCONNECTS: _BUSY,  # the contact refused it
    Reason.CALLER_NOT_RESPONSIVE: _NO_ANSWER,
    Reason.NO_SUCCESS_CALLER_CALL: _NO_ANSWER,
    Reason.OPERATOR_DISCONNECTS: _CANCELED,
    Reason.OPERATOR_BUSY: _CANCELED,
    Reason.OPERATOR_NOT_RESPONSIVE: _CANCELED,
    Reason.NO_SUCCESS_OPERATOR_CALL: _CANCELED,
    Reason.SCENARIO_DISCONNECTS: _CANCELED,
    Reason.TRANSFER_DISCONNECTS: _CANCELED,
    Reason.DISCONNECT_BEFORE_CALL_PROCESSING: _CANCELED,
    Reason.ABANDONED_IN_QUEUE: _CANCELED,
    Reason.SUCCESS_FINISH: _NO_ANSWER,
}
"""Calls to contacts; with any other reason the call could not be made."""

_NOT_TAKEN: Mapping[Reason, str] = {
    Reason.OPERATOR_BUSY: _BUSY,
    Reason.OPERATOR_CHANNELS_BUSY: _BUSY,
    Reason.MAX_IN_CALL_REACHED: _BUSY,
    Reason.NUMA_IN_BLACK_LIST: _FAILED,
    Reason.NUMB_NOT_EXISTS: _FAILED,
    Reason.NUMB_IS_INACTIVE: _FAILED,
    Reason.APP_IS_INACTIVE: _FAILED,
    Reason.NO_ACTIVE_SCENARIO: _FAILED,
    Reason.NO_OPERATION: _FAILED,
    Reason.MAX_TRANSITION_COUNT_EXCEEDED: _FAILED,
    Reason.NO_RESOURCES: _FAILED,
    Reason.IN_CALL_NOT_ALLOWED: _FAILED,
    Reason.LIMIT_EXCEEDED: _FAILED,
    Reason.LOCKED_NUMB: _FAILED,
    Reason.INCORRECT_CONFIG: _FAILED,
    Reason.SIP_TRUNK_IS_LOCKED: _FAILED,
    Reason.INTERNAL_ERROR: _FAILED,
}
"""Calls of contacts; with any other reason nobody answered."""

_DISPOSITIONS = {"COMPLETED": api.CONNECTED, _NO_ANSWER: api.NO_ANSWER, _BUSY: api.BUSY}


@dataclass(frozen=True, slots=True)
class Recording:
    """:ivar url: where it can be fetched.
    :ivar kind: ``talk`` or ``voice_mail``.
    """

    url: str
    kind: str


@dataclass(frozen=True, slots=True)
class Phrase:
    is_operator: bool
    text: str


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A finished call. Its numbers are E.164 digits, as they are kept.

    :ivar talk_seconds: of the talk with the contact; 0: there was none.
    :ivar employees: those who took part or were called: ``employee_id``, ``employee_full_name``.
    :ivar talked_id: employee who talked last; ``answered_id``: who answered last.
    """

    account_id: int
    call_session_id: int
    start: datetime
    finish: datetime
    is_incoming: bool
    is_lost: bool
    finish_reason: str | None
    contact_number: str | None
    contact_name: str | None
    virtual_number: str | None
    talk_seconds: int
    talked_id: int | None
    answered_id: int | None
    employees: Sequence[Mapping[str, Any]]
    scenario: str | None = None
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    recording: Recording | None = None
    transcript: tuple[Phrase, ...] = ()
    summary: str | None = None

    @property
    def has_talk(self) -> bool:
        return self.talk_seconds > 0 or self.talked_id is not None


def status(call: CallRecord) -> str:
    """``hs_call_status`` by the finish reason."""
    if call.has_talk:
        return "COMPLETED"
    try:
        reason = Reason(call.finish_reason or "")
    except ValueError:
        return _NO_ANSWER if call.is_incoming else _FAILED
    if call.is_incoming:
        return _NOT_TAKEN.get(reason, _NO_ANSWER)
    return _CONTACT_NOT_REACHED.get(reason, _FAILED)


def responsible(call: CallRecord) -> int | None:
    """The employee whose call it is: who talked last, else answered last, else the only one who was called or placed it."""
    if call.talked_id is not None:
        return call.talked_id
    if call.answered_id is not None:
        return call.answered_id
    ids = list(dict.fromkeys(one["employee_id"] for one in call.employees if one.get("employee_id")))
    return ids[0] if ids and (len(ids) == 1 or not call.is_incoming) else None


def external_id(installation: str, account_id: int, call_session_id: int) -> str:
    """The id of a call in HubSpot that is our own.

    :param installation: the same for all calls of this installation, and of no other.
    """
    return f"trunkline-{installation}-{account_id}-{call_session_id}"


def properties(
    call: CallRecord, installation: str, owner_id: str | None, *, recordings: bool
) -> dict[str, str]:
    """All properties of the engagement; one that is not known is left out.

    :param recordings: whether the address of the recording is sent.
    """
    contact, own = _e164(call.contact_number), _e164(call.virtual_number)
    known = {
        "hs_timestamp": str(round(call.start.timestamp() * 1000)),
        "hs_call_title": _title(call),
        "hs_call_body": _body(call),
        "hs_call_direction": "INBOUND" if call.is_incoming else "OUTBOUND",
        "hs_call_status": status(call),
        "hs_call_disposition": _disposition(call),
        "hs_call_duration": str(call.talk_seconds * 1000),
        "hs_call_from_number": contact if call.is_incoming else own,
        "hs_call_to_number": own if call.is_incoming else contact,
        RECORDING_URL: _playable(call.recording) if recordings else None,
        OWNER: owner_id,
        EXTERNAL_ID: external_id(installation, call.account_id, call.call_session_id),
    }
    return {name: value for name, value in known.items() if value}


def task(call: CallRecord, installation: str, owner_id: str | None) -> dict[str, str]:
    """Properties of the task for a missed call. Its subject is unique: tasks have no id of other systems."""
    known = {
        "hs_timestamp": str(round(call.finish.timestamp() * 1000)),
        "hs_task_subject": task_subject(call, installation),
        "hs_task_body": _body(call),
        "hs_task_status": "NOT_STARTED",
        "hs_task_priority": "HIGH",
        "hs_task_type": "CALL",
        OWNER: owner_id,
    }
    return {name: value for name, value in known.items() if value}


def task_subject(call: CallRecord, installation: str) -> str:
    """See :func:`task`."""
    own = external_id(installation, call.account_id, call.call_session_id)
    return f"Call back {_e164(call.contact_number) or 'a withheld number'} ({own})"


def is_edited(sent: str, there: str | None) -> bool:
    """Whether somebody has changed a text since it was sent. HubSpot may write its tags and spaces in another form."""
    return bool(there) and _plain(sent) != _plain(there or "")


def _plain(text: str) -> str:
    return "".join(html.unescape(_TAG.sub("", text)).split())


def needs_task(call: CallRecord) -> bool:
    """Whether somebody should call back."""
    return call.is_incoming and call.is_lost and call.contact_number is not None


def owner_of(call: CallRecord, owners: Mapping[int, str], default_owner_id: str | None) -> str | None:
    """The owner in HubSpot.

    :param owners: by employee.
    :param default_owner_id: of calls without an employee, or with one that has no owner.
    """
    employee_id = responsible(call)
    return (owners.get(employee_id) if employee_id is not None else None) or default_owner_id


def _e164(number: str | None) -> str | None:
    """With a plus, if it can be a number of the telephone network."""
    if not number:
        return None
    return f"+{number}" if number.isascii() and number.isdecimal() and len(number) >= 7 else number


def _playable(recording: Recording | None) -> str | None:
    """HubSpot accepts only addresses with HTTPS."""
    return recording.url if recording is not None and recording.url.startswith("https://") else None


def _disposition(call: CallRecord) -> str | None:
    if not call.has_talk and call.recording is not None and call.recording.kind == "voice_mail":
        return api.LEFT_VOICEMAIL
    return _DISPOSITIONS.get(status(call))


def _title(call: CallRecord) -> str:
    who = call.contact_name or _e164(call.contact_number) or "a withheld number"
    if not call.is_incoming:
        return f"Call to {who}"
    return f"{'Missed call' if call.is_lost else 'Call'} from {who}"


def _body(call: CallRecord) -> str:
    """HTML. The transcript is last, so that a long one is shortened and nothing else."""
    lines = [f"{label}: {html.escape(text)}" for label, text in _facts(call) if text]
    lines += [html.escape(note).replace("\n", "<br>") for note in call.notes]
    if call.summary:
        lines.append(html.escape(call.summary).replace("\n", "<br>"))
    lines += [
        f"{'Employee' if phrase.is_operator else 'Contact'}: {html.escape(phrase.text)}"
        for phrase in call.transcript
    ]
    text = "<br>".join(lines)
    if len(text) <= api.TEXT_MAX:
        return text
    kept = text[: api.TEXT_MAX - len(_TRUNCATED)]
    return kept[: kept.rfind("<br>")] + _TRUNCATED


def _facts(call: CallRecord) -> list[tuple[str, str]]:
    names = list(dict.fromkeys(str(one.get("employee_full_name") or "") for one in call.employees))
    total = timedelta(seconds=round((call.finish - call.start).total_seconds()))
    return [
        ("Employees", ", ".join(name for name in names if name)),
        ("Scenario", call.scenario or ""),
        ("Tags", ", ".join(call.tags)),
        ("Whole duration", str(total)),
        ("Ended", (call.finish_reason or "").replace("_", " ")),
    ]
