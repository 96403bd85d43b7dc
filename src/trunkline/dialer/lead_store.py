"""Leads of campaigns and the attempts to call them, in PostgreSQL.

An attempt is a row before its call begins (:func:`claim`), with the id of the call. So a process that is killed leaves no
call without a row, and no row without an end: its call is looked up by the switch of its node, or by another when that node
has had no switch for ten minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from trunkline.core.clock import Instant, to_datetime, to_instant
from trunkline.core.errors import NotFound
from trunkline.core.phone import in_full
from trunkline.db.pool import Connection, Database, Row
from trunkline.dialer.abandonment import Counts
from trunkline.dialer.campaign_store import Campaign, campaign
from trunkline.dialer.campaigns import CampaignState
from trunkline.dialer.hours import closed_zones, next_open, zones_of
from trunkline.dialer.leads import Attempt, Lead, progress
from trunkline.dialer.outcomes import NOT_CALLED, Closing, DialOutcome
from trunkline.dialer.settings import CampaignSettings

SYNC_LEADS = 1000
"""Leads of the lists that one statement adds to a campaign."""

_NOT_CALLED = [one.value for one in NOT_CALLED]


async def sync_leads(db: Database, one: Campaign) -> int:
    """Add the leads of the lists that the campaign does not have yet; how many."""
    params: dict[str, Any] = {
        "account_id": one.account_id, "campaign_id": one.campaign_id, "limit": SYNC_LEADS
    }  # fmt: skip
    count = 0
    while True:
        rows = await db.fetch_all(
            """
            select l.phone, max(l.priority) as priority
            from dial_campaign_lists m join leads l on l.account_id = m.account_id and l.phone_list_id = m.phone_list_id
            where m.account_id = %(account_id)s and m.campaign_id = %(campaign_id)s and not exists (
                select from dial_leads d where d.account_id = m.account_id and d.campaign_id = m.campaign_id
                    and d.phone = l.phone)
            group by l.phone order by l.phone limit %(limit)s""",
            params,
        )
        if rows:
            given = await asyncio.to_thread(_with_zones, rows, one.time_zone)
            await db.execute(
                """
                insert into dial_leads (account_id, campaign_id, phone, zones, priority)
                select %(account_id)s, %(campaign_id)s, g.phone, g.zones, g.priority
                from jsonb_to_recordset(%(given)s) as g(phone text, zones text[], priority int)
                on conflict do nothing""",
                {**params, "given": Jsonb(given)},
            )
        count += len(rows)
        if len(rows) < SYNC_LEADS:
            return count


def _with_zones(rows: Sequence[Row], time_zone: str) -> list[dict[str, Any]]:
    """In a thread: the zones of a thousand numbers take 60 ms, in which no call would be handled."""
    return [
        {"phone": row["phone"], "priority": row["priority"], "zones": zones_of(row["phone"], time_zone)}
        for row in rows
    ]


_DUE_LEADS = """
select d.phone, d.zones, d.priority, d.attempts, d.next_at, d.is_callback from dial_leads d
where d.account_id = %(account_id)s and d.campaign_id = %(campaign_id)s and d.closed is null
    and d.next_at <= %(until)s and not (d.zones && %(closed_zones)s::text[])
    and not exists (select from dial_attempts a
        where a.account_id = d.account_id and a.phone = d.phone and a.outcome is null)
order by d.is_callback desc, d.priority desc, d.attempts, d.next_at, d.phone limit %(limit)s
"""


async def due_leads(
    db: Database, one: Campaign, until: Instant, limit: int, *, open_at: Instant | None = None
) -> list[Lead]:
    """Leads whose time comes up to ``until``, in the order in which they are called.

    :param open_at: only those whose numbers may be called at this time: the others would fill the limit; None: all.
    """
    closed: list[str] = []
    if open_at is not None:  # in a thread: the first time reads hundreds of zones
        closed = await asyncio.to_thread(closed_zones, one.settings.spans, open_at, one.time_zone)
    rows = await db.fetch_all(
        _DUE_LEADS,
        {
            "account_id": one.account_id,
            "campaign_id": one.campaign_id,
            "until": to_datetime(until),
            "closed_zones": closed,
            "limit": limit,
        },
    )
    return [
        Lead(
            r["phone"],
            tuple(r["zones"]),
            r["priority"],
            r["attempts"],
            to_instant(r["next_at"]),
            r["is_callback"],
        )
        for r in rows
    ]


async def next_call(db: Database, one: Campaign, now: Instant) -> Instant | None:
    """When a running campaign calls next: the first moment of an open lead's hours and interval.

    None: now, or the campaign does not run, has no open lead, or none whose hours ever come.
    """
    if one.state is not CampaignState.RUNNING:
        return None
    rows = await db.fetch_all(
        "select zones, min(next_at) as next_at from dial_leads"
        " where account_id = %s and campaign_id = %s and closed is null group by zones",
        (one.account_id, one.campaign_id),
    )

    def first() -> Instant | None:  # in a thread: the first time reads the zones
        openings = (
            next_open(one.settings.spans, tuple(row["zones"]), max(now, to_instant(row["next_at"])))
            for row in rows
        )
        return min((at for at in openings if at is not None), default=None)

    found = await asyncio.to_thread(first)
    return None if found is None or found <= now else found


async def has_open_leads(db: Database, one: Campaign) -> bool:
    """Whether a lead is not closed."""
    row = await db.fetch_one(
        "select from dial_leads where account_id = %s and campaign_id = %s and closed is null limit 1",
        (one.account_id, one.campaign_id),
    )
    return row is not None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A lead whose attempt is recorded, to be called now."""

    attempt_id: int
    lead_id: str | None
    name: str | None
    tags: str | None = None
    variables: Mapping[str, Any] | None = None
    """``ext_api_vars`` of the lead at this moment."""


_CHECKED = """
select c.state, c.node,
    exists (select from do_not_call n where n.account_id = c.account_id and n.phone = %(phone)s) as is_forbidden,
    (select count(*) from dial_attempts a where a.account_id = c.account_id and a.phone = %(phone)s
        and a.started_at > now() - interval '24 hours'
        and (a.outcome is null or a.outcome <> all(%(not_called)s))) as today
from dial_campaigns c where c.account_id = %(account_id)s and c.campaign_id = %(campaign_id)s for share of c
"""

_SOURCE = """
select d.closed, l.lead_id, l.name, l.tags, l.ext_api_vars, l.phone as listed from dial_leads d
left join lateral (select l.phone, l.lead_id, l.name, l.tags, l.ext_api_vars from dial_campaign_lists m
    join leads l on l.account_id = m.account_id and l.phone_list_id = m.phone_list_id
    where m.account_id = d.account_id and m.campaign_id = d.campaign_id and l.phone = d.phone limit 1) l on true
where d.account_id = %(account_id)s and d.campaign_id = %(campaign_id)s and d.phone = %(phone)s for update of d
"""


async def claim(db: Database, one: Campaign, phone: str, call_session_id: int, node: int) -> Claimed | None:
    """Record the attempt of a lead at the moment of dialling; None: it is not called now.

    In one transaction: the campaign runs on this node, the lead is in a list and open, its number is not forbidden, was not
    called too often within 24 hours by any campaign, and has no other call of a campaign.
    """
    params: dict[str, Any] = {
        "account_id": one.account_id, "campaign_id": one.campaign_id, "phone": phone, "not_called": _NOT_CALLED,
        "call_session_id": call_session_id, "node": node,
    }  # fmt: skip
    async with db.connection() as connection:
        checked = await (await connection.execute(_CHECKED, params)).fetchone()
        if checked is None or checked["state"] != CampaignState.RUNNING or checked["node"] != node:
            return None
        source = await (await connection.execute(_SOURCE, params)).fetchone()
        if source is None or source["closed"] is not None:
            return None
        if source["listed"] is None:
            await _set_lead(connection, params, {"closed": Closing.REMOVED.value})
            return None
        if checked["is_forbidden"]:
            await connection.execute(
                "insert into dial_attempts (account_id, campaign_id, phone, call_session_id, node, ended_at, outcome)"
                " values (%(account_id)s, %(campaign_id)s, %(phone)s, 0, %(node)s, now(), 'do_not_call')",
                params,
            )
            await _set_lead(
                connection,
                params,
                {"closed": Closing.DO_NOT_CALL.value, "last_outcome": DialOutcome.DO_NOT_CALL.value},
            )
            return None
        if checked["today"] >= one.settings.max_per_day:
            await connection.execute(
                # When the oldest of the calls that are too many is a day old: always in the future.
                "update dial_leads set next_at = greatest(now() + interval '1 minute', (select a.started_at"
                " + interval '24 hours' from dial_attempts a where a.account_id = %(account_id)s"
                " and a.phone = %(phone)s and (a.outcome is null or a.outcome <> all(%(not_called)s))"
                " order by a.started_at desc limit 1 offset %(most)s - 1))"
                " where account_id = %(account_id)s and campaign_id = %(campaign_id)s and phone = %(phone)s",
                {**params, "most": one.settings.max_per_day},
            )
            return None
        made = await (
            await connection.execute(
                "insert into dial_attempts (account_id, campaign_id, phone, call_session_id, node)"
                " values (%(account_id)s, %(campaign_id)s, %(phone)s, %(call_session_id)s, %(node)s)"
                " on conflict do nothing returning attempt_id",
                params,
            )
        ).fetchone()
        if made is None:
            return None
        return Claimed(
            made["attempt_id"], source["lead_id"], source["name"], source["tags"], source["ext_api_vars"]
        )


async def _set_lead(connection: Connection, params: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    await connection.execute(
        "update dial_leads set closed = coalesce(%(closed)s, closed),"
        " last_outcome = coalesce(%(last_outcome)s, last_outcome)"
        " where account_id = %(account_id)s and campaign_id = %(campaign_id)s and phone = %(phone)s",
        {**params, "closed": None, "last_outcome": None, **values},
    )


@dataclass(frozen=True, slots=True)
class Result:
    """The end of an attempt.

    :ivar employee_id: the agent who talked.
    :ivar cause: Q.850, of a call that was not answered.
    """

    outcome: DialOutcome
    ended_at: Instant
    answered_at: Instant | None = None
    connected_at: Instant | None = None
    employee_id: int | None = None
    cause: int | None = None


async def finish(db: Database, account_id: int, attempt_id: int, result: Result) -> None:
    """Record the end of an attempt, and what follows for the lead. A second end of one attempt changes nothing."""
    async with db.connection() as connection:
        cursor = await connection.execute(
            "update dial_attempts set outcome = case when %(outcome)s = 'answered' and next_at is not null"
            " then 'callback' else %(outcome)s end, ended_at = %(ended_at)s, answered_at = %(answered_at)s,"
            " connected_at = %(connected_at)s, employee_id = %(employee_id)s, cause = %(cause)s"
            " where account_id = %(account_id)s and attempt_id = %(attempt_id)s and outcome is null"
            " returning campaign_id, phone, outcome",
            {
                "account_id": account_id,
                "attempt_id": attempt_id,
                "outcome": result.outcome.value,
                "ended_at": to_datetime(result.ended_at),
                "answered_at": _datetime(result.answered_at),
                "connected_at": _datetime(result.connected_at),
                "employee_id": result.employee_id,
                "cause": result.cause,
            },
        )
        made = await cursor.fetchone()
        if made is not None:
            outcome = DialOutcome(made["outcome"])
            await _progress(connection, account_id, made["campaign_id"], made["phone"], outcome)


async def _progress(
    connection: Connection, account_id: int, campaign_id: int, phone: str, outcome: DialOutcome
) -> None:
    """Write what follows from the attempts of a lead."""
    params = {"account_id": account_id, "campaign_id": campaign_id, "phone": phone}
    cursor = await connection.execute(
        "select settings from dial_campaigns where account_id = %(account_id)s and campaign_id = %(campaign_id)s",
        params,
    )
    row = await cursor.fetchone()
    assert row is not None  # an attempt refers to it
    cursor = await connection.execute(
        "select ended_at, outcome, next_at from dial_attempts where account_id = %(account_id)s"
        " and campaign_id = %(campaign_id)s and phone = %(phone)s and outcome is not null order by ended_at, attempt_id",
        params,
    )
    history = [
        Attempt(
            to_instant(one["ended_at"]),
            DialOutcome(one["outcome"]),
            one["next_at"] and to_instant(one["next_at"]),
        )
        for one in await cursor.fetchall()
    ]
    after = progress(history, CampaignSettings.of(row["settings"]))
    await connection.execute(
        "update dial_leads set attempts = %(attempts)s, next_at = %(next_at)s, closed = %(closed)s,"
        " last_outcome = %(outcome)s, is_callback = %(is_callback)s"
        " where account_id = %(account_id)s and campaign_id = %(campaign_id)s and phone = %(phone)s",
        {
            **params,
            "attempts": after.attempts,
            "next_at": to_datetime(after.next_at),
            "closed": after.closed.value if after.closed is not None else None,
            "outcome": outcome.value,
            "is_callback": outcome is DialOutcome.CALLBACK,
        },
    )


async def agree_callback(db: Database, account_id: int, campaign_id: int, phone: str, at: Instant) -> None:
    """The person of the present or last talk has agreed to be called again at a time; the lead comes before all others then.

    During the talk the attempt keeps the time, and its end makes a callback of it.

    :raises InvalidInput: the number is none.
    :raises NotFound: this campaign had no talk with this number.
    """
    async with db.connection() as connection:
        cursor = await connection.execute(
            "update dial_attempts a set outcome = case when a.outcome is not null then 'callback' end, next_at = %(at)s"
            " where a.account_id = %(account_id)s"
            " and a.attempt_id = (select max(b.attempt_id) from dial_attempts b where b.account_id = a.account_id"
            " and b.campaign_id = %(campaign_id)s and b.phone = %(phone)s)"
            " and coalesce(a.outcome, 'answered') in ('answered', 'callback') returning a.outcome",
            {
                "account_id": account_id,
                "campaign_id": campaign_id,
                "phone": in_full(phone, "phone"),
                "at": to_datetime(at),
            },
        )
        made = await cursor.fetchone()
        if made is None:
            raise NotFound("This campaign had no talk with this number.", field="phone", value=phone)
        if made["outcome"] is not None:
            await _progress(connection, account_id, campaign_id, in_full(phone), DialOutcome.CALLBACK)


@dataclass(frozen=True, slots=True)
class NextLead:
    """A lead that a running campaign calls next.

    :ivar name: of the lead; None: its list has none.
    :ivar mode: of the campaign.
    :ivar is_callback: agreed with the person.
    """

    campaign_id: int
    campaign_name: str
    mode: str
    phone: str
    name: str | None
    is_callback: bool
    next_at: datetime
    attempts: int


# The first of each campaign by the index of the order, and then the first of all.
_NEXT_LEADS = """
select d.campaign_id, d.campaign_name, coalesce(d.settings->>'mode', 'progressive') as mode, d.phone,
    (select l.name from leads l join dial_campaign_lists s on s.account_id = l.account_id
        and s.phone_list_id = l.phone_list_id
     where l.account_id = %(account_id)s and s.campaign_id = d.campaign_id and l.phone = d.phone
     order by l.phone_list_id limit 1) as name,
    d.is_callback, d.next_at, d.attempts
from (
    select c.campaign_id, c.name as campaign_name, c.settings, first.*
    from dial_campaigns c
    cross join lateral (
        select d.phone, d.is_callback, d.priority, d.attempts, d.next_at from dial_leads d
        where d.account_id = %(account_id)s and d.campaign_id = c.campaign_id
            and d.closed is null and d.next_at <= %(until)s
        order by d.is_callback desc, d.priority desc, d.attempts, d.next_at, d.phone limit %(limit)s) first
    where c.account_id = %(account_id)s and c.state = 'running' and c.queue_id = any(%(queue_ids)s)
    order by first.is_callback desc, first.priority desc, first.attempts, first.next_at, first.phone
    limit %(limit)s) d
order by d.is_callback desc, d.priority desc, d.attempts, d.next_at, d.phone
"""


async def next_leads(
    db: Database, account_id: int, queue_ids: Sequence[int], until: Instant, limit: int
) -> list[NextLead]:
    """Leads of the running campaigns of some queues whose time comes up to ``until``: agreed callbacks first."""
    rows = await db.fetch_all(
        _NEXT_LEADS,
        {
            "account_id": account_id,
            "queue_ids": list(queue_ids),
            "until": to_datetime(until),
            "limit": limit,
        },
    )
    return [NextLead(**row) for row in rows]


async def campaign_of_call(db: Database, account_id: int, call_session_id: int, phone: str) -> int | None:
    """Campaign of a call to a lead; None: it is none.

    :param phone: of the contact of the call.
    """
    row = await db.fetch_one(
        "select campaign_id from dial_attempts where account_id = %s and phone = %s and call_session_id = %s",
        (account_id, phone, call_session_id),
    )
    return None if row is None else int(row["campaign_id"])


async def forget_attempt(db: Database, account_id: int, attempt_id: int) -> None:
    """An attempt whose call did not begin is none."""
    await db.execute(
        "delete from dial_attempts where account_id = %s and attempt_id = %s and outcome is null",
        (account_id, attempt_id),
    )


async def open_attempts(db: Database, node: int) -> list[Row]:
    """``account_id``, ``attempt_id``, ``campaign_id``, ``phone``, ``call_session_id``, ``node`` and ``started_at`` of the
    attempts without an end that a node looks after: its own, and those of nodes that have had no switch for ten minutes."""
    return await db.fetch_all(
        """
        select a.account_id, a.attempt_id, a.campaign_id, a.phone, a.call_session_id, a.node, a.started_at
        from dial_attempts a where a.outcome is null and (a.node = %(node)s or not exists (
            select from switch_leases l where l.node = a.node and l.expires_at > now() - interval '10 minutes'))
        order by a.account_id, a.attempt_id""",
        {"node": node},
    )


async def answered_counts(db: Database, one: Campaign) -> list[tuple[Instant, Counts]]:
    """Answered and abandoned calls of the last 30 days by minute, the oldest first."""
    rows = await db.fetch_all(
        """
        select date_trunc('minute', ended_at) as minute, count(*) as answered,
            count(*) filter (where outcome = 'abandoned') as abandoned
        from dial_attempts where account_id = %(account_id)s and campaign_id = %(campaign_id)s
            and outcome in ('answered', 'callback', 'abandoned') and ended_at > now() - interval '30 days'
        group by 1 order by 1""",
        {"account_id": one.account_id, "campaign_id": one.campaign_id},
    )
    return [(to_instant(r["minute"]), Counts(r["answered"], r["abandoned"])) for r in rows]


async def last_attempts(db: Database, one: Campaign, limit: int) -> list[Row]:
    """The newest attempts that have ended, the oldest of them first: ``outcome``, seconds ``ringing`` and ``talking``."""
    rows = await db.fetch_all(
        """
        select outcome, extract(epoch from coalesce(answered_at, ended_at) - started_at)::float8 as ringing,
            extract(epoch from ended_at - connected_at)::float8 as talking
        from dial_attempts where account_id = %(account_id)s and campaign_id = %(campaign_id)s and outcome is not null
            and outcome <> all(%(not_called)s)
        order by ended_at desc limit %(limit)s""",
        {
            "account_id": one.account_id,
            "campaign_id": one.campaign_id,
            "limit": limit,
            "not_called": _NOT_CALLED,
        },
    )
    return rows[::-1]


# --- results

_RESULTS = """
select outcome, count(*) as attempts, count(distinct phone) as leads,
    count(*) filter (where ended_at > now() - interval '24 hours') as today,
    coalesce(sum(extract(epoch from ended_at - connected_at)), 0)::float8 as talk_seconds
from dial_attempts where account_id = %(account_id)s and campaign_id = %(campaign_id)s and outcome is not null
group by outcome order by outcome
"""

_LEADS = """
select coalesce(closed, case when last_outcome is null then 'new' else 'open' end) as status, count(*) as leads
from dial_leads where account_id = %(account_id)s and campaign_id = %(campaign_id)s group by 1 order by 1
"""


async def results(db: Database, account_id: int, campaign_id: int) -> dict[str, Any]:
    """Results of a campaign: ``outcomes`` (attempts by outcome), ``leads`` (by status: ``new``, ``open``, or why closed),
    ``calls`` that go on, ``talk_seconds``, and ``abandoned`` with the shares of the last 24 hours and 30 days.

    :raises NotFound: no such campaign.
    """
    params = {"account_id": account_id, "campaign_id": campaign_id}
    await campaign(db, account_id, campaign_id)
    outcomes = await db.fetch_all(_RESULTS, params)
    leads = await db.fetch_all(_LEADS, params)
    live = await db.fetch_one(
        "select count(*) as calls from dial_attempts where account_id = %(account_id)s and campaign_id = %(campaign_id)s"
        " and outcome is null",
        params,
    )
    rates = await db.fetch_one(
        """
        select count(*) filter (where ended_at > now() - interval '24 hours') as answered_day,
            count(*) filter (where outcome = 'abandoned' and ended_at > now() - interval '24 hours') as abandoned_day,
            count(*) as answered_30_days, count(*) filter (where outcome = 'abandoned') as abandoned_30_days
        from dial_attempts where account_id = %(account_id)s and campaign_id = %(campaign_id)s
            and outcome in ('answered', 'callback', 'abandoned') and ended_at > now() - interval '30 days'""",
        params,
    )
    assert live is not None  # counts have one row
    assert rates is not None
    return {
        "outcomes": {row["outcome"]: row["attempts"] for row in outcomes},
        "leads": {row["status"]: row["leads"] for row in leads},
        "calls": live["calls"],
        "talk_seconds": round(sum(row["talk_seconds"] for row in outcomes)),
        "abandoned": {
            "share_24_hours": Counts(rates["answered_day"], rates["abandoned_day"]).rate,
            "share_30_days": Counts(rates["answered_30_days"], rates["abandoned_30_days"]).rate,
        },
    }


async def lead_results(db: Database, account_id: int, campaign_id: int) -> list[Row]:
    """Each lead of a campaign that was called, by phone: ``phone``, ``attempts``, ``last_outcome``, ``closed``, ``next_at``
    and ``last_call_session_id``.

    :raises NotFound: no such campaign.
    """
    await campaign(db, account_id, campaign_id)
    return await db.fetch_all(
        """
        select d.phone, d.attempts, d.last_outcome, d.closed, case when d.closed is null then d.next_at end as next_at,
            (select max(nullif(a.call_session_id, 0)) from dial_attempts a where a.account_id = d.account_id
                and a.campaign_id = d.campaign_id and a.phone = d.phone) as last_call_session_id
        from dial_leads d
        where d.account_id = %(account_id)s and d.campaign_id = %(campaign_id)s and d.last_outcome is not null
        order by d.phone""",
        {"account_id": account_id, "campaign_id": campaign_id},
    )


def _datetime(at: Instant | None) -> datetime | None:
    return None if at is None else to_datetime(at)
