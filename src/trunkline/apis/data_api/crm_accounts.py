"""Accounts in CRM systems."""

from __future__ import annotations

import dataclasses
from urllib.parse import urlsplit

from trunkline.apis.data_api.change_methods import ID, MADE_ID, change_method, create_method, delete_method
from trunkline.apis.data_api.lists import list_method
from trunkline.apis.jsonrpc import Method, Params, ParamType, RequestContext
from trunkline.apis.jsonrpc.derive import override
from trunkline.directory.crm_accounts import changes as crm_accounts


def _url(text: str) -> str | None:
    """An address on the web as it is; None for anything else."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return text if parts.scheme in ("http", "https") and parts.hostname and text.isprintable() else None


_VALUES = (
    override("name", maximum=255, description="Name, of no other CRM account."),
    override("description", nullable=True, maximum=2000),
    override("type", nullable=True, description="custom unless sent."),
    override("url", maximum=2000, convert=_url, description="http:// or https://"),
    override("deal_conversion_model", description="Which communication a deal is counted to."),
    override("is_ignore_outgoing_calls", nullable=True),
    override("is_ignore_outgoing_chats", nullable=True),
)


async def _create(request: RequestContext, params: Params) -> int:
    return await crm_accounts.create_crm_account(request.services.db, request.account_id, _values(params))


async def _update(request: RequestContext, params: Params) -> dict[str, int]:
    crm_account_id = params["id"]
    await crm_accounts.update_crm_account(
        request.services.db, request.account_id, crm_account_id, _values(params)
    )
    return {"id": crm_account_id}


async def _delete(request: RequestContext, params: Params) -> None:
    await crm_accounts.delete_crm_account(request.services.db, request.account_id, params["id"])


def _values(params: Params) -> Params:
    names = {param.name for param in _VALUES}
    return {name: value for name, value in params.items() if name in names}


def _user_id_a_text(method: Method) -> Method:
    """The page of this method calls ``user_id`` a string; numbers and their texts are both taken everywhere."""
    params = tuple(
        dataclasses.replace(param, contract_type=ParamType.STRING) if param.name == "user_id" else param
        for param in method.params
    )
    return dataclasses.replace(method, params=params)


METHODS = (
    list_method("get.crm_accounts", "CRM accounts, and how far loading has come.", crm_accounts.CRM_ACCOUNTS),
    create_method("create.crm_account", "Adds a CRM account.", _create, params=_VALUES),
    change_method(
        "update.crm_account",
        "Changes a CRM account.",
        _update,
        params=(ID, *_VALUES),
        result=MADE_ID,
    ),
    _user_id_a_text(delete_method("delete.crm_account", "Removes a CRM account.", _delete)),
)
