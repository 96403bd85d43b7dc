"""The machine over the real accounts service and PostgreSQL: keys, sessions, limits, the report of
requests."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
import pytest

from tests.apis.support import SETTINGS, NotedSwitch, mnemonic
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.accounts.model import Api as Meter
from trunkline.accounts.model import NewAccount, Status
from trunkline.accounts.service import Accounts
from trunkline.apis.catalogue import SERVICE_SPECS
from trunkline.apis.jsonrpc import Api, Services
from trunkline.apis.jsonrpc.dispatcher import Dispatcher
from trunkline.apis.service.request_log import DatabaseRequestLog, Entry, prune
from trunkline.db.pool import Database

pytestmark = pytest.mark.shells


@dataclass
class _Real:
    db: Database
    account: NewAccount
    switch: NotedSwitch
    request_log: DatabaseRequestLog

    @property
    def administration(self) -> Administration:
        return Administration(self.db)

    async def ask(self, api: Api, method: str, ip: str = "127.0.0.1", **params: Any) -> dict[str, Any]:
        service_spec = next(service_spec for service_spec in SERVICE_SPECS if service_spec.api is api)
        services = Services(Accounts(self.db), self.switch, SETTINGS, self.db)
        message = {"jsonrpc": "2.0", "id": "e2e", "method": method, "params": params}
        dispatcher = Dispatcher(service_spec, services, self.request_log)
        answer: dict[str, Any] = orjson.loads(await dispatcher.answer(orjson.dumps(message), ip))
        return answer

    async def rows(self) -> list[dict[str, Any]]:
        return await self.db.fetch_all(
            "select * from api_requests where account_id = %s order by api_request_id",
            (self.account.account_id,),
        )


@asynccontextmanager
async def _opened(dsn: str, patience: float = 30.0) -> AsyncIterator[_Real]:
    async with await Database.open(dsn, connect_timeout=patience) as db:
        account = await Administration(db).create_account(
            AccountProfile("Harbour Tours", time_zone="Asia/Dubai"),
            login="captain",
            password="a long password",
            allow=["127.0.0.0/8"],
        )
        async with DatabaseRequestLog(db) as request_log:
            yield _Real(db, account, NotedSwitch({"list_calls": []}), request_log)


@pytest.fixture
async def real(database: str) -> AsyncIterator[_Real]:
    async with _opened(database) as opened:
        yield opened


@pytest.mark.parametrize("api", list(Api))
async def test_login_use_and_logout(real: _Real, api: Api) -> None:
    opened = await real.ask(api, "login.user", login="captain", password="a long password")
    token = opened["result"]["data"]["access_token"]
    method = "list.calls" if api is Api.CALL else "get.account"
    used = await real.ask(api, method, access_token=token)
    assert used["result"]["metadata"]["limits"]["minute_remaining"] == (
        opened["result"]["metadata"]["limits"]["minute_remaining"] - 1
    )
    other = next(a for a in Api if a is not api)
    assert mnemonic(await real.ask(other, "logout.user", access_token=token)) == "access_token_invalid"
    assert mnemonic(await real.ask(api, "logout.user", access_token=token)) == "ok"
    assert mnemonic(await real.ask(api, method, access_token=token)) == "access_token_invalid"
    assert mnemonic(await real.ask(api, "login.user", login="captain", password="x")) == "auth_error"


async def test_address_component_and_status_are_in_force_at_once(real: _Real) -> None:
    key = real.account.keys["call_api"]
    number = real.account.account_id

    async def reported(ip: str = "127.0.0.1") -> str:
        return mnemonic(await real.ask(Api.CALL, "list.calls", ip=ip, access_token=key))

    assert await reported() == "ok"
    assert await reported("203.0.113.1") == "ip_not_whitelisted"
    await real.administration.allow_address(number, Meter.CALL_API, "203.0.113.0/24")
    assert await reported("203.0.113.1") == "ok"
    await real.administration.set_component(number, "call_api_management", enabled=False)
    assert await reported() == "component_disabled"
    await real.administration.set_status(number, Status.DISABLED)
    assert await reported() == "account_inactive"


async def test_points_are_not_overspent_by_requests_at_once(real: _Real) -> None:
    await real.administration.set_limits(real.account.account_id, Meter.CALL_API, day=10)
    key = real.account.keys["call_api"]
    answers = await asyncio.gather(
        *(real.ask(Api.CALL, "list.calls", access_token=key) for _ in range(30)),
        *(real.ask(Api.CALL, "list.calls", access_token=key, direction="up") for _ in range(5)),
    )
    reported = [mnemonic(answer) for answer in answers]
    assert reported.count("ok") <= 10
    more = [mnemonic(await real.ask(Api.CALL, "list.calls", access_token=key)) for _ in range(11)]
    assert reported.count("ok") + more.count("ok") == 10, "faulty requests cost nothing in the end"


async def test_report_of_requests(real: _Real) -> None:
    key = real.account.keys["call_api"]
    real.switch.answers["start_employee_call"] = {"call_session_id": 4_711}
    started = await real.ask(
        Api.CALL,
        "start.employee_call",
        access_token=key,
        employee_id=4001,
        contact="971500000010",
        virtual_phone_number="442079460100",
    )
    assert mnemonic(started) == "ok"
    assert mnemonic(await real.ask(Api.CALL, "list.calls", access_token=key, direction="\0")) != "ok"
    assert mnemonic(await real.ask(Api.CALL, "no.such", access_token=key)) == "method_not_found"
    assert mnemonic(await real.ask(Api.CALL, "list.calls", access_token="x")) == "access_token_invalid"
    await real.request_log.__aexit__()
    success, failure = await real.rows()
    assert success["api_request_id"] == real.switch.commands[0][2]["api_request_id"]
    assert success["is_success"] is True
    assert success["points"] == 1
    assert success["call_session_id"] == 4_711
    assert success["user_login"] == "captain"
    assert str(success["ip"]) in ("127.0.0.1", "127.0.0.1/32")
    assert success["request"]["access_token"] == "***"
    assert success["request"]["contact"] == "971500000010"
    assert (failure["is_success"], failure["points"]) == (False, 0)
    assert failure["error_mnemonic"] == "invalid_parameter_value"
    assert key not in str(await real.rows())


async def test_old_lines_of_the_report_are_forgotten(real: _Real) -> None:
    line = (
        "insert into api_requests (account_id, api, method, is_success, duration_ms, requested_at)"
        " values (%s, 'call_api', 'list.calls', true, 1, now() - make_interval(days => %s))"
    )
    for days in (0, 29, 31, 400):
        await real.db.execute(line, (real.account.account_id, days))
    assert await prune(real.db, {real.account.account_id: 30}) == 2
    assert len(await real.rows()) == 2


async def test_lines_wait_while_the_database_refuses_and_a_bad_one_hurts_no_other(real: _Real) -> None:
    good = Entry(
        account_id=real.account.account_id,
        api_request_id=None,
        api="call_api",
        method="list.calls",
        user_id=1,
        user_login="captain",
        ip="127.0.0.1",
        points=1,
        error_mnemonic=None,
        request={"text": "nul \0 inside"},
        request_id="1",
        call_session_id=None,
        duration_ms=3,
        requested_at=1_790_000_000.0,
    )
    real.request_log.write(good)
    real.request_log.write(dataclasses.replace(good, ip="no address"))
    real.request_log.write(good)
    async with asyncio.timeout(20):
        while len(await real.rows()) < 2:
            await asyncio.sleep(0.05)


async def test_request_fails_while_the_database_is_unavailable(database: str) -> None:
    async with _opened(database, patience=20.0) as real:
        with psycopg.connect(database, autocommit=True) as connection:
            name = connection.info.dbname
        admin = database.replace(name, "postgres")
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'alter database "{name}" allow_connections false'.encode())
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,)
            )
            try:
                async with asyncio.timeout(60):
                    answer = await real.ask(Api.CALL, "logout.user", access_token="x")
                assert mnemonic(answer) == "internal_error"
                assert "remedy" in answer["error"]["data"]["params"]
            finally:
                connection.execute(f'alter database "{name}" allow_connections true'.encode())
