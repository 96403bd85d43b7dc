"""One tenant's expensive requests delay that tenant alone: every other tenant's commands, changes and reports are
answered, with the right rows."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.apis.support import mnemonic
from tests.attack.web_role import Tenant, WebRole, web_role

pytestmark = pytest.mark.attack

FLOOD = 25
_NUMBERS = itertools.count()
PERIOD = {"date_from": "2026-03-01 00:00:00", "date_till": "2026-03-31 23:59:59"}


@pytest.fixture
async def role(database: str, tmp_path: Path) -> AsyncIterator[WebRole]:
    async with web_role(database, tmp_path, queue_wait=1.0) as opened:
        yield opened


@pytest.fixture
async def tenants(role: WebRole) -> tuple[Tenant, Tenant]:
    attacker, neighbour = await role.tenant("Attacker"), await role.tenant("Neighbour")
    for tenant in (attacker, neighbour):
        await role.db.execute(
            "insert into contacts (account_id, key, first_name) select %s, v, v"
            " from (select repeat('a', 40) || repeat('ab1', 30) || n as v from generate_series(1, 500) n) x",
            (tenant.account_id,),
        )
    return attacker, neighbour


async def _uses(neighbour: Tenant) -> Counter[str]:
    """What becomes of a tenant's usual requests; its rows are the right ones."""
    outcomes: Counter[str] = Counter()
    simple = {
        "first_call": "operator",
        "operator": "12025550111",
        "virtual_phone_number": "442079460100",
        "contact": "971500000010",
        "switch_at_once": False,
    }
    for _ in range(3):
        reported = await neighbour.ask("get.account")
        outcomes["account"] += [row["name"] for row in reported.get("result", {}).get("data", ())] == [
            "Neighbour"
        ]
        outcomes[await neighbour.outcome("list.calls")] += 1
        started = await neighbour.ask("start.simple_call", **simple)
        outcomes["started"] += isinstance(
            started.get("result", {}).get("data", {}).get("call_session_id"), int
        )
        made = await neighbour.outcome("create.tags", name=f"tag {next(_NUMBERS)}")
        outcomes[f"change {made}"] += 1
        matching = {"field": "first_name", "operator": "regexp", "value": "[ab]1{1}[0-9]*$"}
        reported = await neighbour.ask("get.contacts", filter=matching, limit=1)
        outcomes["rows"] += reported.get("result", {}).get("metadata", {}).get("total_items") == 500
    return outcomes


ALL_WELL = Counter({"account": 3, "ok": 3, "started": 3, "change ok": 3, "rows": 3})


def _hostile(operator: str, value: str) -> dict[str, Any]:
    field = "emails" if operator == "jsquery" else "first_name"
    return {"filter": {"field": field, "operator": operator, "value": value}}


_PATTERNS = (
    (_hostile("regexp", r"^(a+)+(b1)*\1$"), {"invalid_parameter_value"}),
    (_hostile("regexp", "a{4294967296}"), {"invalid_parameter_value"}),
    (_hostile("regexp", "((((.?){9}.?){9}))[0-9]*x"), {"ok", "limit_exceeded"}),
    (_hostile("jsquery", ".".join("*" * 60) + " = 1"), {"invalid_parameter_value"}),
    (_hostile("like", "%a" * 400 + "x"), {"invalid_parameter_value"}),
)


async def test_hostile_patterns(role: WebRole, tenants: tuple[Tenant, Tenant]) -> None:
    attacker, neighbour = tenants
    for params, outcomes in _PATTERNS:
        flood = [asyncio.create_task(attacker.outcome("get.contacts", **params)) for _ in range(FLOOD)]
        assert await _uses(neighbour) == ALL_WELL, params
        assert set(await asyncio.gather(*flood)) <= outcomes, params


async def test_hostile_conditions_of_campaigns(role: WebRole, tenants: tuple[Tenant, Tenant]) -> None:
    """Kept before conditions were checked: they match nothing, and cost nothing while the lock of uploads is held."""
    attacker, neighbour = tenants
    site = await attacker.ask(
        "create.sites", domain_name="example.com", default_phone_number="442079460100", industry_id=1
    )
    site_id = site["result"]["data"]["id"]
    condition = {"type": "include", "campaign_parameter": "referrer", "operator": "~"}
    for value in (r"^(a+)+(b)*\1\1$", "((((.?){9}.?){9}))[0-9]*x", "a{4294967296}"):
        reported = await attacker.ask(
            "create.campaigns",
            name=value,
            site_id=site_id,
            campaign_conditions={"group_conditions": [{"conditions": [{**condition, "value": value}]}]},
        )
        expected = "ok" if value.startswith("((((") else "invalid_parameter_value"
        assert reported.get("error", {}).get("data", {}).get("mnemonic", "ok") == expected
        await role.db.execute(
            "insert into campaigns (account_id, site_id, name, group_conditions) values (%s, %s, %s, %s)",
            (
                attacker.account_id,
                site_id,
                f"kept {value}",
                Jsonb([{"conditions": [{**condition, "value": value}] * 50}] * 30),
            ),
        )
    visit = {
        "site_id": site_id,
        "date_time": "2026-03-03 12:00:00",
        "is_visitor_new": True,
        "visitor_ip_address": "203.0.113.7",
        "referrer": "a" * 2000,
    }
    flood = [
        asyncio.create_task(attacker.outcome("upload.sessions", sessions=[{**visit, "ext_id": str(number)}]))
        for number in range(FLOOD)
    ]
    assert await _uses(neighbour) == ALL_WELL
    assert set(await asyncio.gather(*flood)) <= {"ok", "limit_exceeded"}


async def test_reports_that_do_not_end(role: WebRole, tenants: tuple[Tenant, Tenant]) -> None:
    """The share of reports is the tenant's own: beyond it a request waits, then gets ``limit_exceeded``."""
    attacker, neighbour = tenants
    async with role.db.connection() as connection:
        await connection.execute("lock table employee_groups in access exclusive mode")
        flood = [asyncio.create_task(attacker.ask("get.group_employees")) for _ in range(FLOOD)]
        assert await _uses(neighbour) == ALL_WELL
        refused = FLOOD - role.settings.web.reports_per_account
        limits: Counter[tuple[str, int]] = Counter()
        for finished in itertools.islice(asyncio.as_completed(flood), refused):
            error = (await finished)["error"]
            assert (error["code"], error["data"]["mnemonic"]) == (-32029, "limit_exceeded")
            limits[error["data"]["params"]["limit_type"], error["data"]["params"]["limit_max_value"]] += 1
            assert "limits" in error["data"]["metadata"]
        # On a busy machine, some of the flood do not come to their check in time.
        assert limits.keys() <= {("concurrent reports", 3), ("concurrent requests before their check", 2)}
        assert limits["concurrent reports", 3], limits
    outcomes = Counter(map(mnemonic, await asyncio.gather(*flood)))
    assert outcomes == {"limit_exceeded": refused, "ok": role.settings.web.reports_per_account}
