"""Schedules by the Data API."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from tests.apis.data_api.client import DataApiClient
from trunkline.directory.model.hours import rule_from_json


def rule(kind: str, days: list[Any], *times: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {
        "activity_days": {"type": kind, "days": days},
        "activity_time": [{"time_from": since, "time_till": till} for since, till in times],
        "activity_date_from": None,
        "activity_date_till": None,
        **more,
    }


WEEK = rule("days_of_week", [1, 2, 3, 4, 5], ("09:00", "13:00"), ("14:00", "18:00"))
RULES = [
    WEEK,
    rule("days_of_month", [1, 31], activity_date_from="2026-12-01", activity_date_till="2027-01-31"),
    rule("business_calendar", [8], ("10:00", "24:00")),
    rule("cycle", [2, 2], activity_date_from="2026-12-01"),
]


async def test_a_schedule_from_beginning_to_end(client: DataApiClient) -> None:
    made = (await client.do("create.schedules", name="Office", schedules=RULES))["id"]
    assert await client.row("get.schedules", made) == {"id": made, "name": "Office", "schedules": RULES}
    assert await client.do("update.schedules", id=made, name="Shop") == {}
    assert (await client.row("get.schedules", made))["name"] == "Shop"
    found = {"field": "schedules", "operator": "jsquery", "value": '#(activity_days.type = "cycle")'}
    assert [row["id"] for row in await client.rows("get.schedules", filter=found)] == [made]
    assert await client.do("delete.schedules", id=made) == {}
    assert [row["id"] for row in await client.rows("get.schedules")] == [3001]


async def test_what_is_left_out(client: DataApiClient) -> None:
    reported = {"activity_days": {"type": "cycle", "days": [1, 1]}}
    made = (await client.do("create.schedules", name="Shifts", schedules=[reported]))["id"]
    assert (await client.row("get.schedules", made))["schedules"] == [rule("cycle", [1, 1])]
    [stored] = await client.one("select rules from schedules where schedule_id = %(id)s", {"id": made})
    today = rule_from_json(stored).anchor
    assert abs((today - datetime.now(client.accounts.callers["good-token"].time_zone).date()).days) <= 1  # type: ignore[union-attr]
    assert isinstance(today, date)


async def test_intervals_of_directory_files_are_reported_as_rules(client: DataApiClient) -> None:
    await client.db.execute(
        """update schedules set intervals = '[{"days": [5, 7], "from": "22:00", "till": "06:00"},
               {"days": [1], "from": "08:00", "till": "08:00"}, {"days": [6], "from": "00:00", "till": "24:00"},
               {"days": [2], "from": "20:00", "till": "00:00"}]'
           where account_id = 1001"""
    )
    assert (await client.row("get.schedules", 3001))["schedules"] == [
        rule("days_of_week", [0, 5], ("22:00", "24:00")),
        rule("days_of_week", [1, 6], ("00:00", "06:00")),
        rule("days_of_week", [1], ("08:00", "24:00")),
        rule("days_of_week", [2], ("00:00", "08:00")),
        rule("days_of_week", [6]),
        rule("days_of_week", [2], ("20:00", "24:00")),
    ]


async def test_an_invalid_schedule_is_refused_with_mnemonic_and_field(client: DataApiClient) -> None:
    days, combination = "schedules.activity_days.days", "invalid_parameters_combination"
    cases: list[tuple[Any, str, str]] = [
        ([], "invalid_parameter_value", "schedules"),
        ([rule("days_of_week", [7])], "invalid_parameter_value", days),
        ([rule("days_of_week", [])], "invalid_parameter_value", days),
        ([rule("days_of_week", [1, 1])], "invalid_parameter_value", days),
        ([rule("days_of_month", [0])], "invalid_parameter_value", days),
        ([rule("business_calendar", [6])], "invalid_parameter_value", days),
        ([rule("cycle", [0, 2])], "invalid_parameter_value", days),
        ([rule("cycle", [2])], "invalid_parameter_value", days),
        ([rule("cycle", ["x"])], "data_type_error", days),
        ([rule("yearly", [1])], "invalid_parameter_value", "schedules.activity_days.type"),
        ([rule("cycle", [1, 1], ("18:00", "09:00"))], combination, "schedules.activity_time.time_till"),
        ([rule("cycle", [1, 1], ("9", "10:00"))], "invalid_date_time", "schedules.activity_time.time_from"),
        (
            [rule("cycle", [1, 1], activity_date_from="2026-02-30")],
            "invalid_date_time",
            "schedules.activity_date_from",
        ),
        (
            [rule("cycle", [1, 1], activity_date_from="2026-02-03", activity_date_till="2026-02-02")],
            combination,
            "schedules.activity_date_till",
        ),
        ([{"activity_time": []}], "required_parameter_missed", "schedules.activity_days"),
    ]
    for reported, mnemonic, field in cases:
        assert await client.fault("create.schedules", name="X", schedules=reported) == (mnemonic, field), (
            reported
        )
    assert await client.fault("create.schedules", name="Day", schedules=[WEEK]) == (
        "duplicate_entity",
        "name",
    )
    made = (await client.do("create.schedules", name="Other", schedules=[WEEK]))["id"]
    assert await client.fault("update.schedules", id=made, name="Day") == ("duplicate_entity", "name")
    for method, more in (("update.schedules", {"name": "X"}), ("delete.schedules", {})):
        assert await client.fault(method, id=1, **more) == ("entity_not_found", "id")


async def test_a_schedule_that_is_used_stays(client: DataApiClient) -> None:
    assert (await client.fault("delete.schedules", id=3001))[0] == "dependency_error"  # employees
    made = (await client.do("create.schedules", name="Branch", schedules=[WEEK]))["id"]
    await client.one(
        """update scenario_operations set settings = jsonb_build_object('schedule_id', %(id)s::bigint)
           where account_id = 1001 and operation_id = 6002 returning 1""",
        {"id": made},
    )
    assert await client.fault("delete.schedules", id=made) == ("dependency_error", "id")


async def test_a_schedule_of_another_account_is_not_found(client: DataApiClient) -> None:
    made = (await client.do("create.schedules", name="Ours", schedules=[WEEK]))["id"]
    client.as_other_account()
    assert [row["id"] for row in await client.rows("get.schedules")] == [3001]
    assert await client.fault("update.schedules", id=made, name="X") == ("entity_not_found", "id")
    assert await client.fault("delete.schedules", id=made) == ("entity_not_found", "id")
