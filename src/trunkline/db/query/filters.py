"""Filter trees as a client sends them, read into :class:`Condition` and :class:`Group`.

A condition is ``{"field", "operator", "value"}``; a group ``{"filters": [...], "condition": "and"|"or"}``
(``and`` when absent). An empty object or an empty ``filters`` filters nothing. Null is asked for with the
operators ``=null`` and ``!=null``, or with ``=`` and ``!=`` and a value that is null or absent. Of empty
values only ``[]`` and ``{}`` count as null: that is how the null of arrays and objects is shown.

``!=`` is true for rows where the field is null. ``like`` has one wildcard, ``%`` (``\\%`` is a percent
sign). A ``regexp`` is a pattern of :mod:`trunkline.core.patterns`; it never reaches the database. Arrays and objects
take ``jsquery`` and, for convenience, ``=``, ``!=``, ``in``, ``like``, ``regexp`` with a scalar: true when an element
(``!=``: no element) is it, or has it as its id or name.

Errors (``field`` is a dotted path such as ``filter.filters.0.value``): ``unexpected_parameters`` for a key or
a field that does not exist, ``filter_prohibited`` for a field that cannot be filtered,
``required_parameter_missed``, ``data_type_error``, ``invalid_parameter_value``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from trunkline.core.errors import InvalidInput
from trunkline.core.patterns import LENGTH_MAX, Pattern, PatternError, compile_pattern
from trunkline.core.storable_text import is_storable
from trunkline.db.query import jsquery
from trunkline.db.query.close_names import NAME_LENGTH, field_remedy, shown_names
from trunkline.db.query.columns import Column, ColumnType, Listing
from trunkline.db.query.moments import FORMATS, Moment, parse_moment

MAX_DEPTH = 16
MAX_CONDITIONS = 200
MAX_LIST = 1000
"""Values of one ``in``."""
MAX_TEXT = 1000
"""Characters of a text value."""
MAX_NODES = 1000
"""Objects of one filter: conditions and groups, empty ones too."""
MAX_WILDCARDS = 20
"""Wildcards of one ``like``."""
MAX_PATTERNS = 5
"""Conditions with ``regexp`` in one filter: each reads the values of its field."""
MAX_JSQUERIES = 20
"""Conditions with ``jsquery`` in one filter."""


class Operator(StrEnum):
    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    GREATER = ">"
    LESS_EQUAL = "<="
    GREATER_EQUAL = ">="
    LIKE = "like"
    REGEXP = "regexp"
    JSQUERY = "jsquery"
    IN = "in"
    IS_NULL = "=null"
    IS_NOT_NULL = "!=null"


_EQUALITY = frozenset({Operator.EQUAL, Operator.NOT_EQUAL, Operator.IS_NULL, Operator.IS_NOT_NULL})
_ORDER = frozenset({Operator.LESS, Operator.GREATER, Operator.LESS_EQUAL, Operator.GREATER_EQUAL})
_TEXT = frozenset({Operator.LIKE, Operator.REGEXP})
_STRUCTURE = _EQUALITY | _TEXT | {Operator.IN, Operator.JSQUERY}

OPERATORS: Mapping[ColumnType, frozenset[Operator]] = {
    ColumnType.NUMBER: _EQUALITY | _ORDER | {Operator.IN},
    ColumnType.DURATION: _EQUALITY | _ORDER | {Operator.IN},
    ColumnType.STRING: _EQUALITY | _TEXT | {Operator.IN},
    ColumnType.BOOLEAN: _EQUALITY,
    ColumnType.ENUM: _EQUALITY | {Operator.IN},
    ColumnType.ISO8601: _EQUALITY | _ORDER,
    ColumnType.ARRAY: _STRUCTURE,
    ColumnType.OBJECT: _STRUCTURE,
}

Scalar = str | bool | int | Decimal
Value = Scalar | Moment | Pattern | jsquery.Query | tuple[Scalar, ...] | None


@dataclass(frozen=True, slots=True)
class Condition:
    """``value`` by operator: None for the null tests, a tuple for ``in``, a parsed query for ``jsquery``, a compiled
    pattern for ``regexp``, a :class:`Moment` for times, else a scalar of the column's type."""

    column: Column
    operator: Operator
    value: Value = None


@dataclass(frozen=True, slots=True)
class Group:
    any: bool
    """True: one of the parts (``or``); False: all of them (``and``)."""
    parts: tuple[Condition | Group, ...]


Node = Condition | Group


def parse_filter(raw: Any, listing: Listing, zone: ZoneInfo) -> Node | None:
    """Read a client's filter; None when it filters nothing. ``zone``: the account's, for times."""
    return _Reader(listing, zone).node(raw, "filter", 1)


class _Reader:
    def __init__(self, listing: Listing, zone: ZoneInfo) -> None:
        self._listing = listing
        self._zone = zone
        self._conditions = 0
        self._nodes = 0
        self._costly: Counter[Operator] = Counter()

    def node(self, raw: Any, path: str, depth: int) -> Node | None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            _invalid(f"a filter has more than {MAX_NODES} objects; use 'in'", "filter", None)
        if not isinstance(raw, Mapping):
            _wrong_type("a filter is an object", path, raw)
        if not raw:
            return None
        if depth > MAX_DEPTH:
            _invalid(f"filters are nested deeper than {MAX_DEPTH} levels; flatten them", path, None)
        if "filters" in raw or "condition" in raw:
            return self._group(raw, path, depth)
        return self._condition(raw, path)

    def _group(self, raw: Mapping[str, Any], path: str, depth: int) -> Node | None:
        _only_keys(raw, ("filters", "condition"), path)
        condition = raw.get("condition", "and")
        if not isinstance(condition, str):
            _wrong_type("a condition is a string", f"{path}.condition", condition)
        if condition.lower() not in ("and", "or"):
            _invalid("a condition is 'and' or 'or'", f"{path}.condition", condition)
        filters = raw.get("filters", [])
        if not isinstance(filters, list):
            _wrong_type("filters is an array", f"{path}.filters", filters)
        parts = [self.node(part, f"{path}.filters.{i}", depth + 1) for i, part in enumerate(filters)]
        kept = tuple(part for part in parts if part is not None)
        return Group(condition.lower() == "or", kept) if kept else None

    def _condition(self, raw: Mapping[str, Any], path: str) -> Condition:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            _invalid(f"a filter has more than {MAX_CONDITIONS} conditions; use 'in'", "filter", None)
        _only_keys(raw, ("field", "operator", "value"), path)
        for key in ("field", "operator"):
            if key not in raw:
                raise InvalidInput(
                    f"a condition needs '{key}'", mnemonic="required_parameter_missed", field=f"{path}.{key}"
                )
            if not isinstance(raw[key], str):
                _wrong_type(f"'{key}' is a string", f"{path}.{key}", raw[key])
        asked = _known(self._listing, raw["field"], f"{path}.field")
        if not asked.filterable:
            raise InvalidInput(
                f"'{asked.name}' cannot be filtered by. {field_remedy((), _filterable(self._listing), 'Fields of filters')}",
                mnemonic="filter_prohibited",
                field=f"{path}.field",
                value=asked.name,
            )
        operator = self._operator(raw, asked, path)
        self._count(operator)
        other = asked.filter_as
        column = other if other is not None and operator in OPERATORS[other.type] else asked
        column = _compared(column, operator)
        if operator in (Operator.IS_NULL, Operator.IS_NOT_NULL):
            return Condition(column, operator)
        return Condition(column, operator, self._value(raw.get("value"), column, operator, f"{path}.value"))

    def _count(self, operator: Operator) -> None:
        self._costly[operator] += 1
        most = {Operator.REGEXP: MAX_PATTERNS, Operator.JSQUERY: MAX_JSQUERIES}.get(operator)
        if most is not None and self._costly[operator] > most:
            _invalid(f"a filter has at most {most} conditions with '{operator}'", "filter", None)

    def _operator(self, raw: Mapping[str, Any], column: Column, path: str) -> Operator:
        text = raw["operator"].strip().lower()
        try:
            operator = Operator(text)
        except ValueError:
            _invalid("the operator is one of " + " ".join(Operator), f"{path}.operator", raw["operator"])
        if operator not in OPERATORS[column.type]:
            usable = " ".join(one for one in Operator if one in OPERATORS[column.type])
            _invalid(f"a field of type {column.type} takes {usable}", f"{path}.operator", raw["operator"])
        if raw.get("value") is None:
            if operator is Operator.EQUAL:
                return Operator.IS_NULL
            if operator is Operator.NOT_EQUAL:
                return Operator.IS_NOT_NULL
        elif operator in (Operator.IS_NULL, Operator.IS_NOT_NULL):
            _invalid(f"'{operator}' takes no value", f"{path}.value", raw["value"])
        return operator

    def _value(self, raw: Any, column: Column, operator: Operator, path: str) -> Value:
        if raw is None:
            _invalid(f"'{operator}' needs a value; null is asked for with =null", path, raw)
        if operator is Operator.IN:
            if not isinstance(raw, list):
                _wrong_type("'in' takes an array", path, raw)
            if len(raw) > MAX_LIST:
                _invalid(f"'in' takes at most {MAX_LIST} values", path, None)
            return tuple(self._scalar(one, column, path) for one in raw)
        if operator is Operator.LIKE:
            return _like(raw, path)
        if operator is Operator.REGEXP:
            return _regexp(raw, path)
        if operator is Operator.JSQUERY:
            return _jsquery(raw, path)
        if column.type is ColumnType.ISO8601:
            is_day = column.is_date and isinstance(raw, str) and _DATE.match(raw)
            return self._moment(f"{raw} 00:00:00" if is_day else raw, path)
        return self._scalar(raw, column, path)

    def _moment(self, raw: Any, path: str) -> Moment:
        if not isinstance(raw, str):
            _wrong_type(f"a time is a string: {FORMATS}", path, raw)
        try:
            return parse_moment(raw, self._zone)
        except ValueError as error:
            _invalid(f"not a time: {error}", path, raw)

    def _scalar(self, raw: Any, column: Column, path: str) -> Scalar:
        match column.type:
            case ColumnType.NUMBER:
                return _number(raw, path)
            case ColumnType.DURATION:
                return _seconds(raw, path)
            case ColumnType.BOOLEAN:
                return _boolean(raw, path)
            case ColumnType.ENUM:
                text = _text(raw, path)
                if column.enum and text not in column.enum:
                    _invalid("the value is one of " + ", ".join(column.enum), path, raw)
                return text
            case ColumnType.STRING:
                return _text(raw, path)
            case _:
                return _element(raw, path)


def known_column(listing: Listing, name: Any, path: str) -> Column:
    """The column of that name; ``unexpected_parameters`` when the list has no such field."""
    if not isinstance(name, str):
        _wrong_type("a field's name is a string", path, name)
    return _known(listing, name, path)


def _known(listing: Listing, name: str, path: str) -> Column:
    column = listing.searchable.get(name)
    if column is None:
        raise InvalidInput(
            f"There is no field '{name[:100]}' here. {field_remedy([name], listing.searchable)}",
            mnemonic="unexpected_parameters",
            field=path,
            value=name[:NAME_LENGTH],
            params={"parameters": shown_names([name])},
        )
    return column


def _filterable(listing: Listing) -> list[str]:
    return [name for name, column in listing.searchable.items() if column.filterable]


def _only_keys(raw: Mapping[str, Any], allowed: tuple[str, ...], path: str) -> None:
    unknown_keys = [key for key in raw if key not in allowed]
    if unknown_keys:
        raise InvalidInput(
            f"only {', '.join(allowed)} are allowed here",
            mnemonic="unexpected_parameters",
            field=f"{path}.{unknown_keys[0][:NAME_LENGTH]}",
            params={"parameters": [f"{path}.{key}" for key in shown_names(unknown_keys)]},
        )


def _compared(column: Column, operator: Operator) -> Column:
    """What the condition is applied to: the plain form of the column where that takes the operator. Whether a structure
    is empty, and its values by path, can only be found in the structure itself."""
    plain = column.plain
    if plain is None or operator not in OPERATORS[plain.type]:
        return column
    if plain.type.is_structure and operator in (Operator.JSQUERY, Operator.IS_NULL, Operator.IS_NOT_NULL):
        return column
    return plain


_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?\Z", re.ASCII)


def _number(raw: Any, path: str) -> int | Decimal:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        _wrong_type("a number is expected", path, raw)
    if isinstance(raw, str):
        if not _NUMBER.match(raw.strip()):
            _wrong_type("a number is expected", path, raw)
        number = Decimal(raw.strip())
    else:
        number = Decimal(str(raw))
    if not number.is_finite() or abs(number) > Decimal(10) ** 40:
        _invalid("a finite number below 1e40 is expected", path, raw)
    # Whole numbers stay integers: a numeric parameter compared with a bigint column would not use its index.
    return int(number) if number == number.to_integral_value() else number


_CLOCK = re.compile(r"(\d{2,9}):([0-5]\d):([0-5]\d)\Z", re.ASCII)


def _seconds(raw: Any, path: str) -> int | Decimal:
    """A duration: seconds, or ``hh:mm:ss`` as it is shown."""
    found = _CLOCK.match(raw) if isinstance(raw, str) else None
    if found is None:
        return _number(raw, path)
    hours, minutes, seconds = (int(part) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


def _boolean(raw: Any, path: str) -> bool:
    if raw in ("true", "false"):
        return bool(raw == "true")
    if not isinstance(raw, bool):
        _wrong_type("true or false is expected", path, raw)
    return raw


def _text(raw: Any, path: str) -> str:
    if not isinstance(raw, str):
        _wrong_type("a string is expected", path, raw)
    if len(raw) > MAX_TEXT:
        _invalid(f"a text has at most {MAX_TEXT} characters here", path, None)
    if not is_storable(raw):
        _invalid("a text cannot contain the character U+0000 or half of a surrogate pair", path, None)
    return raw


def _element(raw: Any, path: str) -> Scalar:
    if isinstance(raw, str):
        return _text(raw, path)
    if not isinstance(raw, int | float):
        _wrong_type("a string, a number or a boolean is expected; for structures use jsquery", path, raw)
    return raw if isinstance(raw, bool) else _number(raw, path)


_WILDCARDS = re.compile(r"(?<!\\)%+")


def _like(raw: Any, path: str) -> str:
    text = _text(raw, path)
    if len(_WILDCARDS.findall(text)) > MAX_WILDCARDS:
        _invalid(f"'like' takes at most {MAX_WILDCARDS} wildcards", path, None)
    return text


def _regexp(raw: Any, path: str) -> Pattern:
    text = _text(raw, path)
    try:
        return compile_pattern(text)
    except PatternError as error:
        _invalid(f"not a regexp: {error}", path, raw if len(text) <= LENGTH_MAX else None)


def _jsquery(raw: Any, path: str) -> jsquery.Query:
    try:
        return jsquery.parse(_text(raw, path))
    except jsquery.JsqueryError as error:
        _invalid(f"not a jsquery: {error}", path, raw)


def _wrong_type(message: str, path: str, value: Any) -> NoReturn:
    raise InvalidInput(message, mnemonic="data_type_error", field=path, value=value)


def _invalid(message: str, path: str, value: Any) -> NoReturn:
    raise InvalidInput(message, mnemonic="invalid_parameter_value", field=path, value=value)
