"""The owners of employees in HubSpot: who owns the engagements of their calls."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.db.pool import Connection, Row
from trunkline.db.rows import one_at_a_time

_READ = """
select employee_id, key, full_name, email, hubspot_owner_id from employees
where account_id = %(account_id)s and is_active order by full_name, employee_id
"""

_SET = """
update employees e set hubspot_owner_id = u.owner_id
from unnest(%(employees)s::bigint[], %(owners)s::text[]) as u (employee_id, owner_id)
where e.account_id = %(account_id)s and e.employee_id = u.employee_id and e.hubspot_owner_id <> u.owner_id
"""

_CLEAR = """
update employees set hubspot_owner_id = '' where account_id = %(account_id)s and hubspot_owner_id <> ''
"""


async def read_owners(connection: Connection, account_id: int) -> list[Row]:
    """Active employees: ``employee_id``, ``key``, ``full_name``, ``email``, ``hubspot_owner_id`` (empty: none)."""
    return await (await connection.execute(_READ, {"account_id": account_id})).fetchall()


async def set_owners(connection: Connection, account_id: int, owners: Mapping[int, str]) -> int:
    """Set the owners of employees; how many were changed.

    :param owners: by employee; empty: none.
    """
    await one_at_a_time(connection, account_id)
    values = {"account_id": account_id, "employees": list(owners), "owners": list(owners.values())}
    return (await connection.execute(_SET, values)).rowcount


async def clear_owners(connection: Connection, account_id: int) -> None:
    """Remove the owners of all employees: they are those of another portal."""
    await connection.execute(_CLEAR, {"account_id": account_id})
