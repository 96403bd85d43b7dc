"""Statuses of employees and the time spent in them.

The standard statuses have no account; an account may define more. A trigger of the database records every change of an
employee's status (``employee_status_changes``).
"""

from __future__ import annotations

from trunkline.contract.columns import FieldSql, field, listed, optional_field
from trunkline.db.pool import Database
from trunkline.db.query import Listing
from trunkline.directory.employees.listing import GROUPS_OF_EMPLOYEE
from trunkline.directory.model import EmployeeStatus

_DIRECTIONS = ("in", "out")
_PROTOCOLS = ("PSTN", "SIP", "SIP_TRUNK", "FMC")


def _directions(side: str) -> FieldSql:
    return field(f"{side}_allowed_call_directions", f"to_jsonb(s.{side}_allowed)")


STATUSES = Listing(
    name="statuses",
    table="employee_statuses s",
    where="s.account_id in (0, %(account_id)s)",
    order="s.status_id",
    columns=listed(
        "get.statuses",
        field("id", "s.status_id"),
        field("name", "s.name"),
        field("mnemonic", "s.mnemonic"),
        optional_field("description", "s.description"),
        field("color", "s.color"),
        field("is_deleted", "s.is_deleted"),
        _directions("in_external"),
        _directions("in_internal"),
        _directions("out_external"),
        _directions("out_internal"),
        field("allowed_phone_protocols", "to_jsonb(s.allowed_phone_protocols)"),
        field("is_select_allowed", "s.is_select_allowed"),
        field("is_worktime", "s.is_worktime"),
        field("is_auto_out_calls_ready", "s.is_auto_out_calls_ready"),
    ),
)

IS_DELETED = "s.is_deleted = %(is_deleted)s"
"""Which of the statuses: those that are gone, or the others."""

# Seconds by status in the period, as far as it has passed; a status holds until the next change.
_SECONDS = """
(select jsonb_object_agg(spent.key, round(spent.seconds)) from (
    select {key} as key, sum(extract(epoch from held.till - held.since)) as seconds
    from (
        select c.status_id, greatest(c.changed_at, %(period_start)s) as since,
               least(coalesce(lead(c.changed_at) over (order by c.changed_at), now()), %(period_end)s, now()) as till
        from employee_status_changes c
        where c.account_id = e.account_id and c.employee_id = e.employee_id
    ) held join employee_statuses s on s.status_id = held.status_id and s.account_id in (0, e.account_id)
    where held.till > held.since{only}
    group by 1
) spent)
"""


def _statistics(name: str, key: str, only: str = "") -> Listing:
    return Listing(
        name=name,
        table="employees e",
        where="e.account_id = %(account_id)s",
        order="e.employee_id",
        columns=listed(
            "get.employee_stat",
            field("id", "e.employee_id"),
            optional_field("first_name", "e.first_name"),
            optional_field("last_name", "e.last_name"),
            optional_field("patronymic", "e.patronymic"),
            field("full_name", "e.full_name"),
            field("status_stats", _SECONDS.format(key=key, only=only)),
            GROUPS_OF_EMPLOYEE,
        ),
    )


STATISTICS = _statistics("employee_stat", "s.mnemonic", " and s.mnemonic is not null")
"""Seconds by the mnemonic of the standard statuses. Needs ``period_start`` and ``period_end``."""

STATISTICS_BY_ID = _statistics("employee_stat_by_id", "s.status_id::text")
"""Seconds by the id of each status, also of deleted ones."""


async def is_available_status(db: Database, account_id: int, status_id: int) -> bool:
    """Whether a status is the one in which employees take calls."""
    row = await db.fetch_one(
        "select mnemonic from employee_statuses where account_id in (0, %s) and status_id = %s",
        (account_id, status_id),
    )
    return row is not None and row["mnemonic"] == EmployeeStatus.AVAILABLE.value
