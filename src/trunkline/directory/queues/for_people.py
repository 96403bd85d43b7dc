"""Queues with all their settings as directory files name them, for pages: items by their keys, not by their ids."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.db.pool import Database
from trunkline.db.query import ColumnType, Listing
from trunkline.db.query.columns import Column, column
from trunkline.directory.queues.rules import DEFAULTS

_NUMBER, _STRING, _BOOLEAN = ColumnType.NUMBER, ColumnType.STRING, ColumnType.BOOLEAN

_MEDIA = {
    "announce": "(select m.key from media_files m where m.account_id in (0, q.account_id)"
    " and m.media_file_id = q.announce_id)",
    "music": "(select m.key from media_files m where m.account_id in (0, q.account_id)"
    " and m.media_file_id = q.moh_id)",
    "join_announce": "(select m.key from media_files m where m.account_id in (0, q.account_id)"
    " and m.media_file_id = q.join_announce)",
    "pre_bridge_announce": "(select m.key from media_files m where m.account_id in (0, q.account_id)"
    " and m.media_file_id = q.pre_bridge_announce)",
}

_AGENTS = """
(select jsonb_agg(jsonb_build_array(e.key, t.level, t.position) order by t.level, t.position, e.key)
    from queue_tiers t
    join employees e on e.account_id = t.account_id and e.employee_id = t.employee_id
    where t.account_id = q.account_id and t.queue_id = q.queue_id)::text
"""

_AGENT_NAMES = r"""
(select string_agg(concat_ws(' ', nullif(e.first_name, ''), e.last_name), E'\n' order by t.level, t.position, e.key)
    from queue_tiers t
    join employees e on e.account_id = t.account_id and e.employee_id = t.employee_id
    where t.account_id = q.account_id and t.queue_id = q.queue_id)
"""

_EXITS = """
(select jsonb_agg(jsonb_build_array(x.name, coalesce(x.kind || ':' || case x.kind
        when 'scenario' then (select s.key from scenarios s
            where s.account_id = q.account_id and s.scenario_id::text = x.what)
        when 'queue' then (select o.key from queues o
            where o.account_id = q.account_id and o.queue_id::text = x.what)
        when 'group' then (select g.key from employee_groups g
            where g.account_id = q.account_id and g.group_id::text = x.what)
        when 'employee' then (select e.key from employees e
            where e.account_id = q.account_id and e.employee_id::text = x.what)
        when 'voicemail' then (select e.key from employees e
            where e.account_id = q.account_id and e.employee_id::text = x.what)
        end, x.destination)) order by x.name)
    from (select e.key as name, btrim(e.value) as destination, split_part(btrim(e.value), ':', 1) as kind,
            split_part(btrim(e.value), ':', 2) as what
        from jsonb_each_text(case jsonb_typeof(q.exits) when 'object' then q.exits else '{}' end) e) x)::text
"""


def _setting(name: str) -> Column:
    usual = DEFAULTS.get(name)
    kind = _BOOLEAN if isinstance(usual, bool) else _NUMBER if isinstance(usual, int) else _STRING
    return column(kind, name, f"q.{name}", "default")


QUEUES_FOR_PEOPLE = Listing(
    name="queues_for_people",
    table="queues q",
    where="q.account_id = %(account_id)s",
    order="q.queue_id",
    columns=(
        column(_NUMBER, "id", "q.queue_id", "filter sort default"),
        column(_STRING, "key", "q.key", "filter sort default"),
        column(_STRING, "name", "q.name", "filter sort default"),
        column(_STRING, "extension", "q.extension", "filter sort default"),
        column(_STRING, "tv_name", "q.tv_name", "default"),
        column(_STRING, "background_color", "q.background_color", "default"),
        column(_STRING, "font_color", "q.font_color", "default"),
        column(_NUMBER, "ring_timeout", "q.ring_timeout", "default"),
        *(_setting(name) for name in DEFAULTS if name not in ("labels", "music_advanced")),
        *(column(_STRING, name, sql, "default") for name, sql in _MEDIA.items()),
        column(_STRING, "agents", _AGENTS, "default"),
        column(_STRING, "agent_names", _AGENT_NAMES, "default"),
        column(_STRING, "exits", _EXITS, "default"),
    ),
)
"""``agents``: JSON, an array of [employee, level, position]; ``exits``: of [name, destination]; ``agent_names``:
lines. A destination whose item does not exist any more is as the row has it."""


@dataclass(frozen=True, slots=True)
class NamedItem:
    """An item that a queue may name.

    :ivar section: of directory files.
    :ivar title: its name, or its key when it has none.
    """

    section: str
    key: str
    title: str


_NAMED = """
select section, key, title from (
    select 'employees' as section, key, concat_ws(' ', nullif(first_name, ''), last_name) as title
    from employees where account_id = %(account_id)s
    union all
    select 'groups', key, name from employee_groups where account_id = %(account_id)s
    union all
    select 'queues', key, name from queues where account_id = %(account_id)s
    union all
    select 'scenarios', key, name from scenarios where account_id = %(account_id)s
    union all
    select 'media', key, name from media_files m where account_id in (0, %(account_id)s)
        and (account_id <> 0 or not exists (
            select from media_files o where o.account_id = %(account_id)s and o.key = m.key))
) named where section = any(%(sections)s)
"""


async def named_items(db: Database, account_id: int, *sections: str) -> list[NamedItem]:
    """The items of these sections, in the order of the sections and by title; media with the system set."""
    rows = await db.fetch_all(_NAMED, {"account_id": account_id, "sections": list(sections)})
    found = [NamedItem(row["section"], row["key"], row["title"] or row["key"]) for row in rows]
    return sorted(found, key=lambda one: (sections.index(one.section), one.title.casefold(), one.key))
