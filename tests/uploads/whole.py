"""The whole product that takes uploads: `trunkline up`, a customer's server it trusts, and one it does not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp

from tests.uploads.customer import Customer
from trunkline.core.settings import UploadSettings
from trunkline.demo.installation import Account, ApiError, Installation, settings_on_free_ports
from trunkline.demo.webhooks import WebhookReceiver
from trunkline.runtime import postgres

COMPONENTS = ("upload_calls", "speech_analytics", "call_tracking", "va")
DAY = {"date_from": "2026-03-03 00:00:00", "date_till": "2026-03-03 23:59:59"}
"""On which the calls of the tests were made."""


@dataclass
class Whole:
    """What a test needs. ``token`` is of a login, not a key."""

    installation: Installation
    account: Account
    token: str
    trusted: Customer
    stranger: Customer
    receiver: WebhookReceiver

    @property
    def dsn(self) -> str:
        return postgres.dsn(self.installation.settings)

    async def ask(self, method: str, **params: Any) -> Any:
        """``result.data`` of a method of the Data API; :class:`ApiError` otherwise, :class:`aiohttp.ClientError` when
        there is no answer."""
        return (await ask(self.installation.url, method, access_token=self.token, **params))["data"]

    async def rows(self, method: str, **params: Any) -> list[dict[str, Any]]:
        return list(await self.ask(method, limit=10_000, **params))

    async def uploaded(self) -> dict[str, dict[str, Any]]:
        """``get.uploaded_calls`` by ``ext_id``."""
        now = datetime.now(ZoneInfo("UTC"))
        times = {"date_from": now - timedelta(days=1), "date_till": now + timedelta(days=1)}
        shown = {name: f"{time:%Y-%m-%d %H:%M:%S}" for name, time in times.items()}
        return {row["ext_id"]: row for row in await self.rows("get.uploaded_calls", **shown)}

    async def settled(self, ext_ids: set[str], seconds: float = 60) -> dict[str, dict[str, Any]]:
        """Those rows once all of them are processed or failed."""
        async with asyncio.timeout(seconds):
            while True:
                rows = {name: row for name, row in (await self.uploaded()).items() if name in ext_ids}
                if len(rows) == len(ext_ids) and {row["status"] for row in rows.values()} <= {
                    "processed",
                    "error",
                }:
                    return rows
                await asyncio.sleep(0.1)


async def ask(url: str, method: str, **params: Any) -> Any:
    """``result`` of a request on a separate connection, as from a script."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    async with aiohttp.ClientSession() as client, client.post(f"{url}/v2.0", json=request) as response:
        answer = await response.json(content_type=None)
    if "error" in answer:
        raise ApiError(method, answer["error"])
    return answer["result"]


@contextlib.asynccontextmanager
async def whole_product(folder: Path) -> AsyncIterator[Whole]:
    """Everything up, with an account that may upload, logged in."""
    async with contextlib.AsyncExitStack() as stack:
        servers = []
        for name in ("trusted", "stranger"):
            (folder / name).mkdir()
            servers.append(await stack.enter_async_context(Customer(folder / name)))
        receiver = await stack.enter_async_context(WebhookReceiver())
        uploads = UploadSettings(
            allowed_private_networks=["127.0.0.1/32"], trusted_certificates=servers[0].certificate
        )
        settings = settings_on_free_ports(folder / "pbx" / "data").model_copy(update={"uploads": uploads})
        installation = await stack.enter_async_context(Installation(folder / "pbx", settings))
        account = await installation.create_account("Uploader")
        number = ("--account", str(account.account_id))
        for component in COMPONENTS:
            await installation.run("account", "component", component, "on", *number)
        await installation.run(
            "account", "limit", "data_api", "--day", "1000000", "--minute", "100000", *number
        )
        login = await ask(installation.url, "login.user", login=account.login, password=account.password)
        trusted, stranger = servers
        yield Whole(installation, account, login["data"]["access_token"], trusted, stranger, receiver)
