"""The OpenRPC document: whole, and in step with the declarations."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from trunkline.apis.catalogue import SURFACES
from trunkline.apis.jsonrpc.openrpc import document
from trunkline.apis.jsonrpc.surface import Surface

_TYPES = {"string", "number", "integer", "boolean", "array", "object", "null"}


@pytest.fixture(params=SURFACES, ids=lambda surface: surface.api)
def surface(request: pytest.FixtureRequest) -> Surface:
    found: Surface = request.param
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


def test_document_follows_the_specification(surface: Surface) -> None:
    told = orjson.loads(document(surface))
    assert told["openrpc"].startswith("1.3.")
    assert told["info"]["title"]
    assert told["info"]["version"] == surface.version
    names = [method["name"] for method in told["methods"]]
    assert names == [method.name for method in surface.methods]
    assert len(set(names)) == len(names)
    for method in told["methods"]:
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
                assert name in told["components"][kind]
            else:
                assert isinstance(error["code"], int)
                assert error["message"]


def test_every_declared_parameter_is_described(surface: Surface) -> None:
    told = {method["name"]: method for method in orjson.loads(document(surface))["methods"]}
    for method in surface.methods:
        shown = {param["name"]: param["required"] for param in told[method.name]["params"]}
        assert shown == {param.name: param.required and not param.unless for param in method.params}
