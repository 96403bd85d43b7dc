"""Parses the body of a request into a :class:`Request`, or raises its first error. Pure.

Stages, in order:

1. ``invalid_request``: more values than :data:`~trunkline.apis.service.json_shape.VALUES_MAX`, counted before anything
   is read.
   ``parse_error``: not UTF-8, not JSON (RFC 8259, no NaN), nested deeper than 64, a name twice in one object.
   A body that is JSON but for bytes that are not UTF-8 is ``character_encoding_not_allowed`` where the
   method's page has that error.
2. ``batch_operations_not_supported``: an array.
3. ``invalid_request``: not an object; ``jsonrpc`` is not ``"2.0"``; ``method`` is not text; ``id`` is
neither text
   nor number; ``params`` is not an object, or has more than :data:`PARAMS_MAX` members.
4. ``notifications_not_supported``: all of that is well but there is no ``id``.

Members that are not in the specification are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from trunkline.apis.jsonrpc.declare import Method
from trunkline.apis.jsonrpc.errors import rpc_error
from trunkline.apis.service.json_shape import VALUES_MAX, count_names, has_each_name_once, has_many_values
from trunkline.apis.service.request_context import Api

PARAMS_MAX = 500
"""Parameters of one request: more than any method has."""

RequestId = str | int | float | None
FindMethod = Callable[[str], Method | None]


@dataclass(frozen=True, slots=True)
class Request:
    """A well-formed request; ``method`` is only a name yet."""

    id: str | int | float
    method: str
    params: dict[str, Any]


DISCOVER = "rpc.discover"
"""The method by which OpenRPC clients read the description of an API; it needs no ``params``."""


def read_request(body: bytes, api: Api, find_method: FindMethod) -> Request:
    """The request in a body.

    :raises RpcError: see the module; :func:`request_id_of` returns the id for the response.
    """
    if has_many_values(body):
        raise rpc_error(api, "invalid_request", params={"values_max": VALUES_MAX})
    message = _parse(body, api, find_method)
    if isinstance(message, list):
        raise rpc_error(api, "batch_operations_not_supported")
    if not isinstance(message, dict):
        raise rpc_error(api, "invalid_request")
    if message.get("jsonrpc") != "2.0":
        raise rpc_error(api, "invalid_request", field="jsonrpc", value=message.get("jsonrpc"))
    if "id" in message and not _is_id(message["id"]):
        raise rpc_error(api, "invalid_request", field="id", value=message["id"])
    if not isinstance(message.get("method"), str):
        raise rpc_error(api, "invalid_request", field="method", value=message.get("method"))
    if message["method"] == DISCOVER and not message.get("params"):
        message["params"] = {}
    if not isinstance(message.get("params"), dict):
        raise rpc_error(api, "invalid_request", field="params", value=message.get("params"))
    if len(message["params"]) > PARAMS_MAX:
        raise rpc_error(api, "invalid_request", field="params", params={"parameters_max": PARAMS_MAX})
    if "id" not in message:
        raise rpc_error(api, "notifications_not_supported", field="id")
    return Request(_exact_id(message["id"], body), message["method"], message["params"])


def request_id_of(body: bytes) -> RequestId:
    """The id to answer a faulty request with: its own when it can be read, else null."""
    if has_many_values(body):
        return None
    try:
        message = orjson.loads(body)
    except ValueError:
        try:
            message = orjson.loads(body.decode("utf-8", "replace"))
        except ValueError:
            return None
    if not isinstance(message, dict) or not _is_id(message.get("id")):
        return None
    return _exact_id(message["id"], body)


def _exact_id(read: str | float, body: bytes) -> str | int | float:
    """The id as it was sent: whole numbers past 64 bits have been read as fractions."""
    if not isinstance(read, float):
        return read
    exact: int | float = json.loads(body.decode("utf-8", "replace"))["id"]
    return exact


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _parse(body: bytes, api: Api, find_method: FindMethod) -> Any:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise _encoding_error(body, api, find_method) from None
    try:
        message = orjson.loads(text)
    except ValueError:
        raise rpc_error(api, "parse_error") from None
    names = count_names(message)
    if names is None or not has_each_name_once(body, names):
        raise rpc_error(api, "parse_error")
    return message


def _encoding_error(body: bytes, api: Api, find_method: FindMethod) -> Exception:
    mnemonic = "character_encoding_not_allowed"
    try:
        message = orjson.loads(body.decode("utf-8", "replace"))
    except ValueError:
        return rpc_error(api, "parse_error")
    name = message.get("method") if isinstance(message, dict) else None
    method = find_method(name) if isinstance(name, str) else None
    if method is None or not method.declares_error(mnemonic):
        return rpc_error(api, "parse_error")
    return rpc_error(api, mnemonic, method=method)
