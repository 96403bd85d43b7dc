"""SIP lines by the Data API: passwords shown once, phones that come and go with their lines."""

from __future__ import annotations

from typing import Any

from tests.apis.data_api.client import DataApiClient
from trunkline.core.settings import Settings, SipSettings, WebSettings
from trunkline.directory.lines.digest import Ha1
from trunkline.provisioning.server import sip_server


async def digests(client: DataApiClient, id: int) -> Ha1:
    row = await client.db.fetch_one(
        "select ha1_md5, ha1_sha256 from sip_lines where account_id = 1001 and sip_line_id = %s", (id,)
    )
    assert row is not None
    return Ha1(row["ha1_md5"], row["ha1_sha256"])


async def number(client: DataApiClient) -> str:
    return str((await client.rows("get.sip_line_virtual_numbers"))[0]["virtual_phone_number"])


async def test_a_line_from_beginning_to_end(client: DataApiClient) -> None:
    shown = await number(client)
    made = await client.do("create.sip_lines", employee_id=4002, virtual_phone_number=f"+{shown}")
    assert set(made) == {"phone_number", "password", "server", "id", "data"}
    login = made["phone_number"]
    assert (await digests(client, made["id"])).fits(login, made["password"])
    row = await client.row("get.sip_lines", made["id"])
    reported = {
        name: row[name] for name in ("type", "channels_count", "dial_time", "billing_state", "status")
    }
    assert reported == {
        "type": "in_out",
        "channels_count": 1,
        "dial_time": 60,
        "billing_state": "active",
        "status": "active",
    }
    assert (row["employee_id"], row["virtual_phone_number"], row["password"]) == (4002, shown, None)
    [phone] = (await client.row("get.employees", 4002))["phone_numbers"]
    assert phone["phone_number"] == login
    changed = await client.do("update.sip_line_password", id=made["id"])
    assert changed["password"] != made["password"]
    digest = await digests(client, made["id"])
    assert digest.fits(login, changed["password"])
    assert not digest.fits(login, made["password"])
    assert await client.do("delete.sip_lines", id=made["id"]) == {}
    assert (await client.row("get.employees", 4002))["phone_numbers"] == []
    assert await client.fault("delete.sip_lines", id=made["id"]) == ("entity_not_found", "id")
    again = await client.do("create.sip_lines", employee_id=4002)
    assert again["phone_number"] != login


async def test_a_line_without_a_number_takes_calls_only(client: DataApiClient) -> None:
    for reported in ({}, {"virtual_phone_number": None}):
        made = await client.do("create.sip_lines", employee_id=4002, **reported)
        row = await client.row("get.sip_lines", made["id"])
        assert (row["type"], row["virtual_phone_number"]) == ("in", None)


async def test_changes_of_a_line(client: DataApiClient) -> None:
    shown = await number(client)
    made = (await client.do("create.sip_lines", employee_id=4002, virtual_phone_number=shown))["id"]
    before = await client.row("get.sip_lines", made)
    await client.do("update.sip_lines", id=made, channels_count=20, billing_state="manual_lock")
    row = await client.row("get.sip_lines", made)
    assert row == {**before, "channels_count": 20, "billing_state": "manual_lock"}
    await client.do("update.sip_lines", id=made, employee_id=4003, virtual_phone_number=None)
    row = await client.row("get.sip_lines", made)
    assert (row["type"], row["virtual_phone_number"], row["employee_id"]) == ("in", None, 4003)
    assert (await client.row("get.employees", 4002))["phone_numbers"] == []
    [phone] = (await client.row("get.employees", 4003))["phone_numbers"]
    assert phone["phone_number"] == row["phone_number"]
    phones = [{"phone_number": row["phone_number"], "dial_time": 12, "status": "inactive"}]
    await client.do("update.employees", id=4003, phone_numbers=phones)
    row = await client.row("get.sip_lines", made)
    assert (row["dial_time"], row["status"]) == (12, "inactive")


async def test_an_invalid_sip_line_is_refused_with_mnemonic_and_field(client: DataApiClient) -> None:
    shown = await number(client)
    made = (await client.do("create.sip_lines", employee_id=4002))["id"]
    count = await client.one("select count(*) from sip_lines")
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"employee_id": 1}, "entity_not_found", "employee_id"),
        ({"virtual_phone_number": "442079460199"}, "entity_not_found", "virtual_phone_number"),
        ({"virtual_phone_number": "x" * 21}, "invalid_parameter_value", "virtual_phone_number"),
        ({"employee_id": None}, "required_parameter_missed", "employee_id"),
    ]
    for reported, mnemonic, field in cases:
        good = {"employee_id": 4002, "virtual_phone_number": shown}
        assert await client.fault("create.sip_lines", **{**good, **reported}) == (mnemonic, field)
        assert await client.fault("update.sip_lines", **{"id": made, **good, **reported}) == (mnemonic, field)
    assert await client.fault("create.sip_lines", virtual_phone_number=shown) == (
        "required_parameter_missed",
        "employee_id",
    )
    changes: list[tuple[dict[str, Any], str, str]] = [
        ({"channels_count": 21}, "invalid_parameter_value", "channels_count"),
        ({"billing_state": "limit_lock"}, "invalid_parameter_value", "billing_state"),
        ({"id": 1}, "entity_not_found", "id"),
    ]
    for reported, mnemonic, field in changes:
        assert await client.fault("update.sip_lines", **{"id": made, **reported}) == (mnemonic, field)
    assert await client.fault("update.sip_line_password", id=1) == ("entity_not_found", "id")
    await client.one(
        "update sip_lines set billing_state = 'limit_lock' where account_id = 1001 and sip_line_id = %(id)s"
        " returning 1",
        {"id": made},
    )
    assert await client.fault("update.sip_lines", id=made, billing_state="active") == (
        "tariff_restrictions",
        "billing_state",
    )
    for _ in range(9):
        await client.do("create.sip_lines", employee_id=4002)
    assert await client.fault("create.sip_lines", employee_id=4002) == ("data_limit_exceeded", "employee_id")
    assert await client.one("select count(*) from sip_lines") == count + 9


async def test_a_default_line_stays(client: DataApiClient) -> None:
    await client.one(
        "update virtual_numbers set default_sip_line_id = 9001 where account_id = 1001"
        " and virtual_number_id = 7001 returning 1"
    )
    assert await client.fault("delete.sip_lines", id=9001) == ("dependency_error", "id")


async def test_components_and_permissions_are_required(client: DataApiClient) -> None:
    made = (await client.do("create.sip_lines", employee_id=4002))["id"]
    client.as_member("va:select")
    for method, more in (
        ("create.sip_lines", {"employee_id": 4002}),
        ("update.sip_lines", {"id": made}),
        ("update.sip_line_password", {"id": made}),
        ("delete.sip_lines", {"id": made}),
    ):
        assert await client.fault(method, **more) == ("forbidden", None)
    client.as_owner()
    client.as_other_account()
    for method in ("update.sip_lines", "update.sip_line_password", "delete.sip_lines"):
        assert await client.fault(method, id=made) == ("entity_not_found", "id")
    assert (await client.fault("create.sip_lines", employee_id=4002, virtual_phone_number="100179460100"))[
        0
    ] == ("entity_not_found")
    client.with_components("recording")
    for method in ("get.sip_lines", "get.sip_line_virtual_numbers", "create.sip_lines"):
        assert (await client.fault(method))[0] == "method_component_disabled"


def test_where_phones_register() -> None:
    outside = SipSettings(external_address="203.0.113.7", udp_port=5070)
    assert sip_server(Settings(sip=outside)) == "203.0.113.7:5070"
    web = WebSettings(public_url="https://pbx.example:8443/x")
    assert sip_server(Settings(web=web)) == "pbx.example:5060"
    alone = SipSettings(bind="192.0.2.5")
    assert sip_server(Settings(web=web, sip=alone)) == "192.0.2.5:5060"
    tls = SipSettings(external_address="203.0.113.7", udp_port=0, tcp_port=0)
    assert sip_server(Settings(sip=tls)) == "203.0.113.7:9061"
