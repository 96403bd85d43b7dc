"""The OpenRPC document: whole, and in step with the declarations."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.apis.support import ADDRESS, ApisOnFakes
from trunkline.apis.catalogue import SERVICE_SPECS
from trunkline.apis.jsonrpc.dispatcher import Dispatcher
from trunkline.apis.jsonrpc.openrpc import document, example_params
from trunkline.apis.jsonrpc.params import ParamChecker
from trunkline.apis.jsonrpc.service_spec import ServiceSpec

_TYPES = {"string", "number", "integer", "boolean", "array", "object", "null"}


@pytest.fixture(params=SERVICE_SPECS, ids=lambda service_spec: service_spec.api)
def service_spec(request: pytest.FixtureRequest) -> ServiceSpec:
    found: ServiceSpec = request.param
    return found


def _check_schema(schema: dict[str, Any]) -> None:
    if "anyOf" in schema:
        for part in schema["anyOf"]:
            _check_schema(part)
        return
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert set(kinds) <= _TYPES
    for part in schema.get("properties", {}).values():
        _check_schema(part)
    if "items" in schema:
        _check_schema(schema["items"])
    assert set(schema.get("required", [])) <= set(schema.get("properties", {}))


def test_document_follows_the_specification(service_spec: ServiceSpec) -> None:
    reported = orjson.loads(document(service_spec))
    assert reported["openrpc"].startswith("1.3.")
    assert reported["info"]["title"]
    assert reported["info"]["version"] == service_spec.version
    names = [method["name"] for method in reported["methods"]]
    assert names == [method.name for method in service_spec.methods]
    assert len(set(names)) == len(names)
    for method in reported["methods"]:
        optional_seen = False
        for param in method["params"]:
            assert set(param) <= {"name", "required", "schema", "description"}
            _check_schema(param["schema"])
            assert not (param["required"] and optional_seen), "required parameters come first"
            optional_seen = optional_seen or not param["required"]
        assert set(method["result"]) == {"name", "schema"}
        _check_schema(method["result"]["schema"])
        for error in method["errors"]:
            if "$ref" in error:
                kind, name = error["$ref"].removeprefix("#/components/").split("/")
                assert name in reported["components"][kind]
            else:
                assert isinstance(error["code"], int)
                assert error["message"]


def test_every_declared_parameter_is_described(service_spec: ServiceSpec) -> None:
    reported = {method["name"]: method for method in orjson.loads(document(service_spec))["methods"]}
    for method in service_spec.methods:
        shown = {param["name"]: param["required"] for param in reported[method.name]["params"]}
        assert shown == {param.name: param.required and not param.unless for param in method.params}


def test_the_examples_are_accepted(service_spec: ServiceSpec) -> None:
    for method in service_spec.methods:
        checked = ParamChecker(method).check(example_params(method))
        assert {param.name for param in method.params if param.required} <= set(checked) | {"first_call"}, (
            method.name
        )


def test_results_of_examples_have_every_field(service_spec: ServiceSpec) -> None:
    for method in orjson.loads(document(service_spec))["methods"]:
        [example] = method["examples"]
        needed = {param["name"] for param in method["params"] if param["required"]}
        assert needed <= {one["name"] for one in example["params"]}
        schema, value = method["result"]["schema"], example["result"]["value"]
        assert isinstance(value, list if schema["type"] == "array" else dict)
        if schema["type"] == "object":
            assert set(value) == set(schema["properties"])


async def test_discover_needs_no_token_and_no_points(service_spec: ServiceSpec) -> None:
    fakes = ApisOnFakes()
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "rpc.discover"})
    answer = await fakes.send(service_spec.api, body, "192.0.2.1")
    assert answer["result"] == orjson.loads(document(service_spec))
    assert fakes.accounts.used == 0
    assert fakes.request_log.entries == []


async def test_an_unknown_method_has_similar_ones_in_its_remedy(service_spec: ServiceSpec) -> None:
    other = next(one for one in SERVICE_SPECS if one is not service_spec)
    fakes = ApisOnFakes()
    dispatcher = Dispatcher(service_spec, fakes.services, fakes.request_log, others=[other])

    async def remedy(method: str) -> str:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}
        helper: str = orjson.loads(await dispatcher.answer(orjson.dumps(body), ADDRESS))["error"]["data"][
            "extended_helper"
        ]
        return helper

    own, foreign = service_spec.methods[3].name, other.methods[3].name
    assert f"Similar methods: {own}" in await remedy(own + "s")
    assert f"send the request to {other.path}" in await remedy(foreign)
    assert "rpc.discover" in await remedy("nothing")
