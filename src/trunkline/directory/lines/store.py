"""Which employee has a line: the one whose phone it is. One rule for every interface."""

from __future__ import annotations

from typing import LiteralString

from trunkline.db.pool import Connection, Database

_ASSIGN: LiteralString = """
    update sip_lines l set employee_id = o.employee_id
    from sip_lines m left join lateral (
        select p.employee_id from employee_phones p
        where p.account_id = m.account_id and p.sip_line_id = m.sip_line_id
        order by p.employee_id <> m.employee_id, p.employee_id limit 1) o on true
    where l.account_id = %(account_id)s and m.account_id = l.account_id
      and m.sip_line_id = l.sip_line_id and l.employee_id is distinct from o.employee_id"""
_OF_EMPLOYEE: LiteralString = """
      and (m.employee_id = %(employee_id)s or m.sip_line_id in (
          select p.sip_line_id from employee_phones p
          where p.account_id = %(account_id)s and p.employee_id = %(employee_id)s and p.sip_line_id is not null))"""


async def assign_lines(connection: Connection, account_id: int, employee_id: int | None = None) -> None:
    """Write the employees of lines after phones changed.

    :param employee_id: only the phones of this employee changed; None: any phones of the account.
    """
    statement = _ASSIGN if employee_id is None else _ASSIGN + _OF_EMPLOYEE
    await connection.execute(statement, {"account_id": account_id, "employee_id": employee_id})


async def registered_lines(db: Database, account_id: int) -> frozenset[int]:
    """Ids of the lines of an account that are registered now."""
    rows = await db.fetch_all(
        "select distinct sip_line_id from registrations where account_id = %s", (account_id,)
    )
    return frozenset(int(row["sip_line_id"]) for row in rows)
