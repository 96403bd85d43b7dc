"""Puts results and errors into the JSON of a response. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from trunkline.apis.jsonrpc.chunks import Chunks
from trunkline.apis.jsonrpc.declare import Envelope, Field, FieldType, Method
from trunkline.apis.jsonrpc.envelope import RequestId
from trunkline.apis.jsonrpc.errors import RpcError
from trunkline.apis.service.request_context import PointsLike, Result

_ERROR_MAX = 65_536
"""Bytes of an answer with an error beyond which it has no ``value``."""


def success(request_id: RequestId, result: Chunks) -> Chunks:
    """An answer around a result that is JSON already."""
    return result.within(b'{"jsonrpc":"2.0","id":' + _id_json(request_id) + b',"result":', b"}")


def failure(request_id: RequestId, error: RpcError, metadata: Mapping[str, Any]) -> bytes:
    """An answer that carries an error, without the value at fault if that is large."""
    shown = orjson.Fragment(_id_json(request_id))
    members = error.as_json(metadata)
    body = orjson.dumps({"jsonrpc": "2.0", "id": shown, "error": members})
    if len(body) > _ERROR_MAX:
        members["data"]["value"] = None
        body = orjson.dumps({"jsonrpc": "2.0", "id": shown, "error": members})
    return body


def _id_json(request_id: RequestId) -> bytes:
    # Whole numbers may have more than the 64 bits that orjson writes.
    return str(request_id).encode() if isinstance(request_id, int) else orjson.dumps(request_id)


def result_json(method: Method, result: Result, metadata: Mapping[str, Any]) -> Chunks:
    """The ``result`` member, in the method's envelope, with its metadata if the envelope has a place for it.

    :raises TypeError: the handler's data is not JSON.
    """
    full = {**metadata, **result.metadata}
    if result.total_items is not None:
        full["total_items"] = result.total_items
    data = complete(method.result, result.data) if method.complete else result.data
    if isinstance(data, Chunks):
        if method.envelope is Envelope.ARRAY:
            return data
        return data.within(b'{"data":', b',"metadata":' + orjson.dumps(full) + b"}")
    return Chunks((_in_envelope(method, data, full),))


def _in_envelope(method: Method, data: Any, full: Mapping[str, Any]) -> bytes:
    match method.envelope:
        case Envelope.DATA_ARRAY:
            return orjson.dumps({"data": [] if data is None else data, "metadata": full})
        case Envelope.DATA_OBJECT:
            also = {"id": data["id"]} if method.answers_id_twice else {}
            return orjson.dumps({**also, "data": {} if data is None else data, "metadata": full})
        case Envelope.DIRECT:
            also = {"data": {"id": data["id"]}} if method.answers_id_twice else {}
            return orjson.dumps({**(data or {}), **also, "metadata": full})
        case Envelope.EMPTY:
            return orjson.dumps({"metadata": full})
        case Envelope.ARRAY:
            return orjson.dumps([] if data is None else data)


def limits(points: PointsLike) -> dict[str, dict[str, int]]:
    """``limits`` of the metadata."""
    return {
        "limits": {
            "day_limit": points.day_limit,
            "day_remaining": points.day_remaining,
            "day_reset": points.day_reset,
            "minute_limit": points.minute_limit,
            "minute_remaining": points.minute_remaining,
            "minute_reset": points.minute_reset,
        }
    }


def complete(fields: tuple[Field, ...], data: Any) -> Any:
    """Data with every declared field, in declared order: null, [] or {} where the handler gave nothing.

    Members that are not declared are left out, so that internal data do not reach a client by accident.
    """
    shape = _shape_of(fields)
    if isinstance(data, list):
        return [_filled(shape, item) for item in data]
    return _filled(shape, data)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is asked of the fields for each of many rows.

    :ivar deep: the fields that cannot be taken as they are: nested ones, and lists and objects that may be missing.
    """

    fields: tuple[Field, ...]
    names: tuple[str, ...]
    deep: tuple[Field, ...]


_SHAPES: dict[int, _Shape] = {}
"""Keyed by the identity of the fields, to which a shape refers: fields are declared once, and hashing them is slow."""


def _shape_of(fields: tuple[Field, ...]) -> _Shape:
    shape = _SHAPES.get(id(fields))
    if shape is None:
        deep = tuple(one for one in fields if one.fields or one.type in (FieldType.ARRAY, FieldType.OBJECT))
        shape = _SHAPES[id(fields)] = _Shape(fields, tuple(one.name for one in fields), deep)
    return shape


def _filled(shape: _Shape, data: Any) -> Any:
    if not isinstance(data, dict):
        return complete(shape.fields, data) if isinstance(data, list) else data
    get = data.get
    row = {name: get(name) for name in shape.names}
    for field in shape.deep:
        row[field.name] = _completed(field, row[field.name])
    return row


def _completed(field: Field, value: Any) -> Any:
    if value is None:
        if field.type is FieldType.ARRAY:
            return []
        return {} if field.type is FieldType.OBJECT else None
    return complete(field.fields, value) if field.fields else value
