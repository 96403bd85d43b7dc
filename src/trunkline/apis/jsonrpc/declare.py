"""How a JSON-RPC method is declared: once, in one place, next to its handler.

From a :class:`Method` come the checks of its parameters (:mod:`.params`), its errors (:mod:`.errors`), its
page in the OpenRPC document (:mod:`.openrpc`) and its line in ``trunkline contract``. A declaration::

    METHOD = Method(
        api=Api.CALL,
        name="release.call",
        summary="Ends a call session.",
        params=(ACCESS_TOKEN, Param("call_session_id", ParamType.NUMBER, required=True)),
        result=(Field("success", FieldType.STRING),),
        envelope=Envelope.DATA_OBJECT,
        components=(Component("call_api_base", "Call API Basic set"),),
        errors=(CALL_SESSION_NOT_FOUND,),
        handler=release_call,
    )

and its handler::

    async def release_call(request: RequestContext, params: Params) -> Result: ...

``params`` holds only declared parameters, each of its declared type (``"1"`` has become ``1``), without
``access_token``; optional ones that were not sent (or sent as ``null``) are absent unless they have a
default.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trunkline.apis.service.request_context import Api, Identity, RequestContext, Result, Services
from trunkline.apis.service.workloads import Workload

Params = Mapping[str, Any]
Handler = Callable[[RequestContext, Params], Awaitable[Result]]
Identify = Callable[[Services, Api, Params, str], Awaitable[Identity]]
"""From services, API, checked parameters and the client's address to the caller."""


class ParamType(StrEnum):
    """The type of a parameter. ``NUMBER`` is whole unless :attr:`Param.fractional`; its numeric string
    will do."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ENUM = "enum"
    ISO8601 = "iso8601"
    ARRAY = "array"
    OBJECT = "object"


class FieldType(StrEnum):
    """What a field of a result is, in the words of the reference."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ENUM = "enum"
    ISO8601 = "iso8601"
    DURATION = "duration"
    ARRAY = "array"
    OBJECT = "object"


class Envelope(StrEnum):
    """Where a result carries its fields (the reference differs from method to method)."""

    DATA_ARRAY = "result.data is array"
    DATA_OBJECT = "result.data is object"
    DIRECT = "fields directly in result"
    EMPTY = "result is empty object"
    ARRAY = "result is array"


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter.

    :param enum: the values allowed (``STRING``, ``ENUM``, or the items of an ``ARRAY`` of them).
    :param params: what an ``OBJECT``, or each object of an ``ARRAY``, holds; empty = anything (``filter``).
    :param items: type of the items of an ``ARRAY`` without ``params``; None = anything.
    :param nullable: ``null`` is a separate value (update methods: "reset"); else ``null`` means "not sent".
    :param minimum: smallest number, or shortest text.
    :param maximum: largest number, longest text, or most items.
    :param pattern: regular expression that the whole text must match, else ``invalid_parameter_value``.
    :param convert: last step: returns the value that the handler gets; None = ``invalid_parameter_value``.
    :param secret: neither returned in an error nor written to the request log.
    :param shape: the usual members of an ``OBJECT``, documented but not checked here (a filter has two forms).
    :param contract_type: its type in the reference, where that calls a number a string.
    :param blank: may be empty text though it is required.
    :param unless: names of other parameters: required only if none of them is sent.
    """

    name: str
    type: ParamType
    required: bool = False
    enum: tuple[str, ...] = ()
    params: tuple[Param, ...] = ()
    items: ParamType | None = None
    nullable: bool = False
    fractional: bool = False
    minimum: int | None = None
    maximum: int | None = None
    pattern: str | None = None
    convert: Callable[[Any], Any | None] | None = None
    default: Any = None
    secret: bool = False
    description: str = ""
    shape: tuple[Param, ...] = ()
    contract_type: ParamType | None = None
    contract_name: str | None = None
    unless: tuple[str, ...] = ()
    blank: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a result.

    :param fields: what an ``OBJECT``, or each object of an ``ARRAY``, holds.
    :param filterable: permitted in ``filter``.
    :param sortable: permitted in ``sort``.
    :param default: returned when ``fields`` is not sent.
    :param contract_name: its dotted name in the reference, where that table misplaces it.
    :param contract_type: its type in the reference, where that table misprints it.
    """

    name: str
    type: FieldType
    fields: tuple[Field, ...] = ()
    enum: tuple[str, ...] = ()
    filterable: bool = False
    sortable: bool = False
    default: bool = True
    contract_name: str | None = None
    contract_type: FieldType | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """An error as the reference prints it. ``message`` may hold ``{name}`` places, filled from the error's
    params."""

    code: int
    mnemonic: str
    message: str


@dataclass(frozen=True, slots=True)
class Component:
    """A feature switch of an account: its name in the database and the one shown to people."""

    name: str
    title: str


@dataclass(frozen=True, slots=True)
class Form:
    """A further form of the parameters, accepted in addition to the reference's own.

    :param applies: whether a request (parameters as sent) uses this form.
    :param params: what this form takes, in place of the method's own parameters.
    :param rewrite: turns checked parameters of this form into those of the method.
    :param fields: dotted names of the method's parameters to those of this form, where they differ: errors
        name what the client sent.
    """

    description: str
    applies: Callable[[Params], bool]
    params: tuple[Param, ...]
    rewrite: Callable[[Params], Params]
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Method:
    """One method of one API: everything known about it.

    :param components: the account must have one of them; empty = no component needed.
    :param permissions: the user must have all of them, as (resource, action).
    :param errors: those printed on the method's own page; they go before the common ones of the same
        mnemonic.
    :param weight: points a success costs unless the account has its own weight for the method.
    :param identify: for methods without ``access_token``: returns the caller from the parameters.
    :param takes_idempotency_key: a request repeated with the same ``Idempotency-Key`` header is answered, not
        done again; the handler gets the key.
    :param complete: fill fields the handler left out with null, [] or {} (not for methods with ``fields``).
    """

    api: Api
    name: str
    summary: str
    params: tuple[Param, ...]
    result: tuple[Field, ...]
    envelope: Envelope
    handler: Handler
    components: tuple[Component, ...] = ()
    permissions: tuple[tuple[str, str], ...] = ()
    errors: tuple[ErrorSpec, ...] = ()
    weight: int = 1
    identify: Identify | None = None
    forms: tuple[Form, ...] = ()
    takes_idempotency_key: bool = False
    complete: bool = False

    @property
    def verb(self) -> str:
        """``get`` of ``get.calls_report``: names the list of errors common to its kind."""
        return self.name.partition(".")[0]

    @property
    def workload(self) -> Workload:
        """The class of the request, which determines its connections and its limit."""
        if self.api is Api.CALL or self.verb in ("login", "logout"):
            return Workload.COMMAND
        if self.verb in ("get", "getobj"):
            return Workload.REPORT
        return Workload.UPLOAD if self.verb == "upload" else Workload.CHANGE

    @property
    def only_reads(self) -> bool:
        """Whether it changes nothing, so that it may run before the request is permitted."""
        return self.workload is Workload.REPORT

    @property
    def answers_id_twice(self) -> bool:
        """Whether ``id`` is both in ``result`` and in ``result.data``: pages of create methods differ in its place."""
        return self.verb == "create" and any(one.name == "id" for one in self.result)

    def form_of(self, sent: Params) -> Form | None:
        """The looser form that a request (parameters as sent) uses; None for the method's own."""
        return next((form for form in self.forms if form.applies(sent)), None)

    def declares_error(self, mnemonic: str) -> bool:
        return any(error.mnemonic == mnemonic for error in self.errors)


ACCESS_TOKEN = Param(
    "access_token", ParamType.STRING, required=True, secret=True, description="Session key or API key."
)

USER_ID = Param(
    "user_id", ParamType.NUMBER, description="User of the client on whose behalf an agent asks (agents only)."
)

_FILTERS = Param(
    "filters",
    ParamType.ARRAY,
    required=True,
    shape=(
        Param("field", ParamType.STRING),
        Param("operator", ParamType.ENUM),
        Param("value", ParamType.STRING),
    ),
)
"""Of a tree; a single filter is the innermost object by itself."""

GET_PARAMS = (
    Param("limit", ParamType.NUMBER, description="Rows to return: 1000 by default, at most 10000."),
    Param("offset", ParamType.NUMBER, description="Rows to skip: 0 by default, at most 100000."),
    Param("filter", ParamType.OBJECT, description="A filter, or a tree of filters.", shape=(_FILTERS,)),
    Param("fields", ParamType.ARRAY, items=ParamType.STRING, description="Fields to return."),
    Param("sort", ParamType.ARRAY, description="[{field, order}], order asc or desc."),
)
"""``limit``, ``offset``, ``filter``, ``fields``, ``sort``: passed on as sent once their JSON type is
right; the query language (:mod:`trunkline.db.query`) checks what is inside."""


def walk_fields(fields: tuple[Field, ...], prefix: str = "") -> Iterator[tuple[str, Field]]:
    """All fields with their dotted names (``legs.leg_id``), parents first."""
    for one in fields:
        yield one.contract_name or prefix + one.name, one
        yield from walk_fields(one.fields, f"{prefix}{one.name}.")


def walk_params(params: tuple[Param, ...], prefix: str = "") -> Iterator[tuple[str, Param]]:
    """All parameters with their dotted names (``employee.id``), parents first."""
    for param in params:
        yield param.contract_name or prefix + param.name, param
        yield from walk_params(param.params or param.shape, f"{prefix}{param.name}.")
