"""Tags, and marking communications with them: both families of the reference.

``set.communications_tags`` takes three forms: ids of tags for one communication (the table), items with a tag
each (the sample), and items that all get the same tags. ``update.tags_communication`` answers as its page with the
longer answer says.
"""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from functools import partial
from typing import Any

from trunkline.apis.data_api.change_methods import (
    ID,
    change_method,
    create_method,
    delete_method,
    update_method,
)
from trunkline.apis.data_api.lists import list_method
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    USER_ID,
    Field,
    FieldType,
    Param,
    Params,
    ParamType,
    RequestContext,
)
from trunkline.apis.jsonrpc.declare import Form
from trunkline.apis.jsonrpc.derive import override
from trunkline.apis.service.repeated_changes import in_one_transaction
from trunkline.core.errors import InvalidInput, Refused
from trunkline.db.query import Page
from trunkline.db.query.moments import parse_moment
from trunkline.directory.tags import changes, listing
from trunkline.reports.reader import Reader
from trunkline.tagging import sales
from trunkline.tagging.changes import Named, TagChanges
from trunkline.tagging.communications import Kind

_KINDS = tuple(Kind)
_NAME = override("name", description="Name of the tag.")
_UPDATE = (("tag_management", "update"),)

MOST_ITEMS = 500
MOST_TAGS = 100
MAX_VALUE = 10**13
"""Largest value of a sale."""

_COLOR = "color1"
"""All tags have one colour: ``#EBEBEB`` in lists, the first of ten on a communication."""


async def _read_tags(reader: Reader, params: Params) -> Page:
    rated = bool(params.get("is_include_rating"))
    return await reader.list(listing.TAGS, params, None, {"include_rating": rated})


async def _create(request: RequestContext, params: Params) -> int:
    return await changes.create_tag(request.services.db, request.account_id, params["name"])


async def _rename(request: RequestContext, params: Params) -> None:
    await changes.rename_tag(request.services.db, request.account_id, params["id"], params.get("name"))


async def _delete(request: RequestContext, params: Params) -> None:
    await changes.delete_tag(request.services.db, request.account_id, params["id"])


def _changes(request: RequestContext) -> TagChanges:
    caller, services = request.caller, request.services
    return TagChanges(
        services.db,
        services.switch,
        request.account_id,
        caller.user_id,
        caller.login,
        caller.employee_id,
        str(request.api_request_id),
    )


def _named(params: Params) -> Named:
    kind = Kind(params["communication_type"])
    return Named(kind, params.get("communication_id"), params.get("communication_ext_id"))


async def _set_tag(request: RequestContext, params: Params) -> None:
    await _changes(request).set_tag(_named(params), params["tag_id"])


async def _unset_tag(request: RequestContext, params: Params) -> None:
    await _changes(request).take(_named(params), params["tag_id"])


async def _set_tags(request: RequestContext, params: Params) -> dict[str, Any]:
    together = params.get("tag_ids")
    wanted = [
        (_named(item), together if together is not None else [item["tag_id"]]) for item in params["items"]
    ]
    return await _changes(request).set_tags(wanted, partial(in_one_transaction, request, params))


async def _replace_tags(request: RequestContext, params: Params) -> dict[str, Any]:
    replaced = await _changes(request).replace(_named(params), params["tag_ids"])
    return {
        "communication_id": replaced.communication.communication_id,
        "communication_type": replaced.communication.kind.value,
        "items": [{"id": tag.tag_id, "name": tag.name, "color": _COLOR} for tag in replaced.tags],
    }


async def _record_sale(request: RequestContext, params: Params) -> int:
    try:
        moment = parse_moment(params["date_time"], request.caller.time_zone).earliest
    except ValueError as error:
        raise InvalidInput(
            f"date_time: {error}",
            mnemonic="invalid_date_time",
            field="date_time",
            value=params["date_time"],
        ) from error
    sale = sales.Sale(moment, Decimal(str(params["transaction_value"])), params.get("comment", ""))
    try:
        return await _changes(request).record_sale(
            _named(params), sale, partial(in_one_transaction, request, params)
        )
    except Refused as refusal:
        if refusal.field == "date_time":
            refusal.value = params["date_time"]  # as sent
        raise


_COMMUNICATION_ID = Param("communication_id", ParamType.NUMBER, required=True)
_KIND = Param("communication_type", ParamType.ENUM, required=True, enum=_KINDS)
_TAG_ID = Param("tag_id", ParamType.NUMBER, required=True)
_TAG_IDS = Param(
    "tag_ids",
    ParamType.ARRAY,
    required=True,
    items=ParamType.NUMBER,
    maximum=MOST_TAGS,
    description="Ids of tags.",
)
_ONE = (
    Param("communication_id", ParamType.NUMBER, description="Or communication_ext_id."),
    override("communication_ext_id", description="The id that the client gave it."),
    _KIND,
    _TAG_ID,
)


def _items(*more: Param) -> Param:
    return Param(
        "items",
        ParamType.ARRAY,
        required=True,
        maximum=MOST_ITEMS,
        params=(_COMMUNICATION_ID, _KIND, *more),
    )


_FORMS = (
    Form(
        description="One communication and its tags.",
        applies=lambda sent: sent.get("items") is None,
        params=(ACCESS_TOKEN, USER_ID, _COMMUNICATION_ID, _KIND, _TAG_IDS),
        rewrite=lambda one: {
            "tag_ids": one["tag_ids"],
            "items": [{name: one[name] for name in ("communication_id", "communication_type")}],
        },
    ),
    Form(
        description="Communications with a tag each.",
        applies=lambda sent: sent.get("tag_ids") is None,
        params=(ACCESS_TOKEN, USER_ID, _items(_TAG_ID)),
        rewrite=lambda asked: asked,
    ),
)


def _result_field(name: str, type: FieldType) -> Field:
    """A field of an item: the reference's table has it next to the items."""
    return Field(name, type, filterable=True, sortable=True, contract_name=name)


ALIASES = {"update.tags_communications": "update.tags_communication"}
"""The sample of the newer page has the plural."""

_SET_TAGS = dataclasses.replace(
    change_method(
        "set.communications_tags",
        "Add tags to communications. Tags that a communication has already stay.",
        _set_tags,
        params=(_items(Param("tag_id", ParamType.NUMBER)), _TAG_IDS),
        result=(
            Field("success", FieldType.STRING, description="The text true."),
            Field(
                "items",
                FieldType.ARRAY,
                filterable=True,
                sortable=True,
                fields=(
                    _result_field("id", FieldType.NUMBER),
                    _result_field("communication_id", FieldType.NUMBER),
                    _result_field("communication_type", FieldType.ENUM),
                ),
            ),
        ),
        permissions=_UPDATE,
        takes_idempotency_key=True,
    ),
    forms=_FORMS,
)

METHODS = (
    list_method(
        "get.tags",
        "Tags of the account.",
        listing.TAGS,
        read=_read_tags,
        params=(
            override(
                "is_include_rating",
                description="Whether rating and state are included; they are null otherwise.",
            ),
        ),
        permissions=(("tag_management", "select"),),
    ),
    create_method(
        "create.tags", "Adds a tag.", _create, params=(_NAME,), permissions=(("tag_management", "insert"),)
    ),
    update_method(
        "update.tags",
        "Renames a tag; communications keep the name under which they got it.",
        _rename,
        params=(ID, override("name", pattern=r"(?s).*\S.*")),
        permissions=_UPDATE,
    ),
    delete_method("delete.tags", "Removes a tag.", _delete, permissions=(("tag_management", "delete"),)),
    change_method(
        "set.tag_communications",
        "Gives a communication a tag.",
        _set_tag,
        params=_ONE,
        permissions=_UPDATE,
    ),
    change_method(
        "unset.tag_communications",
        "Takes a tag from a communication; with the tag of a sale, the sale.",
        _unset_tag,
        params=_ONE,
        permissions=_UPDATE,
    ),
    create_method(
        "set.tag_sales",
        "Records a sale that came of a communication.",
        _record_sale,
        params=(
            _COMMUNICATION_ID,
            _KIND,
            override("date_time", description="When, in the account's zone."),
            override(
                "transaction_value",
                fractional=True,
                minimum=0,
                maximum=MAX_VALUE,
                description="In the account's currency.",
            ),
            override("comment", maximum=255),
        ),
        permissions=_UPDATE,
        takes_idempotency_key=True,
    ),
    _SET_TAGS,
    change_method(
        "update.tags_communication",
        "Replaces the tags of a communication.",
        _replace_tags,
        params=(_COMMUNICATION_ID, _KIND, _TAG_IDS),
        result=(
            Field("communication_id", FieldType.NUMBER),
            Field("communication_type", FieldType.ENUM, enum=_KINDS),
            Field(
                "items",
                FieldType.ARRAY,
                fields=(
                    Field("id", FieldType.NUMBER),
                    Field("name", FieldType.STRING),
                    Field("color", FieldType.STRING),
                ),
            ),
        ),
        permissions=_UPDATE,
    ),
)
