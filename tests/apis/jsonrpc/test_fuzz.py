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

from tests.apis.support import TOKEN, ApisOnFakes
from trunkline.apis.catalogue import SERVICE_SPECS
from trunkline.apis.jsonrpc import Api, Params, RequestContext, Result
from trunkline.apis.jsonrpc.dispatcher import Dispatcher
from trunkline.apis.jsonrpc.errors import find_spec
from trunkline.apis.jsonrpc.service_spec import ServiceSpec

_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)


async def _nothing(request: RequestContext, params: Params) -> Result:
    return Result()


def _without_database(service_spec: ServiceSpec) -> ServiceSpec:
    """Handlers of the Data API read the database; here only what stands before them is tried."""
    if service_spec.api is Api.CALL:
        return service_spec
    methods = [dataclasses.replace(method, handler=_nothing) for method in service_spec.methods]
    return ServiceSpec(service_spec.api, service_spec.version, service_spec.title, methods)


_SERVICE_SPECS = [_without_database(service_spec) for service_spec in SERVICE_SPECS]
_NAMES = sorted(
    {param.name for service_spec in _SERVICE_SPECS for m in service_spec.methods for param in m.params}
)


@st.composite
def _messages(draw: st.DrawFn) -> Any:
    """Requests that are almost right, so that they come far."""
    service_spec = draw(st.sampled_from(_SERVICE_SPECS))
    method = draw(st.sampled_from([m.name for m in service_spec.methods]))
    params = draw(st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=6))
    if draw(st.booleans()):
        params["access_token"] = TOKEN
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    for name in draw(st.lists(st.sampled_from(["jsonrpc", "id", "method", "params"]), max_size=1)):
        message[name] = draw(_JSON)
    return message


def _check_answer(service_spec: ServiceSpec, body: bytes) -> None:
    fakes = ApisOnFakes()
    fakes.switch.answers = {
        "start_simple_call": {"call_session_id": 1},
        "list_calls": [],
        "list_talk_options": {"options": []},
    }
    dispatcher = Dispatcher(service_spec, fakes.services, fakes.request_log)
    raw = asyncio.run(dispatcher.answer(body, "127.0.0.1"))
    answer = orjson.loads(raw)
    assert set(answer) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
    assert answer["jsonrpc"] == "2.0"
    assert answer["id"] is None or isinstance(answer["id"], str | int | float)
    if "result" in answer:
        return
    error = answer["error"]
    assert fakes.accounts.used == 0
    assert error["data"]["mnemonic"] != "internal_error"
    known = [
        find_spec(service_spec.api, method, error["data"]["mnemonic"])
        for method in (*service_spec.methods, None)
    ]
    assert error["code"] in {spec.code for spec in known if spec is not None}
    assert isinstance(error["message"], str)
    assert set(error["data"]) == {"mnemonic", "field", "value", "params", "extended_helper", "metadata"}


@pytest.mark.parametrize("service_spec", _SERVICE_SPECS, ids=lambda service_spec: service_spec.api)
@given(st.one_of(_JSON, _messages()).map(lambda message: orjson.dumps(message)))
@settings(max_examples=100, deadline=None)
def test_any_json(service_spec: ServiceSpec, body: bytes) -> None:
    _check_answer(service_spec, body)


@pytest.mark.parametrize("service_spec", _SERVICE_SPECS, ids=lambda service_spec: service_spec.api)
@given(st.binary(max_size=200))
@example(b'{"jsonrpc":"2.0","id":1e999,"method":"m","params":{}}')
@example(b'{"jsonrpc":"2.0","id":"\\ud800","method":"m","params":{}}')
@example(b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"m","params":{}}')
@example(b'{"a":' * 70 + b"1" + b"}" * 70)
@example(b"[" * 5000)
@example("{}".encode("utf-16"))
@example(b"\xef\xbb\xbf{}")
@settings(max_examples=100, deadline=None)
def test_any_bytes(service_spec: ServiceSpec, body: bytes) -> None:
    _check_answer(service_spec, body)


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
        next(s for s in SERVICE_SPECS if s.api is Api.CALL), body[:at] + damage + body[at + len(damage) :]
    )
