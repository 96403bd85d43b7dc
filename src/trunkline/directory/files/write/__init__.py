"""Write a compared directory file inside one transaction.

Order: unique values are released, items are written without references to each other, then the links
between them, and last what goes is deleted. The parts are by feature; :mod:`.write_context` is what they share.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from psycopg import sql

from trunkline.db.pool import Connection
from trunkline.directory.files.plan import Action
from trunkline.directory.files.prepare import Comparison, Sound
from trunkline.directory.files.write import contacts, numbers, people, scenarios, subscriptions
from trunkline.directory.files.write.account import write_account
from trunkline.directory.files.write.write_context import TABLES, Columns, WriteContext
from trunkline.directory.live.load import Cipher
from trunkline.directory.model import SYSTEM_ACCOUNT_ID

_DELETE_ORDER = (
    "notifications",
    "talk_options",
    "virtual_numbers",
    "scenarios",
    "groups",
    "employees",
    "sip_lines",
    "trunks",
    "schedules",
    "media",
    "tags",
    "contact_groups",
    "contacts",
    "blacklist",
)

Maker = Callable[[WriteContext, str], Columns]
"""Columns of an item by its key, without references to items that may not exist yet."""

Linker = Callable[[WriteContext, str], Awaitable[None]]
"""Writes the references of an item, and its dependent rows."""


def _named(section: str) -> Maker:
    return lambda context, key: {"name": context.item(section, key).name}


_MAKERS: Mapping[str, Maker] = {
    "schedules": scenarios.schedule,
    "media": scenarios.media,
    "tags": _named("tags"),
    "contacts": contacts.contact,
    "contact_groups": _named("contact_groups"),
    "blacklist": lambda context, key: {"comment": context.item("blacklist", key).comment},
    "trunks": numbers.trunk,
    "virtual_numbers": numbers.number,
    "sip_lines": numbers.line,
    "employees": people.employee,
    "groups": people.group,
    "scenarios": _named("scenarios"),
    "talk_options": scenarios.talk_option,
    "notifications": subscriptions.subscription,
}

_LINKERS: Mapping[str, Linker] = {
    "contacts": contacts.contact_phones,
    "contact_groups": contacts.contact_members,
    "virtual_numbers": numbers.number_links,
    "employees": people.employee_links,
    "groups": people.group_members,
    "scenarios": scenarios.operations,
}


class Writer:
    """Writes one comparison over one connection."""

    def __init__(
        self, connection: Connection, cipher: Cipher, comparison: Comparison, sounds: Mapping[str, Sound]
    ) -> None:
        current = comparison.current
        ids = {section: dict(known) for section, known in current.ids.items()}
        self._plan = comparison.plan
        self._work = WriteContext(connection, current.account_id, comparison.wanted, cipher, sounds, ids)

    async def write(self) -> dict[str, str]:
        """Write all; new passwords by SIP login."""
        if self._plan.is_empty:
            return {}
        context = self._work
        account = context.wanted.account if self._plan.written("account") else None
        if account is not None:
            await write_account(context.connection, context.account_id, account)
        await self._free_unique_names()
        for section in TABLES:
            for key in self._plan.written(section):
                await context.put(section, key, _MAKERS[section](context, key))
        await self._links()
        if account is not None and account.default_number is not None:
            await context.run(
                """update accounts set default_virtual_number_id = %(number)s
                   where account_id = %(account_id)s""",
                number=context.id("virtual_numbers", account.default_number),
            )
        for section in _DELETE_ORDER:
            await self._delete(section)
        await people.line_owners(context)
        return context.passwords

    async def _links(self) -> None:
        system = await self._work.rows(
            "select key, media_file_id from media_files where account_id = %(system)s",
            system=SYSTEM_ACCOUNT_ID,
        )
        for row in system:
            self._work.ids["media"].setdefault(row["key"], row["media_file_id"])
        for section, link in _LINKERS.items():
            for key in self._plan.written(section):
                await link(self._work, key)

    async def _free_unique_names(self) -> None:
        """Two items may exchange a short number or a name in one file: let go of the old ones first."""
        touched = {
            section: [
                self._work.ids[section][change.key]
                for change in self._plan.changes
                if change.section == section and change.action is not Action.CREATE
            ]
            for section in ("employees", "groups", "tags")
        }
        await self._work.run(
            """update employees set extension = null
               where account_id = %(account_id)s and employee_id = any(%(ids)s)""",
            ids=touched["employees"],
        )
        await self._work.run(
            """update employee_groups set extension = null
               where account_id = %(account_id)s and group_id = any(%(ids)s)""",
            ids=touched["groups"],
        )
        await self._work.run(
            """update tags set name = gen_random_uuid()::text
               where account_id = %(account_id)s and tag_id = any(%(ids)s)""",
            ids=touched["tags"],
        )

    async def _delete(self, section: str) -> None:
        keys = self._plan.of(Action.DELETE, section)
        if not keys:
            return
        table, id_column, _ = TABLES[section]
        ids = [self._work.ids[section][key] for key in keys]
        statement = sql.SQL("delete from {} where account_id = %(account_id)s and {} = any(%(ids)s)").format(
            sql.Identifier(table), sql.Identifier(id_column)
        )
        if section == "virtual_numbers":  # numbers and lines name each other: part those that go together
            await self._work.run(
                """update sip_lines set virtual_number_id = null
                   where account_id = %(account_id)s and virtual_number_id = any(%(ids)s)""",
                ids=ids,
            )
        if section == "employees":  # their lines get their new owners when all is written
            await self._work.run(
                """update sip_lines set employee_id = null
                   where account_id = %(account_id)s and employee_id = any(%(ids)s)""",
                ids=ids,
            )
        await self._work.connection.execute(statement, {"account_id": self._work.account_id, "ids": ids})
