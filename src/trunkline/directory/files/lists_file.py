"""Lists that no method of an API makes: auto call campaigns, segments and events, brought by a YAML file.

::

    auto_calls:
      spring: {name: Spring offer, status: planned, begins: 2026-12-01T09:00:00+04:00, numbers: [+12025550110]}
    segments:
      buyers: {name: Buyers, site: harbour.example, conditions: [[{segment_parameter: page, operator: sub, value: /buy}]]}
    events:
      thanks: {name: Thanks page, type: link, site: harbour.example, url: /thanks, is_goal: true, goal_name: Order}

An item is known by its key: it is made or changed, never deleted. Numbers of a campaign are added; what became of
those that are in it stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from psycopg import sql
from psycopg.types.json import Jsonb
from pydantic import AwareDatetime, Field

from trunkline.core.errors import NotFound
from trunkline.db.pool import Connection, Database
from trunkline.db.rows import transaction
from trunkline.directory.files.file import read_items
from trunkline.directory.forms.fields import Item, Key, Name, Phone
from trunkline.directory.web_analytics.listing import Engine, SiteEventType


class AutoCallForm(Item):
    """A campaign of automatic calls."""

    name: Name
    status: Literal["draft", "planned", "in_process", "paused", "completed", "cancelled"] = "draft"
    begins: AwareDatetime | None = None
    ends: AwareDatetime | None = None
    numbers: tuple[Phone, ...] = ()


class ConditionForm(Item):
    type: Literal["include", "exclude"] = "include"
    segment_parameter: Name
    operator: Literal["=", "sub", "~"] = "="
    value: str


class SegmentForm(Item):
    """``conditions``: groups of conditions; ``site``: its domain name."""

    name: Name
    description: str = ""
    site: str | None = None
    conditions: tuple[tuple[ConditionForm, ...], ...] = ()


class EventForm(Item):
    """``segment``: key of the segment that visitors enter."""

    name: Name
    description: str = ""
    site: str | None = None
    type: SiteEventType
    category: str | None = None
    action: str | None = None
    label: str | None = None
    value: str | None = None
    url: str | None = None
    segment: Key | None = None
    is_goal: bool = False
    goal_name: str | None = None
    engine: Engine | None = None
    ext_id: str | None = None
    is_active: bool = True
    ga_category: str | None = None
    ga_action: str | None = None
    ga_label: str | None = None
    ga_value: str | None = None
    ym_goal_id: str | None = None


class ListsForm(Item):
    """A lists file."""

    auto_calls: Annotated[dict[Key, AutoCallForm], Field(default_factory=dict)]
    segments: Annotated[dict[Key, SegmentForm], Field(default_factory=dict)]
    events: Annotated[dict[Key, EventForm], Field(default_factory=dict)]


def read_lists(path: Path) -> ListsForm:
    """The lists of a YAML file; :class:`DirectoryFileError` with all its problems."""
    return read_items(path, ListsForm)


async def apply_lists(database: Database, account_id: int, lists: ListsForm) -> int:
    """Make or change all items of a file in one transaction; how many there are.

    :raises NotFound: a site or segment that an item names is not there.
    """
    async with transaction(database) as connection:
        put = _Put(connection, account_id)
        for key, campaign in lists.auto_calls.items():
            await put.campaign(key, campaign)
        for key, segment in lists.segments.items():
            await put.segment(key, segment)
        for key, event in lists.events.items():
            await put.event(key, event)
    return len(lists.auto_calls) + len(lists.segments) + len(lists.events)


class _Put:
    """Writes items of one account over one connection."""

    def __init__(self, connection: Connection, account_id: int) -> None:
        self._connection = connection
        self._account_id = account_id

    async def campaign(self, key: str, form: AutoCallForm) -> None:
        values = {"name": form.name, "status": form.status, "begins_at": form.begins, "ends_at": form.ends}
        campaign = await self._row("auto_call_campaigns", "auto_call_campaign_id", key, values)
        await self._connection.execute(
            "insert into auto_call_campaign_numbers"
            " (account_id, auto_call_campaign_id, phone_number, position)"
            " select %s, %s, given.phone, given.position from unnest(%s::text[])"
            " with ordinality as given (phone, position) on conflict do nothing",
            (self._account_id, campaign, list(form.numbers)),
        )

    async def segment(self, key: str, form: SegmentForm) -> None:
        groups = [{"conditions": [one.model_dump() for one in group]} for group in form.conditions]
        values = {
            "name": form.name,
            "description": form.description,
            "site_id": await self._site(form.site),
            "group_conditions": Jsonb(groups),
        }
        await self._row("segments", "segment_id", key, values)

    async def event(self, key: str, form: EventForm) -> None:
        values = form.model_dump(exclude={"site", "segment"})
        values["site_id"] = await self._site(form.site)
        values["segment_id"] = await self._id("segments", "segment_id", "key", form.segment)
        await self._row("site_events", "event_id", key, values)

    async def _site(self, domain: str | None) -> int | None:
        return await self._id("sites", "site_id", "domain_name", domain)

    async def _id(self, table: str, id_column: str, column: str, value: str | None) -> int | None:
        """Id of the row with this value; None for None."""
        if value is None:
            return None
        statement = sql.SQL("select {} as id from {} where account_id = %s and {} = %s").format(
            sql.Identifier(id_column), sql.Identifier(table), sql.Identifier(column)
        )
        row = await (await self._connection.execute(statement, (self._account_id, value))).fetchone()
        if row is None:
            raise NotFound(f"there is no {table.removesuffix('s')} {value} in this account", value=value)
        return int(row["id"])

    async def _row(self, table: str, id_column: str, key: str, values: Mapping[str, Any]) -> int:
        """Insert the row with this key, or give it these values; its id."""
        names = [sql.Identifier(name) for name in values]
        statement = sql.SQL(
            "insert into {table} (account_id, key, {names}) values (%s, %s, {places})"
            " on conflict (account_id, key) do update set {changes} returning {id} as id"
        ).format(
            table=sql.Identifier(table),
            names=sql.SQL(", ").join(names),
            places=sql.SQL(", ").join(sql.Placeholder() for _ in names),
            changes=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in names),
            id=sql.Identifier(id_column),
        )
        cursor = await self._connection.execute(statement, (self._account_id, key, *values.values()))
        row = await cursor.fetchone()
        assert row is not None  # "returning" gives a row or an error
        return int(row["id"])
