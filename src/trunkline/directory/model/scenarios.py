"""What happens to a call: scenarios of operations, schedules, and the keys of a talk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from trunkline.directory.model.hours import Exceptional, Interval, is_open, opens_at
from trunkline.directory.model.hours import Rule as DayRule


class OperationKind(StrEnum):
    """What one step of a scenario does; the docstring is the shape of its ``settings``.

    ``next`` and the branches are keys of operations of the same scenario; null = the scenario ends (hang up).
    """

    GREETING = "greeting"
    """{"media_file_ids": [int], "next": key|null}"""
    FORWARD_EMPLOYEE = "forward_employee"
    """{"employee_id": int, "ring_seconds": int|null (null = each phone's dial_time),
    "music_media_file_id": int|null, "next": key|null (used without an answer),
    "employee_message_media_file_ids": [int] (played to the employee before the connection; absent = none),
    "shown_number": ShownNumber (may lack = contact)}"""
    FORWARD_GROUP = "forward_group"
    """{"group_id": int, "strategy": Strategy|null (null = the group's), "ring_seconds": int,
    "music_media_file_id": int|null, "next": key|null (used without an answer),
    "employee_message_media_file_ids" and "shown_number" as above}"""
    FORWARD_NUMBER = "forward_number"
    """{"number": of an outside telephone, maybe with an extension (:func:`trunkline.core.phone.with_extension`),
    "ring_seconds": int, "channels": int|null (concurrent calls; null = no limit), "music_media_file_id": int|null,
    "next": key|null (taken when it was not reached)}"""
    SCHEDULE = "schedule"
    """{"schedule_id": int, "open": key|null, "closed": key|null}"""
    VOICEMAIL = "voicemail"
    """{"media_file_ids": [int], "max_seconds": int, "silence_seconds": int, "employee_id": int|null,
    "group_id": int|null, "next": key|null, "emails": [address] (get the message by mail), "mail_employee": bool (the
    employee's own address, too)}"""
    HANGUP = "hangup"
    """{"cause": HangupCause (absent = normal, or what follows from the calls before)}"""
    ANNOUNCEMENT = "announcement"
    """{"media_file_ids": [int], "repeats": int, "skip_key": key of a phone|null, "next": key|null}"""
    MENU = "menu"
    """{"media_file_ids": [int], "invalid_media_file_ids": [int], "timeout_seconds": int, "key_seconds": int, "repeats": int,
    "keys": {keys of a phone: key|null}, "digits": {"min": int, "max": int, "next": key|null}|null, "extensions": bool,
    "invalid": key|null, "timeout": key|null, and the settings of forward_employee without "employee_id", for extensions}"""
    DIAL_EXTENSION = "dial_extension"
    """As menu, with extensions only: no "keys", "digits" and "extensions"."""
    TAG = "tag"
    """{"tag_ids": [int], "next": key|null}"""
    NOTIFICATION = "notification"
    """{"message": text, "emails": [address], "next": key|null}"""
    SPLIT = "split"
    """{"branches": [{"percent": int, "next": key|null}]}; the percentages are 100 together"""
    CONTACT_GROUP = "contact_group"
    """{"branches": [{"contact_group_id": int, "next": key|null}], "otherwise": key|null}; the first that fits"""
    REGION = "region"
    """{"branches": [{"countries": [ISO 3166 alpha-2], "prefixes": [digits], "next": key|null}], "otherwise": key|null};
    the longest prefix that fits, else the country"""
    CALLER_LIST = "caller_list"
    """{"numbers": [digits, maybe with "*" at the end], "listed": key|null, "otherwise": key|null}"""
    FORWARD_USUAL = "forward_usual"
    """{"choose": UsualEmployee, and the settings of forward_employee without "employee_id"}"""
    RUN_SCENARIO = "run_scenario"
    """{"scenario_id": int, "next": key|null (when that scenario has ended without hanging up)}"""
    QUEUE = "queue"
    """{"queue_id": int, "next": key|null (after the longest wait), "no_agents": key|null (nobody is there; null: next),
    "exits": {keys of a phone: key|null}}"""
    EXTERNAL_DECISION = "external_decision"
    """{"url": text, "method": "GET"|"POST", "parameters": [mnemonic], "media_file_ids": [int] (prompt), "code_length": int
    (keys that are awaited; 0 = none), "timeout_seconds": int (until the first key), "key_seconds": int, "reply_seconds":
    int, "answer": bool, "codes": {return code: key|null}, "otherwise": key|null (no usable reply), and the settings of
    forward_employee without "employee_id", for the numbers of the reply}"""


class HangupCause(StrEnum):
    """Why a scenario hangs up, as the caller's network gets it."""

    NORMAL = "normal"
    BUSY = "busy"
    REJECTED = "rejected"
    NO_ANSWER = "no_answer"
    NOT_FOUND = "not_found"
    UNAVAILABLE = "unavailable"
    CONGESTION = "congestion"


class UsualEmployee(StrEnum):
    """Who is meant by the usual employee of a caller."""

    MANAGER = "manager"
    """The employee who looks after the contact in the address book."""
    LAST = "last"
    """Who talked with the caller last."""
    MANAGER_THEN_LAST = "manager_then_last"


class ShownNumber(StrEnum):
    """Whose number an employee sees in a call of a scenario."""

    CONTACT = "contact"
    VIRTUAL = "virtual"


class RequestParameter(StrEnum):
    """What a request to another system about a call may have, by mnemonics.

    Source: the reference's page, and receivers in use.
    """

    CDR_ID = "cdr_id"
    """Id of the call, under its older name."""
    CALL_SESSION_ID = "call_session_id"
    DIRECTION = "direction"
    """``in`` or ``out``."""
    START_TIME = "start_time"
    """UTC, ISO 8601 with milliseconds and ``Z``."""
    NUMA = "numa"
    """The caller's number, E.164 digits; empty when it is withheld."""
    NUMB = "numb"
    """The number that was called, E.164 digits."""
    INPUT_RESULT = "input_result"
    """The keys that the caller pressed; the text ``None`` without any."""
    LEAD_ID = "lead_id"
    """Of a call about a lead of a phone list; empty in other calls, as the next two."""
    LEAD_NAME = "lead_name"
    LEAD_VARIABLES = "lead_variables"
    """The variables of the lead (``ext_api_vars``), a JSON object as text. Too long for an address."""


_OF_LEADS = (RequestParameter.LEAD_ID, RequestParameter.LEAD_NAME, RequestParameter.LEAD_VARIABLES)

DEFAULT_REQUEST_PARAMETERS = tuple(one for one in RequestParameter if one not in _OF_LEADS)
"""What a request has when nothing is chosen: what existing receivers know."""


class TalkOptionKind(StrEnum):
    """What a talk option does; the values are the mnemonics of ``list.talk_options``.

    The docstring is the shape of its ``settings``.
    """

    FINISH_CONVERSATION = "finish_conversation"
    """{}"""
    TAG_CALL = "tag_call"
    """{"tag_id": int}"""
    RECORD_TALK = "record_talk"
    """{}"""
    TRANSFER_CALL = "transfer_call"
    """One of {"employee_id": int}, {"group_id": int}, {"number": digits (E.164)}."""
    RUN_SCENARIO = "run_scenario"
    """{"scenario_id": int}"""
    CALL_COACH = "call_coach"
    """{}"""
    RECEIVE_FAX = "receive_fax"
    """{}"""
    SAVE_NUMA = "save_numa"
    """{"contact_group_id": int|null (null = saved in no group)}"""


@dataclass(frozen=True, slots=True)
class Operation:
    operation_id: int
    key: str
    name: str
    kind: OperationKind
    settings: Mapping[str, Any]
    """Shape by kind, see :class:`OperationKind`."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Operations in order; the first is where the scenario starts."""

    scenario_id: int
    name: str
    operations: tuple[Operation, ...]

    @property
    def start(self) -> Operation | None:
        return self.operations[0] if self.operations else None

    def operation(self, key: str | None) -> Operation | None:
        """The operation of that key; None for None (the end) or a key that is not there."""
        return next((operation for operation in self.operations if operation.key == key), None)


@dataclass(frozen=True, slots=True)
class Schedule:
    schedule_id: int
    name: str
    intervals: tuple[Interval, ...]
    exceptions: tuple[Exceptional, ...]
    rules: tuple[DayRule, ...] = ()

    def is_open(self, local: datetime) -> bool:
        """Whether the schedule is open at this wall-clock time of the account's zone."""
        return is_open(self.intervals, self.exceptions, local, self.rules)

    def opens_at(self, local: datetime, *, days: int) -> datetime | None:
        """When the schedule is open for the first time from this time on; None: not within so many days."""
        return opens_at(self.intervals, self.exceptions, local, self.rules, days=days)


@dataclass(frozen=True, slots=True)
class TalkOption:
    """What pressing ``button`` (one or two of ``0-9*#``) during a talk does."""

    button: str
    mnemonic: TalkOptionKind
    name: str
    settings: Mapping[str, Any]
    """Shape by mnemonic, see :class:`TalkOptionKind`."""
    value_id: int | None = None
    """The tag, scenario, employee, group or contact group it names; None if none, or if that is gone."""
    value_name: str | None = None
    """Name of that, or the number of a transfer to a number."""
