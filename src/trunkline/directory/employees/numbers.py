"""The numbers of an employee: SIP lines and outside numbers, in the order they are dialled.

An outside number may be that of several employees; its settings are then the same for all of them. It may have an
extension (``12025550110...2345``), keyed in when it has answered. A SIP line has one employee.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trunkline.core.errors import InvalidInput, NotFound
from trunkline.core.phone import with_extension
from trunkline.db.pool import Connection, Row
from trunkline.db.rows import insert, update
from trunkline.directory.exclusive import LINE_OF_EMPLOYEE, Holder, check_exclusive
from trunkline.directory.lines.store import assign_lines

FIELD = "phone_numbers.phone_number"
SETTINGS = ("channels_count", "dial_time", "status")


@dataclass(frozen=True, slots=True)
class PhonePatch:
    """One entry of the list that an employee shall have.

    :param number: login of a SIP line, or an outside number.
    :param settings: those of :data:`SETTINGS` that were given.
    :param phone_id: the employee's phone that this entry changes; None: the one with this number, else a new one.
    """

    number: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    phone_id: int | None = None


@dataclass(frozen=True, slots=True)
class _Target:
    """What is dialled: exactly one of the two is set."""

    sip_line_id: int | None = None
    external_number: str | None = None

    @property
    def columns(self) -> dict[str, Any]:
        return {"sip_line_id": self.sip_line_id, "external_number": self.external_number}


async def replace_phones(
    connection: Connection, account_id: int, employee_id: int, wanted: Sequence[PhonePatch]
) -> None:
    """Give an employee exactly these phones, in this order. Settings that are not given stay, or are the usual ones.

    :raises NotFound: ``phone_id`` is none of this employee's.
    :raises InvalidInput: not a number, or the same one twice.
    :raises Duplicate: ``already_in_use``: a SIP line of another employee.
    """
    targets = await _targets(connection, account_id, employee_id, wanted)
    rows = await _phones(connection, account_id, employee_id, targets)
    own = [row for row in rows if row["employee_id"] == employee_id]
    kept: set[int] = set()
    for position, (entry, target) in enumerate(zip(wanted, targets, strict=True)):
        present = _present(entry, target, own, kept)
        columns = {"position": position, **target.columns, **entry.settings}
        if present is None:
            elsewhere = next((row for row in rows if _target_of(row) == target), None)
            known = {name: elsewhere[name] for name in SETTINGS} if elsewhere else {}
            row = {"employee_id": employee_id, **known, **columns}
            kept.add(await insert(connection, "employee_phones", "phone_id", account_id, row))
        else:
            kept.add(present)
            await update(connection, "employee_phones", "phone_id", account_id, present, columns)
        if entry.settings:
            for row in rows:
                if row["employee_id"] != employee_id and _target_of(row) == target:
                    await update(
                        connection, "employee_phones", "phone_id", account_id, row["phone_id"], entry.settings
                    )
    await connection.execute(
        "delete from employee_phones where account_id = %s and employee_id = %s and phone_id <> all(%s)",
        (account_id, employee_id, list(kept)),
    )
    await assign_lines(connection, account_id, employee_id)


async def _targets(
    connection: Connection, account_id: int, employee_id: int, wanted: Sequence[PhonePatch]
) -> list[_Target]:
    cursor = await connection.execute(
        "select phone_number, sip_line_id from sip_lines where account_id = %s and phone_number = any(%s)",
        (account_id, [entry.number.strip() for entry in wanted]),
    )
    lines = {row["phone_number"]: row["sip_line_id"] for row in await cursor.fetchall()}
    await check_exclusive(
        connection,
        account_id,
        LINE_OF_EMPLOYEE,
        {sip_line_id: number for number, sip_line_id in lines.items()},
        Holder("employees", employee_id),
        field=FIELD,
    )
    targets: list[_Target] = []
    for entry in wanted:
        target = _target(entry.number, lines.get(entry.number.strip()))
        if target in targets:
            raise InvalidInput(f"{entry.number} is in the list twice", field=FIELD, value=entry.number)
        targets.append(target)
    return targets


def _target(number: str, sip_line_id: int | None) -> _Target:
    if sip_line_id is not None:
        return _Target(sip_line_id=sip_line_id)
    kept = with_extension(number)
    if kept is None:
        raise InvalidInput(
            f"{number!r} is neither a SIP line of this account nor a telephone number in full",
            field=FIELD,
            value=number,
        )
    return _Target(external_number=kept)


async def _phones(
    connection: Connection, account_id: int, employee_id: int, targets: Sequence[_Target]
) -> list[Row]:
    """The employee's phones, and everybody's with one of these numbers."""
    cursor = await connection.execute(
        """
        select * from employee_phones where account_id = %(account_id)s and (
            employee_id = %(employee_id)s or external_number = any(%(numbers)s))
        order by phone_id""",
        {
            "account_id": account_id,
            "employee_id": employee_id,
            "numbers": [target.external_number for target in targets],
        },
    )
    return await cursor.fetchall()


def _present(entry: PhonePatch, target: _Target, own: Sequence[Row], kept: set[int]) -> int | None:
    """The employee's phone that an entry is about."""
    if entry.phone_id is not None:
        if entry.phone_id not in {row["phone_id"] for row in own}:
            raise NotFound(
                f"{entry.phone_id} is not a phone of this employee; see get.employees",
                field="phone_numbers.phone_id",
                value=entry.phone_id,
            )
        if entry.phone_id in kept:
            raise InvalidInput("a phone is named twice", field="phone_numbers.phone_id", value=entry.phone_id)
        return entry.phone_id
    return next(
        (row["phone_id"] for row in own if _target_of(row) == target and row["phone_id"] not in kept), None
    )


def _target_of(row: Row) -> _Target:
    return _Target(row["sip_line_id"], row["external_number"])
