"""The address book: contacts, their groups and organisations."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from trunkline.apis.data_api.change_methods import ID, create_method, delete_method, update_method
from trunkline.apis.data_api.lists import list_method
from trunkline.apis.jsonrpc import ACCESS_TOKEN, USER_ID, Param, Params, ParamType, RequestContext
from trunkline.apis.jsonrpc.declare import Form
from trunkline.apis.jsonrpc.derive import override
from trunkline.directory.contacts import changes as contacts
from trunkline.directory.contacts import groups, listing, organizations
from trunkline.directory.contacts.rules import MOST

_SELECT = (("address_book", "select"),)
_INSERT = (("address_book", "insert"),)
_UPDATE = (("address_book", "update"),)
_DELETE = (("address_book", "delete"),)

_LAST_NAME = override("last_name", description="Last name, or the only one.")
_PHONES = override("phone_numbers", items=ParamType.STRING, maximum=MOST, description="Numbers, E.164.")
_OPTIONAL = (
    override("first_name", nullable=True),
    override("patronymic", nullable=True),
    override("emails", items=ParamType.STRING, maximum=MOST, nullable=True),
    override("personal_manager_id", nullable=True, description="Employee who looks after them."),
    override("organization_id", nullable=True),
    override("groups", items=ParamType.NUMBER, nullable=True, description="Ids of groups."),
)
_NAME = override("name")
_MEMBERS = override("members", items=ParamType.NUMBER, nullable=True, description="Ids of contacts.")


async def _create_contact(request: RequestContext, params: Params) -> int:
    return await contacts.create_contact(request.services.db, request.account_id, params)


async def _update_contact(request: RequestContext, params: Params) -> None:
    await contacts.update_contact(request.services.db, request.account_id, params["id"], params)


async def _delete_contacts(request: RequestContext, params: Params) -> None:
    one, many = params.get("id"), params.get("ids", [])
    field = "ids" if one is None else "id"
    ids = many if one is None else [one, *many]
    await contacts.delete_contacts(request.services.db, request.account_id, ids, field=field)


async def _create_group(request: RequestContext, params: Params) -> int:
    members = params.get("members") or ()
    return await groups.create_group(request.services.db, request.account_id, params["name"], members)


async def _update_group(request: RequestContext, params: Params) -> None:
    members = (params["members"] or ()) if "members" in params else None
    name = params.get("name")
    await groups.update_group(request.services.db, request.account_id, params["id"], name, members)


async def _delete_group(request: RequestContext, params: Params) -> None:
    await groups.delete_group(request.services.db, request.account_id, params["id"])


async def _create_organization(request: RequestContext, params: Params) -> int:
    return await organizations.create_organization(request.services.db, request.account_id, params["name"])


async def _update_organization(request: RequestContext, params: Params) -> None:
    await organizations.rename_organization(
        request.services.db, request.account_id, params["id"], params["name"]
    )


async def _delete_organization(request: RequestContext, params: Params) -> None:
    await organizations.delete_organization(request.services.db, request.account_id, params["id"])


_IDS = Param("ids", ParamType.ARRAY, required=True, items=ParamType.NUMBER, maximum=1000)


def _only(param: Param) -> Form:
    """One of ``id`` and ``ids`` without the other."""
    other = {"id": "ids", "ids": "id"}[param.name]

    def applies(sent: Mapping[str, Any]) -> bool:
        return sent.get(other) is None and (param is ID or sent.get(param.name) is not None)

    unused = Param(other, ParamType.ARRAY)  # null counts as not sent
    return Form(
        description=f"With {param.name} alone.",
        applies=applies,
        params=(ACCESS_TOKEN, USER_ID, param, unused),
        rewrite=lambda checked: checked,
    )


METHODS = (
    list_method("get.contacts", "Contacts of the address book.", listing.CONTACTS, permissions=_SELECT),
    create_method(
        "create.contacts",
        "Adds a contact.",
        _create_contact,
        params=(_LAST_NAME, _PHONES, *_OPTIONAL),
        permissions=_INSERT,
    ),
    update_method(
        "update.contacts",
        "Changes a contact; what is not sent stays.",
        _update_contact,
        params=(
            ID,
            _LAST_NAME.changed(nullable=True),
            _PHONES,
            *_OPTIONAL,
        ),
        permissions=_UPDATE,
    ),
    dataclasses.replace(
        delete_method(
            "delete.contacts",
            "Removes one contact, or several: all or none.",
            _delete_contacts,
            params=(ID, _IDS),
            permissions=_DELETE,
        ),
        forms=(_only(ID), _only(_IDS)),
    ),
    list_method("get.group_contacts", "Groups of contacts.", listing.GROUPS, permissions=_SELECT),
    create_method(
        "create.group_contacts",
        "Adds a group of contacts.",
        _create_group,
        params=(_NAME, _MEMBERS),
        permissions=_INSERT,
    ),
    update_method(
        "update.group_contacts",
        "Renames a group of contacts; members that are sent replace those it has.",
        _update_group,
        params=(ID, _NAME, _MEMBERS),
        partial=("name",),
        permissions=_UPDATE,
    ),
    delete_method(
        "delete.group_contacts",
        "Removes a group; its contacts stay.",
        _delete_group,
        permissions=_DELETE,
    ),
    list_method(
        "get.contact_organizations",
        "Organisations that contacts belong to.",
        listing.ORGANIZATIONS,
        permissions=_SELECT,
    ),
    create_method(
        "create.contact_organizations",
        "Adds an organisation.",
        _create_organization,
        params=(_NAME,),
        permissions=_INSERT,
    ),
    update_method(
        "update.contact_organizations",
        "Renames an organisation.",
        _update_organization,
        params=(_NAME, ID),
        permissions=_UPDATE,
    ),
    delete_method(
        "delete.contact_organizations",
        "Removes an organisation that no contact belongs to.",
        _delete_organization,
        permissions=_DELETE,
    ),
)
