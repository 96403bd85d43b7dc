"""Write a compared directory file inside one transaction.

Order: unique values are released, items are written without references to each other, then the links
between them, and last what goes is deleted. What is written is described by the entities (:mod:`.entities`).
"""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

from trunkline.db.pool import Connection
from trunkline.directory.files.account import write_account
from trunkline.directory.files.entities import DELETE_ORDER, ENTITIES
from trunkline.directory.files.normalised_state import with_texts
from trunkline.directory.files.plan import Action
from trunkline.directory.files.prepare import Comparison
from trunkline.directory.forms.entity import Entity, columns_of, late_columns_of
from trunkline.directory.forms.write_context import Columns, Sound, WriteContext
from trunkline.directory.lines.store import assign_lines
from trunkline.directory.model import SYSTEM_ACCOUNT_ID
from trunkline.directory.model.cipher import Cipher
from trunkline.directory.scenarios.versions import keep_version


class Writer:
    """Writes one comparison over one connection."""

    def __init__(
        self,
        connection: Connection,
        cipher: Cipher,
        comparison: Comparison,
        sounds: Mapping[str, Sound],
        author: str = "",
    ) -> None:
        current = comparison.current
        self._former, self._result, self._author = current.form, comparison.result, author
        ids = {section: dict(known) for section, known in current.ids.items()}
        self._plan = comparison.plan
        self._wanted = comparison.wanted
        self._work = WriteContext(
            connection, current.account_id, ENTITIES, comparison.wanted, cipher, sounds, ids
        )

    async def write(self) -> dict[str, str]:
        """Write all; new passwords by SIP login."""
        if self._plan.is_empty:
            return {}
        context = self._work
        account = self._wanted.account if self._plan.written("account") else None
        if account is not None:
            await write_account(context.connection, context.account_id, account)
        await self._free_unique_names()
        for section, entity in ENTITIES.items():
            for key in self._plan.written(section):
                await context.put(section, key, self._columns(entity, key))
        await self._links()
        for key in self._plan.written("scenarios"):
            await self._keep_version(key)
        if account is not None and account.default_number is not None:
            await context.run(
                """update accounts set default_virtual_number_id = %(number)s
                   where account_id = %(account_id)s""",
                number=context.id("virtual_numbers", account.default_number),
            )
        for section in DELETE_ORDER:
            await self._delete(section)
        for section, entity in ENTITIES.items():
            if entity.finish is not None:
                for key in self._plan.written(section):
                    await entity.finish(context, key)
        await assign_lines(context.connection, context.account_id)
        return context.passwords

    def _columns(self, entity: Entity, key: str) -> Columns:
        plain = {} if entity.form is None else columns_of(self._work, self._work.item(entity.section, key))
        return plain if entity.values is None else {**plain, **entity.values(self._work, key)}

    async def _links(self) -> None:
        system = await self._work.rows(
            "select key, media_file_id from media_files where account_id = %(system)s",
            system=SYSTEM_ACCOUNT_ID,
        )
        for row in system:
            self._work.ids["media"].setdefault(row["key"], row["media_file_id"])
        for section, entity in ENTITIES.items():
            for key in self._plan.written(section):
                await self._link(entity, key)

    async def _link(self, entity: Entity, key: str) -> None:
        item = self._work.item(entity.section, key)
        if late := late_columns_of(self._work, item):
            identifier = self._work.ids[entity.section][key]
            await self._work.update(entity.table, entity.id_column, identifier, late)
        if entity.link is not None:
            await entity.link(self._work, key)

    async def _keep_version(self, key: str) -> None:
        former = self._former.section("scenarios").get(key)
        await keep_version(
            self._work.connection,
            self._work.account_id,
            self._work.ids["scenarios"][key],
            None if former is None else with_texts(former, self._former.section("media")),
            with_texts(self._result.section("scenarios")[key], self._result.section("media")),
            self._author,
        )

    async def _free_unique_names(self) -> None:
        """Two items may exchange a short number or a name in one file: let go of the old ones first."""
        for section, entity in ENTITIES.items():
            ids = [
                self._work.ids[section][change.key]
                for change in self._plan.changes
                if change.section == section and change.key in self._work.ids[section]
            ]
            for release in entity.release if ids else ():
                await self._work.run(release, ids=ids)
            for column in entity.unique if ids else ():
                statement = sql.SQL(
                    "update {} set {} = {} where account_id = %(account_id)s and {} = any(%(ids)s)"
                ).format(
                    sql.Identifier(entity.table),
                    sql.Identifier(column),
                    sql.SQL("gen_random_uuid()::text" if column == "name" else "null"),
                    sql.Identifier(entity.id_column),
                )
                await self._work.connection.execute(
                    statement, {"account_id": self._work.account_id, "ids": ids}
                )

    async def _delete(self, section: str) -> None:
        keys = self._plan.of(Action.DELETE, section)
        if not keys:
            return
        entity = ENTITIES[section]
        ids = [self._work.ids[section][key] for key in keys]
        for unlink in entity.unlink:
            await self._work.run(unlink, ids=ids)
        statement = sql.SQL("delete from {} where account_id = %(account_id)s and {} = any(%(ids)s)").format(
            sql.Identifier(entity.table), sql.Identifier(entity.id_column)
        )
        await self._work.connection.execute(statement, {"account_id": self._work.account_id, "ids": ids})
