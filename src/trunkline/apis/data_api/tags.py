"""Tags, and marking communications with them: both families of the reference.

``set.communications_tags`` takes three forms: ids of tags for one communication (the table), items with a tag
each (the sample), and items that all get the same tags. ``update.tags_communication`` answers as its page with the
longer answer says.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from decimal import Decimal
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
from trunkline.apis.jsonrpc.derive import given
from trunkline.apis.service.repeated_changes import in_one_transaction
from trunkline.core.errors import Duplicate, InvalidInput, NotFound, Refused
from trunkline.core.ids import unix_ms_of
from trunkline.db.pool import Connection
from trunkline.db.query import Page
from trunkline.db.query.moments import parse_moment
from trunkline.directory.tags import changes, listing
from trunkline.reports.reader import Reader
from trunkline.tagging import communications, marks, sales
from trunkline.tagging.communications import Communication, Kind

_KINDS = tuple(Kind)
_NAME = given("name", description="Name of the tag.")
_UPDATE = (("tag_management", "update"),)

MOST_ITEMS = 500
MOST_TAGS = 100
MAX_VALUE = 10**13
"""Largest value of a sale."""

LATELY = 30.0
"""Seconds since a call began."""
WRITTEN_WITHIN = 2.0
"""Seconds until the row of such a call is there, also when the database is slow."""
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


async def _marker(request: RequestContext) -> marks.Marker:
    caller = request.caller
    async with request.services.db.connection() as connection:
        author = await marks.author_of(
            connection, request.account_id, caller.user_id, caller.login, caller.employee_id
        )
    request_id = str(request.api_request_id)
    return marks.Marker(request.services.db, request.services.switch, author, request_id=request_id)


async def _find(request: RequestContext, params: Params) -> Communication:
    """By id, else by the id that the client gave it."""
    number, ext_id = params.get("communication_id"), params.get("communication_ext_id")
    if number is None and ext_id is None:
        raise InvalidInput(
            "Name the communication by its id",
            mnemonic="required_parameter_missed",
            field="communication_id",
        )
    kind = Kind(params["communication_type"])
    deadline = time.monotonic() + WRITTEN_WITHIN
    while True:
        try:
            async with request.services.db.connection() as connection:
                return await communications.find(connection, request.account_id, kind, number, ext_id)
        except NotFound:
            if kind is not Kind.CALL or not _began_lately(number) or time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.05)


def _began_lately(number: int | None) -> bool:
    """Whether this may be a call that the switch has published but not yet written."""
    # The time in an id is exact to the second.
    return number is not None and -1.0 <= time.time() - unix_ms_of(number) / 1000 < LATELY


async def _tags(request: RequestContext, tag_ids: list[int], field: str) -> dict[int, marks.Tag]:
    async with request.services.db.connection() as connection:
        return await marks.find_tags(connection, request.account_id, tag_ids, field=field)


async def _set_tag(request: RequestContext, params: Params) -> None:
    found = await _find(request, params)
    [tag] = (await _tags(request, [params["tag_id"]], "tag_id")).values()
    marks.require_user_tag([tag], field="tag_id")
    changed = await (await _marker(request)).mark(found.kind, found.communication_id, [tag])
    if not changed.given:
        raise Duplicate("The communication already has this tag", field="tag_id", value=tag.tag_id)


async def _unset_tag(request: RequestContext, params: Params) -> None:
    found = await _find(request, params)
    tag_id = params["tag_id"]
    marker, changed = await _marker(request), marks.Changed()
    if found.lives:
        changed = await marker.mark(found.kind, found.communication_id, (), [tag_id])
    async with request.services.db.connection() as connection:
        if not found.lives:
            changed = await marker.mark_within(connection, found.kind, found.communication_id, (), [tag_id])
        if not changed.taken:
            raise NotFound("The communication does not have this tag", field="tag_id", value=tag_id)
        if tag_id == (await sales.sale_tag(connection, request.account_id)).tag_id:
            await sales.forget(connection, request.account_id, found.kind, found.communication_id)


async def _set_tags(request: RequestContext, params: Params) -> dict[str, Any]:
    """Several communications, all or none; calls that live are marked by their switch before the others."""
    together = params.get("tag_ids")
    wanted = [(item, together if together is not None else [item["tag_id"]]) for item in params["items"]]
    tags = await _tags(request, [tag_id for _, ids in wanted for tag_id in ids], "tag_ids")
    marks.require_user_tag(tags.values(), field="tag_ids")
    found = [(await _find(request, item), ids) for item, ids in wanted]
    marker = await _marker(request)
    for communication, ids in found:
        if communication.lives:  # done again under a key, it changes nothing
            await marker.mark(communication.kind, communication.communication_id, [tags[one] for one in ids])

    async def mark_ended(connection: Connection) -> dict[str, Any]:
        # In one order in all requests, so that two of them do not wait for each other.
        for each, ids in sorted(found, key=lambda pair: (pair[0].kind, pair[0].communication_id)):
            if not each.lives:
                given = [tags[one] for one in ids]
                await marker.mark_within(connection, each.kind, each.communication_id, given)
        return {
            "success": "true",
            "items": [
                {"id": one, "communication_id": each.communication_id, "communication_type": each.kind.value}
                for each, ids in found
                for one in dict.fromkeys(ids)
            ],
        }

    return await in_one_transaction(request, params, mark_ended)


async def _replace_tags(request: RequestContext, params: Params) -> dict[str, Any]:
    """Replace the communication's tags with these. Tags of the system are kept: they record facts."""
    found = await _find(request, params)
    tags = await _tags(request, params["tag_ids"], "tag_ids")
    marks.require_user_tag((tag for tag in tags.values() if tag.tag_id not in found.tag_ids), field="tag_ids")
    async with request.services.db.connection() as connection:
        sale = await sales.sale_tag(connection, request.account_id)
    gone = found.tag_ids - tags.keys() - {sale.tag_id}
    await (await _marker(request)).mark(found.kind, found.communication_id, list(tags.values()), gone)
    present = list(tags.values())
    if sale.tag_id in found.tag_ids and sale.tag_id not in tags:
        present.append(sale)
    return {
        "communication_id": found.communication_id,
        "communication_type": found.kind.value,
        "items": [{"id": tag.tag_id, "name": tag.name, "color": _COLOR} for tag in present],
    }


async def _record_sale(request: RequestContext, params: Params) -> int:
    found = await _find(request, params)
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
    account_id, marker = request.account_id, await _marker(request)
    async with request.services.db.connection() as connection:
        await _check_sale(connection, request, found, sale, params)
        tag = await sales.sale_tag(connection, account_id)
    if found.lives:
        await marker.mark(found.kind, found.communication_id, [tag])

    async def record(connection: Connection) -> dict[str, Any]:
        if not found.lives:
            await marker.mark_within(connection, found.kind, found.communication_id, [tag])
        sale_id = await sales.record(
            connection, account_id, request.caller.user_id, found.kind, found.communication_id, sale
        )
        return {"id": sale_id}

    made: int = (await in_one_transaction(request, params, record))["id"]
    return made


async def _check_sale(
    connection: Connection, request: RequestContext, found: Communication, sale: sales.Sale, params: Params
) -> None:
    try:
        await sales.check(connection, request.account_id, found, sale)
    except Refused as refusal:
        if refusal.field == "date_time":
            refusal.value = params["date_time"]
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
    given("communication_ext_id", description="The id that the client gave it."),
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
            given(
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
        params=(ID, given("name", pattern=r"(?s).*\S.*")),
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
            given("date_time", description="When, in the account's zone."),
            given(
                "transaction_value",
                fractional=True,
                minimum=0,
                maximum=MAX_VALUE,
                description="In the account's currency.",
            ),
            given("comment", maximum=255),
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
