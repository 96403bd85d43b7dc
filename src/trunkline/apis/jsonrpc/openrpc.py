"""The OpenRPC 1.3 document of an API, from its declarations. Pure.

Every method: parameters and result as JSON Schema, errors with code and text, and as extensions
(``x-...``) what OpenRPC has no word for: components, permissions, points, which fields filter and sort.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from trunkline.apis.jsonrpc.declare import Envelope, Field, FieldType, Method, Param, ParamType
from trunkline.apis.jsonrpc.errors import common_errors
from trunkline.apis.jsonrpc.service_spec import ServiceSpec

_JSON_TYPES = {
    FieldType.STRING: "string",
    FieldType.ENUM: "string",
    FieldType.ISO8601: "string",
    FieldType.NUMBER: "number",
    FieldType.DURATION: "number",
    FieldType.BOOLEAN: "boolean",
}


def document(service_spec: ServiceSpec) -> bytes:
    """The document as JSON."""
    return orjson.dumps(
        {
            "openrpc": "1.3.2",
            "info": {
                "title": service_spec.title,
                "version": service_spec.version,
                "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            },
            "servers": [{"name": "this", "url": service_spec.path}],
            "methods": [_method(method) for method in service_spec.methods],
            "components": {
                "errors": {
                    spec.mnemonic: _error(spec.code, spec.mnemonic, spec.message)
                    for spec in common_errors(service_spec.api).values()
                }
            },
        },
        option=orjson.OPT_INDENT_2,
    )


def _method(method: Method) -> dict[str, Any]:
    common = common_errors(method.api, method.verb)
    return {
        "name": method.name,
        "summary": method.summary,
        "paramStructure": "by-name",
        "params": [
            _content(param) for param in sorted(method.params, key=lambda p: not p.required or bool(p.unless))
        ],
        "result": {"name": "result", "schema": _result(method)},
        "errors": [_error(e.code, e.mnemonic, e.message) for e in method.errors]
        + [
            {"$ref": f"#/components/errors/{mnemonic}"}
            for mnemonic in common_errors(method.api)
            if not method.declares_error(mnemonic)
        ]
        + [
            _error(e.code, e.mnemonic, e.message)
            for mnemonic, e in common.items()
            if mnemonic not in common_errors(method.api) and not method.declares_error(mnemonic)
        ],
        "examples": [_example_pairing(method)],
        "x-components": [component.name for component in method.components],
        "x-permissions": [f"{resource}:{action}" for resource, action in method.permissions],
        "x-points": method.weight,
        "x-forms": [form.description for form in method.forms],
        "x-idempotency-key": method.takes_idempotency_key,
    }


def _error(code: int, mnemonic: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "data": {"mnemonic": mnemonic}}


def _content(param: Param) -> dict[str, Any]:
    content: dict[str, Any] = {
        "name": param.name,
        "required": param.required and not param.unless,
        "schema": _param_schema(param),
    }
    if param.description:
        content["description"] = param.description
    return content


def _param_schema(param: Param) -> dict[str, Any]:
    schema: dict[str, Any]
    match param.type:
        case ParamType.NUMBER:
            schema = {"type": "number" if param.fractional else "integer"}
            _bounds(schema, param, "minimum", "maximum")
        case ParamType.BOOLEAN:
            schema = {"type": "boolean"}
        case ParamType.OBJECT:
            schema = _object_schema(param.params)
        case ParamType.ARRAY:
            schema = {"type": "array"}
            if param.params:
                schema["items"] = _object_schema(param.params)
            elif param.items is not None:
                schema["items"] = _param_schema(Param(param.name, param.items, enum=param.enum))
        case _:
            schema = {"type": "string"}
            if param.enum:
                schema["enum"] = list(param.enum)
            if param.pattern:
                schema["pattern"] = f"^(?:{param.pattern})$"
            _bounds(schema, param, "minLength", "maxLength")
    if param.default is not None:
        schema["default"] = param.default
    if param.nullable:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


def _bounds(schema: dict[str, Any], param: Param, low: str, high: str) -> None:
    if param.minimum is not None:
        schema[low] = param.minimum
    if param.maximum is not None:
        schema[high] = param.maximum


def _object_schema(params: tuple[Param, ...]) -> dict[str, Any]:
    if not params:
        return {"type": "object"}
    return {
        "type": "object",
        "properties": {param.name: _param_schema(param) for param in params},
        "required": [param.name for param in params if param.required and not param.unless],
        "additionalProperties": False,
    }


def _result(method: Method) -> dict[str, Any]:
    data = _fields_schema(method.result)
    metadata = {"type": "object"}
    match method.envelope:
        case Envelope.DATA_ARRAY:
            members = {"data": {"type": "array", "items": data}, "metadata": metadata}
        case Envelope.DATA_OBJECT:
            members = {"data": data, "metadata": metadata}
            if method.answers_id_twice:
                members = {"id": data["properties"]["id"], **members}
        case Envelope.DIRECT:
            members = {**data["properties"], "metadata": metadata}
            if method.answers_id_twice:
                made = {"type": "object", "properties": {"id": data["properties"]["id"]}}
                members = {**data["properties"], "data": made, "metadata": metadata}
        case Envelope.EMPTY:
            members = {"metadata": metadata}
        case Envelope.ARRAY:
            return {"type": "array", "items": data}
    return {"type": "object", "properties": members}


def _fields_schema(fields: tuple[Field, ...]) -> dict[str, Any]:
    return {"type": "object", "properties": {field.name: _field_schema(field) for field in fields}}


def _field_schema(field: Field) -> dict[str, Any]:
    schema: dict[str, Any]
    if field.type is FieldType.ARRAY:
        schema = {"type": "array"}
        if field.fields:
            schema["items"] = _fields_schema(field.fields)
    elif field.type is FieldType.OBJECT:
        schema = _fields_schema(field.fields)
    else:
        schema = {"type": [_JSON_TYPES[field.type], "null"]}
    if field.enum:
        schema["enum"] = [*field.enum, None]
    if field.description:
        schema["description"] = field.description
    if field.filterable:
        schema["x-filterable"] = True
    if field.sortable:
        schema["x-sortable"] = True
    return schema


_NAMED = {
    "access_token": "YOUR_KEY",
    "email": "layla@example.com",
    "link": "https://pbx.example/file",
    "phone": "971500000010",
    "contact": "971500000010",
    "number": "971500000010",
    "domain": "www.shop.example",
    "color": "#2f7ed8",
    "dtmf": "1",
    "time": "2026-03-01 12:30:00",
    "date": "2026-03-01",
}
"""Values of texts by a part of the name."""

_TEXTS = ("Example", "101", "09:00", "#2f7ed8", "2026-03-01", "12:30:00", "https://shop.example/a", "12", "1")


def example_params(method: Method) -> dict[str, Any]:
    """The required parameters of a method with values that it accepts."""
    return {param.name: _example_param(param) for param in method.params if param.required}


def _example_pairing(method: Method) -> dict[str, Any]:
    return {
        "name": f"{method.name} with its required parameters",
        "params": [{"name": name, "value": value} for name, value in example_params(method).items()],
        "result": {"name": "result", "value": _example_of(_result(method), "")},
    }


def _example_param(param: Param) -> Any:
    match param.type:
        case ParamType.NUMBER:
            return param.minimum if param.minimum is not None and param.minimum > 1 else 1
        case ParamType.BOOLEAN:
            return True
        case ParamType.ISO8601:
            return "2026-03-01 12:30:00"
        case ParamType.OBJECT:
            return {one.name: _example_param(one) for one in param.params if one.required}
        case ParamType.ARRAY:
            if param.params:
                return [{one.name: _example_param(one) for one in param.params if one.required}]
            return [_example_param(Param(param.name, param.items, enum=param.enum))] if param.items else []
    if param.enum:
        return param.enum[0]
    return next((text for text in _texts_for(param) if _fits(param, text)), "Example")


def _texts_for(param: Param) -> list[str]:
    return [*(text for part, text in _NAMED.items() if part in param.name), *_NAMED.values(), *_TEXTS]


def _fits(param: Param, text: str) -> bool:
    if param.pattern is not None and not re.fullmatch(param.pattern, text):
        return False
    if (param.minimum or 0) > len(text) or (param.maximum is not None and len(text) > param.maximum):
        return False
    if param.name.endswith("name") and param.pattern is None and param.convert is None:
        return text == "Example"
    return param.convert is None or param.convert(text) is not None


def _example_of(schema: dict[str, Any], name: str) -> Any:
    """A value of a result's schema."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema["type"][0] if isinstance(schema["type"], list) else schema["type"]
    match kind:
        case "object":
            return {each: _example_of(part, each) for each, part in schema.get("properties", {}).items()}
        case "array":
            return [_example_of(schema["items"], name)] if "items" in schema else []
        case "boolean":
            return True
        case "number":
            return 1
    return next((text for part, text in _NAMED.items() if part in name), "Example")
