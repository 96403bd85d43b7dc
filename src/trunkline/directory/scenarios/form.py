"""The form of what happens to a call, in a directory file: scenarios of operations, and the keys of a talk."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from trunkline.directory.forms.fields import (
    CallerPattern,
    DialTime,
    Item,
    Key,
    MenuKeys,
    OutsidePhone,
    Phone,
    PhoneKey,
    Place,
    distinct,
    shorthand,
)
from trunkline.directory.model import (
    HangupCause,
    OperationKind,
    ShownNumber,
    Strategy,
    TalkOptionKind,
    UsualEmployee,
)


class _Operation(Item):
    kind: OperationKind
    name: str = ""


class _Says(Item):
    """An announcement: media files one after another, or a text."""

    media: tuple[Key, ...] = ()
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
    music: Key | None = None
    employee_message: Annotated[EmployeeMessageForm | None, shorthand("text")] = None
    show_number: ShownNumber = ShownNumber.CONTACT
    """Which number the employee sees."""
    next: Key | None = None


class GreetingForm(_Operation, _Says):
    next: Key | None = None
    kind: Literal[OperationKind.GREETING]

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.text is None and not self.media:
            raise ValueError("a greeting needs text or media")
        return self


class ForwardEmployeeForm(_Forward):
    kind: Literal[OperationKind.FORWARD_EMPLOYEE]
    employee: Key
    ring_seconds: DialTime | None = None


class ForwardGroupForm(_Forward):
    kind: Literal[OperationKind.FORWARD_GROUP]
    group: Key
    strategy: Strategy | None = None
    ring_seconds: DialTime = 30


class ForwardNumberForm(_Operation):
    """An outside number of no employee: called by the trunk of the number that the call came to."""

    kind: Literal[OperationKind.FORWARD_NUMBER]
    number: OutsidePhone
    ring_seconds: DialTime = 60
    channels: Annotated[int, Field(ge=1, le=150)] | None = None
    """Concurrent calls; none: no limit."""
    music: Key | None = None
    next: Key | None = None


class ScheduleBranchForm(_Operation):
    kind: Literal[OperationKind.SCHEDULE]
    schedule: Key
    open: Key | None = None
    closed: Key | None = None


class VoicemailForm(_Operation, _Says):
    next: Key | None = None
    kind: Literal[OperationKind.VOICEMAIL]
    max_seconds: Annotated[int, Field(ge=1, le=3600)] = 120
    silence_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    employee: Key | None = None
    group: Key | None = None


class HangupForm(_Operation):
    kind: Literal[OperationKind.HANGUP]
    cause: HangupCause | None = None


class AnnouncementForm(_Operation, _Says):
    """Like a greeting, but it may be repeated, and skipped with a key."""

    kind: Literal[OperationKind.ANNOUNCEMENT]
    repeats: Annotated[int, Field(ge=1, le=20)] = 1
    skip_key: PhoneKey | None = None
    next: Key | None = None

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
    next: Key | None = None

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
    invalid: Key | None = None
    timeout: Key | None = None


class MenuForm(_Asks):
    kind: Literal[OperationKind.MENU]
    keys: Annotated[dict[MenuKeys, Key | None], Field(default_factory=dict, max_length=100)]
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
    tags: Annotated[tuple[Key, ...], Field(min_length=1, max_length=20), AfterValidator(distinct)]
    next: Key | None = None


class ShareForm(Item):
    percent: Annotated[int, Field(ge=0, le=100)]
    next: Key | None = None


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
    group: Key
    next: Key | None = None


class ContactGroupForm(_Operation):
    """The first group that the caller is in."""

    kind: Literal[OperationKind.CONTACT_GROUP]
    branches: Annotated[tuple[ContactGroupBranchForm, ...], Field(min_length=1, max_length=50)]
    otherwise: Key | None = None


class PlacesForm(Item):
    places: Annotated[tuple[Place, ...], Field(min_length=1, max_length=300), AfterValidator(distinct)]
    """Countries (``AE``) and beginnings of numbers (``+9714``)."""
    next: Key | None = None


class RegionForm(_Operation):
    """Where the caller's number belongs to."""

    kind: Literal[OperationKind.REGION]
    branches: Annotated[tuple[PlacesForm, ...], Field(min_length=1, max_length=50)]
    otherwise: Key | None = None


class CallerListForm(_Operation):
    kind: Literal[OperationKind.CALLER_LIST]
    numbers: Annotated[tuple[CallerPattern, ...], Field(max_length=10_000), AfterValidator(distinct)]
    listed: Key | None = None
    otherwise: Key | None = None


class ForwardUsualForm(_Forward):
    kind: Literal[OperationKind.FORWARD_USUAL]
    choose: UsualEmployee = UsualEmployee.MANAGER_THEN_LAST
    ring_seconds: DialTime | None = None


class RunScenarioForm(_Operation):
    """Another scenario; ``next`` follows when that has ended without hanging up."""

    kind: Literal[OperationKind.RUN_SCENARIO]
    scenario: Key
    next: Key | None = None


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
    | SplitForm
    | ContactGroupForm
    | RegionForm
    | CallerListForm
    | ForwardUsualForm
    | RunScenarioForm,
    Field(discriminator="kind"),
]


def branches_of(operation: OperationForm) -> dict[str, str | None]:
    """Where an operation may lead: the place in the file (``next``, ``branches[0].next``) to a key of an operation."""
    found = {
        name: getattr(operation, name)
        for name in ("next", "open", "closed", "listed", "otherwise", "invalid", "timeout")
        if hasattr(operation, name)
    }
    for index, branch in enumerate(getattr(operation, "branches", ())):
        found[f"branches[{index}].next"] = branch.next
    if isinstance(operation, MenuForm):
        found |= {f"keys.{pressed}": key for pressed, key in operation.keys.items()}
        found |= {"digits.next": operation.digits.next} if operation.digits is not None else {}
    return found


class ScenarioForm(Item):
    """Operations by key; the first one starts."""

    name: str = ""
    operations: Annotated[dict[Key, OperationForm], Field(min_length=1)]


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
    tag: Key


class TransferOptionForm(_TalkOption):
    kind: Literal[TalkOptionKind.TRANSFER_CALL]
    employee: Key | None = None
    group: Key | None = None
    number: Phone | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(target is not None for target in (self.employee, self.group, self.number)) != 1:
            raise ValueError("write one of employee, group and number")
        return self


class ScenarioOptionForm(_TalkOption):
    kind: Literal[TalkOptionKind.RUN_SCENARIO]
    scenario: Key


class SaveContactOptionForm(_TalkOption):
    kind: Literal[TalkOptionKind.SAVE_NUMA]
    contact_group: Key | None = None


TalkOptionForm = Annotated[
    PlainOptionForm | TagOptionForm | TransferOptionForm | ScenarioOptionForm | SaveContactOptionForm,
    Field(discriminator="kind"),
]
