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
    Envelope,
    Field,
    FieldType,
    Method,
    Params,
    RequestContext,
    Result,
)

_NUMBER, _STRING, _BOOLEAN = FieldType.NUMBER, FieldType.STRING, FieldType.BOOLEAN


async def _account(request: RequestContext, _params: Params) -> Result:
    return Result([await profile.account(request.services.db, request.account_id)], total_items=1)


async def _profile(request: RequestContext, _params: Params) -> Result:
    return Result(await profile.profile(request.services.db, cast(Caller, request.caller)))


METHODS = (
    Method(
        api=Api.DATA,
        name="get.account",
        summary="The account: its number, name and time zone.",
        params=(ACCESS_TOKEN,),
        result=(
            Field("app_id", _NUMBER, description="Number of the account."),
            Field("name", _STRING),
            Field("timezone", _STRING, description="IANA zone."),
        ),
        envelope=Envelope.DATA_ARRAY,
        complete=True,
        handler=_account,
    ),
    Method(
        api=Api.DATA,
        name="getobj.account",
        summary="The account, the requesting user, and the permissions of this user.",
        params=(ACCESS_TOKEN, USER_ID),
        result=(
            Field("app_id", _NUMBER, description="Number of the account."),
            Field("app_state", _STRING, description="active or disabled."),
            Field("app_name", _STRING),
            Field("is_agent_app", _BOOLEAN, description="Whether the account is an agent's client."),
            Field("customer_id", _NUMBER, description="The account's number once more."),
            Field("user_id", _NUMBER),
            Field("user_type", _STRING, description="owner, admin or member."),
            Field("user_login", _STRING),
            Field("user_name", _STRING),
            Field("tp_id", _NUMBER, description="Tariff plan."),
            Field("tp_name", _STRING),
            Field("crm_type", _STRING, description="Of the first CRM account; null without one."),
            Field("lang", _STRING),
            Field("project", _STRING),
            Field("timezone", _STRING, description="IANA zone."),
            Field(
                "permissions",
                FieldType.ARRAY,
                fields=(
                    Field("unit_id", _STRING),
                    Field("is_delete", _BOOLEAN),
                    Field("is_insert", _BOOLEAN),
                    Field("is_select", _BOOLEAN),
                    Field("is_update", _BOOLEAN),
                ),
            ),
            Field("components", FieldType.ARRAY),
            Field("is_bi_available", _BOOLEAN),
            Field("report_currency", _STRING),
            Field("is_agent", _BOOLEAN),
            Field("agent_type", FieldType.ENUM, enum=("agent", "franchisor")),
        ),
        envelope=Envelope.DATA_OBJECT,
        components=(Component("data_api_base", TITLES["data_api_base"]),),
        complete=True,
        handler=_profile,
    ),
)
