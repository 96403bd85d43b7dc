"""Lines for the phone in the browser: one of each employee who uses it, with a credential that ends.

The page gets the digest (HA1) of a random password that nobody sees; it is valid for this line and realm alone. A credential
lasts twelve hours, as a session of the console does, and ends when all sessions of the user are ended (another password, no
access any more: ``accounts/users.py``). It is kept encrypted, so that a second browser of the same employee
gets the same one. Expired ones are replaced by passwords that nobody has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from trunkline.accounts.secrets import Cipher
from trunkline.core.errors import DatabaseUnavailable, NotFound, TrunklineError
from trunkline.core.log import get_logger
from trunkline.db.pool import Connection, Database, log_cause
from trunkline.db.rows import one_at_a_time, transaction
from trunkline.directory.lines.changes import add_line, set_password
from trunkline.directory.lines.digest import REALM, ha1

_log = get_logger("provisioning.browser_lines")

HOURS = 12
"""For which a new credential is valid."""
_RENEWED_BEFORE = 1
"""Hours before its end from which a page gets a new one."""
END_PERIOD = 5.0
"""Seconds between two looks for credentials that have ended."""
CHANNELS = 4
"""Calls of a browser at a time: one of the contact, a consultation, and a second caller with another."""

_OF_EMPLOYEE = """
select b.sip_line_id, b.ha1, b.expires_at, l.phone_number as login, l.type,
    l.ha1_sha256 = b.line_ha1_sha256 and b.expires_at > now() + make_interval(hours => %(before)s) as is_good
from browser_lines b
join sip_lines l on l.account_id = b.account_id and l.sip_line_id = b.sip_line_id
where b.account_id = %(account_id)s and b.employee_id = %(employee_id)s
"""

# The number of the employee's first phone that has one, else the only number of the account.
_NUMBER = """
select coalesce(
    (select v.phone_number from employee_phones p
     join sip_lines l on l.account_id = p.account_id and l.sip_line_id = p.sip_line_id
     join virtual_numbers v on v.account_id = l.account_id and v.virtual_number_id = l.virtual_number_id
     where p.account_id = %(account_id)s and p.employee_id = %(employee_id)s
     and v.status = 'active' and v.is_verified order by p.position limit 1),
    (select min(v.phone_number) from virtual_numbers v
     where v.account_id = %(account_id)s and v.status = 'active' and v.is_verified having count(*) = 1)) as phone_number
"""


@dataclass(frozen=True, slots=True)
class BrowserLine:
    """What a page needs to register.

    :ivar login: of the line.
    :ivar ha1: MD5 digest, lower-case hexadecimal.
    :ivar may_call: whether the line has a number to call out with; else it only takes calls.
    :ivar is_new: whether the credential was made now: Asterisk has it a moment later.
    """

    login: str
    realm: str
    ha1: str = field(repr=False)
    expires_at: datetime
    may_call: bool
    is_new: bool


async def browser_line(db: Database, cipher: Cipher, account_id: int, employee_id: int) -> BrowserLine:
    """The line of an employee for the browser, made when there is none, with a credential of at least an hour.

    :raises NotFound: no such employee.
    :raises LimitExceeded: ``data_limit_exceeded``: the employee has the maximum number of phones.
    """
    async with transaction(db) as connection:
        found = await _row(connection, account_id, employee_id)
        if found is None or not found["is_good"]:
            await one_at_a_time(connection, account_id)
            found = await _row(connection, account_id, employee_id)
        is_new = found is None or not found["is_good"]
        if found is None:
            await _make(connection, cipher, account_id, employee_id)
        elif is_new:
            await _renew(connection, cipher, account_id, employee_id, found)
        row = await _row(connection, account_id, employee_id)
    if row is None:
        raise NotFound("There is no such employee.", field="employee_id", value=employee_id)
    return BrowserLine(
        row["login"],
        REALM,
        cipher.decrypt(row["ha1"]),
        row["expires_at"],
        row["type"] != "in",
        is_new,
    )


async def login_of_browser(db: Database, account_id: int, employee_id: int) -> str | None:
    """Login of the line of an employee for the browser; None: the employee has not opened the phone yet."""
    row = await db.fetch_one(
        """select l.phone_number from browser_lines b
           join sip_lines l on l.account_id = b.account_id and l.sip_line_id = b.sip_line_id
           where b.account_id = %s and b.employee_id = %s""",
        (account_id, employee_id),
    )
    return None if row is None else str(row["phone_number"])


async def end_expired(db: Database) -> int:
    """Give lines whose credential has ended a password that nobody has; how many. One that fails delays no other."""
    rows = await db.fetch_all(
        """select account_id, employee_id from browser_lines
           where account_id >= 0 and expires_at < now() and expires_at > 'epoch' order by expires_at"""
    )
    count = 0
    for row in rows:
        try:
            count += await _end(db, row["account_id"], row["employee_id"])
        except DatabaseUnavailable:
            raise
        except (TrunklineError, psycopg.Error) as error:
            _log.warning(
                "browser_line_not_ended",
                account_id=row["account_id"],
                employee_id=row["employee_id"],
                cause=log_cause(error) if isinstance(error, psycopg.Error) else None,
                error=repr(error),
                consequence="the credential of this line is still accepted; it is tried again",
            )
    return count


async def run_ends(db: Database) -> None:
    """End credentials whose time is over, or that a user has lost with a password or the access, until cancelled."""
    while True:
        try:
            await end_expired(db)
        except (DatabaseUnavailable, psycopg.Error) as error:
            _log.warning(
                "browser_lines_not_ended",
                cause=log_cause(error),
                error=str(error),
                consequence="credentials that ended are still accepted; it is tried again",
            )
        await asyncio.sleep(END_PERIOD)


async def _end(db: Database, account_id: int, employee_id: int) -> bool:
    async with transaction(db) as connection:
        # A page that renews the credential holds the same lock: what it has renewed is seen here and stays.
        await one_at_a_time(connection, account_id)
        found = await _row(connection, account_id, employee_id)
        if found is None or found["is_good"]:
            return False
        await set_password(connection, account_id, found["sip_line_id"], found["login"])
        await connection.execute(
            "update browser_lines set expires_at = 'epoch' where account_id = %s and employee_id = %s",
            (account_id, employee_id),
        )
    return True


async def _make(connection: Connection, cipher: Cipher, account_id: int, employee_id: int) -> None:
    cursor = await connection.execute(_NUMBER, {"account_id": account_id, "employee_id": employee_id})
    number = await cursor.fetchone()
    assert number is not None
    line = await add_line(connection, account_id, employee_id, number["phone_number"], channels=CHANNELS)
    digest = ha1(line.phone_number, line.password)
    await connection.execute(
        """insert into browser_lines (account_id, employee_id, sip_line_id, ha1, line_ha1_sha256, expires_at)
           values (%s, %s, %s, %s, %s, now() + make_interval(hours => %s))""",
        (account_id, employee_id, line.sip_line_id, cipher.encrypt(digest.md5), digest.sha256, HOURS),
    )


async def _renew(
    connection: Connection, cipher: Cipher, account_id: int, employee_id: int, row: Mapping[str, Any]
) -> None:
    _, digest = await set_password(connection, account_id, row["sip_line_id"], row["login"])
    await connection.execute(
        """update browser_lines
           set ha1 = %s, line_ha1_sha256 = %s, expires_at = now() + make_interval(hours => %s)
           where account_id = %s and employee_id = %s""",
        (cipher.encrypt(digest.md5), digest.sha256, HOURS, account_id, employee_id),
    )


async def _row(connection: Connection, account_id: int, employee_id: int) -> Mapping[str, Any] | None:
    cursor = await connection.execute(
        _OF_EMPLOYEE,
        {"account_id": account_id, "employee_id": employee_id, "before": _RENEWED_BEFORE},
    )
    return await cursor.fetchone()
