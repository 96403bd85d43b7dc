"""HubSpot and the network fail in every way: the number of engagements is exact, and all fields are filled at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from tests.hubspot.rig import CONTACT, SEARCH_DELAY, Rig
from tests.hubspot.server import Cut, Portal, Request
from trunkline.hubspot.client import SEARCH_PAGES
from trunkline.hubspot.connections import App, ConnectionKind, valid_until
from trunkline.hubspot.connections import Token as AccessToken
from trunkline.hubspot.limits import RATES, LimitKind

pytestmark = pytest.mark.shells

FILLED = (
    "hs_timestamp", "hs_call_direction", "hs_call_status", "hs_call_duration", "hs_call_from_number", "hs_call_to_number",
    "hs_call_title", "hs_call_body", "hs_call_external_id", "hubspot_owner_id",
)  # fmt: skip


def assert_exact(portal: Portal, calls: list[int], contact: str | None) -> None:
    """One engagement for each call, all fields, the right contact."""
    ids = sorted(int(call.properties["hs_call_external_id"].rsplit("-", 1)[1]) for call in portal.calls)
    assert ids == sorted(calls)
    for call in portal.calls:
        assert [name for name in FILLED if not call.properties.get(name)] == []
        if contact is not None:
            assert call.contacts == {contact}


def of_calls(request: Request) -> bool:
    return request.is_create and request.path.endswith("/calls")


def answer(status: int, text: str = "", **headers: str) -> Callable[[], web.Response]:
    return lambda: web.Response(status=status, text=text or "<html>bad gateway</html>", headers=headers)


async def slow() -> None:
    await asyncio.sleep(4)  # it is carried out after it was repeated


@pytest.mark.parametrize(
    "failure",
    [
        Cut(stored=True),
        Cut(stored=True, half=True),
        Cut(stored=False),
        answer(502),
        answer(504),
        answer(429, "{}", **{"Retry-After": "1"}),
        answer(423, "{}", **{"Retry-After": "1"}),
        answer(201, "not json"),
        slow,
    ],
    ids=["stored, cut", "half stored, cut", "cut", "502", "504", "429", "423", "no json", "slow"],
)  # fmt: skip
async def test_a_create_that_fails_makes_one_engagement(rig: Rig, failure: Any) -> None:
    account_id, portal = await rig.connected()
    contact = portal.add("contact", phone=f"+{CONTACT}", lastname="Lee")
    portal.search_blind = SEARCH_DELAY / 2

    def trouble(request: Request) -> Any:
        if not of_calls(request):
            return None
        rig.hubspot.troubles.remove(trouble)
        return failure() if callable(failure) else failure

    rig.hubspot.troubles.append(trouble)
    async with rig.worker():
        calls = [await rig.call(account_id)]
        await rig.settled()
        calls.append(await rig.call(account_id))
        await rig.settled()
        assert not rig.hubspot.troubles
        if failure is slow:
            async with asyncio.timeout(10):
                while len(portal.calls) < 3:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(portal.search_blind + 0.1)
            await rig.db.execute("update hubspot_objects set verify_at = now() where verify_at is not null")
            await rig.db.execute("select pg_notify('trunkline_hubspot', '')")
            await rig.settled()
    assert_exact(portal, calls, contact.object_id)


async def test_searches_that_find_too_late_leave_one_engagement_at_the_end(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    portal.search_blind = SEARCH_DELAY * 5
    rig.hubspot.once(of_calls, Cut(stored=True))
    async with rig.worker():
        calls = [await rig.call(account_id)]
        await rig.settled()
        assert len(portal.calls) == 2
        await asyncio.sleep(SEARCH_DELAY * 5)
        await rig.db.execute("update hubspot_objects set verify_at = now() where verify_at is not null")
        await rig.db.execute("select pg_notify('trunkline_hubspot', '')")
        await rig.settled()
    assert_exact(portal, calls, None)
    row = await rig.db.fetch_one("select hubspot_id from hubspot_objects where kind = 'call'")
    assert row is not None
    assert row["hubspot_id"] == portal.calls[0].object_id


async def test_half_of_all_requests_fail(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    await rig.connections.set(account_id, create_contacts=True, missed_call_tasks=True)
    failures = [Cut(stored=True), Cut(stored=False), answer(502), answer(429, "{}", **{"Retry-After": "1"}),
                Cut(stored=True), answer(500, "{}")]  # fmt: skip
    count = 0

    def trouble(request: Request) -> Any:
        nonlocal count
        count += 1
        if count % 2 or count > 60:
            return None
        failure = failures[(count // 2) % len(failures)]
        return failure() if callable(failure) else failure

    rig.hubspot.troubles.append(trouble)
    numbers = [f"120255501{number:02}" for number in range(10, 16)]
    async with rig.worker():
        calls = [await rig.lost(account_id, contact_phone_number=number) for number in numbers * 2]
        await rig.settled(100, wake=True)
    assert count > 60
    assert_exact(portal, calls, None)
    assert sorted(one.properties["phone"] for one in portal.of("contact")) == [f"+{one}" for one in numbers]
    assert (
        len({one.properties["hs_task_subject"] for one in portal.of("task")}) == len(portal.of("task")) == 12
    )
    by_id = {one.object_id: one.properties["phone"] for one in portal.of("contact")}
    for call in portal.calls:
        assert [by_id[contact] for contact in call.contacts] == [call.properties["hs_call_from_number"]]


async def test_a_token_that_expires_in_the_middle_is_replaced(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    app = App("client-1", "secret")
    portal.refresh_tokens = {"r-0"}
    portal.tokens["a-0"] = time.time() + 10**6
    token = AccessToken("a-0", valid_until(time.time(), 1800), "r-0")
    await rig.connections.save(account_id, ConnectionKind.OAUTH, portal.portal_id, token, app)
    async with rig.worker():
        calls = [await rig.call(account_id) for _ in range(3)]
        await rig.settled()
        portal.tokens["a-0"] = 1.0
        calls += [await rig.call(account_id) for _ in range(3)]
        await rig.settled()
    assert_exact(portal, calls, None)
    assert 1 <= sum(one.path.endswith("/token") for one in rig.hubspot.requests) <= 6


async def test_a_refused_token_pauses_the_account_and_connecting_again_sends_all(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    other, second = await rig.connected(502, "Other")
    portal.tokens.clear()
    async with rig.worker():
        calls = [await rig.call(account_id) for _ in range(4)]
        others = [await rig.call(other) for _ in range(4)]
        async with asyncio.timeout(20):
            while (await rig.connections.get(account_id)).problem is None or len(second.calls) < 4:
                await asyncio.sleep(0.05)
        assert "INVALID_AUTHENTICATION" in str((await rig.connections.get(account_id)).problem)
        portal.tokens["pat-new"] = time.time() + 10**6
        await rig.connections.save(
            account_id, ConnectionKind.SERVICE_KEY, portal.portal_id, AccessToken("pat-new")
        )
        await rig.settled()
    assert_exact(portal, calls, None)
    assert_exact(second, others, None)


async def test_a_missing_scope_is_a_problem_of_the_connection(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    portal.scopes.remove("crm.objects.contacts.write")
    async with rig.worker():
        calls = [await rig.call(account_id)]
        async with asyncio.timeout(20):
            while (await rig.connections.get(account_id)).problem is None:
                await asyncio.sleep(0.05)
        portal.scopes.add("crm.objects.contacts.write")
        await rig.db.execute("update hubspot_connections set paused_until = now()")
        await rig.settled()
    assert_exact(portal, calls, None)
    assert (await rig.connections.get(account_id)).problem is None


async def test_the_limits_of_a_portal_are_kept(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    portal.rate, portal.search_rate = (100, 10.0), (5, 1.0)
    # Two accounts of this PBX in one portal have its limits together.
    other = await rig.account("Other")
    portal.tokens["pat-other"] = portal.tokens["pat-501"]
    await rig.connections.save(other, ConnectionKind.SERVICE_KEY, portal.portal_id, AccessToken("pat-other"))
    await rig.connections.set(other, default_owner_id="5012")
    async with rig.worker(RATES):
        calls = [await rig.call(which) for which in (account_id, other) * 6]
        await rig.settled(60)
    assert portal.exceeded == 0
    assert_exact(portal, calls, None)
    times = [one.at for one in rig.hubspot.requests]
    for at in times:
        assert sum(at <= one < at + 10 for one in times) <= RATES[LimitKind.REQUESTS].within(10)


async def test_a_contact_that_was_deleted_is_replaced(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    gone = portal.add("contact", phone=f"+{CONTACT}", lastname="Gone")
    left = portal.add("contact", mobilephone="(202) 555-0110", lastname="Left")

    def trouble(request: Request) -> Any:
        if of_calls(request):
            gone.is_archived = True
            rig.hubspot.troubles.remove(trouble)

    rig.hubspot.troubles.append(trouble)
    async with rig.worker():
        calls = [await rig.call(account_id)]
        await rig.settled()
    assert_exact(portal, calls, left.object_id)


async def test_values_that_a_portal_does_not_have_are_left_out(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    portal.dispositions.clear()
    portal.owners.clear()
    async with rig.worker():
        await rig.call(account_id)
        await rig.settled()
    [call] = portal.calls
    assert "hs_call_disposition" not in call.properties
    assert "hubspot_owner_id" not in call.properties
    assert call.properties["hs_call_duration"] == "20000"


async def test_a_refused_call_delays_no_other_and_is_shown(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    async with rig.worker():
        portal.rule = lambda properties: properties["hs_call_to_number"] != "+97140000999"
        refused = await rig.call(account_id, virtual_phone_number="97140000999")
        calls = [await rig.call(account_id)]
        await rig.settled()
    assert_exact(portal, calls, None)
    setup = await rig.setup(account_id)
    state = await setup.state()
    assert dict(state.counts) == {"failed": 1, "done": 1}
    assert [one["call_session_id"] for one in state.errors] == [refused]
    assert "required by a rule" in state.errors[0]["error"]


async def test_an_engagement_that_somebody_deleted_stays_deleted(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    async with rig.worker():
        call_id = await rig.call(account_id)
        await rig.settled()
        portal.calls[0].is_archived = True
        await rig.recorded(account_id, call_id)
        await rig.settled()
    assert portal.calls == []
    row = (await rig.rows(account_id))[call_id]
    assert row["state"] == "done"
    assert "deleted in HubSpot" in row["error"]


async def test_searches_and_responses_have_an_end(rig: Rig) -> None:
    """One portal fills neither the memory nor the time of the worker, which all accounts share."""
    account_id, portal = await rig.connected()
    seen: list[int] = []

    def endless(request: Request) -> Any:
        if not request.is_search or not request.path.endswith("/contacts/search"):
            return None
        seen.append(1)
        if len(seen) <= SEARCH_PAGES:
            return web.json_response({"results": [], "paging": {"next": {"after": str(len(seen))}}})
        return web.json_response({"results": [{"id": "1", "properties": {"phone": "9" * 3_000_000}}]})

    rig.hubspot.troubles.append(endless)
    async with rig.worker():
        calls = [await rig.call(account_id)]
        await rig.settled()
        assert len(seen) == SEARCH_PAGES
        assert_exact(portal, calls, None)
        await rig.call(account_id)
        await rig.settled()
    assert SEARCH_PAGES < len(seen) < 2 * SEARCH_PAGES
    assert len(portal.calls) == 1  # the second is refused: its contact is not known
