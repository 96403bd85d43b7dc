"""Requests of visitors for calls: their limits, and callbacks, at once or at the agreed time.

Each request is a row. ``waiting``: a callback at ``due_at``; ``starting``: a process has taken it; ``started``,
``refused`` (with ``reason``) and ``cancelled`` are ends. Rows are counted for the limits, so any number of web processes
keeps to them. A callback is started once: a process writes that it starts it, and only then asks the switch. When it is
not known whether the switch has started it, or the end cannot be written, the row stays ``starting``, and the session with
its ``external_id`` decides.

``due_at`` is the agreed time, or the opening of the company after it. An attempt that fails leaves it, so that the limit of
:data:`LATE_HOURS` holds; ``started_at``, the time of the last attempt, says when the next one is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg

from trunkline.apis.service.request_context import SwitchPort
from trunkline.calls.command_names import SITE_SOURCE, SITE_STATE, START_CALLBACK
from trunkline.core.errors import (
    DatabaseUnavailable,
    InvalidState,
    LimitExceeded,
    SwitchInterrupted,
    TrunklineError,
    Unavailable,
)
from trunkline.core.log import get_logger
from trunkline.db.pool import Connection, Database, log_cause
from trunkline.db.rows import insert, transaction
from trunkline.events.catalogue import Event, EventType
from trunkline.site.rules import VisitIds
from trunkline.site.sites import Website
from trunkline.site.visits import visit_of_call

_log = get_logger("site.requests")

WAITING_MAX = 200
"""Callbacks of a website that wait for their time."""
DUE_PERIOD = 2.0
"""Seconds between two looks for callbacks that are due."""
_ROWS_PER_TURN = 10
STALLED_SECONDS = 60
"""After which a request that a process was starting is examined by another."""
LATE_HOURS = 12
"""A callback that is so much later than its time is not made any more."""
RETRY_SECONDS = 30
"""Between two attempts, while no switch is there or a limit of calls is reached."""
SKEW_SECONDS = 15
"""By which the clocks of the database and the switch may differ: less than :data:`RETRY_SECONDS`."""
KEPT_DAYS = 30
"""Rows have numbers and addresses of visitors."""


class Kind(StrEnum):
    PHONE = "phone"
    CALLBACK = "callback"


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A request that is within the limits.

    :ivar number: E.164 digits; None: a call of a browser.
    :ivar network: address of the visitor, or the first half of an IPv6 address.
    :ivar due_at: of a callback at a later time.
    """

    kind: Kind
    network: str
    ids: VisitIds | None
    url: str
    number: str | None = None
    due_at: datetime | None = None
    group_id: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """:ivar due_at: of a callback: when it is made; of one to a number that has an open one already, the time of that."""

    site_call_id: int
    due_at: datetime


_LOCK = "select from sites where account_id = %s and site_id = %s for no key update"

# A number and an address are counted over all websites of the account.
_COUNTS = """
select count(*) filter (where site_id = %(site_id)s and requested_at > now() - interval '1 minute'
        and not (kind = 'phone' and state = 'refused')) as in_minute,
    count(*) filter (where network = %(network)s and requested_at > now() - interval '1 hour'
        and not (kind = 'phone' and state = 'refused')) as of_address,
    count(*) filter (where phone_number = %(number)s) as of_number,
    count(*) filter (where site_id = %(site_id)s and state = 'waiting') as waiting,
    min(site_call_id) filter (where phone_number = %(number)s and state in ('waiting', 'starting')) as open_id
from site_calls where account_id = %(account_id)s
    and (requested_at > now() - interval '24 hours' or state in ('waiting', 'starting'))
"""

_DUE_AT = "select due_at from site_calls where account_id = %s and site_call_id = %s"

# The id of the row is the external id of the call. One row at a time: one that is taken is begun at once, so a row that is
# taken for STALLED_SECONDS is not one that only waits for those before it. A subquery with a limit may be executed again for
# each row of a join, and then takes another row each time; the CTE is executed once.
_DUE = """
with d as materialized (
    select account_id, site_call_id, state as former_state, started_at as taken_at from site_calls
    where account_id > 0 and due_at <= now() and (
        (state = 'waiting' and (started_at is null or started_at < now() - make_interval(secs => %(retry)s)))
        or (state = 'starting' and started_at < now() - make_interval(secs => %(stalled)s)))
    order by due_at limit 1 for update skip locked
)
update site_calls c set state = 'starting', started_at = now() from d
where c.account_id = d.account_id and c.site_call_id = d.site_call_id
returning c.*, d.former_state, d.taken_at, c.due_at < now() - make_interval(hours => %(late)s) as is_late
"""

# None: another process has taken the row meanwhile, because this one was so slow.
_STILL_OURS = """
update site_calls set started_at = now()
where account_id = %s and site_call_id = %s and state = 'starting' and started_at = %s
returning started_at
"""

_STARTED_BEFORE = """
select call_session_id from call_sessions
where account_id = %s and external_id = %s and start_time > %s - make_interval(secs => %s) limit 1
"""


_EXTERNAL_ID = "site-call "


def external_id(site_call_id: int) -> str:
    """Of the call that a request led to."""
    return f"{_EXTERNAL_ID}{site_call_id}"


def site_call_of(external: str | None) -> int | None:
    """The inverse of :func:`external_id`; None: another call."""
    number = (external or "").removeprefix(_EXTERNAL_ID)
    return int(number) if number != external and number.isascii() and number.isdigit() else None


async def accept(db: Database, site: Website, call_request: CallRequest) -> Accepted:
    """Count and keep a request. A callback to a number that has an open one already is that one.

    :raises LimitExceeded: mnemonic ``calls_per_minute``, ``calls_per_address``, ``calls_per_number`` or ``calls_waiting``.
    """
    async with transaction(db) as connection:
        await connection.execute(_LOCK, (site.account_id, site.site_id))
        params = {
            "account_id": site.account_id,
            "site_id": site.site_id,
            "network": call_request.network,
            "number": call_request.number,
        }
        counts = await (await connection.execute(_COUNTS, params)).fetchone()
        assert counts is not None
        check_limits(site, counts, call_request.kind)
        site_call_id = counts["open_id"] if call_request.number is not None else None
        if site_call_id is None:
            site_call_id = await _add(connection, site, call_request)
        row = await (await connection.execute(_DUE_AT, (site.account_id, site_call_id))).fetchone()
        assert row is not None
        return Accepted(site_call_id, row["due_at"])


def check_limits(site: Website, counts: Mapping[str, Any], kind: Kind) -> None:
    """:raises LimitExceeded: as :func:`accept`."""
    for name, count, most in (
        ("calls_per_minute", counts["in_minute"], site.calls_per_minute),
        ("calls_per_address", counts["of_address"], site.calls_per_address),
        ("calls_per_number", counts["of_number"], site.calls_per_number),
        ("calls_waiting", counts["waiting"] if kind is Kind.CALLBACK else 0, WAITING_MAX),
    ):
        if count >= most:
            raise LimitExceeded("Too many calls were asked for: try again later.", mnemonic=name)


async def _add(connection: Connection, site: Website, call_request: CallRequest) -> int:
    at = {} if call_request.due_at is None else {"due_at": call_request.due_at}
    return await insert(
        connection,
        "site_calls",
        "site_call_id",
        site.account_id,
        {
            "site_id": site.site_id,
            "kind": call_request.kind.value,
            "state": "started" if call_request.kind is Kind.PHONE else "waiting",
            "phone_number": call_request.number,
            "network": call_request.network,
            "visitor_session_id": None if call_request.ids is None else call_request.ids.visitor_session_id,
            "visitor_id": None if call_request.ids is None else call_request.ids.visitor_id,
            "visitor_name": call_request.name or None,
            "group_id": call_request.group_id,
            "page_url": call_request.url or None,
            **at,
        },
    )


async def finish(
    db: Database,
    account_id: int,
    site_call_id: int,
    state: str,
    *,
    call_session_id: int | None = None,
    reason: str | None = None,
    started_at: datetime | None = None,
) -> None:
    """Write how a request ended.

    :param started_at: when it was taken: nothing is written if another process has taken it since. None: in any case.
    """
    await db.execute(
        """update site_calls set state = %s, call_session_id = %s, reason = %s
           where account_id = %s and site_call_id = %s
               and (%s::timestamptz is null or (state = 'starting' and started_at = %s))""",
        (state, call_session_id, reason, account_id, site_call_id, started_at, started_at),
    )


async def _reschedule(db: Database, row: Mapping[str, Any], due_at: datetime | None, reason: str) -> None:
    """Until ``due_at``, the opening of the company; None: for :data:`RETRY_SECONDS`, and its time stays.

    Nothing is written if another process has taken the row since.
    """
    await db.execute(
        """update site_calls set state = 'waiting', reason = %s, due_at = coalesce(%s, due_at), started_at = now()
           where account_id = %s and site_call_id = %s and state = 'starting' and started_at = %s""",
        (reason, due_at, row["account_id"], row["site_call_id"], row["started_at"]),
    )


# Of the present attempt only: the event of a former one may come again.
_LOST = """
update site_calls c set state = 'waiting', call_session_id = null, started_at = now(),
    reason = 'Asterisk did not carry out the call'
where c.account_id = %(account_id)s and c.site_call_id = %(site_call_id)s and c.kind = 'callback'
    and c.due_at > now() - make_interval(hours => %(late)s)
    and (c.state = 'started' and c.call_session_id = %(call_session_id)s
        or c.state = 'starting' and exists (select from call_sessions s where s.account_id = c.account_id
            and s.call_session_id = %(call_session_id)s
            and s.start_time > c.started_at - make_interval(secs => %(skew)s)))
    and exists (select from call_legs l where l.account_id = c.account_id
        and l.call_session_id = %(call_session_id)s and l.finish_reason = 'internal_error')
    and not exists (select from call_legs l where l.account_id = c.account_id
        and l.call_session_id = %(call_session_id)s and not l.is_operator and l.answer_time is not null)
"""


class LostCallbacks:
    """A listener of the relay: a callback that Asterisk did not carry out waits again, if the visitor did not answer.

    Asterisk was restarted, or the switch lost its connections to it.
    """

    name = "lost_callbacks"

    async def on_events(self, conn: Connection, events: Sequence[Event]) -> None:
        """See :class:`trunkline.events.relay.Listener`."""
        for event in events:
            if event.type is not EventType.SESSION_FINISHED or event.data.get("source") != SITE_SOURCE:
                continue
            site_call_id = site_call_of(event.data.get("external_id"))
            if site_call_id is None:
                continue
            params = {
                "account_id": event.account_id,
                "site_call_id": site_call_id,
                "call_session_id": event.call_session_id,
                "late": LATE_HOURS,
                "skew": SKEW_SECONDS,
            }
            if (await conn.execute(_LOST, params)).rowcount:
                _log.warning(
                    "callback_lost",
                    account_id=event.account_id,
                    call_session_id=event.call_session_id,
                    site_call_id=site_call_id,
                    consequence=f"it is made again in {RETRY_SECONDS} s",
                )


async def prune(db: Database) -> None:
    """Remove old requests, and visitors that did not come back."""
    await db.execute(
        """delete from site_calls where account_id > 0 and state not in ('waiting', 'starting')
               and requested_at < now() - make_interval(days => %s)""",
        (KEPT_DAYS,),
    )
    await db.execute(
        """delete from site_visitors v using sites s
           where v.account_id = s.account_id and v.site_id = s.site_id
               and v.changed_at < now() - make_interval(days => greatest(1, s.cookie_lifetime))"""
    )


class CallbackStarter:
    """Starts callbacks that are due; any number of processes may do so.

    :param switch: the way to the switches.
    """

    def __init__(self, db: Database, switch: SwitchPort) -> None:
        self._db = db
        self._switch = switch
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """A request is due now."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                while await self.start_due():
                    pass
            except (DatabaseUnavailable, psycopg.Error) as error:
                _log.warning(
                    "callbacks_not_started",
                    cause=log_cause(error),
                    error=str(error),
                    consequence="callbacks of websites that are due are started later",
                )
            try:
                async with asyncio.timeout(DUE_PERIOD):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    async def start_due(self) -> int:
        """Start those that are due; how many were examined."""
        params = {"stalled": STALLED_SECONDS, "retry": RETRY_SECONDS, "late": LATE_HOURS}
        for count in range(_ROWS_PER_TURN):
            row = await self._db.fetch_one(_DUE, params)
            if row is None:
                return count
            await self._start(row)
        return _ROWS_PER_TURN

    async def _start(self, row: Mapping[str, Any]) -> None:
        account_id, site_call_id = row["account_id"], row["site_call_id"]
        db = self._db.for_account(account_id)
        outside_id = external_id(site_call_id)
        if row["former_state"] == "starting":
            of_attempt = (account_id, outside_id, row["taken_at"], SKEW_SECONDS)
            before = await db.fetch_one(_STARTED_BEFORE, of_attempt)
            if before is not None:
                session_id = before["call_session_id"]
                await finish(db, account_id, site_call_id, "started", call_session_id=session_id)
                return
        if row["is_late"]:
            await finish(db, account_id, site_call_id, "refused", reason="too_late")
            return
        try:
            params = await self._prepared(db, row, outside_id)
            ours = await db.fetch_one(_STILL_OURS, (account_id, site_call_id, row["started_at"]))
            if params is None or ours is None:
                return
            row = {**row, **ours}
            answer = await self._switch.command(account_id, START_CALLBACK, params)
        except SwitchInterrupted:
            return  # it is looked at again, when its session would be stored
        except DatabaseUnavailable:
            raise  # of ours: the row stays ``starting``
        except (Unavailable, LimitExceeded) as error:
            await _reschedule(db, row, None, error.message)
        except TrunklineError as error:
            reason = error.mnemonic or "refused"
            _log.info(
                "callback_refused",
                account_id=account_id,
                site_call_id=site_call_id,
                reason=reason,
                error=error.message,
            )
            at = row["started_at"]
            await finish(db, account_id, site_call_id, "refused", reason=reason, started_at=at)
        else:
            # Outside of the above: whatever fails here, the call was made, and the row stays ``starting``.
            # The call may be over by now, and wait again (:class:`LostCallbacks`).
            session_id, at = answer["call_session_id"], row["started_at"]
            await finish(db, account_id, site_call_id, "started", call_session_id=session_id, started_at=at)

    async def _prepared(self, db: Database, row: Mapping[str, Any], outside_id: str) -> dict[str, Any] | None:
        """Parameters of the command; None: the callback is rescheduled."""
        account_id, site_id = row["account_id"], row["site_id"]
        state = await self._switch.command(account_id, SITE_STATE, {"site_id": site_id})
        if not state["is_open"]:
            if state["opens_at"] is None:
                raise InvalidState("The website does not open again.", mnemonic="outside_working_hours")
            await _reschedule(db, row, datetime.fromisoformat(state["opens_at"]), "outside_working_hours")
            return None
        ids = None
        if row["visitor_session_id"] is not None:
            ids = VisitIds(row["visitor_id"], row["visitor_session_id"])
        visit, name = await visit_of_call(db, account_id, site_id, ids, row["page_url"] or "")
        return {
            "site_id": site_id,
            "contact": row["phone_number"],
            "group_id": row["group_id"],
            "visit": visit,
            "visitor_name": row["visitor_name"] or name,
            "external_id": outside_id,
        }
