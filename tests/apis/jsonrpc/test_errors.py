"""Each common error of both APIs, provoked: exact code, text, field, value, params, metadata."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import trunkline
from tests.apis.support import CALLER, TOKEN, ApisOnFakes, fault, mnemonic
from trunkline.accounts.permissions import Role
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    USER_ID,
    Api,
    Component,
    Envelope,
    Field,
    FieldType,
    Method,
    Param,
    Params,
    ParamType,
    RequestContext,
    Result,
)
from trunkline.apis.jsonrpc.envelope import read_request
from trunkline.apis.jsonrpc.errors import REMEDIES, RpcError, find_spec, rpc_error
from trunkline.contract import load_common_errors
from trunkline.core.errors import (
    AuthenticationFailed,
    InvalidInput,
    NotCarriedOut,
    NotFound,
    PermissionDenied,
    SwitchUnavailable,
    TrunklineError,
)

BOTH = pytest.mark.parametrize("api", list(Api))


def _probe(api: Api, raises: Exception | None = None, **changes: Any) -> Method:
    async def handler(request: RequestContext, params: Params) -> Result:
        if raises is not None:
            raise raises
        return Result({"seen": dict(params)})

    declared: dict[str, Any] = {
        "api": api,
        "name": "get.probe",
        "summary": "For tests.",
        "params": (
            ACCESS_TOKEN,
            Param("count", ParamType.NUMBER, required=True),
            Param("nested", ParamType.OBJECT, params=(Param("id", ParamType.NUMBER, required=True),)),
            Param("mode", ParamType.ENUM, enum=("a", "b")),
        ),
        "result": (Field("seen", FieldType.OBJECT),),
        "envelope": Envelope.DATA_OBJECT,
        "handler": handler,
    }
    return Method(**{**declared, **changes})


def _helper(answer: dict[str, Any]) -> str:
    helper = answer["error"]["data"]["extended_helper"]
    assert isinstance(helper, str), answer
    return helper


def _text(api: Api, name: str) -> str:
    rows = load_common_errors()[api]
    return next(
        str(row["message"]) for rows_ in (rows["common"],) for row in rows_ if row["mnemonic"] == name
    )


@BOTH
@pytest.mark.parametrize(
    ("body", "code", "name", "field", "request_id"),
    [
        (b"{", -32700, "parse_error", None, None),
        (b"", -32700, "parse_error", None, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":NaN}}', -32700, "parse_error", None, None),
        (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"m","params":{}}', -32700, "parse_error", None, 2),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":"\xff"}}', -32700, "parse_error", None, 1),
        (b"[" * 100 + b"]" * 100, -32700, "parse_error", None, None),
        (b'"text"', -32600, "invalid_request", None, None),
        (b'{"id":1,"method":"m","params":{}}', -32600, "invalid_request", "jsonrpc", 1),
        (b'{"jsonrpc":2.0,"id":1,"method":"m","params":{}}', -32600, "invalid_request", "jsonrpc", 1),
        (b'{"jsonrpc":"2.0","id":null,"method":"m","params":{}}', -32600, "invalid_request", "id", None),
        (b'{"jsonrpc":"2.0","id":true,"method":"m","params":{}}', -32600, "invalid_request", "id", None),
        (b'{"jsonrpc":"2.0","id":1,"method":7,"params":{}}', -32600, "invalid_request", "method", 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"m"}', -32600, "invalid_request", "params", 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":[]}', -32600, "invalid_request", "params", 1),
        (b"[]", -32099, "batch_operations_not_supported", None, None),
        (b'[{"jsonrpc":"2.0"}]', -32099, "batch_operations_not_supported", None, None),
        (b'{"jsonrpc":"2.0","method":"m","params":{}}', -32099, "notifications_not_supported", "id", None),
        (
            b'{"jsonrpc":"2.0","id":"x","method":"no.such","params":{}}',
            -32601,
            "method_not_found",
            "method",
            "x",
        ),
    ],
)
async def test_envelope_errors(
    api: Api, body: bytes, code: int, name: str, field: str | None, request_id: Any
) -> None:
    fakes = ApisOnFakes()
    answer = await fakes.send(api, body)
    assert fault(answer) == (code, name, _text(api, name))
    assert answer["error"]["data"]["field"] == field
    assert answer["error"]["data"]["metadata"] == {}
    assert answer["id"] == request_id
    assert answer["jsonrpc"] == "2.0"
    assert fakes.request_log.entries == []


async def test_body_that_is_not_utf8_where_the_page_lists_it() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"start.simple_call","params":{"external_id":"\xe9"}}'
    answer = await ApisOnFakes().send(Api.CALL, body)
    assert fault(answer) == (-32602, "character_encoding_not_allowed", "The character encoding must be UTF-8")
    assert answer["id"] == 1


@BOTH
@pytest.mark.parametrize("name", ["access_token_invalid", "access_token_expired", "access_token_blocked"])
async def test_token_errors(api: Api, name: str) -> None:
    fakes = ApisOnFakes()
    fakes.accounts.refuse(AuthenticationFailed("no", mnemonic=name))
    answer = await fakes.ask(api, "logout.user")
    assert fault(answer) == (-32001, name, _text(api, name))
    assert answer["error"]["data"]["metadata"] == {}
    assert fakes.request_log.entries == []


@BOTH
async def test_missing_or_wrong_token(api: Api) -> None:
    fakes = ApisOnFakes()
    missing = await fakes.ask(api, "logout.user", token=None)
    assert fault(missing) == (
        -32602,
        "required_parameter_missed",
        _text(api, "required_parameter_missed"),
    )
    assert missing["error"]["data"]["field"] == "access_token"
    number = await fakes.ask(api, "logout.user", {"access_token": 17}, token=None)
    assert fault(number)[1] == "data_type_error"
    assert number["error"]["data"]["value"] is None, "a token is never echoed"


@BOTH
async def test_login_errors(api: Api) -> None:
    answer = await ApisOnFakes().ask(api, "login.user", {"login": "dispatcher", "password": "no"}, token=None)
    assert fault(answer) == (-32001, "auth_error", "Login or password is wrong")
    assert answer["error"]["data"]["value"] is None


@BOTH
async def test_account_inactive(api: Api) -> None:
    fakes = ApisOnFakes()
    fakes.accounts.refuse(PermissionDenied("account is disabled", mnemonic="account_inactive"))
    answer = await fakes.ask(api, "logout.user")
    assert fault(answer) == (-32009, "account_inactive", _text(api, "account_inactive"))


@BOTH
async def test_address(api: Api) -> None:
    fakes = ApisOnFakes()
    body = {"jsonrpc": "2.0", "id": 1, "method": "logout.user", "params": {"access_token": TOKEN}}
    answer = await fakes.send(api, body, ip="203.0.113.9")
    assert fault(answer) == (-32003, "ip_not_whitelisted", "Your IP 203.0.113.9 is not whitelisted")
    assert answer["error"]["data"]["params"] == {"ip": "203.0.113.9"}
    assert answer["error"]["data"]["metadata"] == {}
    assert fakes.request_log.entries == []


@BOTH
async def test_user_without_the_api_and_without_permission(api: Api) -> None:
    fakes = ApisOnFakes(extra=[_probe(api, permissions=(("employees", "select"),))])
    fakes.accounts.allow(role=Role.MEMBER)
    refused = await fakes.ask(api, "get.probe", {"count": 1})
    assert fault(refused) == (-32003, "forbidden", "Permission denied")
    fakes.accounts.allow(permissions=frozenset({"employees:select"}))
    assert mnemonic(await fakes.ask(api, "get.probe", {"count": 1})) == "ok"
    fakes.accounts.allow(call_api_enabled=False, data_api_enabled=False)
    assert fault(await fakes.ask(api, "get.probe", {"count": 1}))[1] == "forbidden"


async def test_component_of_the_call_api() -> None:
    fakes = ApisOnFakes()
    fakes.accounts.allow(components=frozenset())
    answer = await fakes.ask(Api.CALL, "list.calls")
    assert fault(answer) == (
        -32008,
        "component_disabled",
        "Component Call API Call management has been disabled",
    )
    assert answer["error"]["data"]["params"] == {"component_name": "Call API Call management"}
    assert "trunkline account component call_api_management on --account 1001" in _helper(answer)
    assert answer["error"]["data"]["metadata"]["limits"]["minute_remaining"] == 100


async def test_component_of_the_data_api() -> None:
    wanted = (Component("va", "Virtual PBX"), Component("lead", "Lead generator"))
    fakes = ApisOnFakes(extra=[_probe(Api.DATA, components=wanted)])
    fakes.accounts.allow(components=frozenset({"lead"}))
    assert mnemonic(await fakes.ask(Api.DATA, "get.probe", {"count": 1})) == "ok"
    fakes.accounts.allow(components=frozenset())
    answer = await fakes.ask(Api.DATA, "get.probe", {"count": 1})
    assert fault(answer) == (
        -32008,
        "method_component_disabled",
        "You need at least one of the following components to access this method: "
        "Virtual PBX, Lead generator",
    )
    assert "trunkline account component va on --account 1001" in _helper(answer)


@BOTH
async def test_limit(api: Api) -> None:
    fakes = ApisOnFakes(extra=[_probe(api)])
    fakes.accounts.minute_limit = 1
    assert mnemonic(await fakes.ask(api, "get.probe", {"count": 1})) == "ok"
    answer = await fakes.ask(api, "get.probe", {"count": 1})
    assert fault(answer) == (
        -32029,
        "limit_exceeded",
        "Limit per minute has been exceeded. Value of current limit per minute is 1",
    )
    assert answer["error"]["data"]["params"] == {"limit_type": "minute", "limit_max_value": 1}
    assert answer["error"]["data"]["metadata"]["limits"] == {
        "day_limit": 10_000,
        "day_remaining": 9_999,
        "day_reset": 3600,
        "minute_limit": 1,
        "minute_remaining": 0,
        "minute_reset": 30,
    }


@BOTH
@pytest.mark.parametrize(
    ("sent", "code", "name", "field", "value"),
    [
        ({}, -32602, "required_parameter_missed", "count", None),
        ({"count": None}, -32602, "required_parameter_missed", "count", None),
        ({"count": 1, "nested": {}}, -32602, "required_parameter_missed", "nested.id", None),
        ({"count": "many"}, -32602, "data_type_error", "count", "many"),
        ({"count": True}, -32602, "data_type_error", "count", True),
        ({"count": 1.5}, -32602, "data_type_error", "count", 1.5),
        ({"count": 1, "nested": []}, -32602, "data_type_error", "nested", []),
        ({"count": 1, "nested": {"id": {}}}, -32602, "data_type_error", "nested.id", {}),
        ({"count": 1, "mode": 3}, -32602, "data_type_error", "mode", 3),
        ({"count": 1, "mode": "c"}, -32602, "invalid_parameter_value", "mode", "c"),
        ({"count": 2**63}, -32602, "invalid_parameter_value", "count", 2**63),
        ({"count": 1, "zeta": 1, "alpha": 2}, -32602, "unexpected_parameters", "alpha, zeta", None),
        ({"count": 1, "nested": {"id": 1, "x": 1}}, -32602, "unexpected_parameters", "nested.x", None),
    ],
)
async def test_parameter_errors(
    api: Api, sent: dict[str, Any], code: int, name: str, field: str, value: Any
) -> None:
    fakes = ApisOnFakes(extra=[_probe(api)])
    answer = await fakes.ask(api, "get.probe", sent)
    assert fault(answer) == (code, name, _text(api, name))
    assert answer["error"]["data"]["field"] == field
    assert answer["error"]["data"]["value"] == value
    assert _helper(answer)
    assert answer["error"]["data"]["metadata"]["limits"]["minute_remaining"] == 100, (
        "the point was given back"
    )
    assert [entry.error_mnemonic for entry in fakes.request_log.entries] == [name]


async def test_numeric_strings_are_numbers() -> None:
    fakes = ApisOnFakes(extra=[_probe(Api.CALL)])
    answer = await fakes.ask(Api.CALL, "get.probe", {"count": "17", "nested": {"id": "5"}, "mode": None})
    assert answer["result"]["data"]["seen"] == {"count": 17, "nested": {"id": 5}}


@BOTH
async def test_unexpected_failure_says_nothing_but_an_incident(api: Api) -> None:
    fakes = ApisOnFakes(extra=[_probe(api, raises=RuntimeError("password=hunter2"))])
    answer = await fakes.ask(api, "get.probe", {"count": 1})
    assert fault(answer) == (-32603, "internal_error", "Internal error, contact the support service")
    assert set(answer["error"]["data"]["params"]) == {"incident_id"}
    assert "hunter2" not in str(answer)
    assert fakes.accounts.used == 0


@BOTH
async def test_a_dependency_that_is_unavailable(api: Api) -> None:
    fakes = ApisOnFakes(extra=[_probe(api, raises=SwitchUnavailable("node 0 at 127.0.0.1:8070 is away"))])
    answer = await fakes.ask(api, "get.probe", {"count": 1})
    assert fault(answer)[1] == "internal_error"
    assert "send the request again" in answer["error"]["data"]["params"]["remedy"]
    assert "8070" not in str(answer)


@BOTH
async def test_the_remedy_is_that_of_the_cause(api: Api) -> None:
    """A client that gets "send it again" for a full disk sends it again for ever."""
    full = NotCarriedOut("The disk is full: new calls are refused; free space, then try again")
    answer = await ApisOnFakes(extra=[_probe(api, raises=full)]).ask(api, "get.probe", {"count": 1})
    assert fault(answer)[1] == "internal_error"
    data = answer["error"]["data"]
    assert (data["params"]["remedy"], data["extended_helper"]) == (full.message, full.message)


@BOTH
async def test_result_that_is_no_json(api: Api) -> None:
    async def handler(request: RequestContext, params: Params) -> Result:
        return Result({"seen": object()})

    fakes = ApisOnFakes(extra=[_probe(api, handler=handler)])
    answer = await fakes.ask(api, "get.probe", {"count": 1})
    assert fault(answer)[1] == "internal_error"
    assert fakes.accounts.used == 0


async def test_domain_errors_take_the_code_of_page_verb_or_common_list() -> None:
    raises: TrunklineError = PermissionDenied("it is the system's", field="id", value=5)
    deleting = _probe(Api.DATA, name="delete.probe", raises=raises)
    answer = await ApisOnFakes(extra=[deleting]).ask(Api.DATA, "delete.probe", {"count": 1})
    assert fault(answer) == (-32602, "forbidden", "Permission denied"), "the delete list has its own code"
    missing = _probe(Api.DATA, name="update.probe", raises=NotFound("none"))
    answer = await ApisOnFakes(extra=[missing]).ask(Api.DATA, "update.probe", {"count": 1})
    assert fault(answer) == (-32602, "entity_not_found", "Entity not found")
    combination = InvalidInput("no", mnemonic="invalid_parameters_combination")
    for api in Api:
        answer = await ApisOnFakes(extra=[_probe(api, raises=combination)]).ask(
            api, "get.probe", {"count": 1}
        )
        assert fault(answer) == (
            -32602,
            "invalid_parameters_combination",
            "The combination of parameters is not permitted",
        )
    dynamic = InvalidInput("no", mnemonic="error", params={"error_message": "the line is busy {x}"})
    answer = await ApisOnFakes(extra=[_probe(Api.DATA, raises=dynamic)]).ask(
        Api.DATA, "get.probe", {"count": 1}
    )
    assert fault(answer) == (-32602, "error", "the line is busy {x}")


async def test_error_the_api_does_not_know_is_internal() -> None:
    fakes = ApisOnFakes(extra=[_probe(Api.CALL, raises=InvalidInput("odd", mnemonic="no_such_mnemonic"))])
    assert fault(await fakes.ask(Api.CALL, "get.probe", {"count": 1}))[1] == "internal_error"


async def test_agent_acts_for_a_client() -> None:
    async def handler(request: RequestContext, params: Params) -> Result:
        return Result({"account_id": request.account_id})

    probe = _probe(Api.DATA, params=(ACCESS_TOKEN, USER_ID), handler=handler)
    fakes = ApisOnFakes(extra=[probe])
    client = _client()
    fakes.accounts.clients[3001] = client
    assert fault(await fakes.ask(Api.DATA, "get.probe", {"user_id": 3001}))[1] == "forbidden"
    assert mnemonic(await fakes.ask(Api.DATA, "get.probe", {"user_id": CALLER.user_id})) == "ok"
    fakes.accounts.allow(is_agent=True)
    missing = await fakes.ask(Api.DATA, "get.probe")
    assert (fault(missing)[1], missing["error"]["data"]["field"]) == ("required_parameter_missed", "user_id")
    assert fault(await fakes.ask(Api.DATA, "get.probe", {"user_id": 3001}))[1] == "ip_not_whitelisted"
    fakes.accounts.networks[client.account_id] = ["127.0.0.1/32"]
    answer = await fakes.ask(Api.DATA, "get.probe", {"user_id": "3001"})
    assert answer["result"]["data"] == {"account_id": client.account_id}
    assert fault(await fakes.ask(Api.DATA, "get.probe", {"user_id": 9}))[1] == "forbidden"
    assert fault(await fakes.ask(Api.DATA, "get.probe", {"user_id": "x"}))[1] == "data_type_error"


def _client() -> Any:
    return replace(CALLER, account_id=1002, user_id=3001, login="client")


@BOTH
async def test_remedies_of_missing_rights(api: Api) -> None:
    fakes = ApisOnFakes(extra=[_probe(api, permissions=(("reports", "select"),))])
    fakes.accounts.allow(role=Role.MEMBER)
    answer = await fakes.ask(api, "get.probe", {"count": 1})
    command = "trunkline user permit --user dispatcher reports select --account 1001"
    assert command in _helper(answer)
    fakes.accounts.allow(call_api_enabled=False, data_api_enabled=False)
    answer = await fakes.ask(api, "get.probe", {"count": 1})
    assert f"trunkline user apis --user dispatcher {api.value} --account 1001" in _helper(answer)


@BOTH
async def test_the_remedy_of_an_error_is_in_extended_helper(api: Api) -> None:
    refused = InvalidInput("choose another count, from 1 to 9", field="count", value=1)
    fakes = ApisOnFakes(extra=[_probe(api, raises=refused)])
    answer = await fakes.ask(api, "get.probe", {"count": 1})
    assert _helper(answer) == "choose another count, from 1 to 9"


@BOTH
@pytest.mark.parametrize(
    ("sent", "remedy"),
    [
        ({}, "Send count. A whole number."),
        ({"count": "many"}, "A whole number."),
        ({"count": 1, "mode": "c"}, "A string, one of a, b."),
        ({"count": 1, "mod": "a"}, "mod may be mode. Known parameters: count, mode, nested."),
        ({"count": 1, "nested": {"ids": 1}}, "nested.ids may be nested.id. Known parameters of nested: id."),
    ],
)
async def test_remedies_of_parameters(api: Api, sent: dict[str, Any], remedy: str) -> None:
    assert remedy in _helper(await ApisOnFakes(extra=[_probe(api)]).ask(api, "get.probe", sent))


@BOTH
@pytest.mark.parametrize(
    ("body", "remedy"),
    [
        (b"{", "one JSON value in UTF-8"),
        (b'"\xff"', "in UTF-8"),
        (b"[]", "an HTTP request of its own"),
        (b"1", '{"jsonrpc": "2.0"'),
        (b'{"jsonrpc": "2.0", "method": "get.probe", "params": {}}', "Send an id"),
    ],
)
async def test_remedies_of_envelopes(api: Api, body: bytes, remedy: str) -> None:
    with pytest.raises(RpcError) as failure:
        read_request(body, api, lambda _name: None)
    assert remedy in (failure.value.extended_helper or "")


@BOTH
def test_each_error_that_a_server_makes_by_itself_has_a_remedy(api: Api) -> None:
    for name, remedy in REMEDIES.items():
        if find_spec(api, None, name) is not None:
            assert rpc_error(api, name).extended_helper == remedy
    assert rpc_error(api, "invalid_request", remedy="another").extended_helper == "another"


def test_no_error_is_made_without_a_remedy() -> None:
    """Of each call of ``rpc_error`` in the APIs: it has a remedy, or one is known for its name."""
    without = []
    for path in sorted((Path(trunkline.__file__).parent / "apis").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "rpc_error"):
                continue
            name = node.args[1]
            has_remedy = any(one.arg == "remedy" for one in node.keywords)
            if isinstance(name, ast.Constant) and name.value not in REMEDIES and not has_remedy:
                without.append(f"{path.name}:{node.lineno}: {name.value!r}")
    assert without == []


@BOTH
async def test_the_remedy_of_a_time_has_the_accepted_forms(api: Api) -> None:
    params = (ACCESS_TOKEN, Param("date_from", ParamType.ISO8601, required=True))
    fakes = ApisOnFakes(extra=[_probe(api, params=params)])
    for good in ("2026-03-01 08:30:00", "2026-03-01T08:30:00.000Z", "2026-03-01T08:30:00.123456+04:00"):
        assert mnemonic(await fakes.ask(api, "get.probe", {"date_from": good})) == "ok"
    answer = await fakes.ask(api, "get.probe", {"date_from": "01.03.2026"})
    assert "YYYY-MM-DD hh:mm:ss" in _helper(answer)
    assert "2026-03-01T08:30:00.000Z" in _helper(answer)


@BOTH
@pytest.mark.parametrize("envelope", [Envelope.DIRECT, Envelope.DATA_OBJECT])
async def test_a_create_method_answers_its_id_in_both_places(api: Api, envelope: Envelope) -> None:
    async def make(request: RequestContext, params: Params) -> Result:
        return Result({"id": 7, "key": "a"})

    fields = (Field("id", FieldType.NUMBER), Field("key", FieldType.STRING))
    probe = _probe(api, name="create.probe", envelope=envelope, result=fields, handler=make)
    result = (await ApisOnFakes(extra=[probe]).ask(api, "create.probe", {"count": 1}))["result"]
    assert result["id"] == result["data"]["id"] == 7
    assert (result if envelope is Envelope.DIRECT else result["data"])["key"] == "a"
