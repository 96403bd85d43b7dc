"""Groups of employees as a list, with their phones in the order they are dialled."""

from __future__ import annotations

from trunkline.contract.columns import field, listed
from trunkline.db.query import ColumnType, Listing
from trunkline.directory.employees.listing import PHONE_NUMBER

_NUMBER = ColumnType.NUMBER
_STRING = ColumnType.STRING

GROUPS = Listing(
    name="group_employees",
    table="employee_groups g",
    where="g.account_id = %(account_id)s",
    order="g.group_id",
    columns=listed(
        "get.group_employees",
        field("id", "g.group_id"),
        field("name", "g.name"),
        field(
            "members",
            "(select jsonb_agg(jsonb_build_object('employee_id', e.employee_id, 'employee_full_name', e.full_name)"
            " order by m.position, m.employee_id) from group_members m join employees e"
            " on e.account_id = m.account_id and e.employee_id = m.employee_id"
            " where m.account_id = g.account_id and m.group_id = g.group_id)",
        ),
        field(
            "phone_numbers",
            f"(select jsonb_agg(jsonb_build_object('employee_phone_number', {PHONE_NUMBER},"  # noqa: S608 - our own words
            " 'employee_phone_number_id', p.phone_id, 'employee_full_name', e.full_name,"
            " 'employee_id', e.employee_id, 'available', coalesce(chosen.available, true))"
            " order by chosen.position, m.position, m.employee_id, p.position, p.phone_id)"
            " from group_members m join employees e"
            " on e.account_id = m.account_id and e.employee_id = m.employee_id"
            " join employee_phones p on p.account_id = m.account_id and p.employee_id = m.employee_id"
            " left join sip_lines line on line.account_id = p.account_id and line.sip_line_id = p.sip_line_id"
            " left join group_phones chosen on chosen.account_id = m.account_id"
            " and chosen.group_id = m.group_id and chosen.phone_id = p.phone_id"
            " where m.account_id = g.account_id and m.group_id = g.group_id)",
            match_id="employee_phone_number_id",
            match_name="employee_phone_number",
        ),
        field("group_phone_number", "g.extension"),
        field("queue_enabled", "g.queue_enabled"),
        field("channels_count", "g.channels_count"),
    ),
)
"""Phones whose order was chosen come first, then the others as members and their phones come."""
