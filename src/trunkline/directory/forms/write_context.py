"""Shared state for writing a directory file: the connection, the wanted form, ids by key, and statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString, Protocol

from psycopg import sql
from pydantic import BaseModel

from trunkline.db.pool import Connection
from trunkline.db.rows import insert_row, update_row
from trunkline.directory.forms.entity import Entity, columns_of
from trunkline.directory.model.cipher import Cipher

Columns = dict[str, Any]


class WantedItems(Protocol):
    """The items of the file, as :class:`trunkline.directory.files.form.Form` has them."""

    def section(self, name: str) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Sound:
    """A media file's content before it is stored."""

    sha256: str
    wav: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WriteContext:
    """One file being written over one connection."""

    connection: Connection
    account_id: int
    entities: Mapping[str, Entity]
    """By section."""
    wanted: WantedItems = field(repr=False)
    cipher: Cipher
    sounds: Mapping[str, Sound] = field(repr=False)
    ids: dict[str, dict[str, int]]
    """By section and key; grows with what is made."""
    passwords: dict[str, str] = field(default_factory=dict, repr=False)
    """New ones by SIP login."""

    def item(self, section: str, key: str) -> Any:
        return self.wanted.section(section)[key]

    def id(self, section: str, key: str | None) -> int | None:
        return None if key is None else self.ids[section][key]

    def columns(self, part: BaseModel) -> Columns:
        """Columns of a part of an item."""
        return columns_of(self, part)

    async def run(self, statement: LiteralString, **params: Any) -> None:
        await self.connection.execute(statement, {"account_id": self.account_id, **params})

    async def rows(self, statement: LiteralString, **params: Any) -> list[dict[str, Any]]:
        cursor = await self.connection.execute(statement, {"account_id": self.account_id, **params})
        return await cursor.fetchall()

    async def put(self, section: str, key: str, columns: Columns) -> None:
        """Insert or update one row; its id becomes known."""
        entity = self.entities[section]
        present = self.ids[section].get(key)
        values = {**columns, entity.key_column: key}
        if present is None:
            self.ids[section][key] = await self.insert(entity.table, values, entity.id_column)
        else:
            await self.update(entity.table, entity.id_column, present, values)

    async def insert(self, table: str, values: Columns, id_column: str) -> int:
        made: int = await insert_row(self.connection, table, id_column, self.account_id, values)
        return made

    async def update(self, table: str, id_column: str, identifier: int, values: Columns) -> None:
        await update_row(self.connection, table, id_column, self.account_id, identifier, values)

    async def put_list(
        self, table: str, id_column: str, present: Mapping[Any, int], wanted: Sequence[tuple[Any, Columns]]
    ) -> None:
        """Dependent rows of one item: rows with an unchanged mark keep their id, the others are deleted or inserted."""
        marks = {mark for mark, _ in wanted}
        gone = [identifier for mark, identifier in present.items() if mark not in marks]
        statement = sql.SQL("delete from {} where account_id = %(account_id)s and {} = any(%(gone)s)").format(
            sql.Identifier(table), sql.Identifier(id_column)
        )
        await self.connection.execute(statement, {"account_id": self.account_id, "gone": gone})
        for mark, columns in wanted:
            if mark in present:
                await self.update(table, id_column, present[mark], columns)
            else:
                await self.insert(table, columns, id_column)
