"""How far a new account is on its way to the first call."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.db.pool import Database

_STATEMENT = """
select
    a.name as company,
    exists (select from virtual_numbers v where v.account_id = a.account_id and v.status = 'active') as has_number,
    not exists (select from virtual_numbers v where v.account_id = a.account_id and v.status = 'active'
        and not exists (select from call_processing_rules r where r.account_id = v.account_id
            and r.virtual_number_id = v.virtual_number_id and r.is_active)) as all_numbers_answered,
    exists (select from employees e where e.account_id = a.account_id and e.extension is not null) as has_employee,
    exists (select from registrations r join sip_lines l on l.account_id = r.account_id
        and l.sip_line_id = r.sip_line_id where r.account_id = a.account_id and l.employee_id is not null) as has_phone,
    (select s.call_session_id from call_sessions s where s.account_id = a.account_id and s.talk_duration > 0
        order by s.call_session_id limit 1) as call_session_id
from accounts a where a.account_id = %(account_id)s
"""


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """What an account has.

    :ivar company: its name.
    :ivar has_employee: one with an extension.
    :ivar has_phone: a device of an employee is registered now.
    :ivar call_session_id: of the first call with a talk.
    """

    company: str
    has_number: bool
    all_numbers_answered: bool
    has_employee: bool
    has_phone: bool
    call_session_id: int | None


async def read_first_steps(db: Database, account_id: int) -> FirstSteps:
    """The state of the steps, as of now."""
    row = await db.fetch_one(_STATEMENT, {"account_id": account_id})
    assert row is not None  # the account of the caller
    return FirstSteps(**row)
