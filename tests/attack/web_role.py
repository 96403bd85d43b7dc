"""A real web process over a real database, with two tenants and a switch that answers at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from tests.apis.support import mnemonic
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.accounts.components import TITLES
from trunkline.accounts.model import METERED, Api, NewAccount
from trunkline.core.settings import MetricsSettings, Settings, SwitchSettings, WebSettings
from trunkline.db.pool import Database
from trunkline.demo.certificate import certify
from trunkline.runtime import secrets
from trunkline.runtime.ports import free_ports

_PATHS = {Api.CALL_API: "/v4.0", Api.DATA_API: "/v2.0"}


@dataclass
class Tenant:
    """A company whose requests go to the web process."""

    account: NewAccount
    http: str
    client: aiohttp.ClientSession

    @property
    def account_id(self) -> int:
        return self.account.account_id

    def body(self, method: str, **params: Any) -> dict[str, Any]:
        """A request's message; methods with a verb of calls go to the Call API."""
        token = self.account.keys[api_of(method).value]
        return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"access_token": token, **params}}

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The whole answer."""
        url = self.http + _PATHS[api_of(method)]
        async with self.client.post(url, json=self.body(method, **params)) as response:
            body = await response.read()
            assert body, f"HTTP {response.status} without a body: {dict(response.headers)}"
            answer: dict[str, Any] = orjson.loads(body)
            return answer

    async def outcome(self, method: str, **params: Any) -> str:
        """The mnemonic of the error, ``ok`` for a success."""
        return mnemonic(await self.ask(method, **params))


def api_of(method: str) -> Api:
    """Which API a method of these tests belongs to."""
    is_call = method.startswith("start.") or method == "list.calls"
    return Api.CALL_API if is_call else Api.DATA_API


@dataclass
class WebRole:
    """The process and its endpoints."""

    settings: Settings
    db: Database
    client: aiohttp.ClientSession
    pid: int
    commands: list[str]

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.settings.web.http_port}"

    async def tenant(self, name: str) -> Tenant:
        """A company with all components and more points than the tests spend."""
        administration = Administration(self.db)
        account = await administration.create_account(
            AccountProfile(name, time_zone="Asia/Dubai"),
            login=name.lower(),
            password="a long password",
            allow=["127.0.0.0/8"],
        )
        for component in TITLES:
            await administration.set_component(account.account_id, component, enabled=True)
        for api in METERED:
            await administration.set_limits(account.account_id, api, day=100_000, minute=100_000)
        return Tenant(account, self.http, self.client)


@contextlib.asynccontextmanager
async def web_role(dsn: str, folder: Path, **changes: Any) -> AsyncIterator[WebRole]:
    """``python -m trunkline.roles web`` until the end of the block.

    :param changes: members of the settings of ``web``.
    """
    http, https, control, metrics = free_ports(4)
    settings = Settings(
        data_dir=folder,
        database_url=dsn,
        log_json=True,
        switch=SwitchSettings(control_port=control),
        metrics=MetricsSettings(web_port=metrics),
        web=WebSettings.model_validate(
            {"http_port": http, "https_bind": "127.0.0.1", "https_port": https, **changes}
        ),
    )
    secrets.ensure(settings)
    certify(settings)
    commands: list[str] = []
    async with (
        _switch(control, commands),
        await Database.open(dsn) as db,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=False)) as client,
    ):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "trunkline.roles",
            "web",
            env=_environment(settings),
            stdout=asyncio.subprocess.PIPE,
            stderr=(folder / "web.log").open("wb"),
        )
        try:
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), 60)
            assert b"ready" in line, (folder / "web.log").read_text()
            yield WebRole(settings, db, client, process.pid, commands)
        except BaseException:
            print((folder / "web.log").read_text()[-20_000:])
            raise
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.wait()


def _environment(settings: Settings) -> dict[str, str]:
    web_settings = settings.web.model_dump(exclude_defaults=True)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("TRUNKLINE_")},
        "TRUNKLINE_DATA_DIR": str(settings.data_dir),
        "TRUNKLINE_DATABASE_URL": str(settings.database_url),
        "TRUNKLINE_LOG_JSON": "true",
        "TRUNKLINE_SWITCH__CONTROL_PORT": str(settings.switch.control_port),
        "TRUNKLINE_METRICS__WEB_PORT": str(settings.metrics.web_port),
        **{f"TRUNKLINE_WEB__{name.upper()}": str(value) for name, value in web_settings.items()},
    }


@contextlib.asynccontextmanager
async def _switch(port: int, commands: list[str]) -> AsyncIterator[None]:
    """Takes commands as the switch does; starts get numbers, ``list_calls`` has none."""

    async def command(request: web.Request) -> web.Response:
        name = orjson.loads(await request.read())["name"]
        commands.append(name)
        result: dict[str, Any] = {"calls": []} if name == "list_calls" else {"call_session_id": len(commands)}
        return web.Response(body=orjson.dumps({"result": result}))

    app = web.Application()
    app.add_routes([web.post("/command", command)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()
