"""What operations of scenarios may name: the items of an account by section and key, with names for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from trunkline.db.pool import Database

_STATEMENT = """
    select 'employees' as section, key, employee_id as id, full_name as name, extension as number
    from employees where account_id = %(account_id)s
    union all
    select 'groups', key, group_id, name, extension from employee_groups where account_id = %(account_id)s
    union all
    select 'schedules', key, schedule_id, name, null from schedules where account_id = %(account_id)s
    union all
    select 'tags', key, tag_id, name, null from tags where account_id = %(account_id)s and not is_system
    union all
    select 'contact_groups', key, contact_group_id, name, null
    from contact_groups where account_id = %(account_id)s and not is_system
    union all
    select 'queues', key, queue_id, name, null from queues where account_id = %(account_id)s
    union all
    select 'scenarios', key, scenario_id, name, null from scenarios where account_id = %(account_id)s
    union all
    select 'media', key, media_file_id, name, null from media_files
    where account_id in (0, %(account_id)s)
    order by name, key
"""


@dataclass(frozen=True, slots=True)
class Choices:
    """:ivar names: by section and key.
    :ivar ids: by section and key, as stored settings have them."""

    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    ids: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def name(self, section: str, key: str) -> str:
        """What people call it; the key if it is gone."""
        return self.names.get(section, {}).get(key, key)


async def read_choices(db: Database, account_id: int) -> Choices:
    """The items of now. Texts of operations, which are media files, too, are among the media."""
    names: defaultdict[str, dict[str, str]] = defaultdict(dict)
    ids: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in await db.fetch_all(_STATEMENT, {"account_id": account_id}):
        shown = f"{row['name']} ({row['number']})" if row["number"] else row["name"]
        names[row["section"]].setdefault(row["key"], shown)
        ids[row["section"]].setdefault(row["key"], row["id"])
    return Choices(names, ids)
