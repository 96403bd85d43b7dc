"""A fingerprint distinguishes copies of an account, and discloses nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

from tests.directory.conftest import Administrator, until
from tests.directory.test_apply import DEMO
from trunkline.directory.live.fingerprint import fingerprint
from trunkline.directory.live.load import load_accounts
from trunkline.directory.live.snapshot import DirectorySnapshot
from trunkline.directory.model import Account


async def read(admin: Administrator) -> Account:
    """The account as a process reads it that starts now."""
    async with admin.db.connection() as connection:
        loaded = await load_accounts(connection, admin.cipher, admin.media_dir, [admin.account_id])
    return loaded.accounts[admin.account_id]


async def test_two_processes_agree_until_something_changes(
    admin: Administrator, snapshot: DirectorySnapshot
) -> None:
    environment = {"DEMO_CARRIER_HOST": "192.0.2.7", "DEMO_CARRIER_PORT": "5099"}
    await admin.apply(DEMO.read_text("utf-8"), env=environment)
    await until(lambda: snapshot.current.number("97140000100"))

    def followed() -> str:
        return fingerprint(snapshot.current.accounts[admin.account_id])

    first = fingerprint(await read(admin))
    assert len(first) == 64
    await until(lambda: followed() == first)
    await admin.apply(DEMO.read_text("utf-8").replace("Harbour Cafe", "Harbour Bar"), env=environment)
    second = fingerprint(await read(admin))
    assert second != first
    await until(lambda: followed() == second)


async def test_every_part_counts_and_no_order(admin: Administrator) -> None:
    await admin.apply(
        DEMO.read_text("utf-8"), env={"DEMO_CARRIER_HOST": "192.0.2.7", "DEMO_CARRIER_PORT": "5099"}
    )
    account = await read(admin)
    turned: dict[str, Any] = {
        each.name: MappingProxyType(dict(reversed(list(value.items()))))
        for each in fields(account)
        if each.init and isinstance(value := getattr(account, each.name), (dict, MappingProxyType))
    }
    assert len(turned) > 10
    assert fingerprint(replace(account, **turned)) == fingerprint(account)

    line = next(iter(account.lines.values()))
    number = next(iter(account.numbers.values()))
    scenario = next(iter(account.scenarios.values()))
    changes: list[Callable[[Account], Account]] = [
        lambda one: replace(one, lines={**one.lines, line.sip_line_id: replace(line, ha1_md5="0" * 32)}),
        lambda one: replace(
            one, numbers={**one.numbers, number.virtual_number_id: replace(number, rules=())}
        ),
        lambda one: replace(one, scenarios={scenario.scenario_id: replace(scenario, operations=())}),
        lambda one: replace(one, blacklist=one.blacklist | {"12025550142"}),
        lambda one: replace(one, security={**one.security, "international": True}),
        lambda one: replace(one, default_virtual_number_id=7),
        lambda one: replace(one, schedules={}),
        lambda one: replace(one, tags={}),
    ]
    prints = {fingerprint(change(account)) for change in changes} | {fingerprint(account)}
    assert len(prints) == len(changes) + 1
