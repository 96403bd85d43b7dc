"""SIP lines whose password can be guessed: marked in their rows, listed for the administrator."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from trunkline.db.pool import Connection, Database
from trunkline.directory.lines.digest import Ha1
from trunkline.directory.lines.password_strength import Weakness, weakness_of_digest

_BATCH = 50
"""Lines that are examined between two writes: 5 s of a thread."""


@dataclass(frozen=True, slots=True)
class WeakLine:
    """:ivar login: of the line."""

    account_id: int
    sip_line_id: int
    login: str
    weakness: Weakness


async def mark_weak(connection: Connection, account_id: int, weak: Mapping[str, Weakness]) -> None:
    """Mark lines of an account, by login, as weak."""
    for login, weakness in weak.items():
        await connection.execute(
            """update sip_lines set password_weakness = %(weakness)s
               where account_id = %(account_id)s and phone_number = %(login)s
               and password_weakness is distinct from %(weakness)s""",
            {"account_id": account_id, "login": login, "weakness": weakness.value},
        )


async def weak_lines(db: Database, account_id: int | None = None) -> list[WeakLine]:
    """Lines whose password is known to be weak, of one account or of all."""
    rows = await db.fetch_all(
        """select account_id, sip_line_id, phone_number, password_weakness from sip_lines
           where account_id = coalesce(%s, account_id) and password_weakness <> ''
           order by account_id, phone_number""",
        (account_id,),
    )
    return [
        WeakLine(
            row["account_id"], row["sip_line_id"], row["phone_number"], Weakness(row["password_weakness"])
        )
        for row in rows
    ]


async def examine(db: Database) -> int:
    """Try common passwords at lines whose password was set by a version that did not estimate it; how many lines."""
    examined = 0
    while rows := await db.fetch_all(
        """select l.account_id, l.sip_line_id, l.phone_number, l.ha1_md5, l.ha1_sha256,
                  array(select e.extension from employee_phones p
                        join employees e on e.account_id = p.account_id and e.employee_id = p.employee_id
                        where p.account_id = l.account_id and p.sip_line_id = l.sip_line_id
                        and e.extension is not null) as extensions
           from sip_lines l where l.account_id >= 0 and l.password_weakness is null
           order by l.account_id, l.sip_line_id limit %s""",
        (_BATCH,),
    ):
        for row in rows:
            found = await asyncio.to_thread(
                weakness_of_digest,
                row["phone_number"],
                Ha1(row["ha1_md5"], row["ha1_sha256"]),
                row["extensions"],
            )
            # Unless the password was changed meanwhile.
            await db.execute(
                """update sip_lines set password_weakness = %s
                   where account_id = %s and sip_line_id = %s and ha1_md5 = %s and password_weakness is null""",
                (found.value if found else "", row["account_id"], row["sip_line_id"], row["ha1_md5"]),
            )
        examined += len(rows)
    return examined
