"""Leads of a phone list: read by pages, added, changed and deleted, many in one statement.

A phone is in a list once. Adding one that is in it changes that lead: what is given replaces the old value, the rest stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from psycopg import sql
from psycopg.types.json import Jsonb

from trunkline.core.errors import Duplicate, NotFound, QuotaReached
from trunkline.core.phone import normalise
from trunkline.db.pool import Connection, Database, Row
from trunkline.db.rows import transaction
from trunkline.phone_lists.lists import lock_list, no_list

COLUMNS = ("name", "lead_id", "priority", "tags", "ext_api_vars")

_PAGE = """
select d.phone as id, d.phone, d.lead_id, d.priority, d.name, d.tags, d.ext_api_vars from leads d
where d.account_id = %(account_id)s and d.phone_list_id = %(list_id)s and d.phone > %(after)s
order by d.phone limit %(limit)s
"""

_ONE = """
select d.phone as id, d.phone, d.lead_id, d.priority, d.name, d.tags, d.ext_api_vars from leads d
where d.account_id = %(account_id)s and d.phone_list_id = %(list_id)s and d.phone = %(phone)s
"""

# "given" are the columns that the lead was sent with: only these replace the old values. Rows are locked in the order of
# their phones, so that two requests do not deadlock.
_ADD = """
with sent as (
    select s.* from jsonb_to_recordset(%(leads)s) as s (
        phone text, name text, lead_id text, priority int, tags text, ext_api_vars jsonb, given text[])
    order by s.phone
), added as (
    insert into leads as d (account_id, phone_list_id, phone, name, lead_id, priority, tags, ext_api_vars)
    select %(account_id)s, %(list_id)s, s.phone, s.name, s.lead_id, coalesce(s.priority, 0), s.tags, s.ext_api_vars
    from sent s order by s.phone
    on conflict (account_id, phone_list_id, phone) do nothing
    returning d.phone
), changed as (
    update leads d set
        name = case when 'name' = any(s.given) then s.name else d.name end,
        lead_id = case when 'lead_id' = any(s.given) then s.lead_id else d.lead_id end,
        priority = case when 'priority' = any(s.given) then coalesce(s.priority, 0) else d.priority end,
        tags = case when 'tags' = any(s.given) then s.tags else d.tags end,
        ext_api_vars = case when 'ext_api_vars' = any(s.given) then s.ext_api_vars else d.ext_api_vars end
    from sent s where d.account_id = %(account_id)s and d.phone_list_id = %(list_id)s and d.phone = s.phone
        and not exists (select from added where added.phone = s.phone)
    returning d.phone
)
select (select count(*) from added) as added, (select count(*) from changed) as changed
"""


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits of all phone lists of an account together; 0 = no limit.

    :ivar bytes: of the leads.
    """

    leads: int = 0
    bytes: int = 0


class Added(NamedTuple):
    """How many leads are new, and how many were in the list."""

    added: int
    changed: int


async def read_leads(
    db: Database, account_id: int, list_id: int, *, after: str = "", limit: int
) -> list[Row]:
    """Leads, sorted by phone: ``id`` (the phone), ``phone`` and :data:`COLUMNS`.

    :param after: phones up to this one are left out.
    :raises NotFound: no such list.
    """
    params = {"account_id": account_id, "list_id": list_id, "after": after, "limit": limit}
    rows = await db.fetch_all(_PAGE, params)
    if not rows:
        known = await db.fetch_one(
            "select from phone_lists where account_id = %s and phone_list_id = %s", (account_id, list_id)
        )
        if known is None:
            raise no_list(list_id)
    return rows


async def read_lead(db: Database, account_id: int, list_id: int, phone: str) -> Row:
    """One lead.

    :param phone: normalised.
    :raises NotFound: it is not in the list.
    """
    params = {"account_id": account_id, "list_id": list_id, "phone": phone}
    row = await db.fetch_one(_ONE, params)
    if row is None:
        raise _no_lead(phone)
    return row


async def lead_of_phone(db: Database, account_id: int, phone: str) -> Row | None:
    """What the lists have of a number, of the newest list that has it: ``phone``, ``name``, ``tags``, ``ext_api_vars``."""
    return await db.fetch_one(
        "select d.phone, d.name, d.tags, d.ext_api_vars from phone_lists p join leads d on d.account_id = p.account_id"
        " and d.phone_list_id = p.phone_list_id and d.phone = %s where p.account_id = %s"
        " order by d.phone_list_id desc limit 1",
        (phone, account_id),
    )


async def add_leads(
    db: Database, account_id: int, list_id: int, leads: Sequence[Mapping[str, Any]], quota: Quota
) -> Added:
    """Add leads, or change those that are in the list, in one transaction.

    :param leads: each with ``phone`` (normalised) and any of :data:`COLUMNS`; of two with one phone the later counts.
    :raises NotFound: no such list.
    :raises QuotaReached: the account would have more leads than it may have; none is added.
    """
    last = {lead["phone"]: lead for lead in leads}
    sent = [{**lead, "given": [name for name in COLUMNS if name in lead]} for lead in last.values()]
    async with transaction(db) as connection:
        await lock_list(connection, account_id, list_id)
        params = {"account_id": account_id, "list_id": list_id, "leads": Jsonb(sent, dumps=_dumps)}
        added = 0
        while True:
            row = await (await connection.execute(_ADD, params)).fetchone()
            assert row is not None  # a select without "from" has one row
            added += row["added"]
            # A lead that another request has added meanwhile is neither new nor visible to this statement; the next
            # one sees it.
            if row["added"] + row["changed"] == len(sent):
                await _check_quota(connection, account_id, quota)
                return Added(added, len(sent) - added)


async def update_lead(
    db: Database, account_id: int, list_id: int, phone: str, columns: Mapping[str, Any], quota: Quota
) -> None:
    """Change a lead.

    :param phone: normalised.
    :param columns: any of ``phone`` (the new one) and :data:`COLUMNS`.
    :raises NotFound: it is not in the list.
    :raises Duplicate: the list has the new phone already.
    :raises QuotaReached: the leads of the account would be larger than they may be.
    """
    async with transaction(db) as connection:
        await lock_list(connection, account_id, list_id)
        new_phone = columns.get("phone", phone)
        if new_phone != phone:
            cursor = await connection.execute(
                "select from leads where account_id = %s and phone_list_id = %s and phone = %s",
                (account_id, list_id, new_phone),
            )
            if await cursor.fetchone() is not None:
                raise Duplicate(
                    f"The list has {new_phone} already: delete one of the two leads.",
                    field="phone",
                    value=new_phone,
                )
        values = {
            **columns,
            "phone": new_phone,
            **({"ext_api_vars": _json(columns["ext_api_vars"])} if "ext_api_vars" in columns else {}),
            **({"priority": columns["priority"] or 0} if "priority" in columns else {}),
        }
        statement = sql.SQL(
            "update leads set {} where account_id = %(account_id)s and phone_list_id = %(list_id)s"
            " and phone = %(old_phone)s"
        ).format(
            sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values
            )
        )
        params = {**values, "account_id": account_id, "list_id": list_id, "old_phone": phone}
        if (await connection.execute(statement, params)).rowcount == 0:
            raise _no_lead(phone)
        await _check_quota(connection, account_id, Quota(bytes=quota.bytes))


async def _check_quota(connection: Connection, account_id: int, quota: Quota) -> None:
    """After the change, in its transaction: the row of the totals is locked by then, so that changes at one moment do not
    exceed the quota together."""
    cursor = await connection.execute(
        "select leads, bytes from lead_totals where account_id = %s", (account_id,)
    )
    row = await cursor.fetchone()
    if row is None:
        return
    if quota.leads and row["leads"] > quota.leads:
        raise QuotaReached(
            f"The phone lists of an account may have {quota.leads} leads together: delete leads or lists first.",
            params={"limit": quota.leads},
        )
    if quota.bytes and row["bytes"] > quota.bytes:
        raise QuotaReached(
            f"The leads of an account may take {quota.bytes} bytes: delete leads or lists first.",
            params={"limit": quota.bytes},
        )


async def delete_leads(db: Database, account_id: int, list_id: int, phones: Sequence[str]) -> int:
    """Delete the leads with these phones; how many there were. Phones that are not in the list are ignored.

    :param phones: normalised.
    :raises NotFound: no such list.
    """
    async with transaction(db) as connection:
        await lock_list(connection, account_id, list_id)
        done = await connection.execute(
            "delete from leads where account_id = %s and phone_list_id = %s and phone = any(%s)",
            (account_id, list_id, sorted(set(phones))),
        )
        return done.rowcount


async def delete_lead(db: Database, account_id: int, list_id: int, phone: str) -> None:
    """Delete one lead.

    :raises NotFound: it is not in the list.
    """
    if await delete_leads(db, account_id, list_id, [phone]) == 0:
        raise _no_lead(phone)


def phone_of(text: str) -> str:
    """The number of a lead as it is kept: digits of E.164.

    :raises ValueError: it is none.
    """
    digits = normalise(text)
    if digits is None:
        raise ValueError("send the number in full, for example +12025550110")
    return digits


def _no_lead(phone: str) -> NotFound:
    return NotFound(
        f"The list has no lead {phone}: GET /api/phone_list/{{id}}/lead lists them.",
        field="phone",
        value=phone,
    )


def _json(value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(value, dumps=_dumps)


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value)
