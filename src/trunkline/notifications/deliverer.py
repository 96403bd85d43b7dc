"""Sends what is due: streams side by side, the deliveries of a stream one after another.

Any number of workers may run one; one of them leads at a time and does all, the others wait for it to die. Who leads
holds a session lock of PostgreSQL, so a killed leader frees it by dying. So what is at work is known in memory, and
a delivery is written twice in its life: when it is made, and when it is settled, both together with many others.

A delivery that fails waits in the table until it is due again, and all of its stream with it. A dead endpoint is
suspended as a whole; then nothing of it stands in anybody's way, however much piles up.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trunkline.accounts.secrets import Cipher
from trunkline.core.errors import TrunklineError
from trunkline.core.log import get_logger
from trunkline.core.settings import NotificationSettings
from trunkline.db.leader import lead_when_possible, woken_by
from trunkline.db.pool import Connection, Database
from trunkline.notifications import backoff, deliveries
from trunkline.notifications.deliveries import CHANNEL, Attempt, Stream
from trunkline.notifications.sender import Outcome, Request, Sender
from trunkline.notifications.templates import CONTENT_TYPES, Format, default_body, parse_body, parse_url

_log = get_logger("notifications")

_LOCK_KEY = 0x7472_6B6C_0002
"""Of the session lock that the leader holds."""

_LOOK_PERIOD = 0.5
"""Seconds after which the table is looked at even when nobody announced anything: second tries, trials."""

_REST_PERIOD = 0.1
"""Seconds of rest between two looks."""

_GATHER_SECONDS = 0.05
"""How long a first outcome waits for others to be written with."""

_EXPIRY_PERIOD = 60.0
"""Seconds between two looks for what is too old."""

_WAITING = 25
"""Streams of a subscription at work, for each delivery that may be under way at a time: while one waits for its
outcome to be written, others are sent."""

_STALE_SECONDS = 5.0
"""A stream that waited so long for its turn is read again: the subscription may have changed."""


class Deliverer:
    """See the module. One in each worker process.

    :param cipher: opens the signing secrets; None where no subscription can have one.
    """

    def __init__(
        self, db: Database, settings: NotificationSettings, sender: Sender, cipher: Cipher | None
    ) -> None:
        self._db = db
        self._settings = settings
        self._sender = sender
        self._cipher = cipher
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Lead when possible, until cancelled; survives the database's restarts."""
        async with woken_by(self._db, CHANNEL, self._wake):
            await lead_when_possible(self._db, _LOCK_KEY, self._lead, "deliveries")

    async def _lead(self, conn: Connection) -> None:
        """Look for what is due, for as long as the connection lives that holds the lock."""
        shift = _Shift(self._db, self._settings, self._sender, self._cipher, self._wake)
        try:
            expiry = 0.0
            while True:
                self._wake.clear()
                await shift.begin_due(conn)
                if time.monotonic() > expiry:
                    await deliveries.give_up(self._db, self._settings.give_up_after)
                    expiry = time.monotonic() + _EXPIRY_PERIOD
                await asyncio.sleep(_REST_PERIOD)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), _LOOK_PERIOD)
        finally:
            await shift.end()


@dataclass(slots=True)
class _Endpoint:
    """A subscription with streams at work."""

    free: asyncio.Semaphore
    streams: int = 0
    is_suspended: bool = False
    """It failed too often: what waits for it stops."""


@dataclass(slots=True)
class _Shift:
    """What one leader has at work; all of it is forgotten when it stops leading."""

    db: Database
    settings: NotificationSettings
    sender: Sender
    cipher: Cipher | None
    wake: asyncio.Event
    at_work: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    endpoints: dict[int, _Endpoint] = field(default_factory=dict)
    outcomes: list[tuple[Attempt, asyncio.Future[None]]] = field(default_factory=list)
    settling: asyncio.Task[None] | None = None

    async def begin_due(self, conn: Connection) -> None:
        """Set to work what is due."""
        most = self.settings.per_endpoint * _WAITING
        full = [which for which, endpoint in self.endpoints.items() if endpoint.streams >= most]
        async with conn.transaction():
            streams = await deliveries.take(conn, list(self.at_work), full, most)
            for stream in streams:
                if stream.rows[0]["is_early"] and not stream.is_trial:
                    await deliveries.wait_for_head(conn, stream)
        seen: Counter[int] = Counter()
        for stream in streams:
            seen[stream.subscription_id] += 1
            if stream.key not in self.at_work and (stream.is_trial or not stream.rows[0]["is_early"]):
                self._begin(stream)
        if seen and max(seen.values()) >= most:
            self.wake.set()

    async def end(self) -> None:
        """Stop all."""
        tasks = [*self.at_work.values(), *([self.settling] if self.settling else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, stream: Stream) -> None:
        endpoint = self.endpoints.setdefault(
            stream.subscription_id, _Endpoint(asyncio.Semaphore(self.settings.per_endpoint))
        )
        endpoint.streams += 1
        task = asyncio.create_task(self._send_stream(stream, endpoint))
        self.at_work[stream.key] = task
        task.add_done_callback(lambda done: self._ended(stream, endpoint, done))

    def _ended(self, stream: Stream, endpoint: _Endpoint, task: asyncio.Task[None]) -> None:
        del self.at_work[stream.key]
        endpoint.streams -= 1
        if not endpoint.streams and self.endpoints.get(stream.subscription_id) is endpoint:
            del self.endpoints[stream.subscription_id]
        self.wake.set()  # more of it may have come meanwhile
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("delivery_broke_off", stream=stream.stream, error=repr(error))

    async def _send_stream(self, stream: Stream, endpoint: _Endpoint) -> None:
        read_at = time.monotonic()
        for row in stream.rows:
            async with endpoint.free:
                if endpoint.is_suspended or time.monotonic() - read_at > _STALE_SECONDS:
                    return
                if row["is_early"] and not stream.is_trial:
                    return
                attempt = await self._attempt(row)
            await self._written(attempt)
            if attempt.status == "pending":
                return

    async def _attempt(self, row: Mapping[str, Any]) -> Attempt:
        """One attempt at a delivery."""
        try:
            request = _request(row, self.cipher)
        except TrunklineError as error:
            outcome, body = Outcome(None, error.message, None, 0, endpoint_failed=False), ""
        else:
            outcome, body = await self.sender.send(request), request.body
        status = self._status_after(row, outcome)
        if not outcome.delivered:
            _log.info(
                "delivery_failed",
                delivery_id=row["delivery_id"],
                attempt=row["attempts"] + 1,
                error=outcome.error,
                status=status,
            )
        pause = backoff.pause(row["round_attempts"] + 1, random.random())
        return Attempt(row, outcome, body, status, pause)

    def _status_after(self, row: Mapping[str, Any], outcome: Outcome) -> str:
        if outcome.delivered:
            return "delivered"
        over = backoff.is_over(row["round_started"], time.time(), self.settings.give_up_after)
        return "failed" if over else "pending"

    async def _written(self, attempt: Attempt) -> None:
        """Return once the outcome is in the table: what follows in the stream may go only then, so that after a
        break-off nothing older comes after something newer."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.outcomes.append((attempt, future))
        if self.settling is None:
            self.settling = asyncio.create_task(self._settle())
        await future

    async def _settle(self) -> None:
        await asyncio.sleep(_GATHER_SECONDS)
        batch, self.outcomes, self.settling = self.outcomes, [], None
        try:
            async with self.db.connection() as conn:
                suspended = await deliveries.settle(conn, [attempt for attempt, _ in batch])
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for which in suspended:
            if endpoint := self.endpoints.pop(which, None):
                endpoint.is_suspended = True
        for _, future in batch:
            if not future.done():
                future.set_result(None)


def _request(row: Mapping[str, Any], cipher: Cipher | None) -> Request:
    headers: dict[str, str] = dict(row["headers"])
    own_type = next((value for name, value in headers.items() if name.lower() == "content-type"), None)
    values = row["variables"]
    if row["body_template"] is None:
        format_, body = Format.JSON, default_body(values)
    else:
        template = parse_body(row["body_template"], own_type)
        format_, body = template.format, template.render(values)
    secret = None
    if row["secret_encrypted"] is not None and cipher is not None:
        secret = cipher.decrypt(bytes(row["secret_encrypted"]))
    headers |= {
        "Trunkline-Delivery": str(row["delivery_id"]),
        "Trunkline-Event": row["mnemonic"],
        "Trunkline-Sequence": str(row["seq"]),
        "Idempotency-Key": f"{row['account_id']}-{row['delivery_id']}",
    }
    return Request(
        row["method"], parse_url(row["url"]).render(values), body, CONTENT_TYPES[format_], headers, secret
    )
