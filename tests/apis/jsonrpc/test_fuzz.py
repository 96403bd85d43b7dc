"""Whatever is sent, the answer is one JSON-RPC answer with an error the API has, and nothing is spent for
it."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.apis.support import TOKEN, House
from trunkline.apis.catalogue import SURFACES
from trunkline.apis.jsonrpc import Api, Call, Params, Result
from trunkline.apis.jsonrpc.errors import find_spec
from trunkline.apis.jsonrpc.machine import Machine
from trunkline.apis.jsonrpc.surface import Surface

_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)


async def _nothing(call: Call, params: Params) -> Result:
    return Result()


def _without_database(surface: Surface) -> Surface:
    """Handlers of the Data API read the database; here only what stands before them is tried."""
    if surface.api is Api.CALL:
        return surface
    methods = [dataclasses.replace(method, handler=_nothing) for method in surface.methods]
    return Surface(surface.api, surface.version, surface.title, methods)


_SURFACES = [_without_database(surface) for surface in SURFACES]
_NAMES = sorted({param.name for surface in _SURFACES for m in surface.methods for param in m.params})


@st.composite
def _messages(draw: st.DrawFn) -> Any:
    """Requests that are almost right, so that they come far."""
    surface = draw(st.sampled_from(_SURFACES))
    method = draw(st.sampled_from([m.name for m in surface.methods]))
    params = draw(st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=6))
    if draw(st.booleans()):
        params["access_token"] = TOKEN
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    for name in draw(st.lists(st.sampled_from(["jsonrpc", "id", "method", "params"]), max_size=1)):
        message[name] = draw(_JSON)
    return message


def _check_answer(surface: Surface, body: bytes) -> None:
    house = House()
    house.switch.answers = {"start_simple_call": {"call_session_id": 1}, "list_calls": []}
    machine = Machine(surface, house.services, house.journal)
    raw = asyncio.run(machine.answer(body, "127.0.0.1"))
    answer = orjson.loads(raw)
    assert set(answer) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
    assert answer["jsonrpc"] == "2.0"
    assert answer["id"] is None or isinstance(answer["id"], str | int | float)
    if "result" in answer:
        return
    error = answer["error"]
    assert house.accounts.used == 0
    assert error["data"]["mnemonic"] != "internal_error"
    known = [find_spec(surface.api, method, error["data"]["mnemonic"]) for method in (*surface.methods, None)]
    assert error["code"] in {spec.code for spec in known if spec is not None}
    assert isinstance(error["message"], str)
    assert set(error["data"]) == {"mnemonic", "field", "value", "params", "extended_helper", "metadata"}


@pytest.mark.parametrize("surface", _SURFACES, ids=lambda surface: surface.api)
@given(st.one_of(_JSON, _messages()).map(lambda message: orjson.dumps(message)))
@settings(max_examples=100, deadline=None)
def test_any_json(surface: Surface, body: bytes) -> None:
    _check_answer(surface, body)


@pytest.mark.parametrize("surface", _SURFACES, ids=lambda surface: surface.api)
@given(st.binary(max_size=200))
@example(b'{"jsonrpc":"2.0","id":1e999,"method":"m","params":{}}')
@example(b'{"jsonrpc":"2.0","id":"\\ud800","method":"m","params":{}}')
@example(b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"m","params":{}}')
@example(b'{"a":' * 70 + b"1" + b"}" * 70)
@example(b"[" * 5000)
@example("{}".encode("utf-16"))
@example(b"\xef\xbb\xbf{}")
@settings(max_examples=100, deadline=None)
def test_any_bytes(surface: Surface, body: bytes) -> None:
    _check_answer(surface, body)


@given(st.binary(min_size=1, max_size=3), st.integers(0, 200))
@settings(max_examples=100, deadline=None)
def test_damaged_request(damage: bytes, place: int) -> None:
    body = orjson.dumps(
        {
            "jsonrpc": "2.0",
            "id": "r",
            "method": "start.simple_call",
            "params": {"access_token": TOKEN, "contact": "971500000010", "external_id": "é"},
        }
    )
    at = min(place, len(body))
    _check_answer(
        next(s for s in SURFACES if s.api is Api.CALL), body[:at] + damage + body[at + len(damage) :]
    )
