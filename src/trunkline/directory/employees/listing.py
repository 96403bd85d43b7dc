"""The list of employees, with groups, phones, coach, schedule and chat settings.

Behaviour that the reference leaves open: a list without ``sort`` is ordered by id; an employee may be called
(``calls_available``, ``allowed_in_call_types``) when at least one direction is allowed to them; the login is
that of the employee's oldest user; ``status`` is null while the employee has a status that is not one of the
standard ones.
"""

from __future__ import annotations

from trunkline.contract.columns import field, listed, optional_field
from trunkline.db.query import ColumnType, Listing

_NUMBER = ColumnType.NUMBER
_STRING = ColumnType.STRING
_BOOLEAN = ColumnType.BOOLEAN
_ENUM = ColumnType.ENUM

_DIRECTIONS = ("in", "out")
_CALL_TYPES = ("internal", "external")


def _call_types(internal: str, external: str) -> str:
    return (
        f"to_jsonb(array_remove(array[case when {internal} <> '{{}}' then 'internal' end,"
        f" case when {external} <> '{{}}' then 'external' end], null))"
    )


PHONE_NUMBER = "coalesce(line.phone_number, p.external_number)"
"""Of the rows ``p`` of table ``employee_phones`` and ``line`` of ``sip_lines``."""

_OPERATOR = """(select jsonb_build_object('operator_display_name', o.display_name, 'operator_login', o.login,
    'operator_position_id', o.position_id, 'operator_position_name', position.name,
    'operator_offline_message_enabled', o.offline_message_enabled,
    'operator_invite_to_chat_enabled', o.invite_to_chat_enabled, 'operator_chat_enabled', o.chat_enabled,
    'operator_chats_available', o.chat_enabled and e.is_active and e.status = 'available',
    'operator_sites', (select coalesce(jsonb_agg(jsonb_build_object('site_id', site.site_id,
        'site_domain_name', site.domain_name) order by site.site_id), '[]'::jsonb) from sites site
        where site.account_id = o.account_id and site.site_id = any(o.site_ids)))
    from employee_operators o left join employee_positions position
    on position.account_id = o.account_id and position.position_id = o.position_id
    where o.account_id = e.account_id and o.employee_id = e.employee_id)"""

GROUPS_OF_EMPLOYEE = field(
    "groups",
    "(select jsonb_agg(jsonb_build_object('group_id', g.group_id, 'group_name', g.name)"
    " order by g.group_id) from group_members m join employee_groups g"
    " on g.account_id = m.account_id and g.group_id = m.group_id"
    " where m.account_id = e.account_id and m.employee_id = e.employee_id)",
    match_id="group_id",
    match_name="group_name",
)
"""Of the row ``e`` of table ``employees``."""

EMPLOYEES = Listing(
    name="employees",
    table="employees e",
    joins=(
        "left join schedules sch on sch.account_id = e.account_id and sch.schedule_id = e.schedule_id"
        " left join employees coach on coach.account_id = e.account_id and coach.employee_id = e.coach_id"
        " left join employee_statuses status on status.status_id = e.status_id"
        " and status.account_id in (0, e.account_id)"
    ),
    where="e.account_id = %(account_id)s",
    order="e.employee_id",
    columns=listed(
        "get.employees",
        field("id", "e.employee_id"),
        field(
            "login",
            "(select u.login::text from users u where u.account_id = e.account_id"
            " and u.employee_id = e.employee_id order by u.user_id limit 1)",
        ),
        optional_field("first_name", "e.first_name"),
        optional_field("last_name", "e.last_name"),
        optional_field("patronymic", "e.patronymic"),
        field("full_name", "e.full_name"),
        field("status", "status.mnemonic"),
        field("status_id", "e.status_id"),
        field("calls_available", "(e.in_internal_allowed <> '{}' or e.in_external_allowed <> '{}')"),
        field("allowed_in_call_types", _call_types("e.in_internal_allowed", "e.in_external_allowed")),
        field("in_external_allowed_call_directions", "to_jsonb(e.in_external_allowed)"),
        field("in_internal_allowed_call_directions", "to_jsonb(e.in_internal_allowed)"),
        field("allowed_out_call_types", _call_types("e.out_internal_allowed", "e.out_external_allowed")),
        field("out_external_allowed_call_directions", "to_jsonb(e.out_external_allowed)"),
        field("out_internal_allowed_call_directions", "to_jsonb(e.out_internal_allowed)"),
        field("email", "e.email"),
        field("call_recording", "e.call_recording"),
        field("schedule_id", "e.schedule_id"),
        field("schedule_name", "sch.name"),
        field(
            "coach",
            "case when e.coach_id is not null then jsonb_build_object('coach_id', e.coach_id,"
            " 'coach_full_name', coach.full_name, 'coach_always_enabled', e.coach_always_enabled) end",
            match_id="coach_id",
            match_name="coach_full_name",
        ),
        GROUPS_OF_EMPLOYEE,
        field(
            "phone_numbers",
            "(select jsonb_agg(jsonb_build_object('phone_id', p.phone_id,"  # noqa: S608 - our own words
            f" 'phone_number', {PHONE_NUMBER},"
            " 'channels_count', p.channels_count, 'dial_time', p.dial_time, 'status', p.status)"
            " order by p.position, p.phone_id) from employee_phones p left join sip_lines line"
            " on line.account_id = p.account_id and line.sip_line_id = p.sip_line_id"
            " where p.account_id = e.account_id and p.employee_id = e.employee_id)",
            match_id="phone_id",
            match_name="phone_number",
        ),
        field(
            "extension",
            "case when e.extension is not null then jsonb_build_object('extension_phone_number', e.extension,"
            " 'extension_voice_mail_enabled', e.extension_voice_mail_enabled,"
            " 'extension_queue_enabled', e.extension_queue_enabled) end",
            match_name="extension_phone_number",
        ),
        field("operator", _OPERATOR),
    ),
)
