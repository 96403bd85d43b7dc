"""The directory as call rules see it: frozen values, no I/O, no clock.

A :class:`Directory` holds every :class:`Account`; both are replaced, never changed, when the database
changes (:mod:`trunkline.directory.snapshot`). Ids are those of the tables; phone numbers are E.164 digits
without plus; durations named ``_time`` or ``_seconds`` are seconds. No repr shows a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from trunkline.core.phone import Dialled, dialled
from trunkline.directory.schedule import Exceptional, Interval, is_open
from trunkline.directory.schedule import Rule as DayRule

SYSTEM_ACCOUNT_ID = 0
"""Owner of the media files that all accounts share."""


class EmployeeStatus(StrEnum):
    AVAILABLE = "available"
    BREAK = "break"
    DO_NOT_DISTURB = "do_not_disturb"
    NOT_AT_WORKPLACE = "not_at_workplace"
    NOT_AT_WORK = "not_at_work"
    AUTO_OUT_CALL = "auto_out_call"
    UNKNOWN = "unknown"


class CallRecording(StrEnum):
    """Which calls of an employee are recorded."""

    ALL = "all"
    IN = "in"
    OUT = "out"
    OFF = "off"


class LineType(StrEnum):
    IN_OUT = "in_out"
    IN = "in"
    OUT = "out"


class BillingState(StrEnum):
    ACTIVE = "active"
    MANUAL_LOCK = "manual_lock"
    LIMIT_LOCK = "limit_lock"


class LineStatus(StrEnum):
    ACTIVE = "active"
    INACTIVE = "inactive"


class TrunkMode(StrEnum):
    ADDRESS = "address"
    """Recognised by where its calls come from."""
    REGISTER = "register"
    """We register at it with user and password."""


class Transport(StrEnum):
    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class NumberFormat(StrEnum):
    """How a trunk wants numbers written."""

    E164 = "e164"
    PLUS_E164 = "+e164"


class NumberStatus(StrEnum):
    ACTIVE = "active"
    WAITING = "waiting"
    CLEANING = "cleaning"
    PRERESERVED = "prereserved"
    RESERVED = "reserved"
    MANUAL_LOCK = "manual_lock"
    LIMIT_LOCK = "limit_lock"


class Strategy(StrEnum):
    """In which order the members of a group ring."""

    ALL = "all"
    IN_TURN = "in_turn"
    LONGEST_IDLE = "longest_idle"


class MediaKind(StrEnum):
    SYSTEM = "system"
    USER = "user"


class OperationKind(StrEnum):
    """What one step of a scenario does; the docstring is the shape of its ``settings``.

    ``next`` and the branches are keys of operations of the same scenario; null = the scenario ends (hang up).
    """

    GREETING = "greeting"
    """{"media_file_ids": [int], "next": key|null}"""
    FORWARD_EMPLOYEE = "forward_employee"
    """{"employee_id": int, "ring_seconds": int|null (null = each phone's dial_time),
    "music_media_file_id": int|null, "next": key|null (taken when nobody answered),
    "employee_message_media_file_ids": [int] (what the employee hears before being connected; may lack = none),
    "shown_number": ShownNumber (may lack = contact)}"""
    FORWARD_GROUP = "forward_group"
    """{"group_id": int, "strategy": Strategy|null (null = the group's), "ring_seconds": int,
    "music_media_file_id": int|null, "next": key|null (taken when nobody answered),
    "employee_message_media_file_ids" and "shown_number" as above}"""
    FORWARD_NUMBER = "forward_number"
    """{"number": of an outside telephone, maybe with an extension (:func:`trunkline.core.phone.with_extension`),
    "ring_seconds": int, "channels": int|null (calls at a time; null = no limit), "music_media_file_id": int|null,
    "next": key|null (taken when it was not reached)}"""
    SCHEDULE = "schedule"
    """{"schedule_id": int, "open": key|null, "closed": key|null}"""
    VOICEMAIL = "voicemail"
    """{"media_file_ids": [int], "max_seconds": int, "silence_seconds": int, "employee_id": int|null,
    "group_id": int|null, "next": key|null}"""
    HANGUP = "hangup"
    """{}"""


class ShownNumber(StrEnum):
    """Whose number an employee sees when a scenario calls him."""

    CONTACT = "contact"
    VIRTUAL = "virtual"


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
class Phone:
    """One phone number of an employee: exactly one of ``sip_line_id`` and ``external_number`` is set."""

    phone_id: int
    sip_line_id: int | None
    external_number: str | None
    """E.164 digits, maybe with an extension (:func:`trunkline.core.phone.with_extension`)."""
    channels_count: int
    dial_time: int
    is_active: bool

    @property
    def outside(self) -> Dialled | None:
        """What is dialled by a trunk, of an outside telephone."""
        return dialled(self.external_number) if self.external_number is not None else None


@dataclass(frozen=True, slots=True)
class Employee:
    employee_id: int
    full_name: str
    email: str | None
    status: EmployeeStatus
    extension: str | None
    """Short number."""
    voice_mail_enabled: bool
    phones: tuple[Phone, ...]
    """In the order they are dialled."""
    in_external_allowed: frozenset[str]
    """Of ``in`` and ``out``; the four sets are those of the same names of the data API's employee."""
    in_internal_allowed: frozenset[str]
    out_external_allowed: frozenset[str]
    out_internal_allowed: frozenset[str]
    call_recording: CallRecording
    schedule_id: int | None
    is_active: bool
    coach_id: int | None = None
    """Employee who is called when a coach is wanted."""
    coach_always_enabled: bool = False
    """Whether the coach is called to all calls that come in to the employee."""


@dataclass(frozen=True, slots=True)
class SipLine:
    account_id: int
    sip_line_id: int
    phone_number: str
    """The SIP login."""
    ha1_md5: str = field(repr=False)
    ha1_sha256: str = field(repr=False)
    employee_id: int | None
    virtual_number_id: int | None
    """Caller id of its calls to the world."""
    type: LineType
    channels_count: int
    dial_time: int
    billing_state: BillingState
    status: LineStatus


@dataclass(frozen=True, slots=True)
class Trunk:
    account_id: int
    trunk_id: int
    name: str
    mode: TrunkMode
    host: str
    port: int
    transport: Transport
    username: str | None
    password: str | None = field(repr=False)
    addresses: tuple[str, ...]
    """Networks (``192.0.2.0/24``) its calls come from, beside ``host``."""
    codecs: tuple[str, ...]
    max_channels: int
    """0 = no limit."""
    number_format: NumberFormat
    is_active: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """Which scenario takes a number's calls, and when (no schedule = always). The first that fits wins."""

    call_processing_rule_id: int
    scenario_id: int
    schedule_id: int | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class NumberCampaign:
    """The active campaign that shows a number, and its site."""

    campaign_id: int
    campaign_name: str
    site_id: int
    site_domain_name: str
    default_scenario_id: int | None = None
    """The site's, for calls that no rule of the number takes."""
    redirection_virtual_number_id: int | None = None
    """Of a call tracking number: whose rules its calls follow."""
    default_virtual_number_id: int | None = None
    """The site's default number, when it is one of the account: its rules take those calls."""


@dataclass(frozen=True, slots=True)
class VirtualNumber:
    account_id: int
    virtual_number_id: int
    phone_number: str
    name: str
    status: NumberStatus
    trunk_id: int | None
    """Calls out with this number leave by this trunk."""
    default_sip_line_id: int | None
    """Rings when no switch decides in time."""
    max_in_calls: int
    """0 = no limit."""
    max_out_calls: int
    """0 = no limit."""
    rules: tuple[Rule, ...]
    group: str | None = None
    """Numbers of one group may stand in for each other, see :mod:`trunkline.directory.number_choice`."""
    carrier_trunk_id: int | None = None
    """Of a number from the inventory: a trunk of another account that brings its calls, and takes those out."""
    campaign: NumberCampaign | None = None


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


@dataclass(frozen=True, slots=True)
class Group:
    group_id: int
    name: str
    extension: str | None
    strategy: Strategy
    schedule_id: int | None
    employee_ids: tuple[int, ...]
    """In the order of the group."""
    channels_count: int | None = None
    """Calls at a time; None = no limit."""
    phone_ids: tuple[int, ...] | None = None
    """Of its members' phones those that ring for the group, the first first; None = all, as members and phones come."""

    def phones_of(self, employee: Employee) -> tuple[Phone, ...]:
        """The employee's phones that ring for this group, in the order they are dialled."""
        if self.phone_ids is None:
            return employee.phones
        by_id = {phone.phone_id: phone for phone in employee.phones}
        return tuple(by_id[phone_id] for phone_id in self.phone_ids if phone_id in by_id)

    def place_of(self, employee: Employee) -> int:
        """The employee's place by his first phone, where the order of phones was chosen."""
        own = {phone.phone_id for phone in employee.phones}
        return next((place for place, phone_id in enumerate(self.phone_ids or ()) if phone_id in own), 0)


@dataclass(frozen=True, slots=True)
class MediaFile:
    media_file_id: int
    key: str
    name: str
    kind: MediaKind
    path: Path
    """Absolute, without extension, as the engine wants it; the file is ``path`` + ``.wav``."""
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Tag:
    tag_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Contact:
    contact_id: int
    full_name: str


@dataclass(frozen=True, slots=True)
class ContactGroup:
    contact_group_id: int
    name: str


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


@dataclass(frozen=True, slots=True)
class Account:
    """Everything call rules need to know of one account."""

    account_id: int
    name: str
    time_zone: ZoneInfo
    locale: str
    country: str
    """ISO 3166 alpha-2: how local numbers are read."""
    is_active: bool
    components: frozenset[str]
    security: Mapping[str, bool]
    """``mobile``, ``national``, ``international``: may API calls go there? See :meth:`may_call`."""
    tts_message_max_length: int
    """Characters."""
    employees: Mapping[int, Employee] = field(default_factory=dict)
    lines: Mapping[int, SipLine] = field(default_factory=dict)
    trunks: Mapping[int, Trunk] = field(default_factory=dict)
    carriers: Mapping[int, Trunk] = field(default_factory=dict)
    """Trunks of other accounts that serve numbers of this one; without their passwords."""
    numbers: Mapping[int, VirtualNumber] = field(default_factory=dict)
    scenarios: Mapping[int, Scenario] = field(default_factory=dict)
    schedules: Mapping[int, Schedule] = field(default_factory=dict)
    groups: Mapping[int, Group] = field(default_factory=dict)
    media: Mapping[int, MediaFile] = field(default_factory=dict)
    """The account's own and the system set."""
    tags: Mapping[int, Tag] = field(default_factory=dict)
    contacts_by_phone: Mapping[str, Contact] = field(default_factory=dict)
    blacklist: frozenset[str] = frozenset()
    contact_groups: Mapping[int, ContactGroup] = field(default_factory=dict)
    talk_options: Mapping[str, TalkOption] = field(default_factory=dict)
    """By button."""
    default_virtual_number_id: int | None = None
    """As chosen; :attr:`default_number` also answers when none was."""

    _numbers_by_phone: Mapping[str, VirtualNumber] = field(init=False, repr=False, compare=False)
    _lines_by_login: Mapping[str, SipLine] = field(init=False, repr=False, compare=False)
    _employees_by_extension: Mapping[str, Employee] = field(init=False, repr=False, compare=False)
    _groups_by_extension: Mapping[str, Group] = field(init=False, repr=False, compare=False)
    _employees_by_line: Mapping[int, Employee] = field(init=False, repr=False, compare=False)
    _system_media: Mapping[str, MediaFile] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = object.__setattr__  # the dataclass is frozen; its indexes are made once, here
        index(self, "_numbers_by_phone", {n.phone_number: n for n in self.numbers.values()})
        index(self, "_lines_by_login", {line.phone_number: line for line in self.lines.values()})
        index(
            self, "_employees_by_extension", {e.extension: e for e in self.employees.values() if e.extension}
        )
        index(self, "_groups_by_extension", {g.extension: g for g in self.groups.values() if g.extension})
        index(self, "_employees_by_line", self._line_owners())
        system = {m.key: m for m in self.media.values() if m.kind is MediaKind.SYSTEM}
        index(self, "_system_media", system)

    def _line_owners(self) -> dict[int, Employee]:
        """Phones name the lines their employee answers; a line that itself names an employee is his."""
        owners = {
            phone.sip_line_id: employee
            for employee in reversed(list(self.employees.values()))
            for phone in employee.phones
            if phone.sip_line_id is not None
        }
        for line in self.lines.values():
            if line.employee_id is not None and line.employee_id in self.employees:
                owners[line.sip_line_id] = self.employees[line.employee_id]
        return owners

    def number_by_phone(self, phone: str) -> VirtualNumber | None:
        return self._numbers_by_phone.get(phone)

    @property
    def default_number(self) -> VirtualNumber | None:
        """The number of calls that name none: the chosen one, else the active one with the lowest id."""
        chosen = self.numbers.get(self.default_virtual_number_id or 0)
        if chosen is not None and chosen.status is NumberStatus.ACTIVE:
            return chosen
        active = (number for number in self.numbers.values() if number.status is NumberStatus.ACTIVE)
        return min(active, key=lambda number: number.virtual_number_id, default=None)

    def line_by_login(self, login: str) -> SipLine | None:
        return self._lines_by_login.get(login)

    def employee_by_extension(self, extension: str) -> Employee | None:
        return self._employees_by_extension.get(extension)

    def group_by_extension(self, extension: str) -> Group | None:
        return self._groups_by_extension.get(extension)

    def employee_of_line(self, sip_line_id: int) -> Employee | None:
        """Who talks on this line, if it belongs to anybody."""
        return self._employees_by_line.get(sip_line_id)

    def system_media(self, mnemonic: str) -> MediaFile | None:
        """A file of the shared set, e.g. ``dialing_music``."""
        return self._system_media.get(mnemonic)

    def may_call(self, direction: str) -> bool:
        """Whether API calls may go in this direction; international ones only when allowed on purpose."""
        return self.security.get(direction, direction != "international")

    def local(self, moment: datetime) -> datetime:
        """An aware moment as wall-clock time of the account's zone."""
        return moment.astimezone(self.time_zone)


@dataclass(frozen=True, slots=True)
class Directory:
    """All accounts of the installation, with the indexes a call needs first."""

    accounts: Mapping[int, Account] = field(default_factory=dict)

    _numbers: Mapping[str, tuple[Account, VirtualNumber]] = field(init=False, repr=False, compare=False)
    _lines: Mapping[str, tuple[Account, SipLine]] = field(init=False, repr=False, compare=False)
    _trunks: Mapping[int, tuple[Account, Trunk]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = object.__setattr__
        accounts = self.accounts.values()
        index(self, "accounts", MappingProxyType(dict(self.accounts)))
        index(self, "_numbers", {n.phone_number: (a, n) for a in accounts for n in a.numbers.values()})
        index(self, "_lines", {line.phone_number: (a, line) for a in accounts for line in a.lines.values()})
        index(self, "_trunks", {t.trunk_id: (a, t) for a in accounts for t in a.trunks.values()})

    def number(self, phone: str) -> tuple[Account, VirtualNumber] | None:
        """Whose number this is (E.164 digits)."""
        return self._numbers.get(phone)

    def line(self, login: str) -> tuple[Account, SipLine] | None:
        """Whose line logs in with this name."""
        return self._lines.get(login)

    def trunk(self, trunk_id: int) -> tuple[Account, Trunk] | None:
        return self._trunks.get(trunk_id)
