"""The switch's list of live calls is returned unchanged: its fields, its time zone, and no outdated data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from tests.calls.test_recovery_managed import Desk
from trunkline.apis.call_api.manage_calls import METHODS
from trunkline.apis.jsonrpc import Field


def listed(desk: Desk, zone: str = "Asia/Dubai", **params: Any) -> list[dict[str, Any]]:
    account_id = desk.session.account_id
    made = desk.switch.list_calls(account_id, {"time_zone": zone, **params})
    rows: list[dict[str, Any]] = orjson.loads(orjson.dumps(made))
    return rows


def test_every_declared_field_and_no_other() -> None:
    desk = Desk()
    desk.session.tags.append({"tag_id": 5, "tag_name": "Sale", "tag_color": "red"})
    [method] = [one for one in METHODS if one.name == "list.calls"]

    def check(fields: Iterable[Field], row: dict[str, Any]) -> None:
        assert list(row) == [field.name for field in fields]
        for field in fields:
            if field.fields:
                assert row[field.name], "the sample must show what is inside"
                for inner in row[field.name]:
                    check(field.fields, inner)

    [row] = listed(desk)
    check(method.result, row)


def test_a_change_of_the_call_is_seen_at_once() -> None:
    desk = Desk()
    [row] = listed(desk)
    assert {leg["state"] for leg in row["legs"]} == {"Conversation"}
    desk.do("hold_call")
    [row] = listed(desk)
    assert {leg["state"] for leg in row["legs"]} == {"On hold"}


@pytest.mark.parametrize(("zone", "hours"), [("UTC", 0), ("Asia/Dubai", 4)])
def test_times_are_of_the_asked_zone(zone: str, hours: int) -> None:
    desk = Desk()
    [utc], [row] = listed(desk, "UTC"), listed(desk, zone)
    [again] = listed(desk, "UTC")
    assert again == utc
    assert (int(row["start_time"][11:13]) - int(utc["start_time"][11:13])) % 24 == hours


def test_only_what_is_asked_for() -> None:
    desk = Desk()
    [row] = listed(desk)
    assert listed(desk, direction=row["direction"], virtual_phone_number=row["virtual_phone_number"]) == [row]
    assert listed(desk, direction="out") == []
    assert listed(desk, virtual_phone_number="12025550999") == []
    account_id = desk.session.account_id
    other = desk.switch.list_calls(account_id + 1, {"time_zone": "UTC"})
    assert orjson.loads(orjson.dumps(other)) == []
