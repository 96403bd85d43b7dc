"""Advertising campaigns: their numbers, conditions, weights and costs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from trunkline.apis.data_api.change_methods import (
    ID,
    change_method,
    component_disabled,
    create_method,
    delete_method,
    require_component,
    update_method,
)
from trunkline.apis.data_api.lists import VIRTUAL_PBX, list_method, titled
from trunkline.apis.data_api.sites import TRACKING
from trunkline.apis.jsonrpc import Envelope, Param, Params, ParamType, RequestContext
from trunkline.apis.jsonrpc.derive import override
from trunkline.db.query import Page
from trunkline.directory.campaigns import changes, conditions, costs, listing, rules, weights
from trunkline.reports.reader import Reader

_NUMBER = ParamType.NUMBER
_ENUM = ParamType.ENUM
_DATA = Envelope.DATA_OBJECT

[_DYNAMIC] = titled("dynamic_call_tracking")

_ACTIONS = ("ac_undefined", "ac", "ac_ext")


def _all_may(action: str) -> tuple[tuple[str, str], ...]:
    return tuple((resource, action) for resource in _ACTIONS)


_CONDITION = (
    override("campaign_parameter", enum=conditions.PARAMETERS),
    override("value", maximum=conditions.MAX_VALUE),
    override("operator", enum=conditions.OPERATORS),
)
_GROUP = (override("conditions", params=_CONDITION),)

_SETTINGS = (
    override("description", nullable=True, maximum=255),
    override("status", description="Active by default."),
    override("campaign_conditions", nullable=True, params=(override("group_conditions", params=_GROUP),)),
    override(
        "site_blocks",
        nullable=True,
        params=(override("redirection_phone_number_id", description="Of a call tracking number."),),
        description="Numbers shown in blocks of the site; none while inactive.",
    ),
    override(
        "dynamic_call_tracking",
        nullable=True,
        params=(
            override("reservation_time", default="15m"),
            override("count_virtual_numbers", minimum=1, maximum=rules.MAX_COUNT),
            override("count_visits", minimum=1, maximum=rules.MAX_COUNT),
        ),
    ),
)
_NAME = override("name")
_SITE_ID = override("site_id")


def _check_components(request: RequestContext, params: Params) -> None:
    require_component(request, params, _DYNAMIC, "dynamic_call_tracking")
    for block in params.get("site_blocks") or ():
        for name, component in (
            ("redirection_phone_number_id", VIRTUAL_PBX),
            ("dynamic_call_tracking_enabled", _DYNAMIC),
        ):
            if block.get(name) and component.name not in request.caller.components:
                raise component_disabled(request, component, f"site_blocks.{name}")


async def _create(request: RequestContext, params: Params) -> int:
    _check_components(request, params)
    return await changes.create_campaign(request.services.db, request.account_id, params)


async def _update(request: RequestContext, params: Params) -> None:
    _check_components(request, params)
    values = dict(params)
    if isinstance(values.get("cost_ratio"), float):
        values["cost_ratio"] = Decimal(str(values["cost_ratio"]))
    await changes.update_campaign(request.services.db, request.account_id, params["id"], values)


async def _delete(request: RequestContext, params: Params) -> None:
    await changes.delete_campaign(request.services.db, request.account_id, params["id"])


async def _update_weights(request: RequestContext, params: Params) -> None:
    chosen = {name: params[name] for name in weights.DEFAULTS if name in params}
    await weights.update_weights(request.services.db, request.account_id, params["site_id"], chosen)


async def _upload_costs(request: RequestContext, params: Params) -> dict[str, Any]:
    uploaded = [
        costs.Cost(
            campaign_id=row["campaign_id"],
            site_id=row["site_id"],
            date_from=date.fromisoformat(row["date_from"][:10]),
            date_till=date.fromisoformat(row["date_till"][:10]),
            cost=Decimal(str(row["cost"])),
        )
        for row in params["costs"]
    ]
    await costs.upload_costs(request.services.db, request.account_id, uploaded)
    return {"success": True}


async def _read_available(reader: Reader, params: Params) -> Page:
    prefixes = await listing.prefixes(reader.database, reader.account_id)
    return await reader.list(listing.AVAILABLE_NUMBERS, params, None, {"prefixes": prefixes})


METHODS = (
    list_method("get.campaigns", "Campaigns of the account, and the system's.", listing.CAMPAIGNS),
    create_method(
        "create.campaigns",
        "Adds a campaign to a site.",
        _create,
        params=(_NAME, _SITE_ID, *_SETTINGS),
        components=TRACKING,
        permissions=(("ac_new", "insert"),),
    ),
    update_method(
        "update.campaigns",
        "Changes a campaign; what is not sent stays, lists are replaced whole.",
        _update,
        params=(
            ID,
            _NAME.changed(pattern=r"(?s).*\S.*"),
            _SITE_ID,
            *_SETTINGS,
            override(
                "cost_ratio",
                nullable=True,
                fractional=True,
                minimum=1,
                maximum=rules.MAX_RATIO,
                description="By which uploaded costs are multiplied or divided: 1.",
            ),
            override("cost_ratio_operator", nullable=True),
        ),
        partial=("site_id",),
        components=TRACKING,
        permissions=_all_may("update"),
    ),
    delete_method(
        "delete.campaigns",
        "Removes a campaign with its costs.",
        _delete,
        components=TRACKING,
        permissions=(("ac_new", "delete"),),
    ),
    list_method(
        "get.campaign_available_phone_numbers",
        "Numbers that a campaign may show.",
        listing.AVAILABLE_NUMBERS,
        read=_read_available,
        components=TRACKING,
    ),
    list_method(
        "get.campaign_available_redirection_phone_numbers",
        "Numbers to which calls on call tracking numbers may go.",
        listing.REDIRECTION_NUMBERS,
        components=TRACKING,
    ),
    list_method(
        "get.campaign_parameter_weights",
        "What counts how much when a visit fits several campaigns of a site.",
        weights.PARAMETER_WEIGHTS,
        components=TRACKING,
        permissions=_all_may("select"),
    ),
    update_method(
        "update.campaign_parameter_weights",
        "Changes weights of a site; null means the default.",
        _update_weights,
        params=(
            _SITE_ID,
            *(
                Param(name, _NUMBER, nullable=True, minimum=0, maximum=100, description=f"{default}.")
                for name, default in weights.DEFAULTS.items()
            ),
        ),
        components=TRACKING,
        permissions=(("site_settings", "update"),),
    ),
    change_method(
        "upload.campaign_costs",
        "Keeps costs of campaigns for periods; 0 takes a period's cost away.",
        _upload_costs,
        params=(
            override(
                "costs",
                params=(
                    override("date_from", description="Its day counts."),
                    override("date_till", description="Its day counts."),
                    _SITE_ID,
                    override("cost", fractional=True, minimum=0, maximum=rules.MAX_COST),
                ),
                description=f"At most {costs.MOST} records.",
            ),
        ),
    ),
)
