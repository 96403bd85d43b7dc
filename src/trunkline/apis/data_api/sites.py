"""Sites and their blocks: both families of the reference."""

from __future__ import annotations

import dataclasses
from typing import Any

from trunkline.apis.data_api.change_methods import (
    ID,
    change_method,
    create_method,
    delete_method,
    update_method,
)
from trunkline.apis.data_api.lists import list_method, titled
from trunkline.apis.jsonrpc import GET_PARAMS, FieldType, Params, ParamType, RequestContext
from trunkline.apis.jsonrpc.derive import override
from trunkline.core.phone import normalise
from trunkline.db.query import Page
from trunkline.directory.sites import blocks, changes, listing, rules
from trunkline.reports.reader import Reader

_NUMBER = ParamType.NUMBER
_STRING = ParamType.STRING
_BOOLEAN = ParamType.BOOLEAN

TRACKING = titled("call_tracking", "consultant", "lead", "sitephone")
"""The methods of sites and campaigns need one of these."""

_SELECT = (("site_selected", "select"),)
_INSERT = (("site_new", "insert"),)


def _blocks_may(action: str) -> tuple[tuple[str, str], ...]:
    return (("site_settings", action),)


_DOMAIN = override("domain_name", convert=rules.domain, description="Without protocol.")
_DEFAULT_NUMBER = override("default_phone_number", convert=normalise, description="E.164.")
_INDUSTRY = override(
    "industry_id", minimum=1, maximum=rules.MAX_INDUSTRY, description="Of get.site_categories."
)
_NAME = override("name", nullable=True, description="Its domain by default.")
_TARGET = override(
    "target_call_min_duration",
    nullable=True,
    minimum=0,
    maximum=rules.MAX_SECONDS,
    description="Seconds from which a call is a target call: 30 by default.",
)
_PERIOD = override(
    "second_communication_period",
    nullable=True,
    minimum=1,
    maximum=rules.MAX_PERIOD,
    description="Days in which a communication is a repeated one: 1 by default.",
)
_WEB_DIRECTORY = override("is_support_web_directory", nullable=True)
_CLIENT = override("child_customer_id", nullable=True, description="An agent's client.")
_ROBOTS = override("is_block_robot_traffic", nullable=True)

_SETTINGS = (
    _NAME,
    override("default_scenario_id", nullable=True, description="For numbers without an active rule."),
    _TARGET,
    override("track_subdomains_enabled", nullable=True, description="True by default."),
    override("cookie_lifetime", nullable=True, minimum=0, maximum=rules.MAX_DAYS, description="Days: 90."),
    override("campaign_lifetime", nullable=True, minimum=0, maximum=rules.MAX_DAYS, description="Days: 90."),
    override("sales_enabled", nullable=True, description="Whether set.tag_sales is allowed."),
    _PERIOD,
    override("services_enabled", nullable=True, description="True by default."),
    override("replacement_dynamical_block_enabled", nullable=True),
    override(
        "widget_link",
        nullable=True,
        params=(
            override("text", maximum=100),
            override("url", maximum=2000),
        ),
    ),
    override(
        "show_visitor_id",
        nullable=True,
        params=(
            override("element_id_value", maximum=255),
            override("message", maximum=255, default=""),
            override("length_visitor_id", minimum=1, maximum=20, default=6),
        ),
    ),
)


def _values(params: Params) -> dict[str, Any]:
    """By the names under which sites are kept."""
    values = dict(params)
    if "track_subdomains_enabled" in values:
        values["track_subdomains"] = values.pop("track_subdomains_enabled")
    return values


async def _create_sites(request: RequestContext, params: Params) -> int:
    made = await changes.create_site(request.services.db, request.account_id, _values(params))
    return made.site_id


async def _create_site(request: RequestContext, params: Params) -> dict[str, Any]:
    key = params.get("site_key")
    made = await changes.create_site(request.services.db, request.account_id, _values(params), site_key=key)
    return {"id": made.site_id, "site_key": made.site_key}


async def _update(request: RequestContext, params: Params) -> None:
    await changes.update_site(request.services.db, request.account_id, params["id"], _values(params))


async def _delete(request: RequestContext, params: Params) -> None:
    await changes.delete_site(request.services.db, request.account_id, params["id"])


async def _create_block(request: RequestContext, params: Params) -> int:
    return await blocks.create_block(
        request.services.db, request.account_id, params["site_id"], params["name"]
    )


async def _rename_block(request: RequestContext, params: Params) -> None:
    await blocks.rename_block(request.services.db, request.account_id, params["id"], params.get("name"))


async def _delete_block(request: RequestContext, params: Params) -> None:
    await blocks.delete_block(request.services.db, request.account_id, params["id"])


async def _read_site(reader: Reader, params: Params) -> Page:
    return await reader.list(listing.SITE, params, None, {"site_id": params.get("site_id")})


_PAGING = tuple(param for param in GET_PARAMS if param.name in ("limit", "offset", "fields"))

_GETOBJ = list_method(
    "getobj.site",
    "One site, or all of them.",
    listing.SITE,
    read=_read_site,
    params=(override("site_id", description="None: all sites."),),
    paging=_PAGING,
    components=TRACKING,
    permissions=_SELECT,
)

METHODS = (
    list_method(
        "get.sites",
        "Sites of the account.",
        listing.SITES,
        components=TRACKING,
        permissions=_SELECT,
        contract_overrides={"site_blocks.site_block_id": "show_visitor_id.site_block_id"},
    ),
    dataclasses.replace(
        _GETOBJ,
        result=tuple(
            dataclasses.replace(field, contract_type=FieldType.BOOLEAN)
            if field.name == "industry_id"
            else field
            for field in _GETOBJ.result
        ),
    ),
    list_method("get.site_categories", "Industries of sites.", listing.CATEGORIES, paging=_PAGING),
    create_method(
        "create.sites",
        "Adds a site, with one block.",
        _create_sites,
        params=(_DOMAIN, _DEFAULT_NUMBER, _INDUSTRY, *_SETTINGS),
        components=TRACKING,
        permissions=_INSERT,
    ),
    change_method(
        "create.site",
        "Adds a site, with one block and its own key.",
        _create_site,
        params=(
            _DOMAIN,
            _NAME,
            _INDUSTRY,
            _TARGET,
            override(
                "site_key",
                pattern="[A-Za-z0-9_]{32}",
                description="What its pages are marked with; made unless sent.",
            ),
            _PERIOD,
            _WEB_DIRECTORY,
            _CLIENT,
            _ROBOTS,
        ),
        components=TRACKING,
        permissions=_INSERT,
    ),
    update_method(
        "update.sites",
        "Changes a site; what is not sent stays, null means the default.",
        _update,
        params=(
            ID,
            _DOMAIN,
            _DEFAULT_NUMBER,
            _INDUSTRY,
            *_SETTINGS,
            _WEB_DIRECTORY,
            _CLIENT,
            _ROBOTS,
        ),
        partial=("default_phone_number", "industry_id"),
        components=TRACKING,
        permissions=(("site_selected", "update"),),
    ),
    delete_method(
        "delete.sites",
        "Removes a site that has no campaigns.",
        _delete,
        components=TRACKING,
        permissions=(("site_selected", "delete"),),
    ),
    list_method(
        "get.site_blocks",
        "Blocks of sites and the numbers that campaigns show in them.",
        listing.SITE_BLOCKS,
        components=TRACKING,
        permissions=_blocks_may("select"),
    ),
    create_method(
        "create.site_blocks",
        "Adds a block to a site.",
        _create_block,
        components=TRACKING,
        permissions=_blocks_may("insert"),
    ),
    update_method(
        "update.site_blocks",
        "Renames a block.",
        _rename_block,
        params=(ID, override("name", pattern=r"(?s).*\S.*")),
        components=TRACKING,
        permissions=_blocks_may("update"),
    ),
    delete_method(
        "delete.site_blocks",
        "Removes a block in which no campaign shows a number.",
        _delete_block,
        components=TRACKING,
        permissions=_blocks_may("delete"),
    ),
)
