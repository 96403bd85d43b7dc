"""Sends what is due: streams side by side, the deliveries of a stream one after another.

Any number of workers may run one; one of them leads at a time and sends all, the others wait until its connection ends.
The leader holds a session lock of PostgreSQL, so a killed leader frees it. What is under way is known in memory, and
a delivery is written twice: when it is made, and when it is settled, together with others that ended at that time. Each
outcome is written separately: a delivery that is deleted or locked meanwhile does not affect the others. An outcome
that cannot be written because the database is unavailable is kept and written later, by this process.

A delivery that fails waits in the table until it is due again, and all of its stream with it. An endpoint that fails
repeatedly is suspended; then any number of its deliveries delays no others. What accounts share (requests under way,
connections to the database, the rows of a read and of a write) they get in turns (:mod:`.turns`).
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import psycopg
from yarl import URL

from trunkline.accounts.secrets import Cipher
from trunkline.core.errors import DatabaseUnavailable, TrunklineError
from trunkline.core.log import get_logger
from trunkline.core.settings import NotificationSettings
from trunkline.core.tasks import item_task
from trunkline.db.leader import LeaderLock, lead_when_possible, woken_by
from trunkline.db.pool import Connection, Database, log_cause
from trunkline.events.catalogue import call_of_stream
from trunkline.notifications import backoff, deliveries, endpoint_states
from trunkline.notifications.callbacks import callback_secret
from trunkline.notifications.deliveries import CHANNEL, Attempt, DeliveryKey, EndpointKind, Settlement, Stream
from trunkline.notifications.rendering import render
from trunkline.notifications.sender import Request, Sender, SendOutcome
from trunkline.notifications.templates import CONTENT_TYPES, Format
from trunkline.notifications.turns import Turns, in_turns
from trunkline.outbound import requests_of

_log = get_logger("notifications")

_CHECK_PERIOD = 20.0
"""Seconds after which the table is read even without a notification or a due time."""

_REST_PERIOD = 0.1
"""Seconds between two reads at least."""

_GATHER_SECONDS = 0.05
"""How long a first outcome waits for others to be written with."""

_SETTLE_PAUSE = 0.5
"""Seconds until outcomes are written again that could not be written."""

_LOCKED_PAUSE_MAX = 5.0
"""Seconds between two attempts to settle deliveries that another transaction holds, at most."""

_BROKEN_PAUSE = 60.0
"""Seconds for which a stream is suspended whose delivery could not be sent or settled for an unknown reason."""

_FLUSH_LIMIT = 3.0
"""Seconds that outcomes may take to be written when the process ends."""

_EXPIRY_PERIOD = 60.0
"""Seconds between two searches for expired deliveries."""

_STREAMS_PER_REQUEST = 25
"""Streams of a subscription at work, for each delivery that may be under way concurrently: while one waits for its
outcome to be written, others are sent."""

_SETTLED_AT_ONCE = 200
"""Outcomes that one transaction writes."""

_NOTING = 3
"""States of endpoints that are written concurrently, of one account one after another: each takes a connection to the
database, and many endpoints fail together."""

_STALE_SECONDS = 5.0
"""A stream that waited so long for its turn is read again: the subscription may have changed."""


@dataclass(frozen=True, slots=True)
class KindSettings:
    """How deliveries to endpoints of one kind are sent. ``give_up_after``: seconds."""

    sender: Sender
    give_up_after: float


class Deliverer:
    """See the module. One in each worker process.

    :param cipher: opens the signing secrets; None where no subscription can have one.
    """

    def __init__(
        self,
        db: Database,
        settings: NotificationSettings,
        by_kind: Mapping[EndpointKind, KindSettings],
        cipher: Cipher | None,
    ) -> None:
        self._db = db
        self._wake = asyncio.Event()
        self._session = _SenderSession(db, settings, by_kind, cipher, self._wake)
        self._give_up_after = {kind: kind_settings.give_up_after for kind, kind_settings in by_kind.items()}

    async def run(self) -> None:
        """Lead when possible, until cancelled; survives the database's restarts."""
        try:
            async with woken_by(self._db, CHANNEL, self._wake):
                await lead_when_possible(self._db, LeaderLock.DELIVERIES, self._lead, "deliveries")
        finally:
            await self._session.end()

    async def _lead(self, conn: Connection) -> None:
        """Send due deliveries until the connection that holds the lock ends."""
        session = self._session
        session.leads = True
        try:
            for seconds in await deliveries.due_later(conn):
                session.wake_times.after(seconds)
            await conn.commit()
            expiry = 0.0
            while True:
                self._wake.clear()
                await session.begin_due(conn)
                if time.monotonic() > expiry:
                    await deliveries.give_up(self._db, self._give_up_after)
                    expiry = time.monotonic() + _EXPIRY_PERIOD
                await asyncio.sleep(_REST_PERIOD)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), session.wake_times.seconds(_CHECK_PERIOD))
        finally:
            session.leads = False


@dataclass(slots=True)
class _WakeTimes:
    """The next times (monotonic clock) at which something becomes due, the nearest first."""

    moments: list[float] = field(default_factory=list)

    def after(self, seconds: float) -> None:
        # By the tenth of a second, so that deliveries that failed together are one moment.
        moment = round(time.monotonic() + seconds + 0.05, 1)
        if moment not in self.moments[:10]:
            heapq.heappush(self.moments, moment)

    def seconds(self, most: float) -> float:
        """Seconds until the next moment, at most ``most``; moments that passed are removed."""
        now = time.monotonic()
        is_due = False
        while self.moments and self.moments[0] <= now:
            heapq.heappop(self.moments)
            is_due = True
        if is_due:
            return 0.0
        return min(most, self.moments[0] - now) if self.moments else most


@dataclass(slots=True)
class _Endpoint:
    """A subscription with streams at work."""

    free: asyncio.Semaphore
    streams: int = 0
    is_suspended: bool = False
    """It failed too often: what waits for it stops."""


_Pending = tuple[Attempt, "asyncio.Future[Settlement]"]


@dataclass(slots=True)
class _SenderSession:
    """The deliveries of this process. It survives the loss of the leadership: an outcome that is not written when the
    database becomes unavailable is written when it is back."""

    db: Database
    settings: NotificationSettings
    by_kind: Mapping[EndpointKind, KindSettings]
    cipher: Cipher | None
    wake: asyncio.Event
    leads: bool = False
    """Nothing more is sent while another process may lead."""
    wake_times: _WakeTimes = field(default_factory=_WakeTimes)
    at_work: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    endpoints: dict[int, _Endpoint] = field(default_factory=dict)
    outcomes: list[_Pending] = field(default_factory=list)
    settling: asyncio.Task[None] | None = None
    noting: set[asyncio.Task[None]] = field(default_factory=set)
    note_turns: Turns = field(default_factory=lambda: Turns(_NOTING, each=1))
    send_turns: Turns = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.send_turns = Turns(settings.concurrent, each=settings.per_account, always=settings.per_endpoint)

    async def begin_due(self, conn: Connection) -> None:
        """Start due deliveries."""
        most = self.settings.per_endpoint * _STREAMS_PER_REQUEST
        working = {which: endpoint.streams for which, endpoint in self.endpoints.items()}
        async with conn.transaction():
            streams = await deliveries.take(conn, list(self.at_work), working, most)
            early = [one for one in streams if one.rows[0]["is_early"] and not one.is_trial]
            if early:
                await deliveries.wait_for_heads(conn, early)
        await conn.commit()
        seen: Counter[int] = Counter()
        of_account: Counter[int] = Counter()
        trials: Counter[int] = Counter()
        for stream in streams:
            seen[stream.subscription_id] += 1
            of_account[stream.account_id] += 1
            trials[stream.account_id] += stream.is_trial
            if stream.key not in self.at_work and (stream.is_trial or not stream.rows[0]["is_early"]):
                self._begin(stream)
            if stream.is_trial:
                self.wake_times.after(backoff.TRIAL_SECONDS)
        limits = ((seen, most), (of_account, deliveries.ACCOUNT_STREAMS), (trials, deliveries.ACCOUNT_TRIALS))
        if any(max(counts.values(), default=0) >= limit for counts, limit in limits):
            self.wake.set()

    async def end(self) -> None:
        """Stop all; write the outcomes that are known."""
        tasks = [*self.at_work.values(), *self.noting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        left = [attempt for attempt, _ in self.outcomes]
        if left:
            with contextlib.suppress(psycopg.Error, DatabaseUnavailable, TimeoutError):
                async with asyncio.timeout(_FLUSH_LIMIT), self.db.connection() as conn:
                    await deliveries.settle(conn, left)

    def _begin(self, stream: Stream) -> None:
        endpoint = self.endpoints.setdefault(
            stream.subscription_id, _Endpoint(asyncio.Semaphore(self.settings.per_endpoint))
        )
        endpoint.streams += 1
        task = asyncio.create_task(self._send_stream_safely(stream, endpoint))
        self.at_work[stream.key] = task
        task.add_done_callback(lambda _: self._ended(stream, endpoint))

    def _ended(self, stream: Stream, endpoint: _Endpoint) -> None:
        del self.at_work[stream.key]
        endpoint.streams -= 1
        if not endpoint.streams and self.endpoints.get(stream.subscription_id) is endpoint:
            del self.endpoints[stream.subscription_id]
        self.wake.set()  # more of it may have come meanwhile

    async def _send_stream_safely(self, stream: Stream, endpoint: _Endpoint) -> None:
        """An unknown error stops this stream for a while and no other one."""
        try:
            await self._send_stream(stream, endpoint)
        except Exception as error:
            _log.exception(
                "delivery_stream_stopped",
                account_id=stream.account_id,
                subscription_id=stream.subscription_id,
                stream=stream.stream,
                error=repr(error),
                seconds=_BROKEN_PAUSE,
                call_session_id=call_of_stream(stream.stream),
                consequence="the deliveries of this call to this subscription wait; they are tried again",
                remedy="report this line with its traceback",
            )
            await asyncio.sleep(_BROKEN_PAUSE)

    async def _send_stream(self, stream: Stream, endpoint: _Endpoint) -> None:
        read_at = time.monotonic()
        for row in stream.rows:
            async with endpoint.free, self.send_turns.place(stream.account_id):
                if endpoint.is_suspended or time.monotonic() - read_at > _STALE_SECONDS or not self.leads:
                    return
                if row["is_early"] and not stream.is_trial:
                    return
                attempt = await self._attempt(row)
            settlement = await self._written(attempt)
            if settlement is not Settlement.WRITTEN:
                return
            if attempt.status == "pending":
                self.wake_times.after(attempt.pause)
                return

    async def _attempt(self, row: Mapping[str, Any]) -> Attempt:
        """One attempt at a delivery."""
        try:
            request = _request(row, self.cipher)
        except TrunklineError as error:
            outcome, body = SendOutcome(None, error.message, None, 0, endpoint_failed=False), ""
        except Exception as error:
            _log.exception(
                "delivery_not_rendered",
                **_ids_of(row),
                consequence="the delivery counts as failed and is tried again",
                remedy="check the body and headers of the subscription; else report this line",
            )
            problem = f"The request cannot be made: {type(error).__name__}; see the log of the worker"
            outcome, body = SendOutcome(None, problem, None, 0, endpoint_failed=False), ""
        else:
            kind_settings = self.by_kind[EndpointKind(row["kind"])]
            with requests_of(row["account_id"]):
                outcome, body = await kind_settings.sender.send(request), request.body
        status = self._status_after(row, outcome)
        if not outcome.delivered:
            _log.warning(
                "delivery_failed",
                **_ids_of(row),
                attempt=row["attempts"] + 1,
                error=outcome.error,
                status=status,
                consequence="it is sent again later, unless its status is failed",
            )
        pause = max(backoff.pause(row["round_attempts"] + 1, random.random()), outcome.retry_after)
        return Attempt(row, outcome, body, status, pause)

    def _status_after(self, row: Mapping[str, Any], outcome: SendOutcome) -> str:
        if outcome.delivered:
            return "delivered"
        after = self.by_kind[EndpointKind(row["kind"])].give_up_after
        over = backoff.is_over(row["round_started"], time.time(), after)
        return "failed" if over else "pending"

    async def _written(self, attempt: Attempt) -> Settlement:
        """Return once the outcome is in the table: what follows in the stream may go only then, so that after a
        process ends nothing older comes after something newer."""
        future: asyncio.Future[Settlement] = asyncio.get_running_loop().create_future()
        self.outcomes.append((attempt, future))
        if self.settling is None:
            self.settling = item_task(self._settle(), name="settle-deliveries", among=self.noting)
        return await future

    async def _settle(self) -> None:
        """Write outcomes until there are none: again and again while the database is unavailable, a table is missing or
        rows are locked."""
        pause, locked = _GATHER_SECONDS, _GATHER_SECONDS
        while self.outcomes:
            await asyncio.sleep(pause)
            batch = in_turns(self.outcomes, lambda one: one[0].row["account_id"], _SETTLED_AT_ONCE)
            try:
                settled = await self._write([attempt for attempt, _ in batch])
            except Exception as error:
                _log.warning(
                    "deliveries_not_settled",
                    cause=log_cause(error),
                    count=len(batch),
                    error=repr(error),
                    consequence="the outcomes are kept and written later; deliveries may be sent twice",
                )
                pause = _SETTLE_PAUSE
                continue
            taken = {id(attempt) for attempt, _ in batch}
            waiting = [one for one in batch if settled[one[0].key] is Settlement.LOCKED and not one[1].done()]
            fresh = [one for one in self.outcomes if id(one[0]) not in taken]
            self.outcomes = fresh + waiting
            still = {id(attempt) for attempt, _ in waiting}
            self._publish([one for one in batch if id(one[0]) not in still], settled)
            locked = min(2 * locked, _LOCKED_PAUSE_MAX) if waiting else _GATHER_SECONDS
            pause = _GATHER_SECONDS if fresh else locked
        self.settling = None

    async def _write(self, attempts: Sequence[Attempt]) -> dict[DeliveryKey, Settlement]:
        """One transaction for all; one by one when a value among them cannot be stored."""
        try:
            async with self.db.connection() as conn:
                return await deliveries.settle(conn, attempts)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            if len(attempts) > 1:
                parts = [await self._write([one]) for one in attempts]
                return {key: settlement for part in parts for key, settlement in part.items()}
            account_id, delivery_id = attempts[0].key
            _log.error(
                "outcome_not_storable",
                account_id=account_id,
                delivery_id=delivery_id,
                error=str(error),
                consequence="the outcome is stored without the texts of request and response",
                remedy="report this line",
            )
        async with self.db.connection() as conn:
            return await deliveries.settle(conn, attempts, without_texts=True)

    def _publish(self, batch: Sequence[_Pending], settled: Mapping[DeliveryKey, Settlement]) -> None:
        """Let the streams continue, those of an endpoint whose state changes after this is written."""
        by_endpoint: dict[int, list[_Pending]] = {}
        for attempt, future in batch:
            if endpoint_states.concerns_endpoint(attempt):
                by_endpoint.setdefault(attempt.row["subscription_id"], []).append((attempt, future))
            elif not future.done():
                future.set_result(settled[attempt.key])
        for subscription_id, pending in by_endpoint.items():
            item_task(self._note(subscription_id, pending, settled), name="note-endpoint", among=self.noting)

    async def _note(
        self, subscription_id: int, pending: Sequence[_Pending], settled: Mapping[DeliveryKey, Settlement]
    ) -> None:
        seconds = 0.0
        try:
            async with self.note_turns.place(pending[0][0].row["account_id"]):
                seconds = await endpoint_states.note_endpoint(self.db, [attempt for attempt, _ in pending])
        except (psycopg.Error, DatabaseUnavailable) as error:
            _log.warning(
                "endpoint_state_not_written",
                cause=log_cause(error),
                subscription_id=subscription_id,
                error=str(error),
                consequence="this attempt does not count for a suspension",
            )
        if seconds and (endpoint := self.endpoints.pop(subscription_id, None)):
            endpoint.is_suspended = True
        if seconds:
            self.wake_times.after(seconds)
        for attempt, future in pending:
            if not future.done():
                future.set_result(settled[attempt.key])


def _request(row: Mapping[str, Any], cipher: Cipher | None) -> Request:
    headers: dict[str, str] = dict(row["headers"])
    headers |= {
        "Trunkline-Delivery": str(row["delivery_id"]),
        "Trunkline-Event": row["mnemonic"],
        "Trunkline-Sequence": str(row["seq"]),
        "Idempotency-Key": f"{row['account_id']}-{row['delivery_id']}",
    }
    if row["kind"] == EndpointKind.UPLOAD_CALLBACK:
        return _callback(row, headers, cipher)
    rendered = render(row, row["mnemonic"], row["variables"])
    encrypted = [row["secret_encrypted"], row["former_secret_encrypted"]]
    secrets = [cipher.decrypt(bytes(one)) for one in encrypted if one is not None and cipher is not None]
    return Request(
        row["method"],
        rendered.url,
        rendered.body,
        rendered.content_type,
        headers,
        tuple(secrets),
        headers["Idempotency-Key"],
    )


def _callback(row: Mapping[str, Any], headers: Mapping[str, str], cipher: Cipher | None) -> Request:
    """The request of a callback: the object as it was made, its fields in the order of the reference."""
    values = dict(row["variables"])
    first = {name: values.pop(name) for name in ("ext_id", "status", "timestamp") if name in values}
    body = orjson.dumps({**first, **values}).decode()
    secrets = () if cipher is None else (callback_secret(cipher, row["account_id"]),)
    url = str(URL(row["url"], encoded=row["url"].isascii()))
    key = headers["Idempotency-Key"]
    return Request(row["method"], url, body, CONTENT_TYPES[Format.JSON], headers, secrets, key)


def _ids_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The ids of a delivery, for the log."""
    ids = {name: row[name] for name in ("account_id", "subscription_id", "delivery_id")}
    return {**ids, "call_session_id": call_of_stream(row["stream"])}
