"""Phone lists (``/api/phone_list``) and their leads (``/api/phone_list/{id}/lead``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.apis.call_center.declaration import (
    ACCOUNT_ID,
    ID,
    LIMIT,
    Arguments,
    Body,
    Field,
    Kind,
    Operation,
    Pages,
    identifier,
    integer,
    json_object,
    other,
    record,
    records,
    text,
)
from trunkline.apis.call_center.openapi import record_schema
from trunkline.apis.call_center.record_operations import Handlers, by_id, record_operations
from trunkline.apis.service.request_context import RequestContext
from trunkline.apis.service.workloads import Workload
from trunkline.phone_lists import leads, lists, rules

_LIST_ID = identifier("id", "Number of the phone list.", required=True)
_PHONE_IN_PATH = Field("phone", Kind.STRING, "Phone number.", required=True, maximum=64, check=leads.phone_of)

LIST_FIELDS = (
    ID,
    ACCOUNT_ID,
    text(
        "name", "Name of the list.", required=True, minimum=1, maximum=rules.MAX_NAME, check=rules.list_name
    ),
    integer("list_rows", "Leads in the list.", required=True, read_only=True),
)

LEAD_FIELDS = (
    text("id", "The phone number.", required=True, read_only=True),
    text("phone", "Phone number; in full.", required=True, maximum=64, check=leads.phone_of),
    text("lead_id", "Id of the lead in another system."),
    integer(
        "priority",
        "The larger number first.",
        minimum=rules.MIN_PRIORITY,
        maximum=rules.MAX_PRIORITY,
        default=0,
    ),
    text("name", "Name of the lead."),
    text("tags", "Tags of its calls.", maximum=rules.MAX_TAGS),
    json_object(
        "ext_api_vars", "Variables of its calls.", maximum=rules.MAX_VARIABLES, check=rules.variables
    ),
)

_ADDED = {
    "oneOf": [
        record_schema(LEAD_FIELDS),
        {
            "type": "object",
            "description": "Of an array: how many leads are new, and how many were in the list and are changed.",
            "properties": {"added": {"type": "integer"}, "changed": {"type": "integer"}},
            "required": ["added", "changed"],
            "additionalProperties": False,
        },
    ]
}

_DELETED = {
    "type": "object",
    "properties": {"deleted": {"type": "integer", "description": "Leads that were in the list."}},
    "required": ["deleted"],
    "additionalProperties": False,
}


def _phones(texts: list[str]) -> list[str]:
    return [leads.phone_of(one) for one in texts]


_PHONES = Field(
    "phones",
    Kind.ARRAY,
    "Phone numbers.",
    required=True,
    minimum=1,
    maximum=20_000,
    items=Kind.STRING,
    check=_phones,
)


async def _lists(request: RequestContext, args: Arguments) -> Pages:
    async def read(**more: Any) -> list[Mapping[str, Any]]:
        words = args.query.get("q")
        return [*await lists.read_lists(request.services.db, request.account_id, words=words, **more)]

    return by_id(args, read)


async def _list(request: RequestContext, args: Arguments) -> Any:
    return await lists.read_list(request.services.db, request.account_id, args.path["id"])


async def _create(request: RequestContext, args: Arguments) -> Any:
    list_id = await lists.create_list(request.services.db, request.account_id, args.body)
    return await lists.read_list(request.services.db, request.account_id, list_id)


async def _update(request: RequestContext, args: Arguments) -> Any:
    await lists.update_list(request.services.db, request.account_id, args.path["id"], args.body)
    return await lists.read_list(request.services.db, request.account_id, args.path["id"])


async def _delete(request: RequestContext, args: Arguments) -> None:
    await lists.delete_list(request.services.db, request.account_id, args.path["id"])


async def _leads(request: RequestContext, args: Arguments) -> Pages:
    async def read(last: Mapping[str, Any] | None, size: int) -> list[Mapping[str, Any]]:
        after = args.query.get("after") or "" if last is None else last["phone"]
        return [
            *await leads.read_leads(
                request.services.db, request.account_id, args.path["id"], after=after, limit=size
            )
        ]

    return Pages(read, args.query.get("limit"))


def _quota(request: RequestContext) -> leads.Quota:
    limits = request.services.settings.limits
    return leads.Quota(limits.account_leads, limits.account_leads_bytes)


async def _add(request: RequestContext, args: Arguments) -> Any:
    is_one = isinstance(args.body, dict)
    sent = [args.body] if is_one else args.body
    added = await leads.add_leads(
        request.services.db, request.account_id, args.path["id"], sent, _quota(request)
    )
    if not is_one:
        return added._asdict()
    return dict(
        await leads.read_lead(request.services.db, request.account_id, args.path["id"], sent[0]["phone"])
    )


async def _lead(request: RequestContext, args: Arguments) -> Any:
    await lists.read_list(request.services.db, request.account_id, args.path["id"])
    return await leads.read_lead(request.services.db, request.account_id, args.path["id"], args.path["phone"])


async def _update_lead(request: RequestContext, args: Arguments) -> Any:
    db, account_id, list_id, phone = (
        request.services.db,
        request.account_id,
        args.path["id"],
        args.path["phone"],
    )
    await leads.update_lead(db, account_id, list_id, phone, args.body, _quota(request))
    return await leads.read_lead(db, account_id, list_id, args.body.get("phone", phone))


async def _delete_lead(request: RequestContext, args: Arguments) -> None:
    await leads.delete_lead(request.services.db, request.account_id, args.path["id"], args.path["phone"])


async def _delete_leads(request: RequestContext, args: Arguments) -> Any:
    gone = await leads.delete_leads(request.services.db, request.account_id, args.path["id"], args.body)
    return {"deleted": gone}


_READ = ("phone_lists", "select")
_INSERT = ("phone_lists", "insert")
_UPDATE = ("phone_lists", "update")
_DELETE = ("phone_lists", "delete")

_AFTER = Field(
    "after",
    Kind.STRING,
    "Phone numbers up to this one are left out: the last of the page before.",
    maximum=15,
)


def _leads_at(path: str) -> Operation:
    return Operation(
        "GET",
        path,
        "Leads of a phone list, by phone number.",
        _leads,
        _READ,
        path_fields=(_LIST_ID,),
        query=(LIMIT, _AFTER),
        answer=records(*LEAD_FIELDS),
    )


OPERATIONS = (
    *record_operations(
        "/api/phone_list",
        "phone list",
        LIST_FIELDS,
        "phone_lists",
        Handlers(_lists, _create, _list, _update, _delete),
        query=(text("q", "Part of the name."),),
        deleted=" with its leads",
        delete_workload=Workload.UPLOAD,
    ),
    # The document's example reads the leads at this path, with the slash.
    _leads_at("/api/phone_list/{id}/"),
    _leads_at("/api/phone_list/{id}/lead"),
    Operation(
        "POST",
        "/api/phone_list/{id}/lead",
        "Adds a lead, or an array of leads. A lead whose phone number is in the list is changed.",
        _add,
        _INSERT,
        path_fields=(_LIST_ID,),
        body=Body(LEAD_FIELDS, is_list_allowed=True),
        answer=other(_ADDED),
        workload=Workload.UPLOAD,
    ),
    Operation(
        "DELETE",
        "/api/phone_list/{id}/lead",
        "Deletes the leads with these phone numbers; those that are not in the list are ignored.",
        _delete_leads,
        _DELETE,
        path_fields=(_LIST_ID,),
        body=Body(items=_PHONES),
        answer=other(_DELETED),
        workload=Workload.UPLOAD,
    ),
    Operation(
        "GET",
        "/api/phone_list/{id}/lead/{phone}",
        "One lead.",
        _lead,
        _READ,
        path_fields=(_LIST_ID, _PHONE_IN_PATH),
        answer=record(*LEAD_FIELDS),
    ),
    Operation(
        "PUT",
        "/api/phone_list/{id}/lead/{phone}",
        "Changes a lead; what is left out stays.",
        _update_lead,
        _UPDATE,
        path_fields=(_LIST_ID, _PHONE_IN_PATH),
        body=Body(LEAD_FIELDS, partial=True),
        answer=record(*LEAD_FIELDS),
        workload=Workload.CHANGE,
    ),
    Operation(
        "DELETE",
        "/api/phone_list/{id}/lead/{phone}",
        "Deletes a lead.",
        _delete_lead,
        _DELETE,
        path_fields=(_LIST_ID, _PHONE_IN_PATH),
        workload=Workload.CHANGE,
    ),
)
