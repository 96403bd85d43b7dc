"""Clients of agents, and the communication of an account with its support.

An agent's own methods name no user: they are about its clients. Everything else an agent asks is asked in the name
of a client's user (``user_id``), with that client's allow-list, rights, limits and request log.
"""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

from trunkline.accounts import customers, passwords, support
from trunkline.accounts.customers import CustomerStatus
from trunkline.apis.data_api.change_methods import ID, change_method, create_method
from trunkline.apis.data_api.lists import list_method
from trunkline.apis.data_api.numbers import SUCCESS
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    USER_ID,
    Api,
    ErrorSpec,
    Method,
    Param,
    Params,
    ParamType,
    RequestContext,
    Result,
)
from trunkline.apis.jsonrpc.derive import contract_method, override
from trunkline.core.errors import PermissionDenied

_INVALID_STATE = ErrorSpec(
    -32602, "invalid_state", "An attempt was made to use a status that is not correct in this state"
)


def _limits(*, emails_required: bool) -> tuple[Param, ...]:
    return tuple(
        param
        for name, most, fractional in (
            ("monthly_base", customers.MAX_AMOUNT, True),
            ("monthly_calls", customers.MAX_CALLS, False),
            ("daily_calls", customers.MAX_CALLS, False),
        )
        for param in (
            *(
                Param(
                    f"{name}_{kind}",
                    ParamType.NUMBER,
                    nullable=True,
                    fractional=fractional,
                    minimum=0,
                    maximum=most,
                    convert=_money if fractional else None,
                )
                for kind in ("limit", "notify_limit")
            ),
            Param(
                f"{name}_notify_emails",
                ParamType.ARRAY,
                required=emails_required,
                nullable=not emails_required,
                items=ParamType.STRING,
                maximum=customers.MAX_NOTIFY_EMAILS,
                description="E-mail addresses notified before the limit is reached.",
            ),
        )
    )


def _money(value: float) -> Decimal:
    return Decimal(str(value))


def _settings(params: Params) -> dict[str, Any]:
    return {name: params[name] for name in customers.SETTINGS if name in params}


async def _create(request: RequestContext, params: Params) -> int:
    return await customers.create_customer(
        request.services.db, request.account_id, params["name"], params["password"], _settings(params)
    )


async def _update(request: RequestContext, params: Params) -> None:
    changes = {name: params[name] for name in ("name", "password") if name in params}
    await customers.update_customer(
        request.services.db, request.account_id, params["id"], {**changes, **_settings(params)}
    )


async def _set_status(request: RequestContext, params: Params) -> None:
    await customers.set_customer_status(
        request.services.db, request.account_id, params["customer_id"], CustomerStatus(params["status"])
    )


async def _set_plan(request: RequestContext, params: Params) -> None:
    await customers.set_tariff_plan(
        request.services.db, request.account_id, params["customer_id"], params["tariff_plan_id"]
    )


async def _contact_info(request: RequestContext, _params: Params) -> Result:
    persons = await support.contact_persons(request.services.db, request.account_id)
    return Result([dict(person) for person in persons], total_items=len(persons))


async def _ticket(request: RequestContext, params: Params) -> dict[str, bool]:
    await support.write_ticket(
        request.services.db,
        request.account_id,
        request.caller.login,
        params["context"],
        contact_id=params["contact_id"],
        phone_id=params["phone_id"],
        email_id=params["email_id"],
    )
    return {"success": True}


def _of_agents(method: Method) -> Method:
    """A method that only agents may call, for themselves."""
    handler = method.handler

    async def guarded(request: RequestContext, params: Params) -> Result:
        if not request.caller.is_agent:
            raise PermissionDenied("only agent accounts have customers")
        return await handler(request, params)

    params = tuple(param for param in method.params if param.name != "user_id")
    return dataclasses.replace(method, params=params, handler=guarded)


_NAME = override("name", maximum=customers.MAX_NAME, description="Name of the customer.")
_DESCRIPTION = override("description", nullable=True, maximum=customers.MAX_DESCRIPTION)
_PLAN = override("tariff_plan_id", description="See get.tariff_plans.")
_LOGIN = override("email", maximum=customers.MAX_EMAIL, description="The customer's owner logs in with it.")
_PASSWORD = override("password", minimum=passwords.SHORTEST, maximum=passwords.LONGEST, secret=True)
_CUSTOMER = override("customer_id", description="Number of the customer.")


_CHANGE = (("client_selected", "update"),)

_AGENTS_METHODS = (
    list_method(
        "get.customers",
        "Customers of the agent, without archived ones.",
        customers.CUSTOMERS,
        permissions=(("client_selected", "select"),),
    ),
    list_method(
        "get.customer_users",
        "Users of customers in whose name the agent may ask.",
        customers.CUSTOMER_USERS,
        permissions=(("client_user", "select"),),
    ),
    list_method(
        "get.tariff_plans",
        "Tariff plans that the agent may give.",
        customers.TARIFF_PLANS,
        permissions=(("account_access", "select"),),
    ),
    create_method(
        "create.customers",
        "Makes an account for a customer; it waits to be activated.",
        _create,
        params=(_NAME, _DESCRIPTION, _PLAN, _LOGIN, _PASSWORD, *_limits(emails_required=True)),
        permissions=(("client_user_new", "insert"),),
    ),
    change_method(
        "update.customers",
        "Changes a customer.",
        _update,
        params=(
            ID,
            _NAME,
            _DESCRIPTION,
            _PLAN,
            _LOGIN,
            _PASSWORD,
            *_limits(emails_required=False),
        ),
        permissions=_CHANGE,
    ),
    change_method(
        "update.customer_status",
        "Lets a customer in, locks or archives it.",
        _set_status,
        params=(_CUSTOMER,),
        permissions=_CHANGE,
        errors=(_INVALID_STATE,),
    ),
    change_method(
        "update.customer_tariff_plans",
        "Gives a customer another tariff plan.",
        _set_plan,
        params=(_CUSTOMER, _PLAN),
        permissions=_CHANGE,
    ),
)

METHODS = (
    *(_of_agents(method) for method in _AGENTS_METHODS),
    contract_method(
        api=Api.DATA,
        name="get.customer_contact_info",
        summary="People of the account whom support may ask.",
        params=(ACCESS_TOKEN, USER_ID),
        complete=True,
        handler=_contact_info,
    ),
    change_method(
        "create.tech_support_ticket",
        "Writes to support.",
        _ticket,
        params=(
            override("context", maximum=10_000, description="What it is about."),
            override("contact_id", description="See get.customer_contact_info."),
            override("phone_id", description="A telephone of that person."),
            override("email_id", description="An address of that person."),
        ),
        result=SUCCESS,
    ),
)
