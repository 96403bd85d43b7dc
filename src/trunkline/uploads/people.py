"""Employees and tags that uploads name: found, or made."""

from __future__ import annotations

from trunkline.core.names import in_one_line
from trunkline.db.pool import Connection
from trunkline.uploads.rules import name_parts

_FIND_EMPLOYEE = """
select employee_id from employees where account_id = %s and lower(full_name) = lower(%s)
order by is_active desc, employee_id limit 1
"""

_MAKE_EMPLOYEE = """
with made as (select nextval(pg_get_serial_sequence('employees', 'employee_id')) as employee_id)
insert into employees (account_id, employee_id, key, last_name, first_name)
overriding system value
select %s, employee_id, 'api-' || employee_id, %s, %s from made returning employee_id
"""

_FIND_TAG = "select tag_id from tags where account_id = %s and name = %s"

_MAKE_TAG = """
with made as (select nextval(pg_get_serial_sequence('tags', 'tag_id')) as tag_id)
insert into tags (account_id, tag_id, key, name) overriding system value
select %s, tag_id, 'api-' || tag_id, %s from made
on conflict (account_id, name) do nothing returning tag_id
"""

# Held until the end of the transaction, so that two calls with the same new employee create one.
_LOCK = (
    "select pg_advisory_xact_lock(hashtextextended('uploaded-employee:' || %s::text || ':' || lower(%s), 0))"
)


async def employee_named(connection: Connection, account_id: int, full_name: str) -> int:
    """The employee of that full name, case-insensitive; created if there is none."""
    full_name = in_one_line(full_name)
    parameters = (account_id, full_name)
    row = await (await connection.execute(_FIND_EMPLOYEE, parameters)).fetchone()
    if row is None:
        await connection.execute(_LOCK, parameters)
        row = await (await connection.execute(_FIND_EMPLOYEE, parameters)).fetchone()
    if row is None:
        row = await (
            await connection.execute(_MAKE_EMPLOYEE, (account_id, *name_parts(full_name)))
        ).fetchone()
    assert row is not None
    return int(row["employee_id"])


async def tag_named(connection: Connection, account_id: int, name: str) -> int:
    """The tag of exactly that name; made if there is none."""
    name = in_one_line(name)
    parameters = (account_id, name)
    row = await (await connection.execute(_FIND_TAG, parameters)).fetchone()
    if row is None:
        row = await (await connection.execute(_MAKE_TAG, parameters)).fetchone()
    if row is None:  # created concurrently
        row = await (await connection.execute(_FIND_TAG, parameters)).fetchone()
    assert row is not None
    return int(row["tag_id"])
