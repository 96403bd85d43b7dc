"""Employees and groups."""

from __future__ import annotations

from trunkline.directory.files import form as schemas
from trunkline.directory.files.write.write_context import Columns, WriteContext


def employee(context: WriteContext, key: str) -> Columns:
    item: schemas.EmployeeForm = context.item("employees", key)
    same = ("first_name", "last_name", "patronymic", "email", "extension")
    sides = ("in_external_allowed", "in_internal_allowed", "out_external_allowed", "out_internal_allowed")
    columns = {
        **{name: getattr(item, name) for name in same},
        **{name: list(getattr(item, name)) for name in sides},
        "extension_voice_mail_enabled": item.voice_mail,
        "call_recording": item.call_recording.value,
        "schedule_id": context.id("schedules", item.schedule),
        "coach_always_enabled": item.coach_always_enabled,
        "is_active": item.active,
    }
    if item.status is not None:
        columns["status"] = item.status.value
    return columns


async def employee_links(context: WriteContext, key: str) -> None:
    item: schemas.EmployeeForm = context.item("employees", key)
    employee_id = context.ids["employees"][key]
    coach = {"coach_id": context.id("employees", item.coach)}
    await context.update("employees", "employee_id", employee_id, coach)
    rows = await context.rows(
        """select phone_id, sip_line_id, external_number from employee_phones
           where account_id = %(account_id)s and employee_id = %(employee_id)s""",
        employee_id=employee_id,
    )
    wanted = [
        (
            (context.id("sip_lines", phone.line), phone.number),
            {
                "employee_id": employee_id,
                "position": index,
                "sip_line_id": context.id("sip_lines", phone.line),
                "external_number": phone.number,
                "channels_count": phone.channels,
                "dial_time": phone.dial_time,
                "status": "active" if phone.active else "inactive",
            },
        )
        for index, phone in enumerate(item.phones)
    ]
    present = {(row["sip_line_id"], row["external_number"]): row["phone_id"] for row in rows}
    await context.put_list("employee_phones", "phone_id", present, wanted)


def group(context: WriteContext, key: str) -> Columns:
    item: schemas.GroupForm = context.item("groups", key)
    return {
        "name": item.name,
        "extension": item.extension,
        "strategy": item.strategy.value,
        "schedule_id": context.id("schedules", item.schedule),
        "queue_enabled": item.queue_enabled,
        "channels_count": item.channels_count,
    }


async def group_members(context: WriteContext, key: str) -> None:
    """Members in the file's order; who stays keeps what was chosen for his phones in this group."""
    group_id = context.ids["groups"][key]
    members = [context.ids["employees"][member] for member in context.item("groups", key).members]
    await context.run(
        """delete from group_members where account_id = %(account_id)s and group_id = %(group_id)s
           and employee_id <> all(%(members)s)""",
        group_id=group_id,
        members=members,
    )
    await context.run(
        """insert into group_members (account_id, group_id, employee_id, position)
           select %(account_id)s, %(group_id)s, m.id, m.position - 1
           from unnest(%(members)s::bigint[]) with ordinality as m (id, position)
           on conflict (account_id, group_id, employee_id) do update set position = excluded.position""",
        group_id=group_id,
        members=members,
    )


async def line_owners(context: WriteContext) -> None:
    """Assign lines to the employees who have them as phones."""
    await context.run(
        """
        update sip_lines l set employee_id = o.employee_id
        from sip_lines m left join lateral (
            select min(p.employee_id) as employee_id from employee_phones p
            where p.account_id = m.account_id and p.sip_line_id = m.sip_line_id) o on true
        where l.account_id = %(account_id)s and m.account_id = l.account_id
          and m.sip_line_id = l.sip_line_id and l.employee_id is distinct from o.employee_id""",
    )
