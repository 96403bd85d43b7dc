"""SIP lines as a list, and the numbers they may show.

Behaviour that the reference leaves open: ``ip_addresses`` are objects; ``ip`` and ``date_time`` next to it, which the
reference's sample has, are those of the latest registration. A password is never shown: it is not kept. ``status``
and ``dial_time`` are those of the line in its employee's phones.
"""

from __future__ import annotations

from trunkline.db.query import ColumnType, Listing
from trunkline.db.query.columns import array, enum, nested, number, string, time
from trunkline.db.query.compiler import shown_time

_STRING = ColumnType.STRING

REGISTERED = "Зарегистрирован"
NOT_REGISTERED = "Не зарегистрирован"
"""The reference's names of a line's state: values of the API, not translated."""

# Asterisk removes an expired device within 15 seconds, and the row goes with it; a refresh is written within 5 seconds.
# The time itself counts only for rows that nobody removes, because the switch does not run.
_LIVE = (
    "from registrations r where r.account_id = l.account_id and r.sip_line_id = l.sip_line_id"
    " and (r.expires_at is null or r.expires_at > now() - interval '30 seconds')"
)
# The rule of the switch (``Presence.is_online``): a device that did not respond to the last OPTIONS gets no calls.
_ONLINE = f"{_LIVE} and r.reachable is not false"
_REGISTERED_AT = shown_time("r.registered_at")

SIP_LINES = Listing(
    name="sip_lines",
    table="sip_lines l",
    joins=(
        "left join employees e on e.account_id = l.account_id and e.employee_id = l.employee_id"
        " left join virtual_numbers v on v.account_id = l.account_id"
        " and v.virtual_number_id = l.virtual_number_id and l.type <> 'in'"
        " left join lateral (select e_p.status, e_p.dial_time from employee_phones e_p"
        " where e_p.account_id = l.account_id and e_p.employee_id = l.employee_id"
        " and e_p.sip_line_id = l.sip_line_id order by e_p.phone_id limit 1) p on true"
    ),
    where="l.account_id = %(account_id)s",
    order="l.sip_line_id",
    columns=(
        number("id", "l.sip_line_id", "filter default"),
        string("phone_number", "l.phone_number", "filter default"),
        enum("type", "l.type", "filter sort default", enum=("in", "in_out", "out")),
        number("channels_count", "l.channels_count", "default"),
        number("dial_time", "coalesce(p.dial_time, l.dial_time)", "default"),
        enum(
            "billing_state",
            "l.billing_state",
            "filter sort default",
            enum=("active", "manual_lock", "limit_lock"),
        ),
        enum(
            "physical_state",
            f"case when exists (select {_ONLINE}) then '{REGISTERED}' else '{NOT_REGISTERED}' end",
            "filter sort default",
            enum=(REGISTERED, NOT_REGISTERED),
        ),
        string("virtual_phone_number", "v.phone_number", "filter sort default"),
        enum(
            "status",
            "case when l.status = 'active' then coalesce(p.status, l.status) else l.status end",
            "filter sort default",
            enum=("active", "inactive"),
        ),
        number("employee_id", "l.employee_id", "filter sort default"),
        string("employee_full_name", "e.full_name", "filter default"),
        array(
            "ip_addresses",
            f"(select jsonb_agg(jsonb_build_object('ip', host(r.ip), 'date_time', {_REGISTERED_AT})"
            f" order by r.registered_at desc, r.contact_uri) {_LIVE})",
            "filter default",
            match_name="ip",
            nested=nested(date_time=ColumnType.ISO8601, ip=_STRING),
        ),
        time("date_time", f"(select max(r.registered_at) {_LIVE})", "default"),
        string(
            "ip",
            f"(select host(r.ip) {_LIVE} order by r.registered_at desc, r.contact_uri limit 1)",
            "default",
        ),
        enum("virtual_phone_usage_rule", "l.virtual_phone_usage_rule", "default"),
        string("password", "null::text", "filter default"),
    ),
)

LINE_NUMBERS = Listing(
    name="sip_line_virtual_numbers",
    table="virtual_numbers v",
    where="v.account_id = %(account_id)s and v.status = 'active' and v.is_verified",
    order="v.virtual_number_id",
    columns=(string("virtual_phone_number", "v.phone_number", "filter default"),),
)
"""Numbers that a line may show when it calls out."""
