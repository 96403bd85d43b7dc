"""The switch's list of live calls is returned unchanged: its fields, its time zone, and no outdated data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from tests.calls.test_consultation_recovery import TalkNode
from trunkline.apis.call_api.manage_calls import METHODS
from trunkline.apis.jsonrpc import Field


def listed(node: TalkNode, zone: str = "Asia/Dubai", **params: Any) -> list[dict[str, Any]]:
    account_id = node.session.account_id
    made = node.switch.commands.live_calls(account_id, {"time_zone": zone, **params})
    rows: list[dict[str, Any]] = orjson.loads(orjson.dumps(made))
    return rows


def test_every_declared_field_and_no_other() -> None:
    node = TalkNode()
    node.session.tags.append({"tag_id": 5, "tag_name": "Sale", "tag_color": "red"})
    [method] = [one for one in METHODS if one.name == "list.calls"]

    def check(fields: Iterable[Field], row: dict[str, Any]) -> None:
        assert list(row) == [field.name for field in fields]
        for field in fields:
            if field.fields:
                assert row[field.name], "the sample must show what is inside"
                for inner in row[field.name]:
                    check(field.fields, inner)

    [row] = listed(node)
    check(method.result, row)


def test_a_change_of_the_call_is_seen_at_once() -> None:
    node = TalkNode()
    [row] = listed(node)
    assert {leg["state"] for leg in row["legs"]} == {"Conversation"}
    node.do("hold_call")
    [row] = listed(node)
    assert {leg["state"] for leg in row["legs"]} == {"On hold"}


@pytest.mark.parametrize(("zone", "hours"), [("UTC", 0), ("Asia/Dubai", 4)])
def test_times_are_of_the_asked_zone(zone: str, hours: int) -> None:
    node = TalkNode()
    [utc], [row] = listed(node, "UTC"), listed(node, zone)
    [again] = listed(node, "UTC")
    assert again == utc
    assert (int(row["start_time"][11:13]) - int(utc["start_time"][11:13])) % 24 == hours


def test_only_what_is_asked_for() -> None:
    node = TalkNode()
    [row] = listed(node)
    assert listed(node, direction=row["direction"], virtual_phone_number=row["virtual_phone_number"]) == [row]
    assert listed(node, direction="out") == []
    assert listed(node, virtual_phone_number="12025550999") == []
    account_id = node.session.account_id
    other = node.switch.commands.live_calls(account_id + 1, {"time_zone": "UTC"})
    assert orjson.loads(orjson.dumps(other)) == []
