"""Charges the legs of calls that are over: once each, with all that made the price.

The relay passes every finished call to :class:`BillingListener`; it waits in ``unrated_calls`` until a rater
took it, in one transaction with its charges. A second rating of the same call changes nothing. Calls that were uploaded
are not charged: no trunk carried them.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson
from psycopg import AsyncConnection

from trunkline.billing.rates import Charge, Direction, LegFacts, PriceList, rate_leg, rate_of
from trunkline.core.clock import to_datetime
from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.db.partitions import ensure_months, month_of_id
from trunkline.db.pool import Connection, Database, Row, is_of_the_installation
from trunkline.events.catalogue import Event, EventType

_log = get_logger("billing")

BATCH = 200
"""Calls a transaction."""

_LATER_SECONDS = 10
"""When to look again for a call whose rows are not written yet."""
_FAILED_SECONDS = 300
_RATING_TIMEOUT_HOURS = 24
"""Time after which a call without rows is given up: its history could not be written, which the switch has logged."""

_NOTE = """
insert into unrated_calls (account_id, call_session_id, ended_at)
select * from unnest(%s::bigint[], %s::bigint[], %s::timestamptz[]) on conflict do nothing
"""

_TAKE = """
select account_id, call_session_id, ended_at < now() - make_interval(hours => %s) as is_old from unrated_calls
where try_at <= now() order by try_at, call_session_id limit %s for update skip locked
"""

_FINISHED = """
select u.account_id, u.call_session_id from unnest(%s::bigint[], %s::bigint[]) as u(account_id, call_session_id)
join call_sessions s on s.account_id = u.account_id and s.call_session_id = u.call_session_id
where s.finish_time is not null
"""

_LEGS = """
select l.account_id, l.call_session_id, l.leg_id, l.start_time, l.direction, l.calling_phone_number,
    l.called_phone_number, l.virtual_phone_number, coalesce(l.duration, 0) as duration, l.trunk_id, s.source,
    a.currency, a.country, price.owner_id, price.tariff_price_id, price.revision
from unnest(%s::bigint[], %s::bigint[]) as u(account_id, call_session_id)
join call_sessions s on s.account_id = u.account_id and s.call_session_id = u.call_session_id
join call_legs l on l.account_id = u.account_id and l.call_session_id = u.call_session_id
join accounts a on a.account_id = u.account_id
left join lateral (
    select p.account_id as owner_id, p.tariff_price_id, p.revision from tariff_prices p
    where p.account_id in (0, a.parent_account_id) and p.tariff_plan_id = (
        select h.tariff_plan_id from account_tariff_plans h
        where h.account_id = u.account_id and h.since <= l.start_time order by h.since desc limit 1
    ) and p.currency = a.currency and p.valid_from <= (l.start_time at time zone a.time_zone)::date
    order by p.valid_from desc limit 1
) price on true
where s.source <> 'upload_calls' and l.finish_time is not null
"""

_RATES = "select * from tariff_rates where account_id = any(%s) and tariff_price_id = any(%s)"

_COLUMNS = """account_id, call_session_id, leg_id, start_time, direction, source, calling_phone_number,
    called_phone_number, duration, chargeable_duration, direction_type, cost_per_minute, connection_fee, total_charge,
    currency, tariff_price_id, prefix"""

_CHARGE = f"""
insert into leg_charges ({_COLUMNS})
select {_COLUMNS} from jsonb_populate_recordset(null::leg_charges, %s::jsonb)
on conflict (account_id, call_session_id, leg_id) do nothing
"""  # noqa: S608 - consists of constants

_DONE = """
delete from unrated_calls q using unnest(%s::bigint[], %s::bigint[]) as u(account_id, call_session_id)
where q.account_id = u.account_id and q.call_session_id = u.call_session_id
"""

_LATER = """
update unrated_calls q set try_at = now() + make_interval(secs => %s)
from unnest(%s::bigint[], %s::bigint[]) as u(account_id, call_session_id)
where q.account_id = u.account_id and q.call_session_id = u.call_session_id
"""

_KEPT_AS = ("leg_id", "start_time", "direction", "source", "calling_phone_number", "called_phone_number")

CallKey = tuple[int, int]
"""Account and call session."""


CHANNEL = "trunkline_rating"
"""NOTIFY channel: calls wait to be charged."""


class BillingListener:
    """A listener of the relay."""

    name = "billing"

    async def on_events(self, conn: AsyncConnection[Any], events: Sequence[Event]) -> None:
        """See :class:`trunkline.events.relay.Listener`."""
        over = [
            (event.account_id, event.call_session_id, to_datetime(event.at))
            for event in events
            if event.type is EventType.SESSION_FINISHED and event.call_session_id is not None
        ]
        if over:
            await conn.execute(_NOTE, tuple(list(column) for column in zip(*over, strict=True)))
            await conn.execute("select pg_notify(%s, '')", (CHANNEL,))


class Rater:
    """Charges calls that wait. Any number may work side by side."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._lists: dict[int, tuple[int, PriceList]] = {}
        """Price lists by id, with the revision that was read."""

    async def rate_waiting(self) -> int:
        """Charge calls until none waits that can be charged now; how many were looked at.

        A call that cannot be charged is postponed and logged; it does not stop others. What is no fault of a call, such as a
        missing table or permission, is raised (:class:`psycopg.Error`) and postpones none.
        """
        looked_at = 0
        while taken := await self._batch(BATCH):
            looked_at += taken
        return looked_at

    async def _batch(self, size: int) -> int:
        taken: list[CallKey] = []
        try:
            async with self._db.connection() as connection:
                return await self._rate(connection, size, taken)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            if not taken or is_of_the_installation(error):
                raise
            if len(taken) > 1:
                return await self._batch(1)
            _log.error(
                "call_not_rated",
                account_id=taken[0][0],
                call_session_id=taken[0][1],
                error=repr(error),
                consequence=f"the call is not charged yet; it is tried again in {_FAILED_SECONDS} s",
                remedy="report this line if it is repeated",
            )
            await self._db.execute(_LATER, (_FAILED_SECONDS, *_columns_of(taken)))
            return 1

    async def _rate(self, connection: Connection, size: int, taken: list[CallKey]) -> int:
        rows = await (await connection.execute(_TAKE, (_RATING_TIMEOUT_HOURS, size))).fetchall()
        if not rows:
            return 0
        taken += map(_key, rows)
        finished = await self._of(connection, _FINISHED, taken)
        done = set(map(_key, finished))
        legs = await self._of(connection, _LEGS, done)
        lists = await self._price_lists(connection, legs)
        charges = [_charge_row(leg, lists.get(leg["tariff_price_id"])) for leg in legs]
        await ensure_months(connection, {month_of_id(leg["call_session_id"]) for leg in legs})
        await connection.execute(_CHARGE, (orjson.dumps(charges).decode(),))
        given_up = {_key(row) for row in rows if row["is_old"]} - done
        for account_id, call_session_id in given_up:
            _log.warning(
                "call_never_rated",
                account_id=account_id,
                call_session_id=call_session_id,
                reason="the call has no history",
                consequence="the call is not charged",
                remedy="see the lines of this call in logs/switch.log: trunkline tail --call",
            )
        await connection.execute(_DONE, _columns_of(done | given_up))
        waiting = set(taken) - done - given_up
        if waiting:
            await connection.execute(_LATER, (_LATER_SECONDS, *_columns_of(waiting)))
        return len(rows)

    async def _of(self, connection: Connection, statement: Any, calls: Any) -> list[Row]:
        return await (await connection.execute(statement, _columns_of(calls))).fetchall()

    async def _price_lists(self, connection: Connection, legs: Sequence[Row]) -> dict[int, PriceList]:
        """The price lists of these legs, by id; changed ones are read again."""
        revisions = {leg["tariff_price_id"]: leg["revision"] for leg in legs if leg["tariff_price_id"]}
        owners = {leg["owner_id"] for leg in legs if leg["tariff_price_id"]}
        stale = [
            price_id
            for price_id, revision in revisions.items()
            if price_id not in self._lists or self._lists[price_id][0] != revision
        ]
        if stale:
            rates = await (await connection.execute(_RATES, (list(owners), stale))).fetchall()
            for price_id in stale:
                own = [row for row in rates if row["tariff_price_id"] == price_id]
                self._lists[price_id] = (revisions[price_id], price_list(price_id, own))
        return {price_id: self._lists[price_id][1] for price_id in revisions}


def price_list(tariff_price_id: int, rows: Sequence[Row]) -> PriceList:
    """From rows of ``tariff_rates``."""
    return PriceList(
        tariff_price_id,
        {
            direction: {row["prefix"]: rate_of(row) for row in rows if row["direction"] == direction}
            for direction in Direction
        },
    )


def _charge_row(leg: Row, prices: PriceList | None) -> dict[str, Any]:
    """Columns of ``leg_charges``; amounts as text, so that they stay exact."""
    charge = _charge_of(leg, prices)
    return {
        "account_id": leg["account_id"],
        "call_session_id": leg["call_session_id"],
        **{name: leg[name] for name in _KEPT_AS},
        "duration": leg["duration"],
        "chargeable_duration": charge.chargeable_duration,
        "direction_type": charge.direction_type,
        "cost_per_minute": _text(charge.cost_per_minute),
        "connection_fee": _text(charge.connection_fee),
        "total_charge": _text(charge.total),
        "currency": leg["currency"],
        "tariff_price_id": leg["tariff_price_id"],
        "prefix": charge.prefix,
    }


def _charge_of(leg: Row, prices: PriceList | None) -> Charge:
    facts = LegFacts(
        direction=Direction(leg["direction"]),
        duration=leg["duration"],
        calling=leg["calling_phone_number"],
        called=leg["called_phone_number"],
        own_number=leg["virtual_phone_number"],
        by_trunk=leg["trunk_id"] is not None,
    )
    return rate_leg(facts, prices, leg["country"])


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"


def _key(row: Row) -> CallKey:
    return row["account_id"], row["call_session_id"]


def _columns_of(calls: Any) -> tuple[list[int], list[int]]:
    """Two arrays for ``unnest``."""
    keys = sorted(calls)
    return [account_id for account_id, _ in keys], [call_session_id for _, call_session_id in keys]
