"""Walks over everything the Data API declares, so that a new method is tried the moment it is declared.

:func:`sample` makes parameters that pass the checks of a declaration; :class:`Walk` sends them and returns the responses.
"""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
from cryptography.fernet import Fernet

from tests.apis.support import ADDRESS, CALLER, SETTINGS, TOKEN, MemoryAccounts, NotedSwitch, mnemonic
from tests.reports.company import OTHER_ACCOUNT
from trunkline.accounts.components import DEFAULT
from trunkline.accounts.permissions import Role
from trunkline.accounts.secrets import Cipher
from trunkline.apis.catalogue import DATA_API
from trunkline.apis.jsonrpc import Field, FieldType, Method, Param, ParamType, Services
from trunkline.apis.jsonrpc.dispatcher import Dispatcher
from trunkline.apis.service.request_log import MemoryRequestLog
from trunkline.db.pool import Database

AGENT = 1003
"""An agent's account: methods for agents are walked as its owner."""

METHODS = [method for method in DATA_API.methods if method.identify is None]
READS = [method for method in METHODS if method.verb in ("get", "getobj")]
LISTS = [method for method in READS if "filter" in {param.name for param in method.params}]
CHANGES = [method for method in METHODS if method not in READS and method.name != "logout.user"]

OWN = {"getobj.call_analysis", "start.virtual_number_verification", "confirm.virtual_number"}
"""Methods that the reference does not have."""

NOWHERE = 999_999_999
"""An id that no row has."""

_KNOWN: Mapping[str, Any] = {
    "access_token": TOKEN,
    "date_from": "2026-03-02 00:00:00",
    "date_till": "2026-03-08 23:59:59",
    "date": "2026-03-02",
    "start_date": "2026-03-02",
    "end_date": "2026-03-08",
}
"""Parameters whose values must fit one another, or the rows that are there."""

_TEXTS = (
    "walker",
    "971500000077",
    "100",
    "1",
    "2026-03-02 10:00:00",
    "2026-03-02",
    "10:00",
    "https://example.com/walker",
    "walker@example.com",
    "example.com",
    "a" * 40,
)
_NUMBERS = (1, 10, 100, 0, 20_260_302)


def names(method: Method) -> set[str]:
    """Names of the parameters on top."""
    return {param.name for param in method.params}


def sample(params: tuple[Param, ...]) -> dict[str, Any]:
    """The least that passes the checks: all required parameters, each with a value that it admits."""
    return {param.name: sample_value(param) for param in params if param.required}


def sample_value(param: Param) -> Any:
    """A value that the parameter's own checks admit."""
    if param.name in _KNOWN:
        return _KNOWN[param.name]
    match param.type:
        case ParamType.BOOLEAN:
            return True
        case ParamType.OBJECT:
            return sample(param.params) or {one.name: sample_value(one) for one in param.params[:1]}
        case ParamType.ARRAY:
            if param.params:
                return [sample(param.params) or {one.name: sample_value(one) for one in param.params[:1]}]
            if param.items is not None:
                item = Param(param.name, param.items, enum=param.enum)
                items = [sample_value(item)] if item.type is not ParamType.STRING else [*item.enum, *_TEXTS]
                return next([one] for one in items if _converts(param, [one]))
            return []
        case ParamType.NUMBER:
            numbers = _NUMBERS if param.minimum is None else (*_NUMBERS, param.minimum)
            return next(one for one in numbers if _admits_number(param, one))
    return next(text for text in (*param.enum, *_TEXTS) if _admits_text(param, text))


def _admits_number(param: Param, number: int) -> bool:
    return (
        (param.minimum is None or number >= param.minimum)
        and (param.maximum is None or number <= param.maximum)
        and _converts(param, number)
    )


def _admits_text(param: Param, text: str) -> bool:
    return (
        (not param.enum or text in param.enum)
        and (param.type is not ParamType.ISO8601 or text.startswith("2026"))
        and (param.minimum is None or len(text) >= param.minimum)
        and (param.maximum is None or len(text) <= param.maximum)
        and (param.pattern is None or re.fullmatch(param.pattern, text) is not None)
        and _converts(param, text)
    )


def _converts(param: Param, value: Any) -> bool:
    return param.convert is None or param.convert(value) is not None


def places(
    params: tuple[Param, ...], prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Param]]:
    """Each parameter with the names on the way to it."""
    for param in params:
        yield (*prefix, param.name), param
        yield from places(param.params, (*prefix, param.name))


def with_value(
    params: tuple[Param, ...], path: tuple[str, ...], value: Any, *, leave_out: bool = False
) -> dict[str, Any]:
    """The least that passes the checks, but for this value (or its absence) at that place."""
    sent = sample(params)
    name, *rest = path
    param = next(one for one in params if one.name == name)
    if not rest:
        if leave_out:
            sent.pop(name, None)
        else:
            sent[name] = value
        return sent
    inner = with_value(param.params, tuple(rest), value, leave_out=leave_out)
    sent[name] = [inner] if param.type is ParamType.ARRAY else inner
    return sent


def wrong_type(param: Param) -> Any:
    """A value of a type that the parameter does not take."""
    return (
        "walker"
        if param.type in (ParamType.NUMBER, ParamType.BOOLEAN, ParamType.ARRAY, ParamType.OBJECT)
        else 7
    )


def operators_of(kind: FieldType, value: Any) -> list[dict[str, Any]]:
    """Every operator that a field of this type takes, with ``value`` (one the field may have)."""
    tests: dict[str, Any] = {"=null": None, "!=null": None, "=": value, "!=": value}
    match kind:
        case FieldType.NUMBER | FieldType.DURATION:
            tests |= {"<": value, ">": value, "<=": value, ">=": value, "in": [value, 0]}
        case FieldType.ISO8601:
            tests |= {"<": value, ">": value, "<=": value, ">=": value}
        case FieldType.STRING:
            tests |= {"like": f"%{str(value)[:20]}%", "regexp": "[a-z]+", "in": [value]}
        case FieldType.ENUM:
            tests |= {"in": [value]}
        case FieldType.ARRAY | FieldType.OBJECT:
            tests |= {"in": [value], "like": "%a%", "regexp": "^a", "jsquery": "#.id = 1 OR # = a"}
    return [
        {"operator": operator} if wanted is None else {"operator": operator, "value": wanted}
        for operator, wanted in tests.items()
    ]


def wire_fields(fields: tuple[Field, ...], prefix: str = "") -> Iterator[tuple[str, Field]]:
    """All fields with the dotted names under which they are served."""
    for one in fields:
        yield prefix + one.name, one
        yield from wire_fields(one.fields, f"{prefix}{one.name}.")


def values_for(field: Field, seen: Any) -> list[Any]:
    """Values to filter with, of which the field takes one: what was seen, or what could be. What a structure is
    compared with, its declaration does not say."""
    if seen is not None and not isinstance(seen, list | dict):
        return [seen]
    first = _value_for(field.type, field.enum)
    return (
        [first, 1, True] if field.type in (FieldType.ARRAY, FieldType.OBJECT, FieldType.STRING) else [first]
    )


def _value_for(kind: FieldType, enum: tuple[str, ...]) -> Any:
    match kind:
        case FieldType.NUMBER | FieldType.DURATION:
            return 1
        case FieldType.BOOLEAN:
            return True
        case FieldType.ISO8601:
            return "2026-03-03 10:00:00"
        case FieldType.ENUM if enum:
            return enum[0]
    return "1"


Filter = tuple[str, Any, Callable[[Any], bool]]
"""Operator, value, and whether a shown value passes."""


def filters_of(field: Field, shown: Sequence[Any]) -> Iterator[Filter]:
    """Filters on a field with values that it has, and what each means, computed in Python from what is shown."""
    values = [value for value in shown if value not in (None, [], {})]
    if field.type in (FieldType.ARRAY, FieldType.OBJECT):
        yield from _jsqueries(values)
        return
    for value in (
        [min(values, key=str), max(values, key=str)][: len({str(one) for one in values})] if values else []
    ):
        yield "=", value, partial(_compared, operator.eq, value)
        yield "!=", value, partial(operator.ne, value)
        if field.type in (FieldType.NUMBER, FieldType.ISO8601):
            yield "<", value, partial(_compared, operator.gt, value)
            yield ">", value, partial(_compared, operator.lt, value)
            yield "<=", value, partial(_compared, operator.ge, value)
            yield ">=", value, partial(_compared, operator.le, value)
        if field.type in (FieldType.NUMBER, FieldType.STRING, FieldType.ENUM):
            yield "in", [value], partial(_compared, operator.eq, value)
        if field.type is FieldType.STRING and "%" not in value and "\\" not in value:
            part = value[:3]
            yield "like", f"%{part}%", partial(_contains, part)
            yield "regexp", re.escape(part), partial(_contains, part)


def _compared(compare: Callable[[Any, Any], bool], value: Any, one: Any) -> bool:
    """Null compares to nothing."""
    return one is not None and compare(value, one)


def _contains(part: str, one: Any) -> bool:
    return one is not None and part in one


def _jsqueries(values: Sequence[Any]) -> Iterator[Filter]:
    """``jsquery`` for each key of objects and elements, with a value that is there."""
    seen: set[tuple[str, str]] = set()
    for value in values:
        prefix = "#" if isinstance(value, list) else ""
        for element in value if isinstance(value, list) else [value]:
            for key, inner in element.items() if isinstance(element, dict) else [("", element)]:
                if isinstance(inner, list | dict) or (prefix, key) in seen or len(str(inner)) > 200:
                    continue
                seen.add((prefix, key))
                path = ".".join(part for part in (prefix, f'"{key}"' if key else "") if part)
                yield "jsquery", f"{path} = {orjson.dumps(inner).decode()}", _has(key, inner)


def _has(key: str, inner: Any) -> Callable[[Any], bool]:
    def holds(one: Any) -> bool:
        elements = one if isinstance(one, list) else [one]
        return any(
            (element.get(key, _MISSING) if isinstance(element, dict) else _MISSING) == inner
            if key
            else element == inner
            for element in elements
        )

    return holds


_MISSING = object()


@dataclass
class Walk:
    """Asks every method as the owner of the company, who has all components; as an agent's owner what is for
    agents only."""

    db: Database | None = None
    """None: for what is refused before a database is asked."""
    accounts: MemoryAccounts = field(default_factory=lambda: MemoryAccounts(minute_limit=10**6))

    def __post_init__(self) -> None:
        every = {component.name for method in METHODS for component in method.components}
        self.accounts.networks |= {OTHER_ACCOUNT: ["127.0.0.0/8"], AGENT: ["127.0.0.0/8"]}
        self.accounts.callers = {
            TOKEN: dataclasses.replace(CALLER, components=DEFAULT | every),
            "stranger": dataclasses.replace(CALLER, components=DEFAULT | every, account_id=OTHER_ACCOUNT),
            "agent": dataclasses.replace(CALLER, components=DEFAULT | every, account_id=AGENT, is_agent=True),
        }
        services = Services(
            self.accounts, NotedSwitch(), SETTINGS, self.db, cipher=Cipher(Fernet.generate_key())
        )
        self._tokens: dict[str, str] = {}
        self._dispatcher = Dispatcher(DATA_API, services, MemoryRequestLog())

    async def ask(self, method: Method, sent: Mapping[str, Any], *, address: str = ADDRESS) -> dict[str, Any]:
        """The whole answer; it never is an ``internal_error``."""
        message = {"jsonrpc": "2.0", "id": 1, "method": method.name, "params": sent}
        answer: dict[str, Any] = orjson.loads(await self._dispatcher.answer(orjson.dumps(message), address))
        assert mnemonic(answer) != "internal_error", (method.name, sent, answer)
        return answer

    async def least(self, method: Method) -> dict[str, Any]:
        """Parameters that pass the checks, with the token of somebody whom the method is for."""
        sent = sample(method.params)
        if method.name not in self._tokens:
            answered = mnemonic(await self.ask(method, sent)) if method in READS else "ok"
            self._tokens[method.name] = "agent" if answered == "forbidden" else TOKEN
        return {**sent, "access_token": self._tokens[method.name]}

    async def fault(self, method: Method, sent: Mapping[str, Any], **more: Any) -> tuple[str, str | None]:
        """Mnemonic and field of the error; ``("ok", None)`` for a success."""
        answer = await self.ask(method, sent, **more)
        return mnemonic(answer), answer.get("error", {}).get("data", {}).get("field")

    def allow(self, **changes: Any) -> None:
        """Change what the usual token stands for."""
        self.accounts.allow(**changes)

    def as_member(self) -> None:
        """From now on the usual token is a member's without any permission."""
        self.allow(role=Role.MEMBER, permissions=frozenset())
