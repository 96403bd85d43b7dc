"""Visits of websites, and what pages make known of their visitors.

A visit begins with the first page, and ends 30 minutes after the last one; further pages are its hits. Sessions are written
by :mod:`trunkline.uploads.sessions`, as uploaded ones are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from psycopg.types.json import Jsonb

from trunkline.core.phone import normalise
from trunkline.db.pool import Database
from trunkline.db.rows import transaction
from trunkline.site.bodies import VisitBody, VisitorBody
from trunkline.site.rules import VALUE_MAX, VisitIds, changed, device_of, marks_of, search_of
from trunkline.site.sites import Website
from trunkline.uploads import sessions
from trunkline.uploads.visits import visit_behind

MOST_PROPERTIES = 50
MOST_ADDRESSES = 5
"""Mail addresses and numbers of a visitor."""

_VISITOR = """
insert into site_visitors (account_id, visitor_id, site_id) values (%(account_id)s, %(visitor_id)s, %(site_id)s)
on conflict (account_id, visitor_id) do update set changed_at = now()
returning name, emails, phones, properties
"""


async def begin_or_go_on(
    db: Database,
    site: Website,
    ids: VisitIds | None,
    body: VisitBody,
    *,
    address: str,
    agent: str,
    may_begin: Callable[[], None],
) -> VisitIds:
    """The visit of a page that was opened: the present one with a further hit, or a new one.

    :param ids: of the last visit of this browser; its visitor is the same one.
    :param address: IP address.
    :param agent: the header ``User-Agent``.
    :param may_begin: asked before a new visit; raises what refuses it.
    """
    if ids is not None and await sessions.add_hit(db, site.account_id, ids.visitor_session_id, body.url):
        return ids
    may_begin()
    session: dict[str, Any] = {
        "site_id": site.site_id,
        "is_visitor_new": ids is None,
        "visitor_ip_address": address,
        "visitor_screen": body.screen or None,
        "visitor_language": body.language or None,
        "referrer": body.referrer[:VALUE_MAX] or None,
        "entrance_page_url": body.url or None,
        "entrance_page_title": body.title or None,
        **device_of(agent),
        **search_of(body.referrer),
        **marks_of(body.url),
    }
    visitor_id = ids.visitor_id if ids is not None else None
    return VisitIds(*await sessions.begin_session(db, site.account_id, session, visitor_id))


async def visit_of_call(
    db: Database, account_id: int, site_id: int, ids: VisitIds | None, url: str
) -> tuple[dict[str, Any], str]:
    """What a call keeps of its visit, by the names of the reports, and the name of the visitor ("" = not known)."""
    page: dict[str, Any] = {"communication_page_url": url} if url else {}
    if ids is None:
        return {**marks_of(url), **page, "site_id": site_id}, ""
    async with db.connection() as connection:
        found = await visit_behind(
            connection,
            account_id,
            visitor_session_id=ids.visitor_session_id,
            campaign_id=None,
            site_id=site_id,
            source_id=None,
        )
        cursor = await connection.execute(
            "select name, properties from site_visitors where account_id = %s and visitor_id = %s",
            (account_id, ids.visitor_id),
        )
        visitor = await cursor.fetchone()
    properties = [
        {"property_name": name, "property_value": value}
        for name, value in (visitor["properties"] if visitor is not None else {}).items()
    ]
    own = {"visitor_custom_properties": properties} if properties else {}
    return {**found, **page, **own}, (visitor["name"] if visitor is not None else None) or ""


async def add_visitor_info(db: Database, site: Website, ids: VisitIds, body: VisitorBody) -> bool:
    """Keep name, mail address and number; a mail address and a number are added. False: none of them was given."""
    phone = normalise(body.phone) if body.phone else None
    if not (body.name or body.email or phone):
        return False
    async with transaction(db) as connection:
        cursor = await connection.execute(_VISITOR, _params(site, ids))
        row = await cursor.fetchone()
        assert row is not None
        await connection.execute(
            """update site_visitors set name = %s, emails = %s, phones = %s
               where account_id = %s and visitor_id = %s""",
            (
                body.name or row["name"],
                _with(row["emails"], body.email),
                _with(row["phones"], phone),
                site.account_id,
                ids.visitor_id,
            ),
        )
    return True


async def set_property(db: Database, site: Website, ids: VisitIds, name: str, value: str | None) -> None:
    """Give a visitor a property; one more than :data:`MOST_PROPERTIES` is left out."""
    async with transaction(db) as connection:
        cursor = await connection.execute(_VISITOR, _params(site, ids))
        row = await cursor.fetchone()
        assert row is not None
        properties = changed(row["properties"], name, value, MOST_PROPERTIES)
        await _write(connection, site, ids, properties)


async def delete_property(db: Database, site: Website, ids: VisitIds, name: str) -> None:
    """Take a property away from a visitor."""
    await db.execute(
        "update site_visitors set properties = properties - %s::text where account_id = %s and visitor_id = %s",
        (name, site.account_id, ids.visitor_id),
    )


async def properties_of(db: Database, site: Website, ids: VisitIds) -> Mapping[str, str | None]:
    """The properties of a visitor."""
    row = await db.fetch_one(
        "select properties from site_visitors where account_id = %s and visitor_id = %s",
        (site.account_id, ids.visitor_id),
    )
    return {} if row is None else row["properties"]


async def _write(connection: Any, site: Website, ids: VisitIds, properties: Mapping[str, str | None]) -> None:
    await connection.execute(
        "update site_visitors set properties = %s where account_id = %s and visitor_id = %s",
        (Jsonb(dict(properties)), site.account_id, ids.visitor_id),
    )


def _params(site: Website, ids: VisitIds) -> dict[str, int]:
    return {"account_id": site.account_id, "visitor_id": ids.visitor_id, "site_id": site.site_id}


def _with(values: list[str], one: str | None) -> list[str]:
    return values if not one or one in values else [*values, one][:MOST_ADDRESSES]
