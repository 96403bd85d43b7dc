"""The flat family of reports, and comments on communications."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from trunkline.apis.data_api.change_methods import change_method
from trunkline.apis.data_api.lists import PERIOD, Read, list_method
from trunkline.apis.jsonrpc import (
    Method,
    Param,
    Params,
    ParamType,
    RequestContext,
)
from trunkline.apis.jsonrpc.derive import Override, override
from trunkline.apis.jsonrpc.errors import common_errors, find_spec
from trunkline.apis.jsonrpc.service_spec import ServiceSpec
from trunkline.db.query import Listing, Page
from trunkline.reports.comments import MAX_LENGTH, Author, add_comment
from trunkline.reports.communications import Kind
from trunkline.reports.flat import calls, chats, communications, logs, visits
from trunkline.reports.reader import Reader

_REPORT = override("report_id", description="Any number: there are no saved reports.")
_CALL_IDS = override("entity_ids", items=ParamType.NUMBER, maximum=1000)
_FILTERS = override("filters", unless=("filter",), description="Filters that hold together.")
_SORT_SHAPE = (
    Param("field", ParamType.STRING),
    Param("operator", ParamType.ENUM, description="Ignored: it is a filter's."),
    Param("value", ParamType.STRING, description="Ignored: it is a filter's."),
)
_FILTERED = (
    Param("sort", ParamType.ARRAY, description="[{field, order}], order asc or desc.", shape=_SORT_SHAPE),
    _FILTERS,
)
"""Where the table runs words of filters into those of the sort."""


def _flat(
    name: str,
    summary: str,
    listing: Listing,
    read: Read,
    *more: Param | Override,
) -> Method:
    return list_method(
        name,
        summary,
        listing,
        read=read,
        params=(_REPORT, *more, *PERIOD),
    )


def error_codes(service_specs: Sequence[ServiceSpec]) -> dict[str, int]:
    """Codes by mnemonic, and by method and mnemonic where a method has another."""
    codes: dict[str, int] = {}
    for service_spec in service_specs:
        codes |= {mnemonic: spec.code for mnemonic, spec in common_errors(service_spec.api).items()}
        for method in service_spec.methods:
            for mnemonic in {
                *(spec.mnemonic for spec in method.errors),
                *common_errors(method.api, method.verb),
            }:
                spec = find_spec(method.api, method, mnemonic)
                if spec is not None and codes.setdefault(mnemonic, spec.code) != spec.code:
                    codes[f"{method.name} {mnemonic}"] = spec.code
    return codes


async def _comment(request: RequestContext, params: Params) -> dict[str, bool]:
    author = Author(request.account_id, request.caller.user_id, request.caller.login)
    kind = Kind(params["communication_type"])
    await add_comment(request.services.db, author, kind, params["communication_id"], params["comment"])
    return {"success": True}


def methods_with(service_specs: Callable[[], Sequence[ServiceSpec]]) -> tuple[Method, ...]:
    """The methods of this module.

    :param service_specs: all APIs, once they are declared; the report of requests has the codes of their errors.
    """
    codes = cache(lambda: error_codes(service_specs()))

    async def api_requests(reader: Reader, params: Params) -> Page:
        return await logs.api_requests(reader, params, codes())

    requests = _flat("get.api_requests", "Requests to the APIs.", logs.API_REQUESTS, api_requests)
    return (*_METHODS, requests)


_METHODS = (
    _flat("get.calls", "Calls as a person reads them.", calls.CALLS, calls.calls),
    _flat(
        "get.call_details",
        "What happened in calls, event by event.",
        calls.CALL_DETAILS,
        calls.call_details,
        _CALL_IDS,
    ),
    _flat("get.mgf_calls", "Calls with how they were rated.", calls.RATED_CALLS, calls.rated_calls),
    _flat("get.chats", "Chats as a person reads them.", chats.CHATS, chats.chats),
    _flat(
        "get.communications",
        "Communications of every kind as a person reads them.",
        communications.COMMUNICATIONS,
        communications.communications,
        override("report_type", description="Any word: there are no saved reports."),
        *_FILTERED,
    ),
    _flat(
        "get.visits",
        "Visits of sites.",
        visits.VISITS,
        visits.visits,
        override("is_realtime", description="The last 30 minutes instead of the period."),
        *_FILTERED,
    ),
    _flat("get.notifications", "Notifications that were sent.", logs.NOTIFICATIONS, logs.notifications),
    _flat("get.tags_history", "Tags that were set.", logs.TAGS_HISTORY, logs.tags_history),
    change_method(
        "create.communication_comment",
        "Adds a comment to a communication.",
        _comment,
        params=(
            override("communication_id", required=True),
            override("communication_type", required=True),
            override("comment", required=True, maximum=MAX_LENGTH),
        ),
    ),
)
