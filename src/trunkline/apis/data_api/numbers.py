"""Virtual numbers: those an account has, takes, gives back or brings along, and their rules."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from trunkline.apis.data_api.change_methods import change_method
from trunkline.apis.data_api.lists import list_method
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    USER_ID,
    Api,
    Envelope,
    ErrorSpec,
    Field,
    FieldType,
    Param,
    Params,
    ParamType,
    RequestContext,
    Result,
)
from trunkline.apis.jsonrpc.derive import contract_method, override
from trunkline.calls.command_names import CHECK
from trunkline.db.query import Page
from trunkline.directory.numbers import changes, listing, private, verification
from trunkline.directory.numbers.changes import Chosen
from trunkline.directory.trunks.addresses import own_addresses
from trunkline.reports.reader import Reader

SUCCESS = (Field("success", FieldType.BOOLEAN, description="Always true."),)
ENTITY_NOT_FOUND = ErrorSpec(-32602, "entity_not_found", "Entity not found")
_NUMBER_NOT_FOUND = ErrorSpec(
    -32007, "virtual_phone_number_not_found", "Virtual phone number {virtual_phone_number} was not found."
)
_TARIFF_RESTRICTIONS = ErrorSpec(
    -32602,
    "tariff_restrictions",
    "This action is not available under your current plan. Contact support or update your plan settings in the"
    " client area.",
)
_IN_USE = ErrorSpec(-32602, "dependency_error", "The virtual number is used by another entity.")

_MOST = 1000
"""Numbers of one request."""


def _ids(values: list[Any]) -> list[int] | None:
    """Ids as numbers or as their texts: the reference's pages have both."""
    texts = [str(value) for value in values if isinstance(value, str | int) and not isinstance(value, bool)]
    if len(texts) != len(values) or not all(text.isascii() and text.isdigit() for text in texts):
        return None
    ids = [int(text) for text in texts]
    return ids if all(each < 2**63 for each in ids) else None


_CHOICE = (
    Param(
        "virtual_phone_number",
        ParamType.STRING,
        minimum=1,
        maximum=32,
        description="The number; this or number_capacity_ids.",
    ),
    override(
        "number_capacity_ids",
        maximum=_MOST,
        convert=_ids,
        description="Ids of numbers; these or virtual_phone_number.",
    ),
)
_PURPOSE = override(
    "number_capacity_component",
    enum=changes.PURPOSES,
    description="What the numbers are for; required with number_capacity_ids.",
)


def _chosen(params: Params) -> Chosen:
    return Chosen.of(params.get("virtual_phone_number"), params.get("number_capacity_ids"))


async def _enable(request: RequestContext, params: Params) -> dict[str, bool]:
    chosen, field = _chosen(params), "number_capacity_component"
    purpose = changes.purpose_for(chosen, request.caller.components, params.get(field), field)
    await changes.enable_numbers(request.services.db, request.account_id, chosen, purpose)
    return {"success": True}


async def _disable(request: RequestContext, params: Params) -> dict[str, bool]:
    await changes.disable_numbers(request.services.db, request.account_id, _chosen(params))
    return {"success": True}


async def _enable_private(request: RequestContext, params: Params) -> dict[str, bool]:
    provider = private.Provider(
        login=params["login"],
        password=params["password"],
        server=params["server_address"],
        port=params["port"],
        address=params.get("resolved_server_address"),
    )
    chosen, asked = _chosen(params), "va" if params["is_used_for_va"] else "call_tracking"
    purpose = changes.purpose_for(chosen, request.caller.components, asked, "is_used_for_va")
    services = request.services
    sip = services.settings.sip
    await private.enable_private(
        services.db,
        services.secrets,
        request.account_id,
        chosen,
        provider,
        purpose,
        own=own_addresses(sip.bind, sip.external_address),
    )
    return {"success": True}


async def _start_verification(request: RequestContext, params: Params) -> dict[str, bool]:
    services = request.services
    account_id = services.settings.numbers.verification_account
    caller = None
    if account_id is not None:
        command = partial(services.switch.command, request_id=str(request.api_request_id))
        caller = verification.Caller(account_id, command, services.speaker.file_of, CHECK)
    await verification.start(
        services.db, request.account_id, params["virtual_phone_number"], params["language"], caller
    )
    return {"success": True}


async def _confirm(request: RequestContext, params: Params) -> dict[str, bool]:
    await verification.confirm(
        request.services.db,
        request.account_id,
        params["virtual_phone_number"],
        params["code"],
        datetime.now(UTC),
    )
    return {"success": True}


async def _private_params(request: RequestContext, params: Params) -> Result:
    services = request.services
    found = await private.private_params(
        services.db,
        services.secrets,
        request.account_id,
        params["phone_id"],
        with_password=request.caller.may("number_management", "update"),
    )
    return Result(found)


async def _rules(request: RequestContext, params: Params) -> Result:
    rules = await changes.call_processing_rules(
        request.services.db, request.account_id, params["number_capacity_id"]
    )
    return Result({"scenarios": rules})


async def _set_rule(request: RequestContext, params: Params) -> None:
    await changes.set_rule_active(request.services.db, request.account_id, params["id"], params["is_active"])


async def _prefixes(reader: Reader, params: Params) -> Page:
    return await reader.list(listing.COUNTRY_PREFIXES, params, values=listing.country_prefixes())


_OWN_NUMBER = Param(
    "virtual_phone_number",
    ParamType.STRING,
    required=True,
    minimum=1,
    maximum=32,
    description="A number of the account that is not verified.",
)
_SEE = (("number_management", "select"),)
_CHANGE = (("number_management", "update"),)

METHODS = (
    list_method(
        "get.virtual_numbers",
        "Virtual numbers and the scenarios behind them.",
        listing.VIRTUAL_NUMBERS,
        permissions=_SEE,
    ),
    list_method(
        "get.available_virtual_numbers",
        "Numbers of the inventory that the account may enable.",
        listing.AVAILABLE_NUMBERS,
        permissions=_SEE,
    ),
    change_method(
        "enable.virtual_numbers",
        "Gives the account numbers of the inventory.",
        _enable,
        params=(*_CHOICE, _PURPOSE),
        result=SUCCESS,
        permissions=(("number_management", "insert"),),
        errors=(_TARIFF_RESTRICTIONS, _NUMBER_NOT_FOUND),
    ),
    change_method(
        "disable.virtual_numbers",
        "Takes numbers off the account.",
        _disable,
        params=_CHOICE,
        result=SUCCESS,
        permissions=(("number_management", "delete"),),
        errors=(_IN_USE, _NUMBER_NOT_FOUND),
    ),
    change_method(
        "enable.private_number",
        "Connects a number of a third-party provider.",
        _enable_private,
        params=(
            *_CHOICE,
            override("is_used_for_va", description="For the virtual PBX."),
            override("login", maximum=128, description="Login there."),
            override("password", maximum=200, secret=True),
            override("port", pattern="[0-9]{1,5}", description="SIP port."),
            override("server_address", maximum=253, description="Server."),
            override(
                "resolved_server_address",
                maximum=64,
                description="Address that the server's calls come from.",
            ),
        ),
        result=SUCCESS,
        permissions=(("number_management", "insert"),),
        errors=(_TARIFF_RESTRICTIONS, _NUMBER_NOT_FOUND),
    ),
    change_method(
        "start.virtual_number_verification",
        "Calls a number that is not verified and speaks a code. Not in the reference.",
        _start_verification,
        params=(
            _OWN_NUMBER,
            Param(
                "language",
                ParamType.STRING,
                default="en",
                maximum=16,
                description="Language of the voice (BCP 47); for other languages than English only the digits are spoken.",
            ),
        ),
        envelope=Envelope.DIRECT,
        result=SUCCESS,
        permissions=(("number_management", "insert"),),
        errors=(_TARIFF_RESTRICTIONS, _NUMBER_NOT_FOUND),
    ),
    change_method(
        "confirm.virtual_number",
        "Verifies a number by the code of the call. Not in the reference.",
        _confirm,
        params=(
            _OWN_NUMBER,
            Param(
                "code",
                ParamType.STRING,
                required=True,
                secret=True,
                pattern="[0-9]{1,16}",
                description="Six digits.",
            ),
        ),
        envelope=Envelope.DIRECT,
        result=SUCCESS,
        permissions=(("number_management", "insert"),),
        errors=(_NUMBER_NOT_FOUND,),
    ),
    contract_method(
        api=Api.DATA,
        name="getobj.private_number_params",
        summary="How a number of a third-party provider registers there.",
        params=(
            ACCESS_TOKEN,
            USER_ID,
            override("phone_id", description="Number of the virtual number."),
        ),
        result=(override("password", description="Null for users who may not change numbers."),),
        permissions=_SEE,
        errors=(ENTITY_NOT_FOUND,),
        handler=_private_params,
    ),
    contract_method(
        api=Api.DATA,
        name="getobj.call_processing_rules",
        summary="The rules of a number: its scenarios, and which of them are active.",
        params=(
            ACCESS_TOKEN,
            USER_ID,
            override("number_capacity_id", description="Number of the virtual number."),
        ),
        permissions=_SEE,
        errors=(ENTITY_NOT_FOUND,),
        handler=_rules,
    ),
    change_method(
        "set.call_processing_rule_is_active",
        "Switches a rule of a number on or off.",
        _set_rule,
        params=(
            override("id", description="Number of the rule."),
            override("type", enum=("scenario",)),
        ),
        permissions=_CHANGE,
    ),
    list_method(
        "get.country_phone_prefixes",
        "Telephone prefixes of the countries of the world.",
        listing.COUNTRY_PREFIXES,
        read=_prefixes,
    ),
    list_method("get.numa_lists", "Lists of callers: the groups of the address book.", listing.CALLER_LISTS),
    list_method("get.number_capacity_categories", "Categories of numbers.", listing.CAPACITY_CATEGORIES),
)
