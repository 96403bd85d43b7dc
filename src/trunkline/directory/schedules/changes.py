"""Schedules as a list, and changes of them.

A schedule is open by its rules (made by the API) and by its weekly intervals (made by directory files); both are
listed as rules, a night as one rule until midnight and one from midnight on. Dates with hours of their own, which
only directory files have, are not listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from trunkline.contract.columns import field, listed
from trunkline.db.pool import Connection, Database
from trunkline.db.query import ColumnType, Listing
from trunkline.db.query.columns import column
from trunkline.db.rows import delete, insert_keyed, lock_row, one_at_a_time, transaction, update
from trunkline.directory.exclusive import SCHEDULE_NAME, Holder, check_exclusive
from trunkline.directory.uses import refuse_if_used

_TABLE, _ID = "schedules", "schedule_id"

# A weekly interval of a directory file as a rule: {"days": [1..7], "from", "till"}.
_OF_INTERVAL = """
    select jsonb_build_object('type', 'days_of_week', 'days', part.days, 'times', case
            when part.since = '00:00' and part.till = '24:00' then '[]'::jsonb
            else jsonb_build_array(jsonb_build_object('from', part.since, 'till', part.till)) end) as rule,
        1 as kind, i.place * 2 + part.second as place
    from jsonb_array_elements(s.intervals) with ordinality as i (item, place),
    lateral (
        select 0 as second, i.item ->> 'from' as since,
            case when i.item ->> 'till' > i.item ->> 'from' then i.item ->> 'till' else '24:00' end as till,
            (select jsonb_agg(d.day::int % 7 order by d.day::int % 7)
             from jsonb_array_elements_text(i.item -> 'days') d (day)) as days
        union all
        select 1, '00:00', i.item ->> 'till',
            (select jsonb_agg((d.day::int + 1) % 7 order by (d.day::int + 1) % 7)
             from jsonb_array_elements_text(i.item -> 'days') d (day))
        where i.item ->> 'till' <= i.item ->> 'from' and i.item ->> 'till' <> '00:00'
    ) part
"""

_RULES = f"""
(select jsonb_agg(jsonb_build_object(
    'activity_days', jsonb_build_object('type', r.rule -> 'type', 'days', r.rule -> 'days'),
    'activity_time', (select coalesce(jsonb_agg(jsonb_build_object('time_from', t.item -> 'from',
        'time_till', t.item -> 'till') order by t.place), '[]'::jsonb)
        from jsonb_array_elements(r.rule -> 'times') with ordinality as t (item, place)),
    'activity_date_from', r.rule -> 'first', 'activity_date_till', r.rule -> 'last') order by r.kind, r.place)
from (
    select item as rule, 0 as kind, place from jsonb_array_elements(s.rules) with ordinality as o (item, place)
    union all {_OF_INTERVAL}
) r)
"""  # noqa: S608 - consists of constants

_NUMBER, _STRING, _BOOLEAN = ColumnType.NUMBER, ColumnType.STRING, ColumnType.BOOLEAN

SCHEDULES = Listing(
    name="schedules",
    table="schedules s",
    where="s.account_id = %(account_id)s",
    order="s.schedule_id",
    columns=listed(
        "get.schedules",
        field("id", "s.schedule_id"),
        field("name", "s.name"),
        field("schedules", _RULES.replace("%", "%%")),
    ),
)

SCHEDULES_FOR_PEOPLE = Listing(
    name="schedules_for_people",
    table="schedules s",
    where="s.account_id = %(account_id)s",
    order="s.schedule_id",
    columns=(
        column(_NUMBER, "id", "s.schedule_id", "filter sort default"),
        column(_STRING, "key", "s.key", "filter sort default"),
        column(_STRING, "name", "coalesce(nullif(s.name, ''), s.key)", "filter sort default"),
        column(
            _STRING,
            "hours",
            "(select string_agg(concat_ws(' ', d.day, i.item ->> 'from', i.item ->> 'till'), E'\\n'"
            " order by d.day::int, i.item ->> 'from')"
            " from jsonb_array_elements(s.intervals) i (item), jsonb_array_elements_text(i.item -> 'days') d (day))",
            "default",
        ),
        column(
            _STRING,
            "exceptions",
            "(select string_agg(concat_ws(' ', e.item ->> 'date', e.item ->> 'from', e.item ->> 'till'), E'\\n'"
            " order by e.item ->> 'date', e.item ->> 'from') from jsonb_array_elements(s.exceptions) e (item))",
            "default",
        ),
        column(_BOOLEAN, "has_rules", "s.rules <> '[]'::jsonb", "default"),
    ),
)
"""Hours as lines ``1 09:00 18:00`` (ISO weekday), exceptions as ``2026-12-31 09:00 13:00`` or the date alone, closed."""


async def create_schedule(
    db: Database, account_id: int, name: str, rules: Sequence[Mapping[str, Any]]
) -> int:
    """Add a schedule; its id.

    :param rules: as :func:`trunkline.directory.model.hours.rule_from_json` reads them.
    :raises Duplicate: there is one of that name.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await _check_name(connection, account_id, name, None)
        row = {"name": name, "rules": Jsonb(list(rules))}
        return await insert_keyed(connection, _TABLE, _ID, account_id, row)


async def rename_schedule(db: Database, account_id: int, schedule_id: int, name: str) -> None:
    """Give a schedule another name.

    :raises NotFound: no such schedule.
    :raises Duplicate: there is one of that name.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await lock_row(connection, _TABLE, _ID, account_id, schedule_id)
        await _check_name(connection, account_id, name, schedule_id)
        await update(connection, _TABLE, _ID, account_id, schedule_id, {"name": name})


async def delete_schedule(db: Database, account_id: int, schedule_id: int) -> None:
    """Remove a schedule.

    :raises NotFound: no such schedule.
    :raises InUse: an employee, a group, a number's rule or a scenario uses it.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await lock_row(connection, _TABLE, _ID, account_id, schedule_id)
        await refuse_if_used(connection, account_id, "schedule_id", schedule_id)
        await delete(connection, _TABLE, _ID, account_id, schedule_id)


async def _check_name(connection: Connection, account_id: int, name: str, schedule_id: int | None) -> None:
    holder = Holder("schedules", schedule_id)
    await check_exclusive(connection, account_id, SCHEDULE_NAME, {name: name}, holder, field="name")
