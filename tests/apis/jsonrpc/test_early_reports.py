"""Reports are read while their request is checked, and sent only after the check (:mod:`..service.known_callers`)."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from tests.apis.support import ADDRESS, TOKEN, ApisOnFakes, MemoryAccounts, mnemonic
from trunkline.accounts.permissions import Role
from trunkline.accounts.rate_limit import AdmittedCaller
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    Api,
    Envelope,
    Field,
    FieldType,
    Method,
    Param,
    Params,
    ParamType,
    RequestContext,
)
from trunkline.apis.service.request_context import Result
from trunkline.core.errors import AuthenticationFailed, InvalidInput

Steps = list[str]


class SlowAccounts(MemoryAccounts):
    """Their answer takes a while; notes when it comes."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self.steps = steps
        self.admitted = asyncio.Event()

    async def admit(self, *args: Any) -> AdmittedCaller:
        await asyncio.sleep(0.02)
        self.steps.append("checked")
        answer = await super().admit(*args)
        self.admitted.set()
        return answer


class Reports:
    """A Data API with one report and one change; ``steps`` notes what runs."""

    def __init__(self) -> None:
        self.steps: Steps = []
        self.accounts = SlowAccounts(self.steps)
        self.fakes = ApisOnFakes(accounts=self.accounts, extra=[self.method("get"), self.method("update")])
        self.dispatcher = self.fakes.dispatcher(Api.DATA)
        self.seconds = 0.0

    def method(self, verb: str) -> Method:
        return Method(
            api=Api.DATA,
            name=f"{verb}.probe",
            summary="For tests.",
            params=(ACCESS_TOKEN, Param("count", ParamType.NUMBER)),
            result=(Field("login", FieldType.STRING),),
            envelope=Envelope.DATA_ARRAY,
            permissions=(("va", "select"),),
            handler=self.handle,
        )

    async def handle(self, request: RequestContext, params: Params) -> Result:
        self.steps.append(f"read for {request.caller.login}")
        await asyncio.sleep(self.seconds)
        if params.get("count") == 1:
            raise InvalidInput("not one", mnemonic="invalid_parameters_combination")
        return Result([{"login": request.caller.login}], total_items=1)

    async def ask(self, method: str = "get.probe", **params: Any) -> dict[str, Any]:
        self.steps.clear()
        message = {
            "jsonrpc": "2.0", "id": 1, "method": method, "params": {"access_token": TOKEN, **params}
        }  # fmt: skip
        answer: dict[str, Any] = orjson.loads(await self.dispatcher.answer(orjson.dumps(message), ADDRESS))
        return answer


@pytest.fixture
async def reports() -> Reports:
    """After one successful report, which was checked before it was read."""
    made = Reports()
    assert mnemonic(await made.ask()) == "ok"
    assert made.steps == ["checked", "read for dispatcher"]
    return made


async def test_a_report_is_read_while_it_is_checked(reports: Reports) -> None:
    answer = await reports.ask()
    assert reports.steps == ["read for dispatcher", "checked"]
    assert answer["result"]["data"] == [{"login": "dispatcher"}]
    assert reports.accounts.used == 2


async def test_a_change_is_made_after_the_check(reports: Reports) -> None:
    assert mnemonic(await reports.ask("update.probe")) == "ok"
    assert reports.steps == ["checked", "read for dispatcher"]


async def test_a_refused_request_gets_no_rows_and_the_next_is_checked_first(reports: Reports) -> None:
    reports.seconds = 60.0  # what was begun is stopped, not waited for
    caller = reports.accounts.callers[TOKEN]
    reports.accounts.callers[TOKEN] = AuthenticationFailed("blocked", mnemonic="access_token_blocked")
    assert mnemonic(await reports.ask()) == "access_token_blocked"
    assert reports.steps == ["read for dispatcher", "checked"]
    assert mnemonic(await reports.ask()) == "access_token_blocked"
    assert reports.steps == ["checked"]
    reports.seconds = 0.0
    reports.accounts.callers[TOKEN] = caller
    assert mnemonic(await reports.ask()) == "ok"
    assert reports.steps == ["checked", "read for dispatcher"]


async def test_rows_are_read_again_for_a_caller_that_has_changed(reports: Reports) -> None:
    reports.accounts.allow(login="renamed")
    answer = await reports.ask()
    assert reports.steps == ["read for dispatcher", "checked", "read for renamed"]
    assert answer["result"]["data"] == [{"login": "renamed"}]
    await reports.ask()
    assert reports.steps == ["read for renamed", "checked"]


async def test_a_lost_permission_is_in_force_at_once(reports: Reports) -> None:
    reports.accounts.allow(role=Role.MEMBER, permissions=frozenset())
    assert mnemonic(await reports.ask()) == "forbidden"
    assert reports.accounts.used == 1


async def test_the_error_of_the_check_comes_before_the_error_of_the_report(reports: Reports) -> None:
    reports.accounts.minute_limit = 1
    assert mnemonic(await reports.ask(count=1)) == "limit_exceeded"
    reports.accounts.minute_limit = 100
    assert mnemonic(await reports.ask(count=2)) == "ok"
    assert mnemonic(await reports.ask(count=1)) == "invalid_parameters_combination"
    assert reports.steps == ["read for dispatcher", "checked"]
    assert reports.accounts.used == 2


async def test_parameters_are_checked_after_the_token(reports: Reports) -> None:
    reports.accounts.callers.clear()
    assert mnemonic(await reports.ask(count={})) == "access_token_invalid"
    assert reports.steps == ["checked"]


async def test_a_client_that_goes_away_stops_what_was_begun(reports: Reports) -> None:
    reports.seconds = 60.0
    reports.accounts.admitted.clear()
    asking = asyncio.create_task(reports.ask())
    await reports.accounts.admitted.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert reports.steps == ["read for dispatcher", "checked"]
    assert len(asyncio.all_tasks()) == 1
    assert reports.accounts.used == 1
