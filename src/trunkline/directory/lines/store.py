"""Which employee has a line: the one whose phone it is. Statements for every interface."""

from __future__ import annotations

from trunkline.db.pool import Connection


async def own_lines_of(connection: Connection, account_id: int, employee_id: int) -> None:
    """Assign lines after the phones of one employee changed."""
    params = {"account_id": account_id, "employee_id": employee_id}
    await connection.execute(
        """update sip_lines l set employee_id = null
           where l.account_id = %(account_id)s and l.employee_id = %(employee_id)s and not exists (
               select from employee_phones p where p.account_id = l.account_id
               and p.employee_id = l.employee_id and p.sip_line_id = l.sip_line_id)""",
        params,
    )
    await connection.execute(
        """update sip_lines l set employee_id = %(employee_id)s from employee_phones p
           where l.account_id = %(account_id)s and l.employee_id is null
           and p.account_id = l.account_id and p.sip_line_id = l.sip_line_id
           and p.employee_id = %(employee_id)s""",
        params,
    )


async def own_lines(connection: Connection, account_id: int) -> None:
    """Assign all lines of the account."""
    await connection.execute(
        """
        update sip_lines l set employee_id = o.employee_id
        from sip_lines m left join lateral (
            select min(p.employee_id) as employee_id from employee_phones p
            where p.account_id = m.account_id and p.sip_line_id = m.sip_line_id) o on true
        where l.account_id = %(account_id)s and m.account_id = l.account_id
          and m.sip_line_id = l.sip_line_id and l.employee_id is distinct from o.employee_id""",
        {"account_id": account_id},
    )
