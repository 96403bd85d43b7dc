"""What is declared against the reference: the listed methods are complete, and a missing piece is noticed."""

from __future__ import annotations

import dataclasses
import json

import pytest
from click.testing import CliRunner

from tests.apis.data_api.walk import OWN
from trunkline.apis.catalogue import CALL_API, SERVICE_SPECS
from trunkline.apis.contract_coverage import compare, coverage
from trunkline.apis.jsonrpc import Api, Field, Method, Param
from trunkline.apis.jsonrpc.declare import walk_fields, walk_params
from trunkline.cli.contract import contract
from trunkline.contract import load_facts

DECLARED = [method for service_spec in SERVICE_SPECS for method in service_spec.methods]

LISTED = {
    Api.CALL: {page["method"] for page in load_facts() if page["api"] == Api.CALL},
    Api.DATA: {
        "login.user",
        "logout.user",
        "get.account",
        "get.employees",
        "get.virtual_numbers",
        "get.sip_lines",
        "get.scenarios",
        "get.calls_report",
        "get.call_legs_report",
    },
}


def _name(method: Method) -> str:
    return f"{method.api} {method.name}"


def _pages(method: Method) -> list[dict[str, object]]:
    return [page for page in load_facts() if (page["api"], page["method"]) == (method.api, method.name)]


@pytest.mark.parametrize("api", list(Api))
def test_listed_methods_are_complete(api: Api) -> None:
    methods = coverage(SERVICE_SPECS)[api].methods
    incomplete = {name: methods[name] for name in LISTED[api] if not methods[name].complete}
    assert incomplete == {}


@pytest.mark.parametrize("method", DECLARED, ids=_name)
def test_every_declared_method_is_complete(method: Method) -> None:
    assert compare(method, _pages(method)).complete


@pytest.mark.parametrize("method", DECLARED, ids=_name)
def test_a_missing_parameter_is_noticed(method: Method) -> None:
    promised = {row["name"] for page in _pages(method) for row in page["params"]}  # type: ignore[attr-defined]
    for dotted, _ in walk_params(method.params):
        if dotted in promised:
            less = dataclasses.replace(method, params=_without_param(method.params, dotted))
            assert dotted in compare(less, _pages(method)).missing_params


@pytest.mark.parametrize("method", DECLARED, ids=_name)
def test_a_missing_field_is_noticed(method: Method) -> None:
    promised = {row["name"] for page in _pages(method) for row in page["result"]}  # type: ignore[attr-defined]
    for dotted, _ in walk_fields(method.result):
        if dotted in promised:
            less = dataclasses.replace(method, result=_without_field(method.result, dotted))
            assert dotted in compare(less, _pages(method)).missing_fields


def test_a_missing_error_is_noticed() -> None:
    method = CALL_API.find("start.employee_call")
    assert method is not None
    for error in method.errors:
        less = dataclasses.replace(method, errors=tuple(e for e in method.errors if e is not error))
        assert compare(less, _pages(method)).missing_errors == [error.mnemonic]
        other = dataclasses.replace(error, code=-1)
        changed = dataclasses.replace(method, errors=(other,))
        assert f"{error.mnemonic}: -1 instead of {error.code}" in (
            compare(changed, _pages(method)).missing_errors
        )


def test_lesser_declarations_are_noticed() -> None:
    method = CALL_API.find("list.calls")
    assert method is not None
    pages = _pages(method)
    params = tuple(dataclasses.replace(p, required=p.name == "direction") for p in method.params)
    assert compare(dataclasses.replace(method, params=params), pages).missing_params == [
        "access_token: not required",
        "direction: required",
    ]
    narrowed = tuple(
        dataclasses.replace(p, enum=("in",)) if p.name == "direction" else p for p in method.params
    )
    assert compare(dataclasses.replace(method, params=narrowed), pages).missing_params == [
        "direction: without out"
    ]
    filtered = [{**pages[0], "result": [{"name": "direction", "type": "string", "filterable": True}]}]
    assert compare(method, filtered).missing_fields == ["direction: not filterable"]
    assert compare(None, pages).served is False


def test_command_prints_exactly_this_form() -> None:
    result = CliRunner().invoke(contract, ["--json"])
    assert result.exit_code == 0
    reported = json.loads(result.output)
    assert set(reported) == {"call_api", "data_api"}
    assert (reported["call_api"]["total"], reported["data_api"]["total"]) == (22, 327)
    for service_spec in SERVICE_SPECS:
        part = reported[service_spec.api]
        assert set(part) == {"served", "total", "methods"}
        assert part["served"] == len([method for method in service_spec.methods if method.name not in OWN])
        assert len(part["methods"]) == part["total"]
        for method in part["methods"].values():
            assert set(method) == {"served", "missing_params", "missing_fields", "missing_errors"}
    assert reported["call_api"]["methods"]["list.calls"] == {
        "served": True,
        "missing_params": [],
        "missing_fields": [],
        "missing_errors": [],
    }


def test_the_call_api_is_served_whole() -> None:
    reported = coverage(SERVICE_SPECS)[Api.CALL]
    assert (reported.served, len(reported.methods)) == (22, 22)


def test_what_is_not_served_is_said() -> None:
    less = dataclasses.replace(CALL_API, methods=[m for m in CALL_API.methods if m.name != "hold.call"])
    unserved = coverage([less])[Api.CALL].methods["hold.call"]
    assert unserved.served is False
    assert "contact_message.type" in unserved.missing_params


def test_readable_output() -> None:
    output = CliRunner().invoke(contract, []).output
    assert "list.calls: complete" in output
    assert "hold.call: complete" in output


def _without_param(params: tuple[Param, ...], dotted: str, prefix: str = "") -> tuple[Param, ...]:
    return tuple(
        dataclasses.replace(
            p,
            params=_without_param(p.params, dotted, f"{prefix}{p.name}."),
            shape=_without_param(p.shape, dotted, f"{prefix}{p.name}."),
        )
        for p in params
        if (p.contract_name or prefix + p.name) != dotted
    )


def _without_field(fields: tuple[Field, ...], dotted: str, prefix: str = "") -> tuple[Field, ...]:
    return tuple(
        dataclasses.replace(f, fields=_without_field(f.fields, dotted, f"{prefix}{f.name}."))
        for f in fields
        if (f.contract_name or prefix + f.name) != dotted
    )
