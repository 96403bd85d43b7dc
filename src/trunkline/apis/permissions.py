"""Which permission each method needs: the one that its declaration names (from the reference), else a default.

A method without either cannot be served: :func:`with_permissions` raises when the catalogue is made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from trunkline.accounts import permissions as granted
from trunkline.accounts.permissions import Permission
from trunkline.apis.jsonrpc.declare import Method
from trunkline.apis.service.request_context import Api

FOR_EVERY_USER = frozenset({"login.user", "logout.user", "get.account", "getobj.account"})
"""Methods that need no permission: a session's begin and end, and reading a user's own rights."""

_DATA: Mapping[Permission, tuple[str, ...]] = {
    granted.READ_REPORTS: (
        "get.calls_report",
        "get.call_legs_report",
        "get.communications_report",
        "get.chats_report",
        "get.chat_messages_report",
        "get.offline_messages_report",
        "get.goals_report",
        "get.visitor_sessions_report",
        "get.employee_stat",
        "get.calls",
        "get.call_details",
        "get.mgf_calls",
        "get.chats",
        "get.communications",
        "get.visits",
        "get.tags_history",
        "getobj.call_session_recognition_info",
        "getobj.call_analysis",
    ),
    granted.CHANGE_REPORTS: ("create.communication_comment", "create.call_session_recognition_task"),
    granted.READ_CONFIGURATION: (
        "get.country_phone_prefixes",
        "get.numa_lists",
        "get.number_capacity_categories",
        "get.geolocations",
        "get.segments",
        "get.events",
        "get.site_categories",
        "get.crm_accounts",
        "get.auto_call_campaigns",
        "get.statuses",
        "get.schedules",
        "get.media_files",
        "get.campaigns",
        "get.campaign_available_phone_numbers",
        "get.campaign_available_redirection_phone_numbers",
        "get.chat_channels",
        "get.offline_message_user_fields",
    ),
    granted.CHANGE_CONFIGURATION: (
        "create.crm_account",
        "update.crm_account",
        "delete.crm_account",
        "delete.auto_call_campaign_phone_numbers",
        "create.schedules",
        "update.schedules",
        "delete.schedules",
        "create.offline_message_user_field",
        "update.offline_message_user_field",
        "delete.offline_message_user_field",
    ),
    granted.READ_UPLOADS: ("get.uploaded_calls",),
    granted.UPLOAD: (
        "upload.calls",
        "upload.chats",
        "upload.offline_messages",
        "upload.emails",
        "upload.sessions",
        "upload.campaign_costs",
    ),
    granted.DELETE_UPLOADS: ("delete.chats", "delete.offline_messages"),
    granted.READ_ADMINISTRATION: ("get.api_requests", "get.notifications", "get.customer_contact_info"),
    granted.CHANGE_ADMINISTRATION: ("create.tech_support_ticket",),
}

_CALL: Mapping[Permission, tuple[str, ...]] = {
    granted.WATCH_CALLS: ("list.calls", "list.talk_options"),
    granted.CONTROL_CALLS: (
        "start.simple_call",
        "start.employee_call",
        "start.scenario_call",
        "start.vnumber_call",
        "start.informer_call",
        "release.call",
        "hold.call",
        "unhold.call",
        "make.call",
        "transfer.talk",
        "restore.talk",
        "disconnect.leg",
        "send.dtmf",
        "tag.call",
        "record.call",
        "add.coach",
        "block.contact",
        "call.talk_option",
    ),
}

DEFAULTS: Mapping[Api, Mapping[str, Permission]] = {
    api: {name: permission for permission, names in groups.items() for name in names}
    for api, groups in ((Api.CALL, _CALL), (Api.DATA, _DATA))
}
"""Permission by method, for methods for which the reference names none."""


def with_permissions(methods: Iterable[Method]) -> tuple[Method, ...]:
    """The methods, each with the permissions that it needs.

    :raises ValueError: a method names no permission, has no default, and is not for every user.
    """
    return tuple(_with_permission(method) for method in methods)


def _with_permission(method: Method) -> Method:
    default = DEFAULTS[method.api].get(method.name)
    if method.permissions or method.name in FOR_EVERY_USER:
        if default is not None:
            raise ValueError(f"{method.api} {method.name} needs no default permission: remove it")
        return method
    if default is None:
        raise ValueError(
            f"{method.api} {method.name} needs a permission: declare it, or add a default in apis/permissions.py"
        )
    return dataclasses.replace(method, permissions=(default,))


def table(methods: Iterable[Method]) -> str:
    """The methods and their permissions as a table in Markdown, for the documentation."""
    lines = ["| method | permission |", "| --- | --- |"]
    for method in methods:
        needed = ", ".join(f"`{resource}: {action}`" for resource, action in method.permissions)
        lines.append(f"| `{method.name}` | {needed or 'every user'} |")
    return "\n".join(lines)
