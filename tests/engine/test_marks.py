"""Real calls of a campaign, marked while they live and afterwards: every report shows it."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import datetime
from typing import Any

import pytest

from tests.engine.setup import ZONE, Setup, period
from trunkline.demo.outside import Answer

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup of reports"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),  # the first one sets the setup, maybe on a busy machine
]

SHOP = "97140000218"
MOMENT = 1.0
"""Seconds until calls go by a change."""
_shops = itertools.count(int(time.time()))


class Shop:
    """The setup's account, with a site and a campaign."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self.domain = f"shop{next(_shops)}.example"
        self.site = 0
        self.campaign = 0
        self.tags: dict[str, int] = {}

    async def ask(self, method: str, **params: Any) -> Any:
        """``result.data``, or ``result`` where the answer is all of it."""
        result = await self._setup.installation.data_api(self._setup.account, method, **params)
        return result.get("data", result) if isinstance(result, dict) else result

    async def rows(self, method: str, **params: Any) -> list[dict[str, Any]]:
        return list(await self.ask(method, **period(), limit=10_000, **params))

    async def row(self, method: str, call: int, key: str = "id", **params: Any) -> dict[str, Any]:
        """The one row about a call; ids are texts in the flat family."""
        [found] = [row for row in await self.rows(method, **params) if int(row[key]) == call]
        return found

    async def set_up(self) -> None:
        account = str(self._setup.account.account_id)
        await self._setup.installation.run(
            "account", "component", "call_tracking", "on", "--account", account
        )
        numbers = {row["virtual_phone_number"]: row["id"] for row in await self.ask("get.virtual_numbers")}
        site = await self.ask(
            "create.sites",
            domain_name=self.domain,
            default_phone_number="12025550160",
            industry_id=1,
            sales_enabled=True,
            target_call_min_duration=2,
        )
        self.site = site["id"]
        [block] = [row for row in await self.ask("get.site_blocks") if row["site_id"] == self.site]
        made = await self.ask(
            "create.campaigns",
            name="Spring",
            site_id=self.site,
            site_blocks=[{"site_block_id": block["id"], "phone_number_id": numbers[SHOP]}],
        )
        self.campaign = made["id"]
        self.tags = {row["name"]: row["id"] for row in await self.ask("get.tags")}
        await asyncio.sleep(MOMENT)

    async def close(self) -> None:
        """The next test's calls of the number are of no campaign."""
        await self.ask("delete.campaigns", id=self.campaign)
        await asyncio.sleep(MOMENT)


async def called(setup: Setup, shop: Shop) -> dict[str, Any]:
    """A talk of three seconds that gets a tag while it lives."""
    before = await setup.last_id()
    setup.anna.on_call(Answer())
    call = await (await setup.customer()).dial(SHOP)
    phone = await setup.anna.next_call()
    await phone.answered()
    began = asyncio.get_running_loop().time()
    [living] = await setup.living()
    await shop.ask(
        "set.tag_communications",
        communication_id=living["call_session_id"],
        communication_type="call",
        tag_id=shop.tags["Important"],
    )
    await asyncio.sleep(max(0.0, began + 3 - asyncio.get_running_loop().time()))
    await call.hangup()
    await asyncio.gather(call.ended(), phone.ended())
    return await setup.row(before, recorded=True)


async def test_a_call_of_a_campaign_and_its_marks_in_every_report(setup: Setup) -> None:
    shop = Shop(setup)
    await shop.set_up()
    try:
        call = (await called(setup, shop))["id"]
    finally:
        await shop.close()
    one = {"communication_id": call, "communication_type": "call"}
    sold_at = f"{datetime.now(ZONE):%Y-%m-%d %H:%M:%S}"
    await shop.ask("set.communications_tags", items=[one], tag_ids=[shop.tags["Complaint"]])
    for value in (150.25, 49.75):
        await shop.ask("set.tag_sales", **one, date_time=sold_at, transaction_value=value)
    await shop.ask("create.communication_comment", **one, comment="Wants a basket")
    marks = {"Important", "Complaint", "Sale"}

    notified_of = [
        "id",
        "tags",
        "site_id",
        "campaign_id",
        "campaign_name",
        "sale_cost",
        "sale_date",
        "attributes",
    ]
    expected = {
        "site_id": shop.site,
        "site_domain_name": shop.domain,
        "campaign_id": shop.campaign,
        "sale_cost": 200,
        "sale_date": sold_at,
        "tags": marks,
    }
    for method in ("get.calls_report", "get.communications_report"):
        row = await shop.row(method, call, fields=[*notified_of, "site_domain_name"])
        assert "target" in row.pop("attributes")
        assert {**row, "tags": names(row["tags"], "tag_name")} == {
            "id": call,
            "campaign_name": row["campaign_name"],
            **expected,
        }, method
        for field, value in (
            ("tags", shop.tags["Complaint"]),
            ("campaign_id", shop.campaign),
            ("sale_cost", 200),
        ):
            by = {"field": field, "operator": "=", "value": value}
            assert call in [found["id"] for found in await shop.rows(method, fields=["id"], filter=by)], (
                method,
                by,
            )

    flat = await shop.row("get.calls", call, "communication_id", report_id=1)
    assert names(flat["tags"]["items"], "name") == marks
    assert (flat["site_domain_name"], flat["communication_comment"]) == (shop.domain, "Wants a basket")
    details = await shop.row("get.call_details", call, "communication_id", report_id=1, entity_ids=[call])
    assert names(details["tags"]["items"], "name") == marks
    assert details["communication_comment"] == "Wants a basket"
    rated = await shop.row("get.mgf_calls", call, "communication_id", report_id=1)
    assert rated["communication_comment"] == "Wants a basket"
    listed = await shop.row(
        "get.communications", call, "communication_id", report_id=1, report_type="x", filters=[]
    )
    assert names(listed["tags"]["items"], "name") == marks
    assert (listed["site_domain_name"], listed["campaign_name"]) == (shop.domain, "Spring")

    history = [
        row
        for row in await shop.rows("get.tags_history", report_id=1)
        if int(row["communication_id"]) == call
    ]
    assert names([row["tag_name"] for row in history], "name") == marks
    assert len(history) == len(marks)

    fields = ["campaign_id", "calls_count", "communications_count", "communications"]
    days = await shop.rows("get.campaign_daily_stat", site_id=shop.site, fields=fields)
    [day] = [row for row in days if row["calls_count"]]
    assert (day["campaign_id"], day["calls_count"], day["communications_count"]) == (shop.campaign, 1, 1)
    [counted] = day["communications"]
    assert counted["communication_id"] == call
    assert names(counted["tags"], "tag_name") == marks

    # What belongs to a session stands with its legs by the session's number.
    legs = await setup.legs(call)
    assert {leg["call_session_id"] for leg in legs} == {call}
    assert len(legs) == 2

    # Taken off again: the tag, and with the tag of a sale the sales.
    sale = next(
        tag["tag_id"]
        for tag in (await shop.row("get.calls_report", call, fields=["id", "tags"]))["tags"]
        if tag["tag_name"] == "Sale"
    )
    await shop.ask("unset.tag_communications", **one, tag_id=sale)
    await shop.ask("update.tags_communication", **one, tag_ids=[shop.tags["Important"]])
    for method in ("get.calls_report", "get.communications_report"):
        row = await shop.row(method, call, fields=["id", "tags", "sale_cost", "sale_date"])
        assert names(row["tags"], "tag_name") == {"Important"}
        assert (row["sale_cost"], row["sale_date"]) == (None, None)


def names(items: list[dict[str, Any]] | None, key: str) -> set[str]:
    return {item[key] for item in items or ()}
