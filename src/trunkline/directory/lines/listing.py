"""SIP lines as a list, and the numbers they may show.

Behaviour that the reference leaves open: ``ip_addresses`` are objects; ``ip`` and ``date_time`` next to it, which the
reference's sample has, are those of the latest registration. A password is never shown: it is not kept. ``status``
and ``dial_time`` are those of the line in its employee's phones.
"""

from __future__ import annotations

from trunkline.contract.columns import field, listed
from trunkline.db.query import ColumnType, Listing
from trunkline.db.query.columns import nested
from trunkline.db.query.compiler import shown_time

_STRING = ColumnType.STRING

REGISTERED = "Зарегистрирован"
NOT_REGISTERED = "Не зарегистрирован"
"""The reference's names of a line's state: values of the API, not translated."""

# Asterisk removes an expired device within 15 seconds, and the row goes with it; a refresh is written within 5 seconds.
# The time itself counts only for rows that nobody removes, because the switch does not run.
LIVE = (
    "from registrations r where r.account_id = l.account_id and r.sip_line_id = l.sip_line_id"
    " and (r.expires_at is null or r.expires_at > now() - interval '30 seconds')"
)
# The rule of the switch (``Presence.is_online``): a device that did not respond to the last OPTIONS gets no calls.
_ONLINE = f"{LIVE} and r.reachable is not false"
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
    columns=listed(
        "get.sip_lines",
        field("id", "l.sip_line_id"),
        field("phone_number", "l.phone_number"),
        field("type", "l.type", enum=("in", "in_out", "out")),
        field("channels_count", "l.channels_count"),
        field("dial_time", "coalesce(p.dial_time, l.dial_time)"),
        field("billing_state", "l.billing_state"),
        field(
            "physical_state",
            f"case when exists (select {_ONLINE}) then '{REGISTERED}' else '{NOT_REGISTERED}' end",
            enum=(REGISTERED, NOT_REGISTERED),
        ),
        field("virtual_phone_number", "v.phone_number"),
        field("status", "case when l.status = 'active' then coalesce(p.status, l.status) else l.status end"),
        field("employee_id", "l.employee_id"),
        field("employee_full_name", "e.full_name"),
        field(
            "ip_addresses",
            f"(select jsonb_agg(jsonb_build_object('ip', host(r.ip), 'date_time', {_REGISTERED_AT})"
            f" order by r.registered_at desc, r.contact_uri) {LIVE})",
            match_name="ip",
            nested=nested(date_time=ColumnType.ISO8601, ip=_STRING),
        ),
        field("date_time", f"(select max(r.registered_at) {LIVE})"),
        field("ip", f"(select host(r.ip) {LIVE} order by r.registered_at desc, r.contact_uri limit 1)"),
        field("virtual_phone_usage_rule", "l.virtual_phone_usage_rule"),
        field("password", "null::text"),
    ),
)

LINE_NUMBERS = Listing(
    name="sip_line_virtual_numbers",
    table="virtual_numbers v",
    where="v.account_id = %(account_id)s and v.status = 'active' and v.is_verified",
    order="v.virtual_number_id",
    columns=listed(
        "get.sip_line_virtual_numbers",
        field("virtual_phone_number", "v.phone_number"),
    ),
)
"""Numbers that a line may show when it calls out."""
