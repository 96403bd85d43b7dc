"""The form of what happens to a call, in a directory file: scenarios of operations, and the keys of a talk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar, get_args

from psycopg.types.json import Jsonb
from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from trunkline.db.pool import Row
from trunkline.directory.forms.entity import Column, Elsewhere, Entity, Leads, ReadContext, Refers
from trunkline.directory.forms.fields import (
    CallerPattern,
    DialTime,
    EmailAddress,
    Item,
    Key,
    MenuKeys,
    OutsidePhone,
    Phone,
    PhoneKey,
    Place,
    distinct,
    is_present,
    shorthand,
)
from trunkline.directory.model import (
    DEFAULT_REQUEST_PARAMETERS,
    HangupCause,
    Operation,
    OperationKind,
    RequestParameter,
    ShownNumber,
    Strategy,
    TalkOptionKind,
    UsualEmployee,
)
from trunkline.directory.model.limits import MAX_OPERATIONS

if TYPE_CHECKING:
    from trunkline.directory.forms.write_context import WriteContext


ReturnCode = Annotated[str, Field(pattern=r"^\S(.{0,62}\S)?$")]
"""A code that another system returns."""

Branch = Annotated[Key | None, Leads()]
"""The operation that follows; None: the scenario ends there."""


class _Operation(Item):
    kind: OperationKind
    name: str = ""


class _Says(Item):
    """An announcement: media files one after another, or a text."""

    media: Annotated[tuple[Key, ...], Refers("media", "media_file_ids")] = ()
    text: Annotated[str, Field(min_length=1, max_length=5000)] | None = None
    language: str | None = None

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.text is not None and self.media:
            raise ValueError("write either media or text")
        return self


class EmployeeMessageForm(_Says):
    """The announcement to an employee before the connection."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.text is None and not self.media:
            raise ValueError("a message needs text or media")
        return self


class _Forward(_Operation):
    music: Annotated[Key | None, Refers("media", "music_media_file_id")] = None
    employee_message: Annotated[EmployeeMessageForm | None, shorthand("text")] = None
    show_number: Annotated[ShownNumber, Column("shown_number")] = ShownNumber.CONTACT
    """Which number the employee sees."""
    next: Branch = None


class GreetingForm(_Operation, _Says):
    next: Branch = None
    kind: Literal[OperationKind.GREETING]

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.text is None and not self.media:
            raise ValueError("a greeting needs text or media")
        return self


class ForwardEmployeeForm(_Forward):
    kind: Literal[OperationKind.FORWARD_EMPLOYEE]
    employee: Annotated[Key, Refers("employees", "employee_id")]
    ring_seconds: DialTime | None = None


class ForwardGroupForm(_Forward):
    kind: Literal[OperationKind.FORWARD_GROUP]
    group: Annotated[Key, Refers("groups", "group_id")]
    strategy: Strategy | None = None
    ring_seconds: DialTime = 30


class ForwardNumberForm(_Operation):
    """An outside number of no employee: called by the trunk of the number that the call came to."""

    kind: Literal[OperationKind.FORWARD_NUMBER]
    number: OutsidePhone
    ring_seconds: DialTime = 60
    channels: Annotated[int, Field(ge=1, le=150)] | None = None
    """Concurrent calls; none: no limit."""
    music: Annotated[Key | None, Refers("media", "music_media_file_id")] = None
    next: Branch = None


class ScheduleBranchForm(_Operation):
    kind: Literal[OperationKind.SCHEDULE]
    schedule: Annotated[Key, Refers("schedules", "schedule_id")]
    open: Branch = None
    closed: Branch = None


class VoicemailForm(_Operation, _Says):
    next: Branch = None
    kind: Literal[OperationKind.VOICEMAIL]
    max_seconds: Annotated[int, Field(ge=1, le=3600)] = 120
    silence_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    employee: Annotated[Key | None, Refers("employees", "employee_id")] = None
    group: Annotated[Key | None, Refers("groups", "group_id")] = None
    emails: Annotated[tuple[EmailAddress, ...], Field(max_length=20), AfterValidator(distinct)] = ()
    """Who gets the message by mail."""
    mail_employee: bool = False
    """Whether the employee gets it at the address of the employee."""


class NotificationForm(_Operation):
    """Publishes an event to subscriptions to ``scenario_notification``, and these addresses."""

    kind: Literal[OperationKind.NOTIFICATION]
    message: Annotated[str, Field(max_length=2000)] = ""
    emails: Annotated[tuple[EmailAddress, ...], Field(max_length=20), AfterValidator(distinct)] = ()
    next: Branch = None


class HangupForm(_Operation):
    kind: Literal[OperationKind.HANGUP]
    cause: HangupCause | None = None


class AnnouncementForm(_Operation, _Says):
    """Like a greeting, but it may be repeated, and skipped with a key."""

    kind: Literal[OperationKind.ANNOUNCEMENT]
    repeats: Annotated[int, Field(ge=1, le=20)] = 1
    skip_key: PhoneKey | None = None
    next: Branch = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.text is None and not self.media:
            raise ValueError("an announcement needs text or media")
        return self


class InvalidMessageForm(EmployeeMessageForm):
    """What is said about a key that means nothing."""


class CollectedDigitsForm(Item):
    """Digits that are no key of the menu, as the number of an order."""

    min: Annotated[int, Field(ge=1, le=20)] = 1
    max: Annotated[int, Field(ge=1, le=20)]
    next: Branch = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError("min is greater than max")
        return self


class _Asks(_Forward, _Says):
    """Waits for keys of the caller."""

    invalid_message: Annotated[InvalidMessageForm | None, shorthand("text")] = None
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    """Until the first key, after the prompt."""
    key_seconds: Annotated[int, Field(ge=1, le=10)] = 3
    """Between two keys."""
    repeats: Annotated[int, Field(ge=1, le=10)] = 3
    """How often the prompt is played in all."""
    ring_seconds: DialTime | None = None
    invalid: Branch = None
    timeout: Branch = None


class MenuForm(_Asks):
    kind: Literal[OperationKind.MENU]
    keys: Annotated[dict[MenuKeys, Key | None], Leads(), Field(default_factory=dict, max_length=100)]
    digits: CollectedDigitsForm | None = None
    extensions: bool = False
    """Whether the caller may dial an extension, too."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.keys or self.digits or self.extensions):
            raise ValueError("a menu needs keys, digits or extensions")
        return self


class DialExtensionForm(_Asks):
    kind: Literal[OperationKind.DIAL_EXTENSION]


class TagForm(_Operation):
    kind: Literal[OperationKind.TAG]
    tags: Annotated[
        tuple[Key, ...],
        Field(min_length=1, max_length=20),
        AfterValidator(distinct),
        Refers("tags", "tag_ids"),
    ]
    next: Branch = None


class ShareForm(Item):
    percent: Annotated[int, Field(ge=0, le=100)]
    next: Branch = None


class SplitForm(_Operation):
    """Each branch gets its percentage of the calls."""

    kind: Literal[OperationKind.SPLIT]
    branches: Annotated[tuple[ShareForm, ...], Field(min_length=2, max_length=20)]

    @model_validator(mode="after")
    def _hundred(self) -> Self:
        total = sum(branch.percent for branch in self.branches)
        if total != 100:
            raise ValueError(f"the percentages of the branches are {total} together; make them 100")
        return self


class ContactGroupBranchForm(Item):
    group: Annotated[Key, Refers("contact_groups", "contact_group_id")]
    next: Branch = None


class ContactGroupForm(_Operation):
    """The first group that the caller is in."""

    kind: Literal[OperationKind.CONTACT_GROUP]
    branches: Annotated[tuple[ContactGroupBranchForm, ...], Field(min_length=1, max_length=50)]
    otherwise: Branch = None


class PlacesForm(Item):
    places: Annotated[tuple[Place, ...], Field(min_length=1, max_length=300), AfterValidator(distinct)]
    """Countries (``AE``) and beginnings of numbers (``+9714``)."""
    next: Branch = None


class RegionForm(_Operation):
    """Where the caller's number belongs to."""

    kind: Literal[OperationKind.REGION]
    branches: Annotated[tuple[PlacesForm, ...], Field(min_length=1, max_length=50)]
    otherwise: Branch = None


class CallerListForm(_Operation):
    kind: Literal[OperationKind.CALLER_LIST]
    numbers: Annotated[tuple[CallerPattern, ...], Field(max_length=10_000), AfterValidator(distinct)]
    listed: Branch = None
    otherwise: Branch = None


class ForwardUsualForm(_Forward):
    kind: Literal[OperationKind.FORWARD_USUAL]
    choose: UsualEmployee = UsualEmployee.MANAGER_THEN_LAST
    ring_seconds: DialTime | None = None


class RunScenarioForm(_Operation):
    """Another scenario; ``next`` follows when that has ended without hanging up."""

    kind: Literal[OperationKind.RUN_SCENARIO]
    scenario: Annotated[Key, Refers("scenarios", "scenario_id")]
    next: Branch = None


class QueueForm(_Operation):
    """The caller waits for an agent of a queue; ``next`` follows when the longest wait is over."""

    kind: Literal[OperationKind.QUEUE]
    queue: Annotated[Key, Refers("queues", "queue_id")]
    next: Branch = None
    no_agents: Branch = None
    """When no agent is there; none: as ``next``."""
    exits: Annotated[dict[PhoneKey, Key | None], Leads(), Field(default_factory=dict, max_length=12)]
    """Keys by which the caller leaves the queue."""


class ExternalDecisionForm(_Forward, _Says):
    """Another system is asked by HTTP what happens to the call; ``next`` follows when its numbers are not reached, or after
    its message."""

    kind: Literal[OperationKind.EXTERNAL_DECISION]
    url: Annotated[str, Field(pattern=r"^https?://[^\s/]", max_length=2000)]
    method: Literal["GET", "POST"] = "GET"
    parameters: Annotated[tuple[RequestParameter, ...], AfterValidator(distinct)] = DEFAULT_REQUEST_PARAMETERS
    """What is sent about the call."""
    code_length: Annotated[int, Field(ge=0, le=20)] = 0
    """Keys that the caller is asked for before; 0: none."""
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    """Until the first key, after the prompt."""
    key_seconds: Annotated[int, Field(ge=1, le=10)] = 3
    """Between two keys."""
    reply_seconds: Annotated[int, Field(ge=1, le=30)] = 5
    """How long a reply is awaited."""
    answer: bool = False
    """Whether the call is answered before the other system is asked, also without a sound."""
    ring_seconds: DialTime | None = None
    codes: Annotated[dict[ReturnCode, Key | None], Leads(), Field(default_factory=dict, max_length=100)]
    otherwise: Branch = None
    """Without a usable reply."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if RequestParameter.LEAD_VARIABLES in self.parameters and self.method != "POST":
            raise ValueError("lead_variables may be too long for an address: write method: POST")
        return self


OperationForm = Annotated[
    GreetingForm
    | ForwardEmployeeForm
    | ForwardGroupForm
    | ForwardNumberForm
    | ScheduleBranchForm
    | VoicemailForm
    | HangupForm
    | AnnouncementForm
    | MenuForm
    | DialExtensionForm
    | TagForm
    | NotificationForm
    | SplitForm
    | ContactGroupForm
    | RegionForm
    | CallerListForm
    | ForwardUsualForm
    | RunScenarioForm
    | QueueForm
    | ExternalDecisionForm,
    Field(discriminator="kind"),
]


def branches_of(operation: OperationForm) -> dict[str, str | None]:
    """Where an operation may lead: the place in the file (``next``, ``branches[0].next``) to a key of an operation."""
    found: dict[str, str | None] = {}

    def note(place: str, target: str | None) -> str | None:
        found[place] = target
        return target

    led_by(operation, note)
    return found


_I = TypeVar("_I", bound=Item)


def led_by(item: _I, lead: Callable[[str, str | None], str | None], at: str = "") -> _I:
    """The operation with other targets of its branches.

    :param lead: the target of the branch at a place (as :func:`branches_of` names it) that led to a key until now.
    """
    changed: dict[str, Any] = {}
    for name, info in type(item).model_fields.items():
        value, place = getattr(item, name), f"{at}{name}"
        if any(isinstance(mark, Leads) for mark in info.metadata):
            changed[name] = (
                {key: lead(f"{place}.{key}", target) for key, target in value.items()}
                if isinstance(value, Mapping)
                else lead(place, value)
            )
        elif isinstance(value, Item):
            changed[name] = led_by(value, lead, f"{place}.")
        elif isinstance(value, tuple):
            changed[name] = tuple(
                led_by(one, lead, f"{place}[{index}].") if isinstance(one, Item) else one
                for index, one in enumerate(value)
            )
    return item.model_copy(update=changed)


def form_of_kind(kind: OperationKind) -> type[Item]:
    """The form of the operations of a kind."""
    forms: tuple[type[Item], ...] = get_args(get_args(OperationForm)[0])
    return next(one for one in forms if kind in get_args(one.model_fields["kind"].annotation))


class ScenarioForm(Item):
    """Operations by key; the first one starts."""

    name: str = ""
    operations: Annotated[dict[Key, OperationForm], Elsewhere()]

    @model_validator(mode="after")
    def _some(self, info: ValidationInfo) -> Self:
        if not self.operations and not is_present(info):
            raise ValueError("a scenario needs operations; write one at least")
        if len(self.operations) > MAX_OPERATIONS and not is_present(info):
            raise ValueError(
                f"a scenario has at most {MAX_OPERATIONS} operations; move some to another scenario"
            )
        return self


class _TalkOption(Item):
    kind: TalkOptionKind
    name: str = ""

    def default_name(self, key: str) -> str:
        return _OPTION_NAMES[self.kind]


_OPTION_NAMES = {
    TalkOptionKind.FINISH_CONVERSATION: "End the conversation",
    TalkOptionKind.TAG_CALL: "Add a tag",
    TalkOptionKind.RECORD_TALK: "Voice recorder",
    TalkOptionKind.TRANSFER_CALL: "Transfer",
    TalkOptionKind.RUN_SCENARIO: "Run a scenario",
    TalkOptionKind.CALL_COACH: "Call the coach",
    TalkOptionKind.RECEIVE_FAX: "Receive a fax",
    TalkOptionKind.SAVE_NUMA: "Save caller ID to group",
}
"""As ``list.talk_options`` describes them."""


class PlainOptionForm(_TalkOption):
    """Needs no setting."""

    kind: Literal[
        TalkOptionKind.FINISH_CONVERSATION,
        TalkOptionKind.RECORD_TALK,
        TalkOptionKind.CALL_COACH,
        TalkOptionKind.RECEIVE_FAX,
    ]


class TagOptionForm(_TalkOption):
    kind: Literal[TalkOptionKind.TAG_CALL]
    tag: Annotated[Key, Refers("tags", "tag_id")]


class TransferOptionForm(_TalkOption):
    kind: Literal[TalkOptionKind.TRANSFER_CALL]
    employee: Annotated[Key | None, Refers("employees", "employee_id")] = None
    group: Annotated[Key | None, Refers("groups", "group_id")] = None
    number: Phone | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(target is not None for target in (self.employee, self.group, self.number)) != 1:
            raise ValueError("write one of employee, group and number")
        return self


class ScenarioOptionForm(_TalkOption):
    kind: Literal[TalkOptionKind.RUN_SCENARIO]
    scenario: Annotated[Key, Refers("scenarios", "scenario_id")]


class SaveContactOptionForm(_TalkOption):
    kind: Literal[TalkOptionKind.SAVE_NUMA]
    contact_group: Annotated[Key | None, Refers("contact_groups", "contact_group_id")] = None


TalkOptionForm = Annotated[
    PlainOptionForm | TagOptionForm | TransferOptionForm | ScenarioOptionForm | SaveContactOptionForm,
    Field(discriminator="kind"),
]


def _read(context: ReadContext, row: Row) -> Mapping[str, Any]:
    operations = context.parts("operations", "scenario_id", row["scenario_id"])
    return {"operations": {operation["key"]: _operation(context, operation) for operation in operations}}


def _operation(context: ReadContext, row: Row) -> dict[str, Any]:
    """Settings with ids to a form with keys; an id that is gone becomes nothing."""
    form, settings = _with_keys(context, row["settings"], _OPERATION_REFERENCES)
    if message := _media(context, settings.pop("employee_message_media_file_ids", ())):
        form["employee_message"] = {"media": message}
    if said := _media(context, settings.pop("invalid_media_file_ids", ())):
        form["invalid_message"] = {"media": said}
    if "media_file_ids" in settings:
        form["media"] = _media(context, settings.pop("media_file_ids"))
    if "shown_number" in settings:
        form["show_number"] = settings.pop("shown_number")
    if "tag_ids" in settings:
        tags = [context.key("tags", tag_id) for tag_id in settings.pop("tag_ids")]
        form["tags"] = [key for key in tags if key is not None]
    if "branches" in settings:
        form["branches"] = [_branch(context, branch) for branch in settings.pop("branches")]
    return {"kind": row["kind"], "name": row["name"], **form, **settings}


def _branch(context: ReadContext, branch: Mapping[str, Any]) -> dict[str, Any]:
    form = dict(branch)
    if "contact_group_id" in form:
        form["group"] = context.key("contact_groups", form.pop("contact_group_id"))
    if "countries" in form:
        form["places"] = [*form.pop("countries"), *(f"+{prefix}" for prefix in form.pop("prefixes"))]
    return form


def _with_keys(
    context: ReadContext, stored: Mapping[str, Any], references: tuple[tuple[str, str, str], ...]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """References by the names of a file, and the settings that remain."""
    settings = dict(stored)
    form = {
        name: _key_of(context, section, settings.pop(column))
        for column, name, section in references
        if column in settings
    }
    return form, settings


def _key_of(context: ReadContext, section: str, row_id: int | None) -> str | None:
    """The key of what a setting names. What is gone has a key that no item has: the file can be read, and the check of
    its references names the place, while a setting without a value would make the whole directory unreadable."""
    key = context.key(section, row_id)
    return f"removed-{row_id}" if key is None and row_id is not None and section != "media" else key


def _media(context: ReadContext, ids: Any) -> list[str]:
    keys = [context.key("media", each) for each in ids]
    return [key for key in keys if key is not None]


async def _link(context: WriteContext, key: str) -> None:
    item: ScenarioForm = context.item("scenarios", key)
    scenario_id = context.ids["scenarios"][key]
    rows = await context.rows(
        """select operation_id, key from scenario_operations
           where account_id = %(account_id)s and scenario_id = %(scenario_id)s""",
        scenario_id=scenario_id,
    )
    wanted = [
        (
            name,
            {
                "scenario_id": scenario_id,
                "key": name,
                "name": operation.name,
                "kind": operation.kind.value,
                "position": index,
                "settings": Jsonb(_settings(context, operation)),
            },
        )
        for index, (name, operation) in enumerate(item.operations.items())
    ]
    present = {row["key"]: row["operation_id"] for row in rows}
    await context.put_list("scenario_operations", "operation_id", present, wanted)


class _AnyIds(dict[str, int]):
    """Ids by key; what is not there has one that no row has."""

    def __missing__(self, key: str) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class _KnownIds:
    ids: Mapping[str, _AnyIds]

    def id(self, section: str, key: str | None) -> int | None:
        return None if key is None else self.ids[section][key]


def as_operations(scenario: ScenarioForm, ids: Mapping[str, Mapping[str, int]]) -> tuple[Operation, ...]:
    """The operations of a scenario that is not written, as calls have them. Texts are left out.

    :param ids: of what is there, by section and key.
    """
    known: defaultdict[str, _AnyIds] = defaultdict(_AnyIds)
    known |= {section: _AnyIds(of_section) for section, of_section in ids.items()}
    context = _KnownIds(known)
    return tuple(
        Operation(-index, key, one.name or key, one.kind, _settings(context, one))
        for index, (key, one) in enumerate(scenario.operations.items(), 1)
    )


def _settings(context: WriteContext | _KnownIds, operation: OperationForm) -> dict[str, Any]:
    """As :class:`trunkline.directory.model.OperationKind` describes them."""
    fields = operation.model_dump(mode="json", exclude={"kind", "name", "text", "language"})
    for stored, name, section in _OPERATION_REFERENCES:
        if name in fields:
            fields[stored] = context.id(section, fields.pop(name))
    if "tags" in fields:
        fields["tag_ids"] = [context.ids["tags"][key] for key in fields.pop("tags")]
    fields |= _branches(context, fields)
    if "media" in fields:
        fields["media_file_ids"] = [context.ids["media"][key] for key in fields.pop("media")]
    if "invalid_message" in fields:
        said = fields.pop("invalid_message") or {"media": ()}
        fields["invalid_media_file_ids"] = [context.ids["media"][key] for key in said["media"]]
    if "employee_message" in fields:
        message = fields.pop("employee_message") or {"media": ()}
        ids = [context.ids["media"][key] for key in message["media"]]
        fields["employee_message_media_file_ids"] = ids
        fields["shown_number"] = fields.pop("show_number")
    return fields


def _branches(context: WriteContext | _KnownIds, fields: dict[str, Any]) -> dict[str, Any]:
    """The branches of an operation with ids instead of keys, places as countries and prefixes."""
    if "branches" not in fields:
        return {}
    branches: list[dict[str, Any]] = []
    for branch in fields["branches"]:
        made = dict(branch)
        if "group" in made:
            made["contact_group_id"] = context.ids["contact_groups"][made.pop("group")]
        if "places" in made:
            places = made.pop("places")
            made["countries"] = [one for one in places if not one.startswith("+")]
            made["prefixes"] = [one[1:] for one in places if one.startswith("+")]
        branches.append(made)
    return {"branches": branches}


def _read_option(context: ReadContext, row: Row) -> Mapping[str, Any]:
    form, settings = _with_keys(context, row["settings"], _OPTION_REFERENCES)
    return {"kind": row["mnemonic"], "name": row["name"], **form, **settings}


def _option_values(context: WriteContext, key: str) -> Mapping[str, Any]:
    item: TalkOptionForm = context.item("talk_options", key)
    settings = item.model_dump(mode="json", exclude={"kind", "name"})
    for stored, name, section in _OPTION_REFERENCES:
        if name in settings:
            settings[stored] = context.id(section, settings.pop(name))
    if item.kind is TalkOptionKind.TRANSFER_CALL:  # one of three
        settings = {name: value for name, value in settings.items() if value is not None}
    return {"mnemonic": item.kind.value, "name": item.name, "settings": Jsonb(settings)}


_OPERATION_REFERENCES = (
    ("employee_id", "employee", "employees"),
    ("group_id", "group", "groups"),
    ("schedule_id", "schedule", "schedules"),
    ("music_media_file_id", "music", "media"),
    ("scenario_id", "scenario", "scenarios"),
    ("queue_id", "queue", "queues"),
)
"""References of operations: name in stored settings, name in a file, section."""

_OPTION_REFERENCES = (
    ("tag_id", "tag", "tags"),
    ("scenario_id", "scenario", "scenarios"),
    ("employee_id", "employee", "employees"),
    ("group_id", "group", "groups"),
    ("contact_group_id", "contact_group", "contact_groups"),
)
"""References of talk options, in the same form."""

ENTITIES = (
    Entity(
        "scenarios",
        ScenarioForm,
        "scenarios",
        "scenario_id",
        parts={
            "operations": """
                select * from scenario_operations where account_id = %(account_id)s
                order by position, operation_id""",
        },
        read=_read,
        link=_link,
    ),
    Entity(
        "talk_options",
        None,
        "talk_options",
        "talk_option_id",
        key_column="button",
        read=_read_option,
        values=_option_values,
    ),
)
