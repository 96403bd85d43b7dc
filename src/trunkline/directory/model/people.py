"""Employees, their phones, and groups of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trunkline.core.phone import Dialled, split_number


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


class Strategy(StrEnum):
    """In which order the members of a group ring."""

    ALL = "all"
    IN_TURN = "in_turn"
    LONGEST_IDLE = "longest_idle"


class ForwardWhen(StrEnum):
    """When the calls of an employee are forwarded."""

    ALWAYS = "always"
    BUSY = "busy"
    """All phones are busy, the call is declined, or the employee has the status ``do_not_disturb``."""
    NO_ANSWER = "no_answer"
    """No phone is answered in time, or none can be reached."""


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
        return split_number(self.external_number) if self.external_number is not None else None


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
    """Employee who is called as coach."""
    coach_always_enabled: bool = False
    """Whether the coach is called to all calls that come in to the employee."""
    forward_always: str = ""
    """Where calls are forwarded: an extension, or an outside number; empty: they are not."""
    forward_busy: str = ""
    forward_no_answer: str = ""

    @property
    def forwards_calls(self) -> bool:
        """Whether any calls are forwarded."""
        return bool(self.forward_always or self.forward_busy or self.forward_no_answer)

    def forward_to(self, when: ForwardWhen) -> str:
        """Where calls are forwarded then; empty: they are not."""
        match when:
            case ForwardWhen.ALWAYS:
                return self.forward_always
            case ForwardWhen.BUSY:
                return self.forward_busy
        return self.forward_no_answer


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
    """Concurrent calls; None = no limit."""
    phone_ids: tuple[int, ...] | None = None
    """Of its members' phones those that ring for the group, the first first; None = all, as members and phones come."""

    def phones_of(self, employee: Employee) -> tuple[Phone, ...]:
        """The employee's phones that ring for this group, in the order they are dialled."""
        if self.phone_ids is None:
            return employee.phones
        by_id = {phone.phone_id: phone for phone in employee.phones}
        return tuple(by_id[phone_id] for phone_id in self.phone_ids if phone_id in by_id)

    def place_of(self, employee: Employee) -> int:
        """The employee's place by the first phone, where the order of phones was chosen."""
        own = {phone.phone_id for phone in employee.phones}
        return next((place for place, phone_id in enumerate(self.phone_ids or ()) if phone_id in own), 0)
