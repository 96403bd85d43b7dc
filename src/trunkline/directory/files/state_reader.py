"""An account's directory as it is now, in the form of a file: apply compares with it, export writes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString

from psycopg import sql
from pydantic import BaseModel, ValidationError

from trunkline.core.errors import ConfigurationError, NotFound
from trunkline.db.pool import Connection, Row
from trunkline.directory.files.entities import ENTITIES
from trunkline.directory.files.form import Form
from trunkline.directory.forms.entity import Entity, fields_of
from trunkline.directory.forms.fields import PRESENT
from trunkline.directory.lines.digest import Ha1

_Items = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class CurrentState:
    """What is there. ``ids`` are the rows' ids by section and key."""

    account_id: int
    form: Form
    locale: str
    ids: Mapping[str, Mapping[str, int]]
    digests: Mapping[str, Ha1] = field(repr=False)
    """By SIP login."""
    encrypted: Mapping[tuple[str, str], bytes] = field(repr=False)
    """Passwords of trunks and secrets of subscriptions by (section, key)."""
    operators: Mapping[str, str] = field(repr=False)
    """Hashes of the passwords of chat operators, by the employee's key."""
    sha256: Mapping[str, str]
    """Content of media files by key."""


_STATEMENTS: Mapping[str, LiteralString] = {
    "components": """
        select component from account_components where account_id = %(account_id)s""",
    "security": "select * from security_rules where account_id = %(account_id)s order by direction",
    "allow": """
        select api, network::text as network from allowed_addresses where account_id = %(account_id)s
        order by api, network""",
    "limits": "select * from account_limits where account_id = %(account_id)s and api = 'call_api'",
    "system_media": "select media_file_id, key from media_files where account_id = 0",
}
"""Besides those of the entities."""


SCENARIOS = ("scenarios", "media")
"""The sections that a change of scenarios needs: their texts are media files."""

_NAMED_BY_SCENARIOS = (
    "schedules",
    "tags",
    "contact_groups",
    "virtual_numbers",
    "employees",
    "groups",
    "queues",
)
"""Of these only the keys."""


ADDRESS_BOOK = ("contacts", "contact_groups", "organizations")
"""Sections of which an account may have hundreds of thousands of items. Only contact groups are named by other sections."""


async def read_scenarios(
    connection: Connection, account_id: int, media_dir: Path, *, lock: bool = False
) -> CurrentState:
    """Read the scenarios of an account and the keys of what they may name, and not the rest of a directory, which may
    be large.

    :raises NotFound, ConfigurationError: as :func:`read_current`.
    """
    account = await _account_row(connection, account_id, lock)
    queries: dict[str, sql.Composed | LiteralString] = {"system_media": _STATEMENTS["system_media"]}
    for section in SCENARIOS:
        queries |= {section: _items_of(ENTITIES[section]), **ENTITIES[section].parts}
    for section in _NAMED_BY_SCENARIOS:
        queries[section] = _keys_of(ENTITIES[section])
    params = {"account_id": account_id}
    rows = {
        name: await (await connection.execute(query, params)).fetchall() for name, query in queries.items()
    }
    reader = _Reader({**{section: [] for section in ENTITIES}, **rows}, media_dir)
    return CurrentState(
        account_id=account_id,
        form=_form({section: reader.items(section) for section in SCENARIOS}),
        locale=account["locale"],
        ids=reader.ids,
        digests={},
        encrypted={},
        operators={},
        sha256={row["key"]: row["sha256"] for row in rows["media"]},
    )


async def read_current(
    connection: Connection,
    account_id: int,
    media_dir: Path,
    *,
    lock: bool = False,
    without_address_book: bool = False,
) -> CurrentState:
    """Read an account's directory.

    :param lock: keep other appliers out until the transaction ends.
    :param without_address_book: of :data:`ADDRESS_BOOK` only the ids of contact groups.
    :raises NotFound: no such account.
    :raises ConfigurationError: a row that no directory file can express.
    """
    account = await _account_row(connection, account_id, lock)
    params = {"account_id": account_id}
    left_out = ADDRESS_BOOK if without_address_book else ()
    queries = {**_STATEMENTS, **_statements_of_entities(left_out)}
    rows: dict[str, list[Row]] = {section: [] for section in left_out}
    rows |= {
        name: await (await connection.execute(query, params)).fetchall() for name, query in queries.items()
    }
    reader = _Reader(rows, media_dir)
    sections = {section: reader.items(section) for section in ENTITIES if section not in left_out}
    return CurrentState(
        account_id=account_id,
        form=_form({"account": _account(account, rows), **sections}),
        locale=account["locale"],
        ids=reader.ids,
        digests={r["phone_number"]: Ha1(r["ha1_md5"], r["ha1_sha256"]) for r in rows["sip_lines"]},
        encrypted={
            (section, row["key"]): bytes(row[column])
            for section, column in (("trunks", "password_encrypted"), ("notifications", "secret_encrypted"))
            for row in rows[section]
            if row[column] is not None
        },
        operators={
            key: row["password_hash"]
            for row in rows["operators"]
            if (key := reader.key("employees", row["employee_id"])) is not None
        },
        sha256={row["key"]: row["sha256"] for row in rows["media"]},
    )


async def _account_row(connection: Connection, account_id: int, lock: bool) -> Row:
    statement: LiteralString = "select * from accounts where account_id = %(account_id)s"
    if lock:
        statement += " for update"
    account = await (await connection.execute(statement, {"account_id": account_id})).fetchone()
    if account is None:
        raise NotFound(f"There is no account {account_id}; `trunkline account list` shows them.")
    return account


def _form(sections: Mapping[str, Any]) -> Form:
    try:
        return Form.model_validate(sections, context={PRESENT: True})
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in detail["loc"])
        raise ConfigurationError(
            f"The present directory cannot be written as a file: {path}: {detail['msg']}"
        ) from error


def _account(account: Row, rows: Mapping[str, list[Row]]) -> dict[str, Any]:
    allow: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows["allow"]:
        allow[row["api"]].append(row["network"])
    limit = rows["limits"][0]["tts_message_max_length"] if rows["limits"] else None
    return {
        **{name: account[name] for name in ("name", "time_zone", "locale", "currency", "country")},
        "components": sorted(row["component"] for row in rows["components"]),
        "security": {row["direction"]: row["allowed"] for row in rows["security"]},
        "allow": dict(allow),
        "tts_message_max_length": limit,
        "cors_origins": sorted(account["cors_origins"]),
        "default_number": next(
            (
                row["phone_number"]
                for row in rows["virtual_numbers"]
                if row["virtual_number_id"] == account["default_virtual_number_id"]
            ),
            None,
        ),
    }


def _statements_of_entities(left_out: Collection[str]) -> dict[str, sql.Composed | LiteralString]:
    """Of the items, by section, and of their parts, by name."""
    found: dict[str, sql.Composed | LiteralString] = {}
    for entity in ENTITIES.values():
        if entity.section not in left_out:
            found[entity.section] = _items_of(entity)
            found |= entity.parts
    if "contact_groups" in left_out:
        found["contact_groups"] = _keys_of(ENTITIES["contact_groups"])
    return found


def _keys_of(entity: Entity) -> sql.Composed:
    return sql.SQL("select {}, {} from {} where account_id = %(account_id)s{}").format(
        sql.Identifier(entity.key_column),
        sql.Identifier(entity.id_column),
        sql.Identifier(entity.table),
        sql.SQL(entity.where),
    )


def _items_of(entity: Entity) -> sql.Composed:
    return sql.SQL("select * from {} where account_id = %(account_id)s{} order by {}").format(
        sql.Identifier(entity.table), sql.SQL(entity.where), sql.Identifier(entity.id_column)
    )


class _Reader:
    """Rows to items; ids become keys."""

    def __init__(self, rows: Mapping[str, list[Row]], media_dir: Path) -> None:
        self._rows = rows
        self.media_dir = media_dir
        self.ids: dict[str, dict[str, int]] = {
            section: {row[entity.key_column]: row[entity.id_column] for row in rows[section]}
            for section, entity in ENTITIES.items()
        }
        self._keys = {
            section: {identifier: key for key, identifier in ids.items()} for section, ids in self.ids.items()
        }
        self._parts: dict[tuple[str, str], dict[int, list[Row]]] = {}
        self._keys["media"] |= {row["media_file_id"]: row["key"] for row in rows["system_media"]}

    def items(self, section: str) -> dict[str, Any]:
        entity = ENTITIES[section]
        return {
            row[entity.key_column]: item
            for row in self._rows[section]
            if (item := self._item(entity, row)) is not None
        }

    def _item(self, entity: Entity, row: Row) -> dict[str, Any] | None:
        plain = {} if entity.form is None else self.fields(entity.form, row)
        if entity.read is None:
            return plain
        more = entity.read(self, row)
        return None if more is None else {**plain, **more}

    def fields(self, form: type[BaseModel], row: Row) -> dict[str, Any]:
        return fields_of(form, self, row)

    def key(self, section: str, identifier: int | None) -> str | None:
        return None if identifier is None else self._keys[section].get(identifier)

    def parts(self, name: str, column: str, owner: int) -> list[Row]:
        found = self._parts.get((name, column))
        if found is None:
            found = self._parts[name, column] = defaultdict(list)
            for row in self._rows[name]:
                found[row[column]].append(row)
        return found.get(owner, [])
