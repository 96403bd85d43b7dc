"""How much of the reference we serve, from the running declarations. Pure.

A parameter, field or error that the reference has is *missing* when no declaration has it, and also when the
declaration gives less: the wrong kind of value, a parameter that must be sent though the reference does
not ask for it (or the other way round), a value of an enumeration left out, a field that cannot be
filtered or sorted by, or an error with another code. The reason then follows the name: ``legs.state: not
filterable``.

Where one method is described on two pages, what both ask for counts; of two forms of the result, either will do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trunkline.apis.jsonrpc.declare import Field, Method, Param, walk_fields, walk_params
from trunkline.apis.jsonrpc.errors import find_spec
from trunkline.apis.jsonrpc.service_spec import ServiceSpec
from trunkline.apis.service.request_context import Api
from trunkline.contract import load_facts

_KINDS = {
    "text": "string",
    "enum": "string",
    "iso8601": "string",
    "date": "string",
    "duration": "number",
    "numeric": "number",
    "integer": "number",
    "array of string": "array",
}
_JSON_KINDS = frozenset({"string", "number", "boolean", "array", "object"})
_LITERAL = re.compile(r"[\w.]*[^\W\d_][\w.]*\Z")


@dataclass(frozen=True)
class MethodCoverage:
    """What one method lacks; all lists empty and ``served`` = complete."""

    served: bool
    missing_params: Sequence[str] = ()
    missing_fields: Sequence[str] = ()
    missing_errors: Sequence[str] = ()

    @property
    def complete(self) -> bool:
        return self.served and not (self.missing_params or self.missing_fields or self.missing_errors)

    def as_json(self) -> dict[str, Any]:
        return {
            "served": self.served,
            "missing_params": list(self.missing_params),
            "missing_fields": list(self.missing_fields),
            "missing_errors": list(self.missing_errors),
        }


@dataclass(frozen=True)
class ApiCoverage:
    """All methods of one API of the reference, by name; ``served`` counts those we declare."""

    methods: Mapping[str, MethodCoverage] = field(default_factory=dict)

    @property
    def served(self) -> int:
        return sum(method.served for method in self.methods.values())

    def as_json(self) -> dict[str, Any]:
        return {
            "served": self.served,
            "total": len(self.methods),
            "methods": {name: method.as_json() for name, method in self.methods.items()},
        }


def coverage(service_specs: Iterable[ServiceSpec]) -> dict[Api, ApiCoverage]:
    """Compare the reference with these specifications; an API without a specification is not served."""
    by_api = {service_spec.api: service_spec for service_spec in service_specs}
    result = {}
    for api in Api:
        service_spec = by_api.get(api)
        pages: dict[str, list[dict[str, Any]]] = {}
        for page in load_facts():
            if page["api"] == api:
                pages.setdefault(page["method"], []).append(page)
        result[api] = ApiCoverage(
            {
                name: compare(service_spec.find(name) if service_spec else None, facts)
                for name, facts in pages.items()
            }
        )
    return result


def compare(method: Method | None, pages: Sequence[Mapping[str, Any]]) -> MethodCoverage:
    """One method against its pages of the reference."""
    params = [row for page in pages for row in page["params"]]
    fields = [row for page in pages for row in page["result"]]
    errors = [row for page in pages for row in page["errors"]]
    if method is None:
        return MethodCoverage(
            served=False,
            missing_params=_names(params, "name"),
            missing_fields=_names(fields, "name"),
            missing_errors=_names(errors, "mnemonic"),
        )
    declared_params = dict(walk_params(method.params))
    declared_fields = dict(walk_fields(method.result))
    missing_fields = _unique(_field_fault(row, declared_fields.get(row["name"])) for row in fields)
    if all(page["envelope"] not in (None, method.envelope) for page in pages) and pages:
        missing_fields.append(f"result: {method.envelope} instead of {pages[0]['envelope']}")
    return MethodCoverage(
        served=True,
        missing_params=_unique(_param_fault(row, declared_params.get(row["name"])) for row in params),
        missing_fields=missing_fields,
        missing_errors=_unique(_error_fault(row, method) for row in errors),
    )


def _param_fault(row: Mapping[str, Any], param: Param | None) -> str | None:
    name: str = row["name"]
    if param is None:
        return name
    if not _same_kind(row["type"], param.contract_type or param.type):
        return f"{name}: {param.type} instead of {row['type']}"
    if isinstance(row.get("required"), bool) and row["required"] != param.required:
        return f"{name}: {'not required' if row['required'] else 'required'}"
    if param.type != "boolean" and (left_out := _left_out(row, param.enum)):
        return f"{name}: without {', '.join(left_out)}"
    return None


def _field_fault(row: Mapping[str, Any], declared: Field | None) -> str | None:
    name: str = row["name"]
    if declared is None:
        return name
    if not _same_kind(row["type"], declared.contract_type or declared.type):
        return f"{name}: {declared.type} instead of {row['type']}"
    if row.get("filterable") and not declared.filterable:
        return f"{name}: not filterable"
    if row.get("sortable") and not declared.sortable:
        return f"{name}: not sortable"
    if row.get("default_response") and not declared.default:
        return f"{name}: not in the default response"
    if left_out := _left_out(row, declared.enum):
        return f"{name}: without {', '.join(left_out)}"
    return None


def _error_fault(row: Mapping[str, Any], method: Method) -> str | None:
    mnemonic: str = row["mnemonic"]
    spec = find_spec(method.api, method, mnemonic)
    if spec is None:
        return mnemonic
    if spec.code != row["code"]:
        return f"{mnemonic}: {spec.code} instead of {row['code']}"
    return None


def _left_out(row: Mapping[str, Any], enum: tuple[str, ...]) -> list[str]:
    """Values the declaration refuses. Rows that describe characters (``0-9, *, #``) are no list of values."""
    values = row.get("enum", [])
    if not enum or any(not _LITERAL.match(value) for value in values):
        return []
    return [value for value in values if value not in enum]


def _same_kind(described: str, declared: str) -> bool:
    """Whether both are the same kind of JSON; words of the reference that name no type are not judged."""
    kind = _KINDS.get(described, described)
    return kind not in _JSON_KINDS or kind == _KINDS.get(declared, declared)


def _names(rows: Iterable[Mapping[str, Any]], key: str) -> list[str]:
    return _unique(row[key] for row in rows)


def _unique(names: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name is not None))
