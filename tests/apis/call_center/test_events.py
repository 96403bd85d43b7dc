"""The URL of an account to which the events are sent, and the WebSocket that has the same."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from tests.apis.call_center.rest import Rest
from tests.apis.call_center.test_agents import make_user
from tests.apis.call_center.test_agents_at_work import make_line
from tests.notifications.test_call_center import CALL, QUEUE_CALL, Step, sent
from trunkline.core.clock import Instant
from trunkline.core.ids import IdGenerator
from trunkline.directory.agents.check_ins import check_in
from trunkline.events.catalogue import Event, EventType, agent_stream, call_stream
from trunkline.events.store import append_to_stream, write_call_events
from trunkline.notifications.call_center import CenterEvent
from trunkline.notifications.subscriptions import Subscriptions

DEFAULTS = "/api/account_defaults"
URL = "https://crm.example/events?source=pbx"


async def test_the_push_url_is_a_subscription_to_all_events(rest: Rest) -> None:
    assert (await rest.get(DEFAULTS))["event_push_url"] is None
    changed = (await rest.ask("PUT", DEFAULTS, {"event_push_url": URL})).data
    assert (changed["event_push_url"], changed["wrap_up_time"]) == (URL, None)
    [kept] = await Subscriptions(rest.db, None).all(rest.company.account_id)
    assert (kept.url, set(kept.events)) == (URL, {one.value for one in CenterEvent})
    await rest.ask("PUT", DEFAULTS, {"wrap_up_time": 5})
    assert (await rest.get(DEFAULTS))["event_push_url"] == URL
    assert (await rest.ask("GET", DEFAULTS, key=rest.other_key)).data["event_push_url"] is None
    await rest.ask("PUT", DEFAULTS, {"event_push_url": None})
    assert await Subscriptions(rest.db, None).all(rest.company.account_id) == []
    refused = await rest.ask("PUT", DEFAULTS, {"event_push_url": "ftp://crm.example"})
    assert (refused.status, "http://" in refused.msg) == (400, True)


async def happen(rest: Rest, events: list[Event]) -> None:
    """One after another, each stored and announced as the switch does."""
    async with rest.db.connection() as connection:
        for event in events:
            if event.call_session_id is not None:
                await write_call_events(connection, [event])
            else:
                await append_to_stream(connection, [event])
            await connection.commit()


def steps() -> list[Step]:
    """The call of the tests of the data, with an id of now."""
    call = IdGenerator(0).next()
    return [
        (
            at,
            call_stream(call) if stream == CALL else stream,
            type_,
            {name: call if name == "call_session_id" else value for name, value in data.items()},
        )
        for at, stream, type_, data in QUEUE_CALL
    ]


def events_of(rest: Rest, found: list[Step]) -> list[Event]:
    """In the account of the test, a moment ago."""
    begin, seqs, events = time.time() - 1000, dict[str, int](), []
    for at, stream, type_, data in found:
        seqs[stream] = seqs.get(stream, 0) + 1
        at_now = Instant(round(begin + at - 1000, 6))
        events.append(Event(rest.company.account_id, stream, seqs[stream], type_, at_now, data))
    return events


async def received(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(20):
        return [await socket.receive_json() for _ in range(count)]


def without_time(found: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return sorted(
        ((one["event"], {**one["data"], "ts": 0}) for one in found),
        key=lambda one: (one[0], str(one[1]["id"])),
    )


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_socket_has_the_events_of_calls(rest: Rest, is_late: bool) -> None:
    """Also of a call that began before the client connected."""
    call = steps()
    events = events_of(rest, call)
    before = 8 if is_late else 0
    await happen(rest, events[:before])
    url = f"{rest.base}/api/events?api_key={rest.key}"
    async with (
        rest.session.ws_connect(url) as socket,
        rest.session.ws_connect(f"{rest.base}/api/events", headers={"X-Api-Key": rest.other_key}) as foreign,
    ):
        await happen(rest, events[before:])
        expected = [{"event": name, "data": data} for name, data in sent(call)][4 if is_late else 0 :]
        found = await received(socket, len(expected))
        assert without_time(found) == without_time(expected)
        assert found[0]["data"]["ts"] == int(events[8 if is_late else 0].at)
        with pytest.raises(TimeoutError):
            await foreign.receive(timeout=0.3)


async def test_an_event_of_a_queue_waits_for_those_of_its_call(rest: Rest) -> None:
    """They are stored by separate transactions."""
    call = steps()
    events = events_of(rest, call)
    joined = next(one for one in events if one.type is EventType.CALLER_JOINED)
    async with rest.session.ws_connect(f"{rest.base}/api/events?api_key={rest.key}") as socket:
        await happen(rest, [joined])
        await asyncio.sleep(0.3)
        await happen(rest, [one for one in events[:5] if one.call_session_id is not None])
        [start] = await received(socket, 1)
    assert (start["event"], start["data"]["cid_num"], start["data"]["dst_num"]) == (
        "call:start",
        "12025550111",
        "97140000200",
    )


async def test_a_socket_has_the_device_of_an_agent(rest: Rest) -> None:
    user, line = await make_user(rest), await make_line(rest, "0260001")

    async def set_status(_employee_id: int, _status: str) -> None:
        """No switch runs: the event follows below."""

    await check_in(rest.db, rest.company.account_id, user, line, set_status)
    data = {"status": "Available", "previous": "Logged Out", "reason": None}
    stream, type_ = agent_stream(user), EventType.AGENT_STATUS_CHANGED
    event = Event(rest.company.account_id, stream, 1, type_, Instant(time.time()), data)
    async with rest.session.ws_connect(f"{rest.base}/api/events?api_key={rest.key}") as socket:
        await happen(rest, [event])
        assert await received(socket, 2) == [
            {
                "event": "agent:checkin",
                "data": {"user_id": user, "device_id": line, "device_name": "0260001"},
            },
            {
                "event": "agent:status",
                "data": {"user_id": user, "activity_id": 1, "pause_id": 0, "in_calls": 1},
            },
        ]


async def test_who_may_watch(rest: Rest) -> None:
    for key, status in (("", 401), ("wrong", 401), (await rest.user_key("queues:select"), 403)):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with rest.session.ws_connect(f"{rest.base}/api/events?api_key={key}"):
                pass
        assert refused.value.status == status
    key = await rest.user_key("agents:select", login="watcher")
    async with rest.session.ws_connect(f"{rest.base}/api/events?api_key={key}") as socket:
        assert not socket.closed
