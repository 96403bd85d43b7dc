"""The first error is returned: a request with every fault, corrected one by one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.apis.support import ADDRESS, TOKEN, ApisOnFakes, mnemonic
from trunkline.accounts.permissions import Role
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    Api,
    Component,
    Envelope,
    Method,
    Param,
    Params,
    ParamType,
    RequestContext,
)
from trunkline.apis.service.request_context import Result
from trunkline.core.errors import InvalidInput


async def _handler(request: RequestContext, params: Params) -> Result:
    if params["count"] == 1:
        raise InvalidInput("not one", mnemonic="invalid_parameters_combination")
    return Result({})


PROBE = Method(
    api=Api.CALL,
    name="get.probe",
    summary="For tests.",
    params=(ACCESS_TOKEN, Param("count", ParamType.NUMBER, required=True)),
    result=(),
    envelope=Envelope.DATA_OBJECT,
    components=(Component("call_api_base", "Call API Basic set"),),
    permissions=(("va", "select"),),
    handler=_handler,
)


async def test_faults_are_reported_in_order() -> None:
    fakes = ApisOnFakes(extra=[PROBE])
    accounts = fakes.accounts
    accounts.allow(call_api_enabled=False, components=frozenset(), role=Role.MEMBER, permissions=frozenset())
    accounts.minute_limit = 0
    accounts.networks.clear()
    message: dict[str, Any] = {"method": "no.such", "params": {"access_token": "bad", "count": {}}}

    async def reported() -> str:
        return mnemonic(await fakes.send(Api.CALL, message))

    assert mnemonic(await fakes.send(Api.CALL, orjson.dumps([message]) + b"]")) == "parse_error"
    assert mnemonic(await fakes.send(Api.CALL, [message])) == "batch_operations_not_supported"
    assert await reported() == "invalid_request"
    message["jsonrpc"] = "2.0"
    assert await reported() == "notifications_not_supported"
    message["id"] = 1
    assert await reported() == "method_not_found"
    message["method"] = "get.probe"
    assert await reported() == "access_token_invalid"
    message["params"]["access_token"] = TOKEN
    assert await reported() == "ip_not_whitelisted"
    accounts.networks[1001] = ["0.0.0.0/0"]
    assert await reported() == "forbidden"
    accounts.allow(call_api_enabled=True)
    assert await reported() == "component_disabled"
    accounts.allow(components=frozenset({"call_api_base"}))
    assert await reported() == "forbidden"
    accounts.allow(permissions=frozenset({"va:select"}))
    assert await reported() == "limit_exceeded"
    accounts.minute_limit = 1
    assert await reported() == "data_type_error"
    message["params"]["count"] = 1
    assert await reported() == "invalid_parameters_combination"
    message["params"]["count"] = 2
    assert await reported() == "ok"
    assert await reported() == "limit_exceeded"
    assert accounts.used == 1, "only the success cost a point"


async def test_login_shows_password_before_address_and_leaves_no_session() -> None:
    fakes = ApisOnFakes()
    fakes.accounts.networks.clear()
    wrong = {"login": "dispatcher", "password": "wrong"}
    right = {"login": "dispatcher", "password": "correct horse"}
    assert mnemonic(await fakes.ask(Api.CALL, "login.user", {"login": "x"}, token=None)) == (
        "required_parameter_missed"
    )
    assert mnemonic(await fakes.ask(Api.CALL, "login.user", wrong, token=None)) == "auth_error"
    assert mnemonic(await fakes.ask(Api.CALL, "login.user", right, token=None)) == "ip_not_whitelisted"
    assert fakes.accounts.sessions == set()
    fakes.accounts.networks[1001] = ["127.0.0.1/32"]
    assert mnemonic(await fakes.ask(Api.CALL, "login.user", right, token=None)) == "ok"
    assert len(fakes.accounts.sessions) == 1


@pytest.mark.parametrize(
    "text", ["340282366920938463463374607431768211455", "-9" + "0" * 30, "1.5", "-0.25", "7"]
)
async def test_id_comes_back_as_it_was_sent(text: str) -> None:
    fakes = ApisOnFakes()
    for method in ("logout.user", "no.such"):
        params = orjson.dumps({"access_token": TOKEN})
        body = b'{"jsonrpc":"2.0","id":%s,"method":"%s","params":%s}' % (
            text.encode(),
            method.encode(),
            params,
        )
        assert f'"id":{text},'.encode() in await fakes.dispatcher(Api.CALL).answer(body, ADDRESS)
