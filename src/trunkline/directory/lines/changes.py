"""SIP lines made, changed and removed; their passwords are shown once and kept as digests only.

A line of an employee is one of the employee's phones: it is added to the list with the line, and removed with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trunkline.core.errors import InUse, InvalidInput, LimitExceeded, NotFound
from trunkline.core.phone import normalise
from trunkline.db.pool import Connection, Database, whole_installation
from trunkline.db.rows import delete, insert, lock_row, one_at_a_time, transaction, update
from trunkline.directory.lines.digest import Ha1, columns_of, ha1, new_password
from trunkline.directory.lines.store import assign_lines
from trunkline.directory.model import BillingState, LineType
from trunkline.directory.model.limits import MAX_PHONES

_TABLE, _ID = "sip_lines", "sip_line_id"


@dataclass(frozen=True, slots=True)
class NewLine:
    """A line just made; the only time that its password is seen."""

    sip_line_id: int
    phone_number: str
    password: str = field(repr=False)


async def create_line(
    db: Database, account_id: int, employee_id: int, virtual_phone_number: str | None
) -> NewLine:
    """Add a line for an employee.

    :param virtual_phone_number: shown when the line calls out; None: it takes calls only.
    :raises NotFound: no such employee, or no such active number.
    :raises LimitExceeded: ``data_limit_exceeded``: the employee has the maximum number of phones.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        return await add_line(connection, account_id, employee_id, virtual_phone_number)


async def add_line(
    connection: Connection,
    account_id: int,
    employee_id: int,
    virtual_phone_number: str | None,
    *,
    channels: int | None = None,
) -> NewLine:
    """:func:`create_line` within a transaction that has called ``one_at_a_time``.

    :param channels: calls at a time; None: as a new line has.
    """
    await lock_row(connection, "employees", "employee_id", account_id, employee_id, field="employee_id")
    login, password = await _free_login(connection), new_password()
    columns = {
        "phone_number": login,
        **columns_of(login, password),
        **await _caller_id(connection, account_id, virtual_phone_number),
        **({"channels_count": channels} if channels is not None else {}),
    }
    sip_line_id = await insert(connection, _TABLE, _ID, account_id, columns)
    await _add_phone(connection, account_id, employee_id, sip_line_id)
    await assign_lines(connection, account_id, employee_id)
    return NewLine(sip_line_id, login, password)


async def update_line(db: Database, account_id: int, sip_line_id: int, wanted: Mapping[str, Any]) -> None:
    """Change a line.

    :param wanted: any of ``employee_id``, ``virtual_phone_number`` (None: it takes calls only), ``billing_state``,
        ``channels_count``.
    :raises NotFound: no such line, employee or active number.
    :raises LimitExceeded: see :func:`create_line`.
    :raises InvalidInput: ``tariff_restrictions``: a line locked for its limits is not unlocked here.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        line = await _line(connection, account_id, sip_line_id)
        columns = {name: wanted[name] for name in ("billing_state", "channels_count") if name in wanted}
        if "virtual_phone_number" in wanted:
            columns |= await _caller_id(connection, account_id, wanted["virtual_phone_number"])
        if "billing_state" in wanted and line["billing_state"] == BillingState.LIMIT_LOCK:
            raise InvalidInput(
                "the line is locked for its limits; raise them first",
                mnemonic="tariff_restrictions",
                field="billing_state",
                value=wanted["billing_state"],
            )
        employee_id = wanted.get("employee_id", line["employee_id"])
        if employee_id != line["employee_id"]:
            where = "employee_id"
            await lock_row(connection, "employees", "employee_id", account_id, employee_id, field=where)
            await _remove_phone(connection, account_id, sip_line_id)
            await _add_phone(connection, account_id, employee_id, sip_line_id)
            await assign_lines(connection, account_id, employee_id)
        await update(connection, _TABLE, _ID, account_id, sip_line_id, columns)


async def change_password(db: Database, account_id: int, sip_line_id: int) -> str:
    """Give a line a new password, which is returned once. Phones with the old one are refused afterwards.

    :raises NotFound: no such line.
    """
    async with transaction(db) as connection:
        line = await _line(connection, account_id, sip_line_id)
        password, _ = await set_password(connection, account_id, sip_line_id, line["phone_number"])
        return password


async def set_password(
    connection: Connection, account_id: int, sip_line_id: int, login: str
) -> tuple[str, Ha1]:
    """Give a line a random password, within a transaction.

    :return: the password and its digest.
    :raises NotFound: no such line.
    """
    password = new_password()
    await update(connection, _TABLE, _ID, account_id, sip_line_id, columns_of(login, password))
    return password, ha1(login, password)


async def delete_line(db: Database, account_id: int, sip_line_id: int) -> None:
    """Remove a line, also from its employee's phones.

    :raises NotFound: no such line.
    :raises InUse: it is the default line of a virtual number.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        line = await _line(connection, account_id, sip_line_id)
        cursor = await connection.execute(
            "select phone_number from virtual_numbers where account_id = %s and default_sip_line_id = %s",
            (account_id, sip_line_id),
        )
        number = await cursor.fetchone()
        if number is not None:
            raise InUse(
                f"{line['phone_number']} is the default line of {number['phone_number']}: name another there first",
                field="id",
                value=sip_line_id,
            )
        await _remove_phone(connection, account_id, sip_line_id)
        await delete(connection, _TABLE, _ID, account_id, sip_line_id)


async def _line(connection: Connection, account_id: int, sip_line_id: int) -> Mapping[str, Any]:
    cursor = await connection.execute(
        "select * from sip_lines where account_id = %s and sip_line_id = %s for update",
        (account_id, sip_line_id),
    )
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(
            f"There is no SIP line {sip_line_id}: see get.sip_lines.", field="id", value=sip_line_id
        )
    return row


async def _free_login(connection: Connection) -> str:
    """A login that no line of the installation has, nor had from us before."""
    while True:
        async with whole_installation(connection):
            cursor = await connection.execute(
                """
                select n.login, exists (select from sip_lines l where l.phone_number = n.login) as is_taken
                from (select nextval('sip_line_logins')::text as login) n"""
            )
            row = await cursor.fetchone()
        assert row is not None
        if not row["is_taken"]:
            return str(row["login"])


async def _caller_id(connection: Connection, account_id: int, phone_number: str | None) -> dict[str, Any]:
    """What follows from the number a line shall show: calls out need one."""
    if phone_number is None:
        return {"virtual_number_id": None, "type": LineType.IN.value}
    cursor = await connection.execute(
        """select virtual_number_id from virtual_numbers
           where account_id = %s and phone_number = %s and status = 'active' and is_verified""",
        (account_id, normalise(phone_number) or phone_number),
    )
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(
            f"{phone_number} is not an active, verified virtual number of this account: see get.sip_line_virtual_numbers.",
            field="virtual_phone_number",
            value=phone_number,
        )
    return {"virtual_number_id": row["virtual_number_id"], "type": LineType.IN_OUT.value}


async def _add_phone(connection: Connection, account_id: int, employee_id: int, sip_line_id: int) -> None:
    """The line becomes the last of the employee's phones."""
    cursor = await connection.execute(
        """select count(*) as count, coalesce(max(position) + 1, 0) as next from employee_phones
           where account_id = %s and employee_id = %s""",
        (account_id, employee_id),
    )
    row = await cursor.fetchone()
    assert row is not None
    if row["count"] >= MAX_PHONES:
        raise LimitExceeded(
            f"The employee has {MAX_PHONES} phones already: take one away first.",
            mnemonic="data_limit_exceeded",
            field="employee_id",
            value=employee_id,
        )
    phone = {"employee_id": employee_id, "sip_line_id": sip_line_id, "position": row["next"]}
    await insert(connection, "employee_phones", "phone_id", account_id, phone)


async def _remove_phone(connection: Connection, account_id: int, sip_line_id: int) -> None:
    await connection.execute(
        "delete from employee_phones where account_id = %s and sip_line_id = %s", (account_id, sip_line_id)
    )
