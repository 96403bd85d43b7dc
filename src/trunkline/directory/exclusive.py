"""Values that only one item of an account has, such as a short number: one rule for directory files and all APIs.

A form marks the field with the value (``Annotated[Extension | None, SHORT_NUMBER]``); the tables of the value are here, for
changes of single rows. ``tests/directory/test_entities.py`` compares the two.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from psycopg import sql

from trunkline.core.errors import Duplicate, InvalidInput
from trunkline.db.pool import Connection
from trunkline.directory.model.limits import short_number


@dataclass(frozen=True, slots=True)
class Exclusive:
    """A kind of value that at most one item has.

    :ivar name: shown in errors.
    :ivar column: of the value in each of the tables.
    :ivar tables: by section of directory files, the table and the column with the item's id.
    :ivar mnemonic: of the error of an API; None: that of :class:`Duplicate`.
    """

    name: str
    column: str
    tables: Mapping[str, tuple[str, str]]
    mnemonic: str | None = "already_in_use"


SHORT_NUMBER = Exclusive(
    "short number",
    "extension",
    {
        "employees": ("employees", "employee_id"),
        "groups": ("employee_groups", "group_id"),
        "queues": ("queues", "queue_id"),
    },
)
LINE_OF_EMPLOYEE = Exclusive("SIP line", "sip_line_id", {"employees": ("employee_phones", "employee_id")})
"""A line that several employees have could not say who calls."""

TAG_NAME = Exclusive("name", "name", {"tags": ("tags", "tag_id")}, mnemonic=None)
QUEUE_NAME = Exclusive("name", "name", {"queues": ("queues", "queue_id")}, mnemonic=None)
GROUP_NAME = Exclusive("name", "name", {"groups": ("employee_groups", "group_id")}, mnemonic=None)
SCHEDULE_NAME = Exclusive("name", "name", {"schedules": ("schedules", "schedule_id")}, mnemonic=None)
CONTACT_GROUP_NAME = Exclusive(
    "name", "name", {"contact_groups": ("contact_groups", "contact_group_id")}, mnemonic=None
)


@dataclass(frozen=True, slots=True)
class Holder:
    """An item that has, or shall have, a value.

    :ivar item: its key in a file, or its id; None: it is not stored yet.
    """

    section: str
    item: str | int | None

    def __str__(self) -> str:
        return f"{self.section}.{self.item}"


@dataclass(frozen=True, slots=True)
class Claim:
    """An item has, or shall have, this value.

    :ivar field: where it is written, for the error.
    """

    kind: Exclusive
    value: Hashable
    holder: Holder
    field: str = ""


def conflicts(claims: Iterable[Claim]) -> Iterator[tuple[Claim, str]]:
    """Claims of values that another item has by an earlier claim, each with what is wrong. Pure."""
    holders: dict[Hashable, Holder] = {}
    for claim in claims:
        # A tag and a queue may have the same name, an employee and a queue not the same short number.
        holder = holders.setdefault((claim.kind.column, *claim.kind.tables, claim.value), claim.holder)
        if holder != claim.holder:
            yield claim, f"the {claim.kind.name} {claim.value} is already that of {holder}"


async def check_exclusive(
    connection: Connection,
    account_id: int,
    kind: Exclusive,
    values: Mapping[str | int, str],
    holder: Holder,
    *,
    field: str,
) -> None:
    """Whether no other item of the account has one of these values; the account's directory is locked.

    :param values: as they are in the column, and as they are shown.
    :param holder: the item that shall have them.
    :raises Duplicate: another item has one.
    """
    if not values:
        return
    statement = sql.SQL(" union all ").join(
        sql.SQL(
            "select {section} as section, {item} as item, {column} as value from {table}"
            " where account_id = %(account_id)s and {column} = any(%(values)s)"
        ).format(
            section=sql.Literal(section),
            item=sql.Identifier(id_column),
            column=sql.Identifier(kind.column),
            table=sql.Identifier(table),
        )
        for section, (table, id_column) in kind.tables.items()
    )
    cursor = await connection.execute(statement, {"account_id": account_id, "values": list(values)})
    stored = [
        Claim(kind, values[row["value"]], Holder(row["section"], row["item"]))
        for row in await cursor.fetchall()
        if Holder(row["section"], row["item"]) != holder
    ]
    wanted = [Claim(kind, shown, holder, field) for shown in values.values()]
    for claim, problem in conflicts([*stored, *wanted]):
        if claim.holder == holder:
            raise Duplicate(
                f"{problem[0].upper()}{problem[1:]}. Send another.",
                mnemonic=kind.mnemonic,
                field=field,
                value=claim.value,
            )


async def check_extension(
    connection: Connection, account_id: int, extension: str, holder: Holder, *, field: str
) -> None:
    """Whether an item may have this short number.

    :raises InvalidInput: not 2 to 5 digits.
    :raises Duplicate: ``already_in_use``: another employee, group or queue has it.
    """
    try:
        short_number(extension)
    except ValueError as error:
        raise InvalidInput(str(error), field=field, value=extension) from error
    await check_exclusive(connection, account_id, SHORT_NUMBER, {extension: extension}, holder, field=field)
