"""The account: ``get.account`` and ``getobj.account``."""

from __future__ import annotations

from typing import cast

from trunkline.accounts import profile
from trunkline.accounts.components import TITLES
from trunkline.accounts.model import Caller
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    USER_ID,
    Api,
    Component,
    FieldType,
    Params,
    RequestContext,
    Result,
)
from trunkline.apis.jsonrpc.derive import contract_method, override

_NUMBER, _STRING, _BOOLEAN = FieldType.NUMBER, FieldType.STRING, FieldType.BOOLEAN


async def _account(request: RequestContext, _params: Params) -> Result:
    return Result([await profile.account(request.services.db, request.account_id)], total_items=1)


async def _profile(request: RequestContext, _params: Params) -> Result:
    return Result(await profile.profile(request.services.db, cast(Caller, request.caller)))


METHODS = (
    contract_method(
        api=Api.DATA,
        name="get.account",
        summary="The account: its number, name and time zone.",
        params=(ACCESS_TOKEN,),
        result=(
            override("app_id", description="Number of the account."),
            override("timezone", description="IANA zone."),
        ),
        complete=True,
        handler=_account,
    ),
    contract_method(
        api=Api.DATA,
        name="getobj.account",
        summary="The account, the requesting user, and the permissions of this user.",
        params=(ACCESS_TOKEN, USER_ID),
        result=(
            override("app_id", description="Number of the account."),
            override("app_state", description="active or disabled."),
            override("is_agent_app", description="Whether the account is an agent's client."),
            override("customer_id", description="The account's number once more."),
            override("user_type", description="owner, admin or member."),
            override("tp_id", description="Tariff plan."),
            override("crm_type", description="Of the first CRM account; null without one."),
            override("timezone", description="IANA zone."),
        ),
        components=(Component("data_api_base", TITLES["data_api_base"]),),
        complete=True,
        handler=_profile,
    ),
)
