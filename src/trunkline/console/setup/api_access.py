"""Access to the APIs: points used today, keys of users, and the addresses that may use each API.

Nobody makes, blocks or deletes a key of a user with more rights than the own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from aiohttp import web

from trunkline.accounts.administration import Administration
from trunkline.accounts.model import METERED, Api, NewKey, Status
from trunkline.accounts.permissions import Permission
from trunkline.accounts.users import Users
from trunkline.apis.call_center.rights import check_grantable
from trunkline.apis.service.request_context import CallerLike
from trunkline.apis.service.workloads import Workload
from trunkline.console.formats import midnight
from trunkline.console.languages import translatable
from trunkline.console.page import Entry, Page
from trunkline.console.setup.entity import PATH as SETUP
from trunkline.console.setup.problems import EMPTY, Problem, problem_of
from trunkline.console.setup.tile import Tile
from trunkline.console.setup.writer import logged
from trunkline.console.visit import Visit
from trunkline.core.errors import InvalidInput, InvalidState, NotFound, PermissionDenied

_ = translatable

PATH = f"{SETUP}/api-access"

READ: Permission = ("users", "select")
CHANGE: Permission = ("users", "update")

APIS: Mapping[Api, str] = {
    Api.CALL_API: _("Call API"),
    Api.DATA_API: _("Data API"),
    Api.CALL_CENTER: _("Call Center API"),
    Api.CONSOLE: _("Console"),
}

_NAME_MAX = 100


def _require(visit: Visit) -> None:
    """:raises PermissionDenied: the visitor may not change the access."""
    if not visit.may(CHANGE):
        raise PermissionDenied(_("You may not change this: an admin of the account can permit it."))


async def _check_user(visit: Visit, user_id: int) -> None:
    """:raises PermissionDenied: the user has more rights than the visitor.
    :raises NotFound: no such user.
    """
    if user_id != visit.caller.user_id:
        check_grantable(visit.caller, sorted(await Users(visit.db).rights(visit.account_id, user_id)))


async def _page(
    visit: Visit,
    problem: Problem | None = None,
    typed: Mapping[str, str] | None = None,
    made: NewKey | None = None,
) -> web.Response:
    users, administration = Users(visit.db), Administration(visit.db)
    people = {one["user_id"]: one for one in await users.list_users(visit.account_id)}
    addresses = await administration.allowed_addresses(visit.account_id)
    points = [
        (APIS[api], await visit.services.accounts.points(visit.account_id, api.value)) for api in METERED
    ]
    return visit.page(
        "setup/api_access.html",
        status=200 if problem is None else 422,
        action_path=PATH,
        points=points,
        keys=[
            {**one, "login": people[one["user_id"]]["login"], "state": _state(one, visit.now)}
            for one in await users.list_keys(visit.account_id)
        ],
        users=[
            one
            for one in people.values()
            if one["status"] == Status.ACTIVE and any(one[f"{api.value}_enabled"] for api in METERED)
        ],
        addresses=[
            (api, title, [one for one in addresses if one["api"] == api]) for api, title in APIS.items()
        ],
        problem=problem,
        typed=typed or {},
        made=made,
        saved=visit.request.query.get("done", ""),
        may_change=visit.may(CHANGE),
    )


def _state(key: Mapping[str, Any], now: datetime) -> str:
    """``blocked``, ``expired`` or ``valid``. Pure."""
    if key["blocked_at"] is not None:
        return "blocked"
    return "expired" if key["expires_at"] is not None and key["expires_at"] <= now else "valid"


async def _show(visit: Visit) -> web.StreamResponse:
    return await _page(visit)


async def _make_key(visit: Visit) -> web.StreamResponse:
    fields = await visit.form()
    _require(visit)
    user_id, name = _number(fields.get("user", "")), fields.get("key_name", "").replace("\0", "")[:_NAME_MAX]
    if not user_id:
        return await _page(visit, Problem("user", EMPTY), fields)
    try:
        until = _end_of(visit, fields.get("until", ""))
        await _check_user(visit, user_id)
        async with logged(visit, "console.create.api_key", {"user_id": user_id, "name": name}):
            made = await Users(visit.db).create_key(visit.account_id, user_id, name, until)
    except (InvalidInput, NotFound) as error:
        control = {"expires_at": "until", "user_id": "user"}.get(error.field or "", "key_name")
        return await _page(visit, Problem(control, _("This cannot be used."), detail=error.message), fields)
    return await _page(visit, made=made)


def _end_of(visit: Visit, text: str) -> datetime | None:
    """The end of a day in the visitor's zone.

    :raises InvalidInput: it is no day.
    """
    if not text:
        return None
    try:
        return midnight(date.fromisoformat(text) + timedelta(days=1), visit.zone)
    except (ValueError, OverflowError) as error:
        raise InvalidInput("the end is a day, as 2026-12-31", field="expires_at", value=text) from error


async def _block_key(visit: Visit) -> web.StreamResponse:
    key_id = await _key(visit)
    async with logged(visit, "console.update.api_key_blocked", {"key_id": key_id}):
        await Users(visit.db).block_key(visit.account_id, key_id)
    raise visit.back(f"{PATH}?done=saved")


async def _delete_key(visit: Visit) -> web.StreamResponse:
    key_id = await _key(visit)
    async with logged(visit, "console.delete.api_key", {"key_id": key_id}):
        await Users(visit.db).delete_key(visit.account_id, key_id)
    raise visit.back(f"{PATH}?done=deleted")


async def _key(visit: Visit) -> int:
    """The key of the address, which the visitor may change.

    :raises NotFound: no such key.
    :raises PermissionDenied: the visitor may not.
    """
    await visit.form()
    _require(visit)
    key_id = int(visit.request.match_info["id"])
    for one in await Users(visit.db).list_keys(visit.account_id):
        if one["key_id"] == key_id:
            await _check_user(visit, one["user_id"])
            return key_id
    raise NotFound(_("It is not there any more: somebody may have deleted it."))


async def _allow(visit: Visit) -> web.StreamResponse:
    fields = await visit.form()
    _require(visit)
    api, network = _api(fields), fields.get("network", "").replace("\0", "").strip()
    if not network:
        return await _page(visit, Problem("network", EMPTY), fields)
    comment = fields.get("comment", "").replace("\0", "").strip()[:_NAME_MAX]
    try:
        async with logged(visit, "console.create.allowed_address", {"api": api, "network": network}):
            await Administration(visit.db).allow_address(visit.account_id, api, network, comment)
    except InvalidInput as error:
        return await _page(visit, problem_of(error, ("network",)), fields)
    raise visit.back(f"{PATH}?done=saved")


async def _disallow(visit: Visit) -> web.StreamResponse:
    fields = await visit.form()
    _require(visit)
    api, network = _api(fields), fields.get("network", "")
    keep = visit.client_ip if api is Api.CONSOLE else None
    try:
        async with logged(visit, "console.delete.allowed_address", {"api": api, "network": network}):
            await Administration(visit.db).disallow_address(visit.account_id, api, network, keep=keep)
    except InvalidState as error:
        problem = Problem(
            "", _("You use the console from this address: allow another one first."), detail=error.message
        )
        return await _page(visit, problem)
    raise visit.back(f"{PATH}?done=deleted")


def _api(fields: Mapping[str, str]) -> Api:
    """:raises InvalidInput: it is none."""
    try:
        return Api(fields.get("api", ""))
    except ValueError as error:
        raise InvalidInput(_("This does not exist any more: choose another."), field="api") from error


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def _is_visible(caller: CallerLike) -> bool:
    return caller.may(*READ)


PAGES = (
    Page(PATH, _show, READ),
    Page(f"{PATH}/keys", _make_key, READ, "POST", Workload.CHANGE),
    Page(f"{PATH}/keys/{{id:[0-9]{{1,18}}}}/block", _block_key, READ, "POST", Workload.CHANGE),
    Page(f"{PATH}/keys/{{id:[0-9]{{1,18}}}}/delete", _delete_key, READ, "POST", Workload.CHANGE),
    Page(f"{PATH}/addresses", _allow, READ, "POST", Workload.CHANGE),
    Page(f"{PATH}/addresses/delete", _disallow, READ, "POST", Workload.CHANGE),
)
TILES = (
    Tile(
        PATH,
        _("API keys and addresses"),
        _("Which programs may use the APIs, from where, and how much."),
        _is_visible,
    ),
)
MENU = tuple(Entry(one.path, one.title, one.is_visible) for one in TILES)
