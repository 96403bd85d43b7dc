"""Employees and groups."""

from __future__ import annotations

from trunkline.directory import forms
from trunkline.directory.write.work import Columns, Work


def employee(work: Work, key: str) -> Columns:
    item: forms.EmployeeForm = work.item("employees", key)
    same = ("first_name", "last_name", "patronymic", "email", "extension")
    sides = ("in_external_allowed", "in_internal_allowed", "out_external_allowed", "out_internal_allowed")
    columns = {
        **{name: getattr(item, name) for name in same},
        **{name: list(getattr(item, name)) for name in sides},
        "extension_voice_mail_enabled": item.voice_mail,
        "call_recording": item.call_recording.value,
        "schedule_id": work.id("schedules", item.schedule),
        "coach_always_enabled": item.coach_always_enabled,
        "is_active": item.active,
    }
    if item.status is not None:
        columns["status"] = item.status.value
    return columns


async def employee_links(work: Work, key: str) -> None:
    item: forms.EmployeeForm = work.item("employees", key)
    employee_id = work.ids["employees"][key]
    coach = {"coach_id": work.id("employees", item.coach)}
    await work.update("employees", "employee_id", employee_id, coach)
    rows = await work.rows(
        """select phone_id, sip_line_id, external_number from employee_phones
           where account_id = %(account_id)s and employee_id = %(employee_id)s""",
        employee_id=employee_id,
    )
    wanted = [
        (
            (work.id("sip_lines", phone.line), phone.number),
            {
                "employee_id": employee_id,
                "position": index,
                "sip_line_id": work.id("sip_lines", phone.line),
                "external_number": phone.number,
                "channels_count": phone.channels,
                "dial_time": phone.dial_time,
                "status": "active" if phone.active else "inactive",
            },
        )
        for index, phone in enumerate(item.phones)
    ]
    present = {(row["sip_line_id"], row["external_number"]): row["phone_id"] for row in rows}
    await work.put_list("employee_phones", "phone_id", present, wanted)


def group(work: Work, key: str) -> Columns:
    item: forms.GroupForm = work.item("groups", key)
    return {
        "name": item.name,
        "extension": item.extension,
        "strategy": item.strategy.value,
        "schedule_id": work.id("schedules", item.schedule),
        "queue_enabled": item.queue_enabled,
        "channels_count": item.channels_count,
    }


async def group_members(work: Work, key: str) -> None:
    """Members in the file's order; who stays keeps what was chosen for his phones in this group."""
    group_id = work.ids["groups"][key]
    members = [work.ids["employees"][member] for member in work.item("groups", key).members]
    await work.run(
        """delete from group_members where account_id = %(account_id)s and group_id = %(group_id)s
           and employee_id <> all(%(members)s)""",
        group_id=group_id,
        members=members,
    )
    await work.run(
        """insert into group_members (account_id, group_id, employee_id, position)
           select %(account_id)s, %(group_id)s, m.id, m.position - 1
           from unnest(%(members)s::bigint[]) with ordinality as m (id, position)
           on conflict (account_id, group_id, employee_id) do update set position = excluded.position""",
        group_id=group_id,
        members=members,
    )


async def line_owners(work: Work) -> None:
    """A line belongs to the employee whose phone it is."""
    await work.run(
        """
        update sip_lines l set employee_id = o.employee_id
        from sip_lines m left join lateral (
            select min(p.employee_id) as employee_id from employee_phones p
            where p.account_id = m.account_id and p.sip_line_id = m.sip_line_id) o on true
        where l.account_id = %(account_id)s and m.account_id = l.account_id
          and m.sip_line_id = l.sip_line_id and l.employee_id is distinct from o.employee_id""",
    )
