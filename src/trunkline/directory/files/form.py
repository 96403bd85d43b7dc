"""The form of a directory file: what can be written, with its defaults. One class a kind of item, no I/O.

Items name each other by key. A key is a short name; of SIP lines it is the login, of virtual numbers and
blacklisted numbers the number itself (E.164 digits). Durations are seconds. What is left out has the default
written here; a section that is left out is not changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_serializer, model_validator

from trunkline.core import names
from trunkline.core.engine_values import HostAddress, SipSecret, SipUser, checked
from trunkline.directory.forms.fields import (
    BOTH,
    DAYS,
    Blocked,
    Button,
    Days,
    DialTime,
    Extension,
    Item,
    Key,
    Login,
    Name,
    Networks,
    OutsidePhone,
    Phone,
    Secret,
    Sides,
    SubscriptionKey,
    TimeOfDay,
    Zone,
    distinct,
    in_order,
    shorthand,
)
from trunkline.directory.model import (
    CallRecording,
    EmployeeStatus,
    NumberFormat,
    Strategy,
    Transport,
    TrunkMode,
)
from trunkline.directory.scenarios.form import ScenarioForm, TalkOptionForm
from trunkline.directory.schedules.hours import DayKind, are_days


class AccountForm(Item):
    """Settings of the account; what is left out stays as it is."""

    name: Name | None = None
    time_zone: Zone | None = None
    locale: Annotated[str, AfterValidator(names.locale)] | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    components: Annotated[tuple[Key, ...], AfterValidator(in_order)] | None = None
    security: dict[Literal["mobile", "national", "international", "premium"], bool] | None = None
    allow: dict[Literal["call_api", "data_api", "call_center", "console"], Networks] | None = None
    """Networks API requests may come from; a listed API has exactly these."""
    tts_message_max_length: Annotated[int, Field(ge=1, le=5000)] | None = None
    default_number: Phone | None = None
    """Of calls that name no virtual number."""


class IntervalForm(Item):
    """Open on these days from ``from`` until ``till``; an end at or before the start is on the next day."""

    days: Days
    from_: TimeOfDay = Field(alias="from")
    till: TimeOfDay

    @field_serializer("days")
    def _names(self, days: tuple[int, ...]) -> list[str]:
        return [DAYS[day - 1] for day in days]


class ExceptionForm(Item):
    """A date with other hours, or closed."""

    date: date
    closed: bool = False
    from_: TimeOfDay | None = Field(default=None, alias="from")
    till: TimeOfDay | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.closed != (self.from_ is None) or (self.from_ is None) != (self.till is None):
            raise ValueError("write either closed: true, or both from and till")
        return self


class TimesForm(Item):
    """From one time of a day until a later one."""

    from_: TimeOfDay = Field(alias="from")
    till: TimeOfDay

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.till <= self.from_:
            raise ValueError("till must be later than from; write a night as two ranges")
        return self


class DayRuleForm(Item):
    """Open at these times (none: all day) of the days chosen by ``type``, see :class:`.hours.DayKind`."""

    type: DayKind
    days: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1, max_length=31)]
    times: tuple[TimesForm, ...] = ()
    first: date | None = None
    last: date | None = None
    anchor: date | None = None
    """First working day of a cycle."""

    @model_validator(mode="after")
    def _days(self) -> Self:
        if not are_days(self.type, self.days):
            raise ValueError(f"these are no days of the type {self.type.value}")
        if self.first and self.last and self.last < self.first:
            raise ValueError("last is before first")
        return self


class ScheduleForm(Item):
    name: str = ""
    open: tuple[IntervalForm, ...] = ()
    exceptions: tuple[ExceptionForm, ...] = ()
    rules: tuple[DayRuleForm, ...] = ()


class MediaForm(Item):
    """A sound: from a file, or synthesized from a text."""

    name: str = ""
    file: str | None = None
    """Path, relative to the directory file."""
    text: Annotated[str, Field(min_length=1, max_length=5000)] | None = None
    language: str | None = None
    """Of the text; default: the account's locale."""

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.file is None) == (self.text is None):
            raise ValueError("write either file or text")
        return self


class TagForm(Item):
    name: str = ""


class ContactForm(Item):
    first_name: str = ""
    last_name: str = ""
    patronymic: str = ""
    phones: Annotated[tuple[Phone, ...], AfterValidator(in_order)] = ()


class ContactGroupForm(Item):
    name: str = ""
    members: Annotated[tuple[Key, ...], AfterValidator(in_order)] | None = None
    """Contacts; left out: those who are in it stay (talk options put contacts into groups)."""


class BlacklistForm(Item):
    comment: str = ""


def _sip_secret(password: SecretStr | None) -> SecretStr | None:
    if password is not None:
        SipSecret(password.get_secret_value())
    return password


class TrunkForm(Item):
    name: str = ""
    mode: TrunkMode = TrunkMode.ADDRESS
    host: Annotated[str, AfterValidator(checked(HostAddress))]
    port: Annotated[int, Field(ge=1, le=65535)] = 5060
    transport: Transport = Transport.UDP
    username: Annotated[str, AfterValidator(checked(SipUser))] | None = None
    password: Annotated[Secret, AfterValidator(_sip_secret)] = None
    addresses: Networks = ()
    codecs: Annotated[
        tuple[Literal["alaw", "ulaw", "g722", "opus"], ...], AfterValidator(distinct), Field(min_length=1)
    ] = ("alaw", "ulaw")
    max_channels: Annotated[int, Field(ge=0)] = 0
    number_format: NumberFormat = NumberFormat.E164
    active: bool = True

    @model_validator(mode="after")
    def _user(self) -> Self:
        if self.mode is TrunkMode.REGISTER and self.username is None:
            raise ValueError("a trunk that registers needs username and password")
        return self


class RuleForm(Item):
    """The scenario of a number's calls; with a schedule only while that is open. The first open rule applies."""

    scenario: Key
    schedule: Key | None = None
    active: bool = True


class VirtualNumberForm(Item):
    name: str = ""
    comment: str = ""
    trunk: Key | None = None
    default_line: Login | None = None
    max_in_calls: Annotated[int, Field(ge=0)] = 0
    max_out_calls: Annotated[int, Field(ge=0)] = 0
    number_group: Key | None = None
    """Numbers with the same value are interchangeable."""
    rules: tuple[RuleForm, ...] = ()


class SipLineForm(Item):
    """A SIP login. Without ``password`` a new line gets a random one (shown once), an old one keeps its."""

    password: Secret = None
    virtual_number: Phone | None = None
    """Caller id of its calls to the world."""
    type: Literal["in_out", "in", "out"] = "in_out"
    channels: Annotated[int, Field(ge=1, le=20)] = 1
    dial_time: DialTime = 60
    srtp: Literal["optional", "required"] = "optional"
    """``required``: its phones are called with SRTP only, and a call of theirs without SRTP is refused."""
    active: bool = True


class EmployeePhoneForm(Item):
    """A SIP line or an outside number."""

    line: Login | None = None
    number: OutsidePhone | None = None
    channels: Annotated[int, Field(ge=1, le=150)] = 1
    dial_time: DialTime = 60
    active: bool = True

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.line is None) == (self.number is None):
            raise ValueError("write either line or number")
        return self


class EmployeeForm(Item):
    last_name: Name
    first_name: str = ""
    patronymic: str = ""
    email: Annotated[str, AfterValidator(names.email)] | None = None
    extension: Extension | None = None
    status: EmployeeStatus | None = None
    """Left out: a new employee is available, an old one keeps what he chose."""
    phones: tuple[EmployeePhoneForm, ...] = ()
    voice_mail: bool = False
    schedule: Key | None = None
    call_recording: CallRecording = CallRecording.ALL
    in_external_allowed: Sides = BOTH
    in_internal_allowed: Sides = BOTH
    out_external_allowed: Sides = BOTH
    out_internal_allowed: Sides = BOTH
    coach: Key | None = None
    coach_always_enabled: bool = False
    active: bool = True

    @model_validator(mode="after")
    def _phones_once(self) -> Self:
        distinct(tuple((phone.line, phone.number) for phone in self.phones))
        return self


class GroupForm(Item):
    name: str = ""
    extension: Extension | None = None
    strategy: Strategy = Strategy.ALL
    schedule: Key | None = None
    members: Annotated[tuple[Key, ...], AfterValidator(distinct)] = ()
    queue_enabled: bool = False
    channels_count: Annotated[int, Field(ge=1, le=199)] | None = None
    """Concurrent calls; None: any number."""


class SubscriptionForm(Item):
    """A URL that receives events. Without ``secret`` an existing subscription keeps its own."""

    name: str = ""
    url: Annotated[str, Field(pattern=r"^https?://")]
    method: Literal["POST", "PUT", "GET"] = "POST"
    events: Annotated[tuple[Name, ...], AfterValidator(distinct), Field(min_length=1)]
    body: str | None = None
    headers: dict[Name, str] = Field(default_factory=dict)
    secret: Secret = None
    active: bool = True


def _list_of_keys(value: Any) -> Any:
    """``[a, b]`` for ``{a: {}, b: {}}``."""
    return {str(key): {} for key in value} if isinstance(value, list) else value


def _empty_items(value: Any) -> Any:
    """``key:`` (nothing) for ``key: {}``."""
    if not isinstance(value, Mapping):
        return value
    return {key: {} if item is None else item for key, item in value.items()}


_Nothing = BeforeValidator(_empty_items)


class Form(Item):
    """A directory file. A section that is None is not in the file."""

    account: AccountForm | None = None
    schedules: Annotated[dict[Key, ScheduleForm] | None, _Nothing] = None
    media: Annotated[dict[Key, MediaForm] | None, _Nothing] = None
    tags: Annotated[dict[Key, Annotated[TagForm, shorthand("name")]] | None, _Nothing] = None
    contacts: Annotated[dict[Key, ContactForm] | None, _Nothing] = None
    contact_groups: Annotated[dict[Key, Annotated[ContactGroupForm, shorthand("name")]] | None, _Nothing] = (
        None
    )
    blacklist: Annotated[
        dict[Blocked, Annotated[BlacklistForm, shorthand("comment")]] | None,
        _Nothing,
        BeforeValidator(_list_of_keys),
    ] = None
    trunks: Annotated[dict[Key, TrunkForm] | None, _Nothing] = None
    sip_lines: Annotated[dict[Login, SipLineForm] | None, _Nothing, BeforeValidator(_list_of_keys)] = None
    virtual_numbers: Annotated[dict[Phone, VirtualNumberForm] | None, _Nothing] = None
    employees: Annotated[dict[Key, EmployeeForm] | None, _Nothing] = None
    groups: Annotated[dict[Key, GroupForm] | None, _Nothing] = None
    scenarios: Annotated[dict[Key, ScenarioForm] | None, _Nothing] = None
    talk_options: Annotated[dict[Button, Annotated[TalkOptionForm, shorthand("kind")]] | None, _Nothing] = (
        None
    )
    notifications: Annotated[dict[SubscriptionKey, SubscriptionForm] | None, _Nothing] = None

    def section(self, name: str) -> Mapping[str, Any]:
        """Items of a section by key; empty when it is not in the file."""
        return getattr(self, name) or {}


SECTIONS = tuple(name for name in Form.model_fields if name != "account")
"""Names of the sections that hold items, in the order of a file."""
