"""``GET /v4.0/stream``: who may watch, what is seen, how it ends, how it goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import WSCloseCode
from aiohttp.test_utils import TestClient, TestServer

from tests.apis.support import TOKEN, ApisOnFakes
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.accounts.model import Status
from trunkline.apis import event_sockets
from trunkline.apis.call_api.stream import message_of
from trunkline.apis.web import build_app
from trunkline.core.clock import Instant
from trunkline.core.errors import AuthenticationFailed, PermissionDenied
from trunkline.core.ids import IdGenerator
from trunkline.db.pool import Database
from trunkline.events.catalogue import Event, EventType, call_stream
from trunkline.events.feed import CallFeed, EndReason, WatchEnded
from trunkline.events.store import CALLS_CHANNEL, announcements, read_announcement, write_call_events

pytestmark = pytest.mark.shells

ACCOUNT = 1001
_IDS = IdGenerator(0)


def _event(session: int, seq: int, type_: EventType, account_id: int = ACCOUNT, **data: Any) -> Event:
    return Event(account_id, call_stream(session), seq, type_, Instant(time.time()), data)


@dataclass
class _Streaming:
    fakes: ApisOnFakes
    db: Database
    feed: CallFeed
    client: TestClient[Any, Any]

    async def happen(self, *events: Event) -> None:
        async with self.db.connection() as connection:
            await write_call_events(connection, events)

    def watch(self, **query: Any) -> Any:
        return self.client.ws_connect("/v4.0/stream", params={"access_token": TOKEN, **query})


async def _next(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    reported: dict[str, Any] = await asyncio.wait_for(socket.receive_json(), 20)
    return reported


async def _nobody_watches(streaming: _Streaming) -> None:
    async with asyncio.timeout(20):
        while streaming.feed.watchers(ACCOUNT):
            await asyncio.sleep(0.01)


@pytest.fixture
async def streaming(database: str) -> AsyncIterator[_Streaming]:
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(await Database.open(database))
        feed = await stack.enter_async_context(CallFeed(db, queue_max=50))
        fakes = ApisOnFakes(database=db)
        app = build_app(fakes.services, request_log=fakes.request_log, feed=feed)
        client = await stack.enter_async_context(TestClient(TestServer(app)))
        yield _Streaming(fakes, db, feed, client)


async def test_transitions_of_the_accounts_calls_as_they_happen(streaming: _Streaming) -> None:
    session, foreign = _IDS.next(), _IDS.next()
    async with streaming.watch() as socket:
        await streaming.happen(
            _event(
                session, 1, EventType.SESSION_STARTED, direction="in", contact_phone_number="971500000010"
            ),
            _event(foreign, 1, EventType.SESSION_STARTED, account_id=1002, direction="in"),
            _event(session, 2, EventType.LEG_STARTED, leg_id=31, channel="secret-channel", role="contact"),
        )
        await streaming.happen(_event(session, 3, EventType.LEG_RINGING, leg_id=31))
        reported = [await _next(socket) for _ in range(3)]
    assert [(one["call_session_id"], one["seq"], one["event"]) for one in reported] == [
        (session, 1, "session_started"),
        (session, 2, "leg_started"),
        (session, 3, "leg_ringing"),
    ]
    assert reported[0]["data"] == {"direction": "in", "contact_phone_number": "971500000010"}
    assert reported[1]["data"] == {"leg_id": 31, "role": "contact"}
    assert reported[0]["time"].endswith("Z")


async def test_one_call_alone(streaming: _Streaming) -> None:
    session, other = _IDS.next(), _IDS.next()
    async with streaming.watch(call_session_id=session) as socket:
        await streaming.happen(
            _event(other, 1, EventType.SESSION_STARTED), _event(session, 1, EventType.SESSION_STARTED)
        )
        assert (await _next(socket))["call_session_id"] == session
        await streaming.happen(
            _event(session, 2, EventType.SESSION_ENDING, finish_reason="caller_disconnected")
        )
        assert (await _next(socket))["data"] == {"finish_reason": "caller_disconnected"}


async def test_going_on_after_a_break(streaming: _Streaming) -> None:
    session = _IDS.next()
    await streaming.happen(*(_event(session, seq, EventType.LEG_RINGING, leg_id=seq) for seq in range(1, 6)))
    async with streaming.watch(call_session_id=session, after=3) as socket:
        assert [(await _next(socket))["seq"] for _ in range(2)] == [4, 5]
        [again] = announcements([_event(session, 5, EventType.LEG_RINGING)])
        await streaming.db.execute("select pg_notify(%s, %s)", (CALLS_CHANNEL, again))
        await streaming.happen(_event(session, 6, EventType.LEG_RINGING))
        assert (await _next(socket))["seq"] == 6, "nothing twice"
    async with streaming.watch(call_session_id=session, after=0) as socket:
        assert [(await _next(socket))["seq"] for _ in range(6)] == [1, 2, 3, 4, 5, 6]


async def test_a_call_of_another_account_is_as_one_that_is_not(streaming: _Streaming) -> None:
    foreign = _IDS.next()
    await streaming.happen(_event(foreign, 1, EventType.SESSION_STARTED, account_id=1002))
    async with streaming.watch(call_session_id=foreign, after=0) as socket:
        await streaming.happen(_event(foreign, 2, EventType.LEG_RINGING, account_id=1002))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.receive_json(), 0.5)


@pytest.mark.parametrize(
    ("query", "status", "name", "field"),
    [
        ({"access_token": ""}, 400, "required_parameter_missed", "access_token"),
        ({"access_token": "wrong"}, 401, "access_token_invalid", None),
        ({"call_session_id": "x"}, 400, "invalid_parameter_value", "call_session_id"),
        ({"call_session_id": "5", "after": "-1"}, 400, "invalid_parameter_value", "after"),
        ({"after": "5"}, 400, "invalid_parameters_combination", "after"),
    ],
)
async def test_refused_before_it_begins(
    streaming: _Streaming, query: dict[str, str], status: int, name: str, field: str | None
) -> None:
    answer = await streaming.client.get("/v4.0/stream", params={"access_token": TOKEN, **query})
    error = (await answer.json())["error"]
    assert (answer.status, error["data"]["mnemonic"], error["data"]["field"]) == (status, name, field)


async def test_rights_are_those_of_list_calls(streaming: _Streaming) -> None:
    accounts = streaming.fakes.accounts

    async def refused() -> tuple[int, str]:
        answer = await streaming.client.get("/v4.0/stream", params={"access_token": TOKEN})
        return answer.status, (await answer.json())["error"]["data"]["mnemonic"]

    accounts.networks[ACCOUNT] = ["192.0.2.0/24"]
    assert await refused() == (403, "ip_not_whitelisted")
    accounts.networks[ACCOUNT] = ["127.0.0.0/8", "::1/128"]
    accounts.allow(components=frozenset({"call_api_base"}))
    assert await refused() == (403, "component_disabled")
    accounts.allow(call_api_enabled=False)
    assert await refused() == (403, "forbidden")


async def test_the_token_may_come_as_a_header(streaming: _Streaming) -> None:
    async with streaming.client.ws_connect(
        "/v4.0/stream", headers={"Authorization": f"Bearer {TOKEN}"}
    ) as socket:
        assert not socket.closed


async def test_rights_that_end_close_the_stream(
    streaming: _Streaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_sockets, "RECHECK_SECONDS", 0.1)
    async with streaming.watch() as socket:
        streaming.fakes.accounts.refuse(AuthenticationFailed("ended", mnemonic="access_token_blocked"))
        message = await asyncio.wait_for(socket.receive(), 10)
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, WSCloseCode.POLICY_VIOLATION)
    await _nobody_watches(streaming)


async def test_a_lock_of_the_account_ends_its_streams_at_once(streaming: _Streaming) -> None:
    administration = Administration(streaming.db)
    account_id = (await administration.create_account(AccountProfile(name="Sample Ltd"))).account_id
    accounts = streaming.fakes.accounts
    accounts.allow(account_id=account_id)
    accounts.networks[account_id] = ["127.0.0.0/8", "::1/128"]
    async with streaming.watch() as socket:
        await administration.set_status(account_id, Status.DISABLED)
        accounts.refuse(PermissionDenied("locked", mnemonic="account_inactive"))
        message = await asyncio.wait_for(socket.receive(), 15)
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, WSCloseCode.POLICY_VIOLATION)


async def test_too_many_streams(streaming: _Streaming, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_sockets, "STREAMS_MAX", 1)
    async with streaming.watch():
        answer = await streaming.client.get("/v4.0/stream", params={"access_token": TOKEN})
        assert answer.status == 429
    await _nobody_watches(streaming)
    async with streaming.watch() as socket:
        assert not socket.closed


async def test_a_listener_that_lost_its_connection_says_so(streaming: _Streaming) -> None:
    async with streaming.watch() as socket:
        await streaming.db.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name like '%% listener' and datname = current_database()",
            (),
        )
        message = await asyncio.wait_for(socket.receive(), 15)
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, WSCloseCode.SERVICE_RESTART)
    session = _IDS.next()
    async with streaming.watch() as socket:
        await streaming.happen(_event(session, 1, EventType.SESSION_STARTED))
        assert (await _next(socket))["call_session_id"] == session


async def test_a_watcher_that_does_not_keep_up_is_ended_alone(streaming: _Streaming) -> None:
    session = _IDS.next()
    with streaming.feed.watching(ACCOUNT) as slow:
        async with streaming.watch() as socket:
            for seq in range(1, 61):
                await streaming.happen(_event(session, seq, EventType.LEG_RINGING))
            assert [(await _next(socket))["seq"] for _ in range(60)] == list(range(1, 61))
        assert [(await slow.next()).seq for _ in range(50)] == list(range(1, 51))
        with pytest.raises(WatchEnded) as ended:
            await slow.next()
    assert ended.value.reason is EndReason.TOO_SLOW


def test_nothing_of_ours_is_shown() -> None:
    event = _event(5, 1, EventType.SESSION_STARTED, plan={"first": 1}, channel="c", path="p", external_id="e")
    assert '"data":{"external_id":"e"}' in message_of(event)


def test_announcements_of_many_calls_fit_their_payloads() -> None:
    sessions = [_IDS.next() for _ in range(500)]
    events = [_event(session, seq, EventType.LEG_RINGING) for seq in (7, 8) for session in sessions]
    payloads = announcements(events)
    assert all(len(payload) < 8000 for payload in payloads)
    written = [one for payload in payloads for one in read_announcement(payload)]
    assert [one.call_session_id for one in written] == sessions
    assert {(one.account_id, one.first_seq, one.last_seq) for one in written} == {(ACCOUNT, 7, 8)}
