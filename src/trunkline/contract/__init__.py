"""What the APIs we are compatible with promise, as data: parameters, fields and errors of every method.

``contract.facts.json`` is a list of ``{"api", "version", "method", "page", "envelope", "params": [{"name",
"type", "required", "enum"}], "result": [{"name", "type", "filterable", "sortable", "default_response",
"enum"}], "errors": [{"code", "mnemonic"}]}``; names are dotted. ``common_errors.json`` is ``{api: {list:
[{"code", "mnemonic", "message"}]}}``.

Declarations derive from it: the columns of lists by :mod:`.columns`, parameters and results of methods by
:mod:`trunkline.apis.jsonrpc.derive`. Where a declaration differs from the reference, it names the parameter or field and
the difference. :mod:`trunkline.apis.contract_coverage` compares what is declared with the facts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

KINDS: Mapping[str, str] = {
    "text": "string",
    "numeric": "number",
    "integer": "number",
    "date": "iso8601",
    "array of string": "array",
}
"""Words of the reference for a type, and the usual word."""

_LITERAL = re.compile(r"[\w.]*[^\W\d_][\w.]*\Z")


@dataclass(frozen=True)
class Fact:
    """One parameter or field of a method.

    :ivar name: without the names of what holds it.
    :ivar type: in the usual words of the reference; what is no type is kept as it is.
    :ivar required: None where the page does not name it.
    :ivar is_default: returned when the request names no fields; true for all fields of a page without that column.
    :ivar enum: values; () where the page has none, or describes characters instead.
    :ivar inner: what it holds.
    """

    name: str
    type: str
    required: bool | None = None
    filterable: bool = False
    sortable: bool = False
    is_default: bool = True
    enum: tuple[str, ...] = ()
    inner: tuple[Fact, ...] = ()


@cache
def load_facts() -> list[dict[str, Any]]:
    """All method pages of the reference, in its order; a name may be on two pages."""
    facts: list[dict[str, Any]] = json.loads((files(__package__) / "contract.facts.json").read_bytes())
    return facts


@cache
def load_common_errors() -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The lists of errors shared by methods, by API and list."""
    lists: dict[str, dict[str, list[dict[str, Any]]]] = json.loads(
        (files(__package__) / "common_errors.json").read_bytes()
    )
    return lists


@cache
def _pages() -> Mapping[tuple[str, str], list[dict[str, Any]]]:
    pages: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for page in load_facts():
        pages.setdefault((page["api"], page["method"]), []).append(page)
    return pages


def pages_of(api: str, method: str) -> list[dict[str, Any]]:
    """The pages of a method; none for a method that the reference does not have."""
    return _pages().get((api, method), [])


@cache
def params_of(api: str, method: str) -> tuple[Fact, ...]:
    """The parameters of a method, in the order of its page."""
    return _tree(row for page in pages_of(api, method) for row in page["params"])


@cache
def fields_of(api: str, method: str) -> tuple[Fact, ...]:
    """The fields of a method's result, in the order of its page; of two pages, what either has."""
    return _tree(row for page in pages_of(api, method) for row in page["result"])


def envelope_of(api: str, method: str) -> str | None:
    """Where the result has its fields, in the words of the facts; None where the page does not name it."""
    return next((page["envelope"] for page in pages_of(api, method) if page["envelope"]), None)


def _tree(rows: Iterable[Mapping[str, Any]]) -> tuple[Fact, ...]:
    merged: dict[str, dict[str, Any]] = {}
    for row in rows:
        known = merged.setdefault(row["name"], {})
        # Of two pages of one method, the newer one comes second.
        merged[row["name"]] = {**known, **{name: value for name, value in row.items() if value is not None}}
    has_defaults = any("default_response" in row for row in merged.values())
    return _level(merged, "", has_defaults)


def _level(rows: Mapping[str, Mapping[str, Any]], prefix: str, has_defaults: bool) -> tuple[Fact, ...]:
    return tuple(
        Fact(
            name=name[len(prefix) :],
            type=KINDS.get(row["type"], row["type"]),
            required=row.get("required") if isinstance(row.get("required"), bool) else None,
            filterable=bool(row.get("filterable")),
            sortable=bool(row.get("sortable")),
            is_default=bool(prefix) or not has_defaults or bool(row.get("default_response")),
            enum=_values(row),
            inner=_level(rows, f"{name}.", has_defaults),
        )
        for name, row in rows.items()
        if name.startswith(prefix) and "." not in name[len(prefix) :]
    )


def _values(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The values of an enumeration; rows that describe characters (``0-9, *, #``) are none."""
    values = tuple(row.get("enum", ()))
    return values if row["type"] != "boolean" and all(_LITERAL.match(value) for value in values) else ()
