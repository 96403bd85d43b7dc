"""Sales of communications.

A communication may bring several; reports show their sum and the newest one's time. The system's tag ``Sale`` is set
while there are any; removing the tag removes the sales.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from psycopg import sql

from trunkline.core.errors import InvalidInput, PermissionDenied
from trunkline.db.pool import Connection
from trunkline.tagging.communications import PLACES, Communication, Kind
from trunkline.tagging.marks import Tag

TAG_KEY = "system-sale"


@dataclass(frozen=True, slots=True)
class Sale:
    """``occurred_at`` aware; ``value`` in the account's currency."""

    occurred_at: datetime
    value: Decimal
    comment: str


async def sale_tag(connection: Connection, account_id: int) -> Tag:
    """The system's tag for a sale."""
    cursor = await connection.execute(
        "select tag_id, name, color, is_system from tags where account_id = %s and key = %s",
        (account_id, TAG_KEY),
    )
    row = await cursor.fetchone()
    assert row is not None, "every account has it from its beginning"
    return Tag(**row)


async def check(connection: Connection, account_id: int, found: Communication, sale: Sale) -> None:
    """Whether the sale can be recorded.

    :raises InvalidInput: mnemonic ``invalid_date_time``: it was before the communication.
    :raises PermissionDenied: the communication's site does not count sales.
    """
    if sale.occurred_at < found.started_at.replace(microsecond=0):
        raise InvalidInput(
            "A sale is not earlier than the communication that brought it",
            mnemonic="invalid_date_time",
            field="date_time",
        )
    if found.site_id is None:
        return
    cursor = await connection.execute(
        "select from sites where account_id = %s and site_id = %s and not sales_enabled",
        (account_id, found.site_id),
    )
    if await cursor.fetchone() is not None:
        raise PermissionDenied("Sales are switched off for this site: see sales_enabled of update.sites")


async def record(
    connection: Connection, account_id: int, user_id: int, kind: Kind, communication_id: int, sale: Sale
) -> int:
    """Keep a sale; its id."""
    cursor = await connection.execute(
        """insert into sales (account_id, communication_type, communication_id, occurred_at,
               transaction_value, comment, user_id)
           values (%s, %s, %s, %s, %s, %s, %s) returning sale_id""",
        (
            account_id,
            kind.value,
            communication_id,
            sale.occurred_at,
            sale.value,
            sale.comment,
            user_id,
        ),
    )
    made = await cursor.fetchone()
    assert made is not None
    await _show(connection, account_id, kind, communication_id)
    return int(made["sale_id"])


async def forget(connection: Connection, account_id: int, kind: Kind, communication_id: int) -> None:
    """Take all sales of a communication away."""
    await connection.execute(
        "delete from sales where account_id = %s and communication_type = %s and communication_id = %s",
        (account_id, kind.value, communication_id),
    )
    await _show(connection, account_id, kind, communication_id)


async def _show(connection: Connection, account_id: int, kind: Kind, communication_id: int) -> None:
    """The values of a communication's sales for reports are in its row."""
    place = PLACES[kind]
    statement = sql.SQL(
        """
        update {table} c set extra = c.extra - 'sale_date' - 'sale_cost' || case when s.number = 0 then '{{}}'
            else jsonb_build_object('sale_cost', s.total,
                'sale_date', to_char(s.latest at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) end
        from (select count(*) as number, sum(transaction_value) as total, max(occurred_at) as latest from sales
              where account_id = %(account_id)s and communication_type = %(kind)s
                and communication_id = %(id)s) s
        where c.account_id = %(account_id)s and c.{id_column} = %(id)s
        """
    ).format(table=sql.Identifier(place.table), id_column=sql.Identifier(place.id_column))
    await connection.execute(
        statement, {"account_id": account_id, "kind": kind.value, "id": communication_id}
    )
