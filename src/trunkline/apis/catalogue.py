"""All methods of the JSON-RPC APIs: the list of the modules that declare them."""

from __future__ import annotations

from trunkline.apis.call_api import authentication as call_authentication
from trunkline.apis.call_api import (
    during_talk,
    hold_and_transfer,
    manage_calls,
    start_by_scenario,
    start_calls,
    talk_options,
)
from trunkline.apis.data_api import (
    account,
    analysis,
    auto_calls,
    blacklist,
    call_reports,
    campaigns,
    contacts,
    conversation_reports,
    crm_accounts,
    customers,
    employee_groups,
    employees,
    flat_reports,
    media_files,
    numbers,
    positions,
    reference_lists,
    scenarios,
    schedules,
    sip_lines,
    sites,
    tags,
    upload_conversations,
    uploads,
)
from trunkline.apis.data_api import authentication as data_authentication
from trunkline.apis.jsonrpc.service_spec import ServiceSpec
from trunkline.apis.permissions import with_permissions
from trunkline.apis.service.request_context import Api

CALL_API = ServiceSpec(
    api=Api.CALL,
    version="4.0",
    title="Call API",
    methods=with_permissions(
        (
            *call_authentication.METHODS,
            *start_calls.METHODS,
            *start_by_scenario.METHODS,
            *manage_calls.METHODS,
            *hold_and_transfer.METHODS,
            *during_talk.METHODS,
            *talk_options.METHODS,
        )
    ),
)

DATA_API = ServiceSpec(
    api=Api.DATA,
    version="2.0",
    title="Data API",
    methods=with_permissions(
        (
            *data_authentication.METHODS,
            *account.METHODS,
            *numbers.METHODS,
            *customers.METHODS,
            *reference_lists.METHODS,
            *crm_accounts.METHODS,
            *auto_calls.METHODS,
            *employees.METHODS,
            *employee_groups.METHODS,
            *positions.METHODS,
            *sip_lines.METHODS,
            *scenarios.METHODS,
            *schedules.METHODS,
            *media_files.METHODS,
            *contacts.METHODS,
            *blacklist.METHODS,
            *tags.METHODS,
            *sites.METHODS,
            *campaigns.METHODS,
            *call_reports.METHODS,
            *conversation_reports.METHODS,
            *flat_reports.methods_with(lambda: SERVICE_SPECS),
            *uploads.METHODS,
            *upload_conversations.METHODS,
            *analysis.METHODS,
        )
    ),
    aliases=tags.ALIASES,
)

SERVICE_SPECS: tuple[ServiceSpec, ...] = (CALL_API, DATA_API)
