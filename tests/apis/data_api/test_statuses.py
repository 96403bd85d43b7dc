"""Statuses of employees and the time spent in them, by the Data API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.apis.data_api.client import DataApiClient
from tests.reports.company import ACCOUNT
from trunkline.directory.model import EmployeeStatus

DUBAI = ZoneInfo("Asia/Dubai")
MORNING = datetime(2026, 3, 2, 8, 0, 0, tzinfo=DUBAI)
LUNCH = {"name": "Lunch", "color": "#aabbcc"}


async def own_status(client: DataApiClient, account_id: int = ACCOUNT, **more: Any) -> int:
    row = {"account_id": account_id, "is_deleted": False, **LUNCH, **more}
    made = await client.one(
        """insert into employee_statuses (account_id, name, color, is_deleted)
           values (%(account_id)s, %(name)s, %(color)s, %(is_deleted)s) returning status_id""",
        row,
    )
    return int(made)


async def changes(client: DataApiClient, employee_id: int, *steps: tuple[datetime, int]) -> None:
    """Say that an employee's statuses were these, from these moments on."""
    async with client.db.connection() as connection:
        await connection.execute(
            "delete from employee_status_changes where account_id = %s and employee_id = %s",
            (ACCOUNT, employee_id),
        )
        for moment, status_id in steps:
            await connection.execute(
                """insert into employee_status_changes (account_id, employee_id, changed_at, status_id)
                   values (%s, %s, %s, %s)""",
                (ACCOUNT, employee_id, moment, status_id),
            )


async def test_the_standard_statuses(client: DataApiClient) -> None:
    rows = await client.rows("get.statuses")
    assert [row["mnemonic"] for row in rows] == list(EmployeeStatus)
    assert rows[0] == {
        "id": 1,
        "name": "Available",
        "mnemonic": "available",
        "description": "Takes and makes calls",
        "color": "#48b882",
        "is_deleted": False,
        "in_external_allowed_call_directions": ["in", "out"],
        "in_internal_allowed_call_directions": ["in", "out"],
        "out_external_allowed_call_directions": ["in", "out"],
        "out_internal_allowed_call_directions": ["in", "out"],
        "allowed_phone_protocols": ["PSTN", "SIP"],
        "is_select_allowed": True,
        "is_worktime": True,
        "is_auto_out_calls_ready": False,
    }


async def test_statuses_of_an_account(client: DataApiClient) -> None:
    lunch = await own_status(client)
    gone = await own_status(client, name="Old", is_deleted=True)
    foreign = await own_status(client, 1002)
    assert [row["id"] for row in await client.rows("get.statuses")][7:] == [lunch]
    assert [row["id"] for row in await client.rows("get.statuses", is_deleted=True)] == [gone]
    for unknown in (gone, foreign):
        assert await client.fault("update.employees", id=4001, status_id=unknown) == (
            "entity_not_found",
            "status_id",
        )
    await client.do("update.employees", id=4001, status_id=lunch)
    row = await client.row("get.employees", 4001)
    assert (row["status"], row["status_id"]) == (None, lunch)
    await client.do("update.employees", id=4001, status="available")
    row = await client.row("get.employees", 4001)
    assert (row["status"], row["status_id"]) == ("available", 1)


async def test_every_change_of_a_status_is_noted(client: DataApiClient) -> None:
    made = (await client.do("create.employees", last_name="Reed", status="break"))["id"]
    await client.do("update.employees", id=made, status_id=3)
    await client.do("update.employees", id=made, first_name="Ida")
    await client.one(
        "update employees set status = 'not_at_work' where employee_id = %(id)s returning 1", {"id": made}
    )
    noted = await client.one(
        """select array_agg(status_id order by changed_at) from employee_status_changes
           where account_id = 1001 and employee_id = %(id)s""",
        {"id": made},
    )
    assert noted == [2, 3, 5]


async def stats(client: DataApiClient, **params: Any) -> dict[int, dict[str, int]]:
    period = {"date_from": "2026-03-02 00:00:00", "date_till": "2026-03-02 23:59:59"}
    rows = await client.rows("get.employee_stat", **{**period, **params})
    return {row["id"]: row["status_stats"] for row in rows}


async def test_seconds_in_each_status(client: DataApiClient) -> None:
    lunch = await own_status(client)
    await changes(
        client,
        4001,
        (MORNING - timedelta(days=3), 5),
        (MORNING, 1),
        (MORNING + timedelta(hours=4), lunch),
        (MORNING + timedelta(hours=5), 1),
        (MORNING + timedelta(hours=9), 5),
    )
    await changes(client, 4002, (MORNING + timedelta(days=1), 1))
    reported = await stats(client)
    assert reported[4001] == {"available": 8 * 3600, "not_at_work": 15 * 3600}
    assert reported[4002] == {}
    by_id = (await stats(client, only_default_statuses_in_stats=False))[4001]
    assert by_id == {"1": 8 * 3600, str(lunch): 3600, "5": 15 * 3600}
    assert sum(by_id.values()) == 24 * 3600
    busy = {"field": "status_stats", "operator": "jsquery", "value": "available > 28000"}
    assert list(await stats(client, filter=busy)) == [4001]


async def test_the_future_counts_nothing(client: DataApiClient) -> None:
    now = datetime.now(UTC)
    await changes(client, 4001, (now - timedelta(minutes=10), 1))
    local = now.astimezone(DUBAI)
    period = {
        "date_from": (local - timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S"),
        "date_till": (local + timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S"),
    }
    assert 600 <= (await stats(client, **period))[4001]["available"] < 700


async def test_faults_of_statistics(client: DataApiClient) -> None:
    assert await client.fault("get.employee_stat", date_till="2026-03-02 00:00:00") == (
        "required_parameter_missed",
        "date_from",
    )
    long = {"date_from": "2026-01-01 00:00:00", "date_till": "2026-06-01 00:00:00"}
    assert (await client.fault("get.employee_stat", **long))[0] == "date_interval_limit_reached"
    client.with_components("va")
    assert (await client.fault("get.employee_stat", **long))[0] == "method_component_disabled"
