"""Common parts of uploaded chats, offline messages and e-mails: their source and contact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

from psycopg import sql

from trunkline.core.errors import InvalidInput
from trunkline.db.pool import Connection
from trunkline.uploads import checks
from trunkline.uploads.visits import visit_behind

SESSION_AGE_MAX = timedelta(days=180)
"""How long after the visit a communication may have happened."""

_NO_CAMPAIGN = -1

_LOCK = "select pg_advisory_xact_lock(hashtextextended('upload-' || %s || ':' || %s::text, 0))"

_CONTACT = """
select c.contact_id, c.full_name from contacts c
where c.account_id = %(account_id)s and (
    exists (select from contact_phones p where p.account_id = c.account_id and p.contact_id = c.contact_id
        and p.phone_number = %(phone)s)
    or %(email)s::text is not null and lower(%(email)s) = any(select lower(one) from unnest(c.emails) as one))
order by c.contact_id limit 1
"""

_COUNT = """
insert into contact_counters as c (account_id, contact_phone_number, last_number) values (%s, %s, 1)
on conflict (account_id, contact_phone_number) do update set last_number = c.last_number + 1 returning last_number
"""


@dataclass(frozen=True, slots=True)
class Context:
    """Where a communication comes from, as it was sent; ``at`` is when it began (aware)."""

    at: datetime
    sent_at: str
    visitor_session_id: int | None
    campaign_id: int | None
    site_id: int | None

    @property
    def is_empty(self) -> bool:
        return self.visitor_session_id is None and self.campaign_id is None and self.site_id is None


async def check_contexts(
    connection: Connection,
    account_id: int,
    things: Sequence[Context],
    field: str,
    time_field: str,
    visit_field: str = "visitor_session_id",
) -> None:
    """Check that the visits, campaigns and sites exist, match each other, and that the visit was earlier.

    :param field: name of the array of the items.
    :param time_field: name of the parameter with their time.
    :param visit_field: name of the parameter with the visit.
    :raises InvalidInput, NotFound: they do not.
    """
    kinds = {"visitor_session": visit_field, "campaign": "campaign_id", "site": "site_id"}
    found = {
        kind: await checks.existing(
            connection,
            account_id,
            kind,
            [(f"{field}.{name}", getattr(thing, f"{kind}_id")) for thing in things],
        )
        for kind, name in kinds.items()
    }
    for thing in things:
        visit = found["visitor_session"].get(thing.visitor_session_id or 0)
        campaign = found["campaign"].get(thing.campaign_id or 0)
        if visit is not None:
            _check_visit(thing, visit, field, time_field, visit_field)
        if (
            campaign is not None
            and thing.site_id is not None
            and campaign["site_id"] not in (None, thing.site_id)
        ):
            raise checks.combination("the campaign belongs to another site", f"{field}.campaign_id")


def _check_visit(
    thing: Context, visit: Mapping[str, Any], field: str, time_field: str, visit_field: str
) -> None:
    if thing.at < visit["date_time"]:
        raise checks.wrong_time("it lies before the visit", f"{field}.{time_field}", thing.sent_at)
    if thing.at - visit["date_time"] > SESSION_AGE_MAX:
        raise checks.wrong_time(
            "the visit was more than 180 days before", f"{field}.{visit_field}", thing.visitor_session_id
        )
    for name, sent in (("site_id", thing.site_id), ("campaign_id", thing.campaign_id)):
        if sent not in (None, visit[name]):
            raise checks.combination(f"the visit has another {name}", f"{field}.{name}")


def real_campaign(campaign_id: int | None, field: str) -> None:
    """Refuse the campaign of visitors without one.

    :raises InvalidInput: it is that.
    """
    if campaign_id == _NO_CAMPAIGN:
        raise InvalidInput("name a campaign of yours, or leave it out", field=field, value=campaign_id)


def campaign_needs_site(campaign_id: int | None, site_id: int | None, field: str) -> None:
    """The campaign of visitors without a campaign has no site, so the site is required.

    :raises InvalidInput: none was.
    """
    if campaign_id == _NO_CAMPAIGN and site_id is None:
        raise checks.combination("campaign -1 needs a site_id", field)


def reached(thing: Mapping[str, Any], field: str) -> tuple[str | None, str | None]:
    """Phone number and e-mail address of the sender; at least one of them.

    :raises InvalidInput: neither, or not what it should be.
    """
    phone = checks.phone(thing["phone"], f"{field}.phone") if thing.get("phone") else None
    email = checks.email(thing["email"], f"{field}.email") if thing.get("email") else None
    if phone is None and email is None:
        raise checks.combination("send phone or email", f"{field}.phone")
    return phone, email


def somewhere(context: Context, field: str) -> Context:
    """The context, which must not be empty.

    :raises InvalidInput: it does not.
    """
    if context.is_empty:
        raise checks.combination(
            "send visitor_session_id, campaign_id or site_id", f"{field}.visitor_session_id"
        )
    return context


async def visit_of(
    connection: Connection, account_id: int, context: Context, source_id: int | None
) -> dict[str, Any]:
    """What a communication keeps of where it came from."""
    return await visit_behind(
        connection,
        account_id,
        visitor_session_id=context.visitor_session_id,
        campaign_id=context.campaign_id,
        site_id=context.site_id,
        source_id=source_id,
    )


async def known(
    connection: Connection,
    account_id: int,
    table: LiteralString,
    id_column: LiteralString,
    ext_id: str | None,
) -> int | None:
    """The id of what was uploaded with this ``ext_id`` before; None = nothing was."""
    if ext_id is None:
        return None
    statement = sql.SQL(
        "select {id} as id from {table} where account_id = %s and ext_id = %s order by {id} limit 1"
    )
    named = statement.format(id=sql.Identifier(id_column), table=sql.Identifier(table))
    row = await (await connection.execute(named, (account_id, ext_id))).fetchone()
    return None if row is None else int(row["id"])


async def one_at_a_time(connection: Connection, account_id: int, what: LiteralString) -> None:
    """Serialise uploads of this kind until the end of the transaction, so that an ``ext_id`` is unique."""
    await connection.execute(_LOCK, (what, account_id))


async def contact_of(
    connection: Connection, account_id: int, phone: str | None, email: str | None
) -> dict[str, Any]:
    """Columns of the contact, and the number of communications with it."""
    sent = {"account_id": account_id, "phone": phone, "email": email}
    row = await (await connection.execute(_CONTACT, sent)).fetchone()
    counted = await (await connection.execute(_COUNT, (account_id, phone or email))).fetchone()
    assert counted is not None
    return {
        "contact_id": row["contact_id"] if row else None,
        "contact_full_name": row["full_name"] if row else None,
        "contact_phone_number": phone,
        "communication_number": counted["last_number"],
    }
