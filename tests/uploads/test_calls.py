"""What ``upload.calls`` takes and refuses, and what becomes of it in the reports."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.apis.data_api.client import DataApiClient
from tests.reports.company import ACCOUNT
from tests.uploads.rig import call, settings_for, settled, working
from trunkline.core.ids import unix_ms_of, uploaded_id

pytestmark = pytest.mark.shells

DAY = {"date_from": "2026-03-03 00:00:00", "date_till": "2026-03-03 23:59:59"}
RECORD = {
    "record_url": "https://records.example/a.wav",
    "employee_channel": "left",
    "employee_name": "Ruiz Ana",
}


async def upload(
    client: DataApiClient, folder: Path, *calls: dict[str, Any], before: int = 0
) -> dict[str, dict[str, Any]]:
    """Upload plain calls and wait until they are processed.

    :param before: calls that were uploaded earlier.
    """
    async with working(client, settings_for(folder)):
        assert await client.do("upload.calls", calls=list(calls)) == {"data": {"success": True}}
        return await settled(client, before + len({one["ext_id"] for one in calls}))


async def make_site(client: DataApiClient, domain: str = "tours.example") -> int:
    made: int = await client.one(
        "insert into sites (account_id, domain_name, name, industry_id) values (%(account)s, %(name)s, 'Tours', 1)"
        " returning site_id",
        {"account": ACCOUNT, "name": domain},
    )
    return made


async def test_a_call_in_the_reports(client: DataApiClient, tmp_path: Path) -> None:
    rows = await upload(
        client,
        tmp_path,
        call("one", tags=[{"tag_name": "Qualified"}], comment="From the form"),
        call("out", direction="out", calling_phone_number="971500000010", called_phone_number="12025550111"),
        call(
            "lost", is_lost=True, wait_duration=None, talk_duration=None, called_phone_number="971500000011"
        ),
        call("hidden", calling_phone_number=""),
    )
    assert {row["error_code"] for row in rows.values()} == {None}
    shown = {
        row["ext_id"]: row
        for row in await client.rows(
            "get.calls_report",
            **DAY,
            fields=[
                "id",
                "ext_id",
                "source",
                "direction",
                "start_time",
                "finish_time",
                "is_lost",
                "tags",
                "contact_phone_number",
                "virtual_phone_number",
                "wait_duration",
                "talk_duration",
                "total_duration",
                "communication_number",
                "finish_reason",
                "cpn_country_id",
            ],
        )
    }
    one = shown["one"]
    assert [(tag["tag_name"], tag["tag_type"]) for tag in one.pop("tags")] == [("Qualified", "auto")]
    assert one == {
        "id": rows["one"]["session_id"],
        "ext_id": "one",
        "source": "upload_calls",
        "direction": "in",
        "start_time": "2026-03-03 12:00:00",
        "finish_time": "2026-03-03 12:00:30",
        "is_lost": False,
        "contact_phone_number": "12025550110",
        "virtual_phone_number": "971500000010",
        "wait_duration": 10,
        "talk_duration": 20,
        "total_duration": 30,
        "communication_number": 1,
        "finish_reason": "success_finish",
        "cpn_country_id": "US",
    }
    assert shown["out"]["contact_phone_number"] == "12025550111"
    assert (shown["lost"]["wait_duration"], shown["lost"]["talk_duration"], shown["lost"]["is_lost"]) == (
        30,
        0,
        True,
    )
    assert shown["hidden"]["contact_phone_number"] is None
    legs = await client.rows("get.call_legs_report", **DAY)
    for ext_id, row in shown.items():
        mine = [leg for leg in legs if leg["call_session_id"] == row["id"]]
        assert len(mine) == (1 if ext_id == "lost" else 2)
        assert sum(leg["duration"] or 0 for leg in mine if leg["is_operator"]) == row["talk_duration"]
    assert await client.one("select comment from communication_comments") == "From the form"
    assert await client.one("select tag_name from tag_history where is_auto") == "Qualified"


async def test_what_is_reported_of_uploads(client: DataApiClient, tmp_path: Path) -> None:
    events = ["processed"]
    callback = {"url": "http://127.0.0.2:9/never", "events": events}
    await upload(client, tmp_path, call("one", callback=callback, tags=[{"tag_name": "A"}]), call("two"))
    today = datetime.now(UTC)
    period = {
        "date_from": f"{today - timedelta(days=2):%Y-%m-%d %H:%M:%S}",
        "date_till": f"{today + timedelta(days=2):%Y-%m-%d %H:%M:%S}",
    }
    first, second = await client.rows("get.uploaded_calls", **period)
    assert (first["ext_id"], first["ext_request_id"], first["status"]) == ("one", "1", "processed")
    assert first["call_session_id"] == await client.one("select min(call_session_id) from call_sessions")
    assert (first["record_type"], first["error_code"], second["ext_id"]) == (None, None, "two")
    [row] = await client.rows(
        "get.uploaded_calls",
        **period,
        fields=["callback", "tags", "records", "upload_time"],
        filter={"field": "ext_id", "operator": "=", "value": "one"},
    )
    assert row["callback"] == callback
    assert [tag["tag_name"] for tag in row["tags"]] == ["A"]
    assert row["records"] == []
    client.as_other_account()
    assert await client.rows("get.uploaded_calls", **period) == []


async def test_old_calls_are_found_in_their_time(client: DataApiClient, tmp_path: Path) -> None:
    years = (2012, 2019, 2023, 2024, 2025)
    times = {"start_time": "{}-07-01 12:00:00", "finish_time": "{}-07-01 12:00:30"}
    calls = [call(f"y{year}", **{name: text.format(year) for name, text in times.items()}) for year in years]
    calls.append(call("new year", start_time="2024-01-01 00:00:00", finish_time="2024-01-01 00:00:09"))
    rows = await upload(client, tmp_path, *calls)
    for year in years:
        [row] = await client.rows(
            "get.calls_report", date_from=f"{year}-06-01 00:00:00", date_till=f"{year}-08-01 00:00:00"
        )
        assert row["id"] == rows[f"y{year}"]["session_id"] < 2**53
        assert row["start_time"] == f"{year}-07-01 12:00:00"
    [row] = await client.rows(
        "get.calls_report", date_from="2024-01-01 00:00:00", date_till="2024-01-01 00:00:00"
    )
    assert row["id"] == rows["new year"]["session_id"]


async def test_an_ext_id_counts_once(client: DataApiClient, tmp_path: Path) -> None:
    await upload(client, tmp_path, call("same", comment="first"), call("same", comment="second"))
    await upload(client, tmp_path, call("same", comment="third"))
    assert await client.one("select count(*) from call_sessions") == 1
    assert await client.one("select string_agg(comment, ',') from communication_comments") == "first"
    client.as_other_account()
    client.with_components("upload_calls")
    async with working(client, settings_for(tmp_path)):
        await client.do("upload.calls", calls=[call("same")])
        async with asyncio.timeout(20):  # another account's ids are its own
            while await client.one("select count(*) from call_sessions") != 2:
                await asyncio.sleep(0.05)


async def test_legs_have_ids_of_their_own(client: DataApiClient, tmp_path: Path) -> None:
    """Also those of calls that began in one second, which are sent in one request or in several."""
    for batch in range(3):
        sent = [call(f"{batch}-{one}", is_lost=one == 2) for one in range(4)]
        await upload(client, tmp_path, *sent, before=4 * batch)
    legs = await client.db.fetch_all(
        "select call_session_id, leg_id, is_operator from call_legs order by call_session_id, leg_id"
    )
    ids = [leg["leg_id"] for leg in legs]
    assert len(set(ids)) == len(ids) == 3 * (3 * 2 + 1)
    assert all(unix_ms_of(one) // 1000 == datetime(2026, 3, 3, 8, tzinfo=UTC).timestamp() for one in ids)
    first = {leg["call_session_id"]: leg["is_operator"] for leg in reversed(legs)}
    assert not any(first.values()), "the leg of the contact is the first of its call"


async def test_a_leg_id_that_is_in_use_is_not_given_again(client: DataApiClient, tmp_path: Path) -> None:
    """Legs of calls that an earlier version wrote, and numbers that are 128 000 apart."""
    await upload(client, tmp_path, call("old"))
    number = await client.one("select last_value from uploaded_call_ids")
    began = int(datetime(2026, 3, 3, 8, tzinfo=UTC).timestamp() * 1000)
    taken = [uploaded_id(began, number + more) for more in range(2, 5)]
    await client.db.execute(
        "with numbered as (select *, row_number() over (order by leg_id) as number from call_legs)"
        " update call_legs leg set leg_id = (%s::bigint[])[numbered.number] from numbered"
        " where numbered.account_id = leg.account_id and numbered.leg_id = leg.leg_id",
        (taken,),
    )
    await upload(client, tmp_path, call("new"), before=1)
    ids = [row["leg_id"] for row in await client.db.fetch_all("select leg_id from call_legs")]
    assert len(set(ids)) == len(ids) == 4


async def test_three_failures_are_enough(client: DataApiClient, tmp_path: Path) -> None:
    record = {**RECORD, "record_url": "https://127.0.0.1:9/a.wav"}
    async with working(client, settings_for(tmp_path)):
        for attempt in range(1, 5):
            await client.do("upload.calls", calls=[call("bad", wav_records=[record])])
            async with asyncio.timeout(20):
                while (await settled(client, 1))["bad"]["failures"] != min(attempt, 3):
                    await asyncio.sleep(0.05)
    assert await client.one("select count(*) from procrastinate_jobs where status in ('todo', 'doing')") == 0
    assert await client.one("select count(*) from call_sessions") == 0
    assert await client.one("select count(*) from employees where full_name = 'Ruiz Ana'") == 0


async def test_visits_campaigns_and_sites(client: DataApiClient, tmp_path: Path) -> None:
    site = await make_site(client)
    session = await client.do(
        "upload.sessions",
        sessions=[
            {
                "ext_id": "v1",
                "site_id": site,
                "date_time": "2026-03-03 11:00:00",
                "is_visitor_new": True,
                "visitor_ip_address": "198.51.100.7",
                "utm_source": "letter",
                "visitor_device": "mobile",
            }
        ],
    )
    visit = session["data"][0]["session_id"]
    await upload(
        client,
        tmp_path,
        call("visited", visitor_session_id=visit, campaign_id=999_999, source_id=5),
        call("sited", site_id=site, source_id=-1),
        call("plain"),
    )
    fields = [
        "ext_id",
        "site_id",
        "campaign_id",
        "visitor_session_id",
        "source_id",
        "utm_source",
        "visitor_device",
    ]
    rows = {row.pop("ext_id"): row for row in await client.rows("get.calls_report", **DAY, fields=fields)}
    assert rows == {
        "visited": {
            "site_id": site,
            "campaign_id": -1,
            "visitor_session_id": visit,
            "source_id": None,
            "utm_source": "letter",
            "visitor_device": "mobile",
        },
        "sited": dict.fromkeys(fields[1:]) | {"site_id": site, "source_id": -1},
        "plain": dict.fromkeys(fields[1:]),
    }


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"ext_id": None}, "required_parameter_missed", "calls.ext_id"),
    ({"ext_id": " "}, "invalid_parameter_value", "calls.ext_id"),
    ({"ext_id": 7}, "data_type_error", "calls.ext_id"),
    ({"direction": "up"}, "invalid_parameter_value", "calls.direction"),
    ({"calling_phone_number": "many"}, "invalid_parameter_value", "calls.calling_phone_number"),
    ({"called_phone_number": ""}, "invalid_parameter_value", "calls.called_phone_number"),
    (
        {"direction": "out", "calling_phone_number": ""},
        "invalid_parameter_value",
        "calls.calling_phone_number",
    ),
    ({"start_time": "yesterday"}, "invalid_parameter_value", "calls.start_time"),
    ({"finish_time": "2026-03-03 11:59:59"}, "invalid_date_time", "calls.finish_time"),
    ({"finish_time": "2126-03-03 12:00:00"}, "invalid_date_time", "calls.finish_time"),
    ({"is_lost": "no"}, "data_type_error", "calls.is_lost"),
    ({"wait_duration": -1}, "invalid_parameter_value", "calls.wait_duration"),
    ({"visitor_session_id": 1}, "entity_not_found", "calls.visitor_session_id"),
    ({"campaign_id": 1}, "entity_not_found", "calls.campaign_id"),
    ({"site_id": 1}, "entity_not_found", "calls.site_id"),
    ({"tags": [{"tag_id": 1}]}, "entity_not_found", "calls.tags.tag_id"),
    ({"tags": [{}]}, "required_parameter_missed", "calls.tags.tag_name"),
    ({"tags": [{"tag_name": "Sale"}]}, "invalid_parameter_value", "calls.tags.tag_name"),
    (
        {"wav_records": [{**RECORD, "employee_id": 1}]},
        "entity_not_found",
        "calls.wav_records.employee_id",
    ),
    (
        {"wav_records": [{**RECORD, "employee_name": None}]},
        "required_parameter_missed",
        "calls.wav_records.employee_name",
    ),
    (
        {"wav_records": [{**RECORD, "employee_channel": "middle"}]},
        "invalid_parameter_value",
        "calls.wav_records.employee_channel",
    ),
    (
        {"wav_records": [{**RECORD, "record_url": "http://records.example/a"}]},
        "invalid_parameter_value",
        "calls.wav_records.record_url",
    ),
    (
        {"mp3_records": [{"record_url": "file:///etc/passwd"}]},
        "invalid_parameter_value",
        "calls.mp3_records.record_url",
    ),
    (
        {"mp3_records": [{"record_url": "https://x.example/a\r\nHost: y"}]},
        "invalid_parameter_value",
        "calls.mp3_records.record_url",
    ),
    (
        {"wav_records": [RECORD], "mp3_records": [{"record_url": "https://x.example/"}]},
        "invalid_parameters_combination",
        "calls.mp3_records",
    ),
    (
        {"callback": {"url": "ftp://x.example", "events": []}},
        "invalid_parameter_value",
        "calls.callback.url",
    ),
    (
        {"callback": {"url": "https://x.example", "events": ["new"]}},
        "invalid_parameter_value",
        "calls.callback.events",
    ),
    ({"colour": "red"}, "unexpected_parameters", "calls.colour"),
]


async def test_refused(client: DataApiClient) -> None:
    for change, mnemonic, field in REFUSED:
        answer = await client.fault("upload.calls", calls=[call("fine"), {**call("bad"), **change}])
        assert answer == (mnemonic, field), change
    assert await client.one("select count(*) from uploaded_calls") == 0


async def test_limits_components_and_points(client: DataApiClient) -> None:
    many = [call(str(number)) for number in range(51)]
    assert await client.fault("upload.calls", calls=many) == ("data_limit_exceeded", "calls")
    assert await client.fault("upload.calls", calls=[]) == ("invalid_parameter_value", "calls")
    assert await client.fault("upload.calls") == ("required_parameter_missed", "calls")
    heavy = [
        call(str(number), mp3_records=[{"record_url": f"https://x.example/{'a' * 3900}"}] * 4)
        for number in range(40)
    ]
    assert await client.fault("upload.calls", calls=heavy) == ("data_limit_exceeded", "calls")
    before = client.accounts.used
    await client.do("upload.calls", calls=many[:50])
    assert client.accounts.used - before == 5
    client.with_components("upload_calls")
    assert await client.fault("upload.calls", calls=[call("w", wav_records=[RECORD])]) == (
        "parameter_component_disabled",
        "calls.wav_records",
    )
    client.with_components("va")
    assert await client.fault("upload.calls", calls=[call("w")]) == ("method_component_disabled", None)
