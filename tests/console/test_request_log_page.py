"""The page of the log of requests: what is shown, filtered, and to whom."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from psycopg.types.json import Jsonb

from tests.console.calls import SCRIPT
from tests.console.conftest import Office
from tests.reports.lifelike import insert
from trunkline.accounts.permissions import Role
from trunkline.console.setup.request_log import PATH, days, request_params


async def test_requests_are_listed_and_filtered(office: Office) -> None:
    common = {
        "account_id": office.account_id, "user_login": "captain", "ip": "192.0.2.7", "request_id": "r-1",
        "duration_ms": 201, "requested_at": datetime.now(UTC) - timedelta(minutes=5),
    }  # fmt: skip
    async with office.db.connection() as connection:
        await insert(
            connection,
            "api_requests",
            [
                {**common, "api": api, "method": method, "points": 1, "is_success": error is None,
                 "error_mnemonic": error, "request": Jsonb({"name": SCRIPT})}
                for api, method, error in (
                    ("data_api", "get.tags", None), ("console", "create.tags", "duplicate_entity")
                )
            ],
        )  # fmt: skip
    browser = await office.browser("captain")
    page = await browser.get(PATH)
    assert "get.tags" in page.words
    assert "duplicate_entity" in page.words
    assert SCRIPT.replace('"', '\\"') in page.words
    assert "<img src=x" not in page.text
    refused = await browser.get(f"{PATH}?status=failure")
    assert ("get.tags" in refused.words, "create.tags" in refused.words) == (False, True)
    done = await browser.get(f"{PATH}?status=success")
    assert ['class="good"' in one.text for one in (done, refused)] == [True, False]
    assert ['class="bad"' in one.text for one in (done, refused)] == [False, True]
    assert "Found: 1" in (await browser.get(f"{PATH}?words=GET.t")).words
    assert "Found: 0" in (await browser.get(f"{PATH}?from=2020-01-01&to=2020-01-02")).words
    assert (await browser.get(f"{PATH}?from=0000&to=9999-99-99&page=99999&words=%5B%00")).status == 200
    assert (await (await office.browser(Role.SUPERVISOR)).get(PATH)).status == 403
    assert "Found: 0" in (await (await office.browser("rival")).get(PATH)).words


def test_days_and_parameters() -> None:
    today = date(2026, 3, 10)
    assert days("", "", today) == (date(2026, 3, 4), today)
    assert days("2026-03-09", "2026-03-01", today) == (date(2026, 3, 1), date(2026, 3, 1))
    assert days("2020-01-01", "2027-01-01", today) == (today - timedelta(days=88), today)
    params = request_params("a.b", "failure", today, today, 3)
    assert params["offset"] == 100
    assert params["filter"]["filters"][0]["filters"][0]["value"] == r"(?i)a\.b"
    assert params["filter"]["filters"][1]["value"] == "failure"
