"""The OpenAPI 3.1 document of the API, derived from its declarations. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from trunkline import __version__
from trunkline.apis.call_center.declaration import Answer, Body, Data, Field, Kind, Operation
from trunkline.apis.call_center.request_input import HEADERS, KEY

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"

_ERRORS: Mapping[int, str] = {
    400: "A value cannot be used; msg names the field and what to send.",
    401: "The key is missing or wrong; msg is Unauthorized.",
    403: "The address, the country, or the permissions of the user do not allow it.",
    404: "There is no such record in this account.",
    408: "The body did not arrive in time.",
    409: "Another record has the value, or refers to this one.",
    413: "The body is too large.",
    429: "Too many requests; Retry-After has the seconds to wait.",
    503: "A part of the service does not answer now.",
}

_FAILURE = {
    "type": "object",
    "required": ["success", "msg"],
    "properties": {
        "success": {"const": False},
        "msg": {"type": "string", "description": "What is wrong, and what to do."},
    },
}


def document(operations: Iterable[Operation]) -> bytes:
    """The document as JSON."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.verb.lower()] = _operation(operation)
    return orjson.dumps(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Call Center REST API",
                "version": "1.3",
                "description": f"Served by Trunkline {__version__}. Every path is also served with a slash behind it.",
            },
            "servers": [{"url": "/"}],
            "security": [{"query": []}, *({name: []} for name in HEADERS), {"bearer": []}],
            "paths": paths,
            "components": {
                "schemas": {"Failure": _FAILURE},
                "responses": {
                    str(status): {
                        "description": text,
                        "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Failure"}}},
                    }
                    for status, text in _ERRORS.items()
                },
                "securitySchemes": {
                    "query": {"type": "apiKey", "in": "query", "name": KEY},
                    **{name: {"type": "apiKey", "in": "header", "name": name} for name in HEADERS},
                    "bearer": {"type": "http", "scheme": "bearer"},
                },
            },
        }
    )


def schema_of(field: Field, *, is_input: bool = False) -> dict[str, Any]:
    """JSON Schema of a field."""
    kinds = ["object", "array"] if field.kind is Kind.JSON else [field.kind.value]
    found: dict[str, Any] = {"type": kinds[0] if len(kinds) == 1 else kinds}
    if field.description:
        found["description"] = field.description
    match field.kind:
        case Kind.INTEGER:
            _set(found, minimum=field.minimum, maximum=field.maximum)
        case Kind.STRING:
            _set(found, minLength=field.minimum, maxLength=field.maximum)
        case Kind.ARRAY:
            _set(found, maxItems=field.maximum)
            found["items"] = {"type": field.items.value} if field.items is not None else {}
            if field.items is Kind.INTEGER:
                found["items"]["minimum"] = 0
        case Kind.OBJECT | Kind.BOOLEAN | Kind.JSON:
            pass
    if field.enum:
        found["enum"] = [*field.enum]
    if field.default is not None:
        found["default"] = field.default
    if field.read_only:
        found["readOnly"] = True
    if field.write_only:
        found["writeOnly"] = True
    if field.is_nullable and not (is_input and field.required):
        found["type"] = [*kinds, "null"]
        if field.enum:
            found["enum"].append(None)
    if not is_input:
        for limit in ("minimum", "maximum", "minLength", "maxLength", "maxItems"):
            found.pop(limit, None)
    return found


def _set(schema: dict[str, Any], **limits: int | None) -> None:
    schema |= {name: value for name, value in limits.items() if value is not None}


def _operation(operation: Operation) -> dict[str, Any]:
    statuses = {400, 404, 408, 409, 413, 429, 503} | (set() if operation.is_public else {401, 403})
    if operation.is_public:
        statuses |= {401, 403}
    found: dict[str, Any] = {
        "operationId": _operation_id(operation),
        "summary": operation.summary,
        "tags": [operation.path.split("/")[2]],
        "parameters": [
            *(_parameter(one, "path") for one in operation.path_fields),
            *(_parameter(one, "query") for one in operation.query),
        ],
        "responses": {
            **_successes(operation.answer),
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)},
        },
    }
    if operation.is_public:
        found["security"] = []
    if operation.permission is not None:
        resource, action = operation.permission
        found["description"] = f"Needs the permission Call Center API, and {resource}: {action}."
    if operation.body is not None:
        found["requestBody"] = _body(operation.body)
    return found


def _operation_id(operation: Operation) -> str:
    words = re.findall(r"\w+", operation.path.removeprefix("/api/"))
    return "_".join([operation.verb.lower(), *words, *(["leads"] if operation.path.endswith("/") else [])])


def _parameter(field: Field, place: str) -> dict[str, Any]:
    schema = schema_of(field, is_input=True)
    if isinstance(schema["type"], list):
        schema["type"] = field.kind.value
    return {
        "name": field.name,
        "in": place,
        "required": place == "path" or field.required,
        "description": schema.pop("description", ""),
        "schema": schema,
    }


def _body(body: Body) -> dict[str, Any]:
    if body.items is not None:
        array = schema_of(body.items, is_input=True)
        return {"required": True, "content": {_JSON: {"schema": array}}}
    one = {
        "type": "object",
        "properties": {
            field.name: schema_of(field, is_input=True) for field in body.fields if not field.read_only
        },
        "required": [
            field.name for field in body.fields if field.required and not field.read_only and not body.partial
        ],
        "additionalProperties": False,
    }
    accepted = (
        {"oneOf": [one, {"type": "array", "items": one, "minItems": 1}]} if body.is_list_allowed else one
    )
    return {
        "required": bool(one["required"]),
        "content": {_JSON: {"schema": accepted}, _FORM: {"schema": one}},
    }


def _successes(answer: Answer) -> dict[str, Any]:
    """The responses of a success, by status."""
    if answer.data is not Data.FILE:
        return {"200": {"description": "Success.", "content": {_JSON: {"schema": _success(answer)}}}}
    content = {answer.content_type: {"schema": {"type": "string", "format": "binary"}}}
    return {
        "200": {"description": "The file.", "content": content},
        "206": {"description": "The part of the file that Range names.", "content": content},
        "304": {"description": "The file has not changed since If-Modified-Since, or has the ETag."},
        "412": {"description": "The file does not meet If-Match or If-Unmodified-Since."},
        "416": {"description": "The file has no such range."},
    }


def _success(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "object",
        "required": ["success"],
        "properties": {"success": {"const": True}},
        "additionalProperties": False,
    }
    if answer.data is Data.NOTHING:
        return found
    if answer.data is Data.MEMBERS:
        shown = record_schema(answer.fields)
        found["properties"] |= shown["properties"]
        found["required"] += shown["required"]
        return found
    data: Mapping[str, Any]
    if answer.data is Data.OTHER:
        data = answer.schema or {}
    else:
        data = record_schema(answer.fields)
        if answer.data is Data.RECORDS:
            several = {"type": "array", "items": data}
            data = {"oneOf": [several, data]} if answer.is_record_possible else several
    found["required"] = ["success", "data"]
    found["properties"]["data"] = data
    return found


def record_schema(fields: Iterable[Field]) -> dict[str, Any]:
    """JSON Schema of a record in an answer: every field is there, and no other."""
    shown = [field for field in fields if not field.write_only]
    return {
        "type": "object",
        "properties": {field.name: schema_of(field) for field in shown},
        "required": [field.name for field in shown],
        "additionalProperties": False,
    }
