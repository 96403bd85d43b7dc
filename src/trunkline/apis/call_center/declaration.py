"""Declarations of resources: the fields of a record, and the operations on it.

Validation, answers and the OpenAPI document are derived from these.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from trunkline.accounts.permissions import Permission
from trunkline.apis.service.request_context import RequestContext
from trunkline.apis.service.workloads import Workload

SECONDS_MAX = 86_400
INT_MAX = 2**31 - 1
ID_MAX = 2**53 - 1
"""Ids are exact in the numbers of JavaScript."""

TEXT_MAX = 255


class Kind(StrEnum):
    """Type of a field, by its name in JSON Schema."""

    INTEGER = "integer"
    STRING = "string"
    BOOLEAN = "boolean"
    ARRAY = "array"
    OBJECT = "object"
    JSON = "json"
    """An object or an array."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record, or one parameter.

    :ivar required: a new record needs it, and it is never null.
    :ivar read_only: what a client sends there is ignored.
    :ivar write_only: in no answer.
    :ivar minimum, maximum: of a number; of a text, an array or an object: length.
    :ivar items: kind of the items of an array; None: any, which ``check`` restricts.
    :ivar check: returns the value as it is kept; raises ``ValueError`` with what to send.
    :ivar default: of a new record, where it is not null; for the description.
    :ivar may_be_missing: a new record needs it, but records of other APIs may have null.
    """

    name: str
    kind: Kind
    description: str = ""
    required: bool = False
    read_only: bool = False
    write_only: bool = False
    enum: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    items: Kind | None = None
    check: Callable[[Any], Any] | None = None
    default: Any = None
    may_be_missing: bool = False

    @property
    def is_nullable(self) -> bool:
        return self.may_be_missing or (not self.required and self.default is None)


@dataclass(frozen=True, slots=True)
class Body:
    """What a request may send in its body.

    :ivar fields: members of an object, or of a form; those that the query has count, too.
    :ivar partial: what is left out stays as it is, so nothing is required.
    :ivar is_list_allowed: an array of such objects is accepted as well.
    :ivar items: the body is an array of these and no object.
    """

    fields: tuple[Field, ...] = ()
    partial: bool = False
    is_list_allowed: bool = False
    items: Field | None = None


class Data(StrEnum):
    """What ``data`` of an answer is."""

    NOTHING = "nothing"
    RECORD = "record"
    RECORDS = "records"
    MEMBERS = "members"
    """No ``data``: the fields stand beside ``success``."""
    FILE = "file"
    """No JSON: a :class:`FileOfAnswer`."""
    OTHER = "other"
    """As ``schema`` of the answer has it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``data`` of a success.

    :ivar fields: of a record, or of the answer itself.
    :ivar schema: JSON Schema of other data.
    :ivar content_type: of a file.
    :ivar is_record_possible: with some parameters a list is answered as one record.
    """

    data: Data = Data.NOTHING
    fields: tuple[Field, ...] = ()
    schema: Mapping[str, Any] | None = None
    is_record_possible: bool = False
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class FileOfAnswer:
    """What a handler returns for :attr:`Data.FILE`.

    :ivar name: under which a browser saves it.
    """

    path: Path
    content_type: str
    name: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a handler gets: checked values, without those that were not sent.

    :ivar body: of an object its members, else a list.
    """

    path: Mapping[str, Any]
    query: Mapping[str, Any]
    body: Any = None


@dataclass(frozen=True, slots=True)
class Pages:
    """Records that are read page by page while they are sent, so that a long list needs little memory.

    :ivar read: the rows that follow a row; None: the first ones. An empty list ends it.
    :ivar limit: rows in all; None: no limit.
    """

    read: Callable[[Mapping[str, Any] | None, int], Awaitable[list[Mapping[str, Any]]]]
    limit: int | None = None


Handler = Callable[[RequestContext, Arguments], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One HTTP method of one path.

    :ivar path: with ``{name}`` for a value of :attr:`path_fields`; also served with a slash behind it, unless another
        operation has that path.
    :ivar permission: that the user needs; None: every user of the API.
    :ivar is_public: needs no key.
    """

    verb: str
    path: str
    summary: str
    handler: Handler
    permission: Permission | None = None
    path_fields: tuple[Field, ...] = ()
    query: tuple[Field, ...] = ()
    body: Body | None = None
    answer: Answer = Answer()
    workload: Workload = Workload.REPORT
    is_public: bool = False

    @property
    def name(self) -> str:
        """As the request log and the metrics have it."""
        return f"{self.verb} {self.path}"


def integer(name: str, description: str = "", **more: Any) -> Field:
    """A whole number from 0 unless ``minimum`` says otherwise."""
    return Field(name, Kind.INTEGER, description, **{"minimum": 0, "maximum": INT_MAX, **more})


def seconds(name: str, description: str = "", **more: Any) -> Field:
    """Whole seconds, at most a day."""
    return Field(name, Kind.INTEGER, description, **{"minimum": 0, "maximum": SECONDS_MAX, **more})


def identifier(name: str, description: str = "", **more: Any) -> Field:
    """The id of a record."""
    return Field(name, Kind.INTEGER, description, **{"minimum": 0, "maximum": ID_MAX, **more})


def text(name: str, description: str = "", **more: Any) -> Field:
    """A text of at most :data:`TEXT_MAX` characters unless ``maximum`` says otherwise."""
    return Field(name, Kind.STRING, description, **{"maximum": TEXT_MAX, **more})


def boolean(name: str, description: str = "", **more: Any) -> Field:
    return Field(name, Kind.BOOLEAN, description, **more)


def ids(name: str, description: str = "", **more: Any) -> Field:
    """An array of ids, or their list with commas."""
    return Field(name, Kind.ARRAY, description, **{"items": Kind.INTEGER, "maximum": 1000, **more})


def json_object(name: str, description: str = "", **more: Any) -> Field:
    return Field(name, Kind.OBJECT, description, **{"maximum": 500, **more})


def json_value(name: str, description: str = "", **more: Any) -> Field:
    """An object or an array of JSON."""
    return Field(name, Kind.JSON, description, **{"maximum": 500, **more})


ID = identifier("id", "Number of the record.", required=True, read_only=True)
ACCOUNT_ID = identifier("account_id", "Number of the account.", required=True, read_only=True)

LIMIT = Field("limit", Kind.INTEGER, "Records in the answer; without it all.", minimum=1, maximum=INT_MAX)
OFFSET = Field(
    "offset", Kind.INTEGER, "Records that are left out at the beginning.", minimum=0, maximum=INT_MAX
)


def record(*fields: Field) -> Answer:
    return Answer(Data.RECORD, fields)


def records(*fields: Field) -> Answer:
    return Answer(Data.RECORDS, fields)


def members(*fields: Field) -> Answer:
    return Answer(Data.MEMBERS, fields)


def file(content_type: str) -> Answer:
    return Answer(Data.FILE, content_type=content_type)


def other(schema: Mapping[str, Any]) -> Answer:
    return Answer(Data.OTHER, schema=schema)
