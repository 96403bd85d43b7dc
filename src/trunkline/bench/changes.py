"""The fourth measurement: from a change of the directory by the Data API until calls use it.

A company of some size is changed over HTTP, one change at a time, and the switch is asked for the fingerprint of what it
knows until that is another one. The time is from the sending of the request, so the interface's own work is in it. Of a
new SIP line it is also measured when the engine has loaded it, so that a phone can register.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yaml

from trunkline.bench.setting import Figure, Finding, Say, Setting, rows
from trunkline.bench.statistics import Spread, spread
from trunkline.demo.installation import Account, Installation
from trunkline.runtime import secrets

METHOD = (
    "Changes by the Data API of a company with 200 employees and 2000 contacts, one at a time: milliseconds from sending "
    "the request until the switch's view of the account has changed, seen by asking for its fingerprint every 2 ms. For a "
    "new line also until the engine has its endpoint. The aim is a second. No peer: the last column is the worst."
)
EMPLOYEES, CONTACTS = 200, 2000
AIM_MS = 1000.0
_TIMEOUT_SECONDS = 10.0
_PAUSE = 0.002
_REST = 0.1
"""Between two changes, so that none is gathered with the one before."""
_ROUNDS, _QUICK_ROUNDS = 40, 8
_NUMBER = "97140000600"
_BLOCKED = "12025550142"


@dataclass
class Company:
    """What is changed.

    :ivar made: logins of lines that the changes created, and their ids.
    """

    installation: Installation
    account: Account
    http: aiohttp.ClientSession
    employees: list[int]
    group: int
    rule: int
    token: str
    made: dict[str, int] = field(default_factory=dict)
    line: str = ""

    async def ask(self, method: str, **params: Any) -> Any:
        """``result`` of a method of the Data API, its ``data`` where it has one."""
        result = await self.installation.data_api(self.account, method, **params)
        return result.get("data", result)

    async def create(self, method: str, **params: Any) -> Any:
        """``result`` of a method that creates an item; stores the item's id under the name of the item."""
        made = await self.installation.data_api(self.account, method, **params)
        self.made[method.partition(".")[2]] = made["id"]
        return made

    async def fingerprint(self) -> str:
        """Fingerprint of the switch's copy of the account."""
        settings = self.installation.settings
        url = f"http://127.0.0.1:{settings.switch.control_port}/directory/{self.account.account_id}"
        async with self.http.get(url, headers={"Authorization": f"Bearer {self.token}"}) as response:
            return str(orjson.loads(await response.read())["result"]["fingerprint"])

    async def in_engine(self, login: str) -> bool:
        """Whether the engine has an endpoint for a line."""
        settings = self.installation.settings
        ari = secrets.load(settings).ari
        url = f"http://127.0.0.1:{settings.engine.ari_port}/ari/endpoints/PJSIP/{login}"
        headers = {"Authorization": aiohttp.encode_basic_auth(ari.user, ari.password)}
        async with self.http.get(url, headers=headers) as response:
            await response.read()
            return response.status == 200


Change = Callable[[Company, int], Awaitable[Any]]
"""One change; the number is the round's, for values that must be new each time."""


async def _line(company: Company, _round: int) -> None:
    made = await company.create(
        "create.sip_lines", employee_id=company.employees[0], virtual_phone_number=_NUMBER
    )
    company.line = made["phone_number"]


CHANGES: Mapping[str, Change] = {
    "an employee's status": lambda c, n: c.ask(
        "update.employees", id=c.employees[1], status="do_not_disturb" if n % 2 == 0 else "available"
    ),
    "a short number": lambda c, n: c.ask(
        "update.employees",
        id=c.employees[2],
        extension={
            "extension_phone_number": str(2000 + n),
            "extension_voice_mail_enabled": False,
            "extension_queue_enabled": False,
        },
    ),
    "a group's members": lambda c, n: c.ask(
        "update.group_employees", id=c.group, members=c.employees[n % 50 : n % 50 + 20]
    ),
    "a new line": _line,
    "a line's password": lambda c, _: c.ask("update.sip_line_password", id=c.made["sip_lines"]),
    "a line that is locked": lambda c, _: c.ask(
        "update.sip_lines", id=c.made["sip_lines"], billing_state="manual_lock"
    ),
    "a line that is gone": lambda c, _: c.ask("delete.sip_lines", id=c.made["sip_lines"]),
    "a number's rule": lambda c, n: c.ask(
        "set.call_processing_rule_is_active", id=c.rule, type="scenario", is_active=n % 2 == 1
    ),
    "a new schedule": lambda c, n: c.create(
        "create.schedules",
        name=f"Schedule {n}",
        schedules=[{"activity_days": {"type": "days_of_week", "days": [1]}}],
    ),
    "a schedule that is gone": lambda c, _: c.ask("delete.schedules", id=c.made["schedules"]),
    "a number on the blacklist": lambda c, _: c.create(
        "create.phone_number_to_blacklist", phone_number=_BLOCKED
    ),
    "a number off the blacklist": lambda c, _: c.ask(
        "delete.phone_number_from_blacklist", id=c.made["phone_number_to_blacklist"]
    ),
    "a new tag": lambda c, n: c.create("create.tags", name=f"Tag {n}"),
    "a tag that is gone": lambda c, _: c.ask("delete.tags", id=c.made["tags"]),
    "a new contact": lambda c, _: c.create(
        "create.contacts", last_name="Stone", phone_numbers=["12025550143"]
    ),
    "a contact who is gone": lambda c, _: c.ask("delete.contacts", id=c.made["contacts"]),
}
"""In this order in each round: what is taken away was given before."""
IN_ENGINE = "a new line, in the engine"


def company_file(carrier: str) -> dict[str, Any]:
    """The directory file."""
    return {
        "account": {
            "time_zone": "Asia/Dubai",
            "country": "AE",
            "components": ["data_api_base", "va", "recording"],
        },
        "trunks": {"carrier": {"name": "Carrier", "host": carrier}},
        "sip_lines": {f"07{i:05}": {} for i in range(EMPLOYEES)},
        "employees": {
            f"employee{i}": {
                "first_name": "Employee",
                "last_name": f"No {i}",
                "extension": str(10_000 + i),
                "phones": [{"line": f"07{i:05}"}],
            }
            for i in range(EMPLOYEES)
        },
        "groups": {"team": {"name": "Team", "members": [f"employee{i}" for i in range(20)]}},
        "contacts": {
            f"contact{i}": {"last_name": f"Contact {i}", "phones": [f"+9715{i:08}"]} for i in range(CONTACTS)
        },
        "scenarios": {
            "main": {"name": "Main", "operations": {"ring": {"kind": "forward_group", "group": "team"}}}
        },
        "virtual_numbers": {_NUMBER: {"name": "Main", "trunk": "carrier", "rules": [{"scenario": "main"}]}},
    }


@asynccontextmanager
async def set_up(folder: Path) -> AsyncIterator[Company]:
    async with contextlib.AsyncExitStack() as stack:
        installation = await stack.enter_async_context(Installation(folder / "pbx"))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        account = await installation.create_account("Bench company")
        limits = ("--day", "1000000", "--minute", "100000", "--account", str(account.account_id))
        await installation.run("account", "limit", "data_api", *limits)
        file = folder / "company.yaml"
        file.write_text(yaml.safe_dump(company_file("192.0.2.9")))
        await installation.apply(account, file)

        async def ids(method: str) -> list[int]:
            found = await installation.data_api(account, method, fields=["id"])
            return sorted(row["id"] for row in found["data"])

        [number] = await ids("get.virtual_numbers")
        rules = await installation.data_api(
            account, "getobj.call_processing_rules", number_capacity_id=number
        )
        yield Company(
            installation,
            account,
            http,
            await ids("get.employees"),
            (await ids("get.group_employees"))[0],
            rules["data"]["scenarios"][0]["call_processing_rule_id"],
            secrets.load(installation.settings).control_token,
        )


async def _until(seen: Callable[[], Awaitable[bool]], began: float) -> float | None:
    """Milliseconds from ``began`` until it was so; None when it never was."""
    while not await seen():
        if time.perf_counter() - began > _TIMEOUT_SECONDS:
            return None
        await asyncio.sleep(_PAUSE)
    return (time.perf_counter() - began) * 1000


async def measure(company: Company, rounds: int, say: Say) -> tuple[dict[str, list[float]], list[str]]:
    """Milliseconds of each kind of change, and the changes that never came."""
    found: dict[str, list[float]] = {name: [] for name in (*CHANGES, IN_ENGINE)}
    lost: list[str] = []
    for number in range(rounds):
        for name, change in CHANGES.items():
            before = await company.fingerprint()

            async def differs(before: str = before) -> bool:
                return await company.fingerprint() != before

            began = time.perf_counter()
            doing = asyncio.ensure_future(change(company, number))
            taken = await _until(differs, began)
            await doing
            _note(found, lost, name, taken)
            if name == "a new line":
                _note(found, lost, IN_ENGINE, await _until(lambda: company.in_engine(company.line), began))
            await asyncio.sleep(_REST)
        if number % 10 == 9:
            say(f"  {number + 1} rounds of {len(CHANGES)} changes")
    return found, lost


def _note(found: dict[str, list[float]], lost: list[str], name: str, taken: float | None) -> None:
    if taken is None:
        lost.append(name)
    else:
        found[name].append(taken)


def figures(found: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    """Spread and worst of each kind, and of all that concern the switch together."""
    switch = [value for name, values in found.items() if name != IN_ENGINE for value in values]
    kinds = {"all of them": switch, **found}
    return {
        name: {**asdict(spread(values)), "worst": round(max(values), 1)}
        if values
        else asdict(Spread(0, 0, 0))
        for name, values in kinds.items()
    }


async def run(setting: Setting) -> Finding:
    """See :mod:`trunkline.bench.parts`."""
    setting.folder.mkdir(parents=True, exist_ok=True)
    async with set_up(setting.folder) as company:
        await measure(company, 1, lambda _: None)  # warm
        found, lost = await measure(company, _QUICK_ROUNDS if setting.quick else _ROUNDS, setting.say)
    summaries = figures(found)
    lines = [
        (f"{name}, ms", f"{one['p50']:.0f}", f"{one['p99']:.0f}", f"{one.get('worst', 0):.0f}")
        for name, one in summaries.items()
    ]
    table = rows(("", "p50", "p99", "worst"), lines)
    aims = {
        f"{name.replace(' ', '_')}_worst_ms": Figure(None if name in lost else one.get("worst"), AIM_MS)
        for name, one in summaries.items()
    }
    return Finding(not lost, table, {"milliseconds": summaries, "never_came": lost}, aims)
