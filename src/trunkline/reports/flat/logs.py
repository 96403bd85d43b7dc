"""``get.notifications``, ``get.api_requests`` and ``get.tags_history``: what was sent, asked and marked.

Behaviour that the reference leaves open: a notification is a delivery to an endpoint, its delay the time until it was
sent last; of a request, the body is the content of the request log (secrets are masked, large parameters omitted);
the history shows tags as they were set, those taken off again among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from trunkline.db.query import Column, ColumnType, Listing, Page
from trunkline.db.query.columns import nested, number, string, structure, time
from trunkline.reports.fields import catalogue, choice, names_of, pick, text_id, yes_or_no
from trunkline.reports.flat.common import KINDS, YEAR
from trunkline.reports.reader import Reader

_STRING = ColumnType.STRING
_NUMBER = ColumnType.NUMBER


_STATUSES = {"sent": "Sent", "not_sent": "Not sent", "in_process": "Being sent"}
_STATUS = "case s.status when 'delivered' then 'sent' when 'failed' then 'not_sent' else 'in_process' end"
_OF_CALL = "split_part(s.stream, ':', 1) = 'call'"
_SENT = "coalesce(s.delivered_at, t.started_at)"

NOTIFICATIONS = Listing(
    name="notifications",
    table="deliveries s",
    joins=(
        "left join subscriptions b on b.account_id = s.account_id and b.subscription_id = s.subscription_id"
        " left join lateral (select a.started_at, a.status_code, a.error from delivery_attempts a"
        " where a.account_id = s.account_id and a.delivery_id = s.delivery_id order by a.attempt desc limit 1)"
        " t on true"
    ),
    where="s.account_id = %(account_id)s and s.url is null",
    order="s.occurred_at, s.delivery_id",
    columns=pick(
        "get.notifications",
        catalogue(
            text_id("notification_id", "s.delivery_id"),
            string("notification_name", "b.name"),
            number("notification_delay", f"round(extract(epoch from {_SENT} - s.occurred_at))"),
            string("notification_message", "s.body"),
            string("notification_send_to", "b.url"),
            number("notification_sms_count", "null::int"),
            choice("event_type", "s.mnemonic", {}),
            string("communication_id", f"case when {_OF_CALL} then split_part(s.stream, ':', 2) end"),
            choice("communication_type", f"case when {_OF_CALL} then 'call' end", KINDS),
            choice("notification_status", _STATUS, _STATUSES),
            choice("notification_channel", "'http_request'::text", {"http_request": "HTTP"}),
            choice(
                "notification_error_type",
                "case when t.error is not null then case when t.status_code is null then 'no_answer' else 'refused' end end",
                {"no_answer": "No answer", "refused": "Refused"},
            ),
            string("notification_error_message", "t.error"),
            time("notification_send_date_time", _SENT),
            time("notification_start_date_time", "s.occurred_at"),
        ),
    ),
)

_ERROR_CODE = (
    "case when s.error_mnemonic is not null then coalesce(%(error_codes)s ->> (s.method || ' ' || s.error_mnemonic),"
    " %(error_codes)s ->> s.error_mnemonic) end"
)
_BODY = (
    "jsonb_build_object('jsonrpc', '2.0', 'id', s.request_id, 'method', s.method, 'params', s.request)::text"
)

API_REQUESTS = Listing(
    name="api_requests",
    table="api_requests s",
    where="s.account_id = %(account_id)s",
    order="s.requested_at, s.api_request_id",
    columns=pick(
        "get.api_requests",
        catalogue(
            text_id("api_request_id", "s.api_request_id"),
            string(
                "token_name",
                "(select coalesce(nullif(u.full_name, ''), u.login) from users u"
                " where u.account_id = s.account_id and u.user_id = s.user_id)",
            ),
            string("api_request_ip", "host(s.ip)"),
            string("employee_login", "s.user_login"),
            number("call_session_id", "s.call_session_id"),
            string("api_request_body", _BODY),
            string("api_request_method", "s.method"),
            string("api_request_raw_id", "s.request_id"),
            choice(
                "api_request_status",
                "case when s.is_success then 'success' else 'failure' end",
                names_of(("success", "failure")),
            ),
            string(
                "api_request_version", "case s.api when 'data_api' then '2.0' when 'call_api' then '4.0' end"
            ),
            yes_or_no("api_request_is_agent", "(s.request ? 'user_id')"),
            choice(
                "api_request_component",
                "replace(s.api, '_', '')",
                {"dataapi": "Data API", "callapi": "Call API"},
            ),
            string("api_request_error_code", _ERROR_CODE),
            string("api_request_raw_ext_id", "s.request ->> 'external_id'"),
            number("api_request_method_weight", "s.points"),
            string("api_request_error_mnemonic", "s.error_mnemonic"),
            number("api_request_execution_time", "s.duration_ms / 1000.0"),
            time("api_request_start_date_time", "s.requested_at"),
        ),
    ),
)

TAGS_HISTORY = Listing(
    name="tags_history",
    table="tag_history s",
    where="s.account_id = %(account_id)s and s.action = 'set'",
    order="s.occurred_at, s.tag_history_id",
    columns=pick(
        "get.tags_history",
        catalogue(
            number("tag_id", "s.tag_id"),
            structure(
                "tag_name",
                "jsonb_build_object('id', s.tag_id, 'name', s.tag_name, 'color', s.tag_color)",
                plain=Column("tag_name", _STRING, "s.tag_name"),
                nested=nested(id=_NUMBER, name=_STRING, color=_STRING),
            ),
            time("tagging_date_time", "s.occurred_at"),
            choice("communication_type", "s.communication_type", KINDS),
            text_id("communication_id", "s.communication_id"),
            string(
                "employee_full_name",
                "coalesce(s.employee_full_name, (select nullif(u.full_name, '') from users u"
                " where u.account_id = s.account_id and u.user_id = s.user_id))",
            ),
            string("employee_login", "s.user_login"),
            yes_or_no("tag_is_system", "s.tag_is_system"),
            yes_or_no("tagging_is_auto", "s.is_auto"),
        ),
    ),
)


def _in_period(moment: str) -> str:
    return f"s.{moment} >= %(period_start)s and s.{moment} < %(period_end)s"


async def notifications(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of ``get.notifications``: of what happened in the period."""
    return await reader.report(NOTIFICATIONS, params, _in_period("occurred_at"), longest=YEAR)


async def api_requests(reader: Reader, params: Mapping[str, Any], error_codes: Mapping[str, int]) -> Page:
    """One page of ``get.api_requests``.

    :param error_codes: code of each mnemonic; ``method mnemonic`` where a method has another.
    """
    codes = {"error_codes": Jsonb(dict(error_codes))}
    return await reader.report(API_REQUESTS, params, _in_period("requested_at"), codes, YEAR)


async def tags_history(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of ``get.tags_history``."""
    return await reader.report(TAGS_HISTORY, params, _in_period("occurred_at"), longest=YEAR)
