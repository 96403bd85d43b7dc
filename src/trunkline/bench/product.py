"""The product with everything on: recording, reports, a webhook subscription for every event, registered phones."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import yaml

from trunkline.bench.processes import cpu_seconds, open_files
from trunkline.core.settings import Settings
from trunkline.demo.installation import Account, Installation, settings_on_free_ports
from trunkline.demo.webhooks import WebhookReceiver
from trunkline.runtime import secrets

ZONE = ZoneInfo("Asia/Dubai")
LINE_PASSWORD = "bench-only-7391"  # noqa: S105 - of phones that live for a minute
EMPLOYEES = 16
"""A line takes 20 calls at once at most, so the load is spread."""
NUMBERS = [f"971400005{index:02}" for index in range(EMPLOYEES)]
LINES = [f"05600{index:02}" for index in range(EMPLOYEES)]
Change = Callable[[Settings], Settings]
_EVENTS = (
    "in_call_session", "call_connected", "talk_finished", "call_session_finished", "call_record_completed", "lost_call",
)  # fmt: skip
_RTP = (32_000, 39_999)
_SETTLE_SECONDS = 60.0
_PROCESSES = ("asterisk", "switch", "worker", "web", "postgres")


def company(carrier: str, port: int, webhook: str) -> dict[str, Any]:
    """The directory file: each number rings one employee."""
    indices = range(EMPLOYEES)
    return {
        "account": {"time_zone": ZONE.key, "country": "AE"},
        "trunks": {"carrier": {"name": "Carrier", "host": carrier, "port": port}},
        "sip_lines": {
            LINES[i]: {"virtual_number": NUMBERS[i], "channels": 20, "password": LINE_PASSWORD}
            for i in indices
        },
        "employees": {
            f"employee{i}": {
                "first_name": "Employee",
                "last_name": f"No {i}",
                "phones": [{"line": LINES[i], "channels": 150, "dial_time": 30}],
            }
            for i in indices
        },
        "scenarios": {
            f"to{i}": {
                "name": f"To {i}",
                "operations": {
                    "ring": {"kind": "forward_employee", "employee": f"employee{i}", "ring_seconds": 30}
                },
            }
            for i in indices
        },
        "virtual_numbers": {
            NUMBERS[i]: {"name": f"Number {i}", "trunk": "carrier", "rules": [{"scenario": f"to{i}"}]}
            for i in indices
        },
        "notifications": {
            "all": {
                "name": "Everything",
                "url": webhook,
                "events": list(_EVENTS),
                "headers": {"Content-Type": "application/json"},
                "body": '{"event": {{notification_mnemonic}}, "call": {{call_session_id}}}',
            }
        },
    }


class Product:
    """A running installation with its company, as an async context manager.

    :param carrier: address and port the calls come from.
    :param change: of its settings.
    """

    def __init__(self, folder: Path, carrier: tuple[str, int], change: Change | None = None) -> None:
        settings = _settings(folder / "pbx" / "data")
        self.installation = Installation(folder / "pbx", settings if change is None else change(settings))
        self.receiver = WebhookReceiver()
        self.account: Account
        self._folder = folder
        self._carrier = carrier
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._set()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _set(self) -> None:
        await self._stack.enter_async_context(self.receiver)
        await self._stack.enter_async_context(self.installation)
        self.account = await self.installation.create_account("Bench company", ZONE.key)
        limits = ("--day", "1000000", "--minute", "100000", "--account", str(self.account.account_id))
        for api in ("data_api", "call_api"):
            await self.installation.run("account", "limit", api, *limits)
        file = self._folder / "company.yaml"
        file.write_text(yaml.safe_dump(company(*self._carrier, self.receiver.url)))
        await self.installation.apply(self.account, file)

    @property
    def sip_port(self) -> int:
        return self.installation.settings.sip.udp_port

    async def wait_registered(self, lines: int = EMPLOYEES, timeout: float = 20.0) -> None:
        """Until the switch counts this many registered lines."""
        deadline = asyncio.get_running_loop().time() + timeout
        while (await self.switch_status())["registered_lines"] < lines:
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"not all lines registered: {await self.switch_status()}")
            await asyncio.sleep(0.2)

    # --- status

    async def switch_status(self) -> dict[str, Any]:
        settings = self.installation.settings
        token = secrets.load(settings).control_token
        _, body = await self.installation.get(
            f"http://127.0.0.1:{settings.switch.control_port}/status", {"Authorization": f"Bearer {token}"}
        )
        return dict(json.loads(body)["result"])

    async def engine(self, path: str) -> Any:
        """A listing of the product's own Asterisk."""
        settings = self.installation.settings
        login = secrets.load(settings).ari
        _, body = await self.installation.get(
            f"http://127.0.0.1:{settings.engine.ari_port}/ari/{path}?api_key={login.user}:{login.password}"
        )
        return json.loads(body)

    def cpu(self) -> dict[str, float]:
        """CPU seconds used so far, by process."""
        return cpu_seconds({name: int(self.installation.process(name)["pid"]) for name in _PROCESSES})

    async def settle(self) -> None:
        """Wait until no call is live and all is written; if this does not happen, the figures show it."""
        deadline = asyncio.get_running_loop().time() + _SETTLE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            status = await self.switch_status()
            if not any(status[name] for name in ("live_calls", "unwritten_events", "busy_sessions")):
                return
            await asyncio.sleep(0.2)

    async def left(self) -> dict[str, int]:
        """Figures that must be as before once no call is live."""
        status = await self.switch_status()
        return {
            "channels": len(await self.engine("channels")),
            "bridges": len(await self.engine("bridges")),
            "live_calls": status["live_calls"],
            "live_legs": status["live_legs"],
            "busy_sessions": status["busy_sessions"],
            "unwritten_events": status["unwritten_events"],
            "switch_tasks": status["tasks"],
            "switch_files": open_files(int(self.installation.process("switch")["pid"])),
            "engine_files": open_files(int(self.installation.process("asterisk")["pid"])),
        }

    async def ends(self) -> Mapping[str, int]:
        """How the calls of the last hours ended, by ``finish_reason`` of the report."""
        found: Counter[str] = Counter()
        offset = 0
        now = datetime.now(ZONE)
        while True:
            result = await self.installation.data_api(
                self.account,
                "get.calls_report",
                date_from=f"{now - timedelta(hours=3):%Y-%m-%d %H:%M:%S}",
                date_till=f"{now + timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
                fields=["id", "finish_reason", "is_lost"],
                sort=[{"field": "start_time", "order": "asc"}],
                limit=10_000,
                offset=offset,
            )
            rows: Sequence[Mapping[str, Any]] = result["data"]
            found.update(f"{row['finish_reason']}{' (lost)' if row['is_lost'] else ''}" for row in rows)
            if len(rows) < 10_000:
                return dict(found)
            offset += len(rows)


def _settings(data: Path) -> Settings:
    settings = settings_on_free_ports(data)
    sip = settings.sip.model_copy(update={"rtp_port_first": _RTP[0], "rtp_port_last": _RTP[1]})
    return settings.model_copy(update={"sip": sip})
