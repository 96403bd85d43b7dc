"""Access to the APIs: points used today, keys of users, and the addresses that may use each API.

Nobody makes, blocks or deletes a key of a user with more rights than their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from aiohttp import web

from trunkline.accounts.administration import Administration
from trunkline.accounts.model import METERED, Api, NewKey, Status
from trunkline.accounts.permissions import Permission, check_may_change_log_in
from trunkline.accounts.users import Users
from trunkline.apis.service.request_context import CallerLike
from trunkline.apis.service.workloads import Workload
from trunkline.console.formats import midnight
from trunkline.console.languages import translatable
from trunkline.console.page import Entry, Page
from trunkline.console.page_request import PageRequest
from trunkline.console.setup.entity import PATH as SETUP
from trunkline.console.setup.menu_entry import MenuEntry
from trunkline.console.setup.problems import EMPTY, Problem, problem_of
from trunkline.console.setup.writer import logged
from trunkline.core.errors import InvalidInput, InvalidState, NotFound, PermissionDenied
from trunkline.core.id_text import id_in_text

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


def _require(page_request: PageRequest) -> None:
    """:raises PermissionDenied: the user may not change the access."""
    if not page_request.may(CHANGE):
        raise PermissionDenied(_("You may not change this: an admin of the account can permit it."))


async def _check_user(page_request: PageRequest, user_id: int) -> None:
    """:raises PermissionDenied: the other user has more rights than the user.
    :raises NotFound: no such user.
    """
    rights = await Users(page_request.db).rights(page_request.account_id, user_id)
    check_may_change_log_in(page_request.caller, user_id, rights)


async def _page(
    page_request: PageRequest,
    problem: Problem | None = None,
    typed: Mapping[str, str] | None = None,
    made: NewKey | None = None,
) -> web.Response:
    users, administration = Users(page_request.db), Administration(page_request.db)
    people = {one["user_id"]: one for one in await users.list_users(page_request.account_id)}
    addresses = await administration.allowed_addresses(page_request.account_id)
    points = [
        (APIS[api], await page_request.services.accounts.points(page_request.account_id, api.value))
        for api in METERED
    ]
    return page_request.page(
        "setup/api_access.html",
        status=200 if problem is None else 422,
        action_path=PATH,
        points=points,
        keys=[
            {**one, "login": people[one["user_id"]]["login"], "state": _state(one, page_request.now)}
            for one in await users.list_keys(page_request.account_id)
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
        saved=page_request.request.query.get("done", ""),
        may_change=page_request.may(CHANGE),
    )


def _state(key: Mapping[str, Any], now: datetime) -> str:
    """``blocked``, ``expired`` or ``valid``. Pure."""
    if key["blocked_at"] is not None:
        return "blocked"
    return "expired" if key["expires_at"] is not None and key["expires_at"] <= now else "valid"


async def _show(page_request: PageRequest) -> web.StreamResponse:
    return await _page(page_request)


async def _make_key(page_request: PageRequest) -> web.StreamResponse:
    fields = await page_request.form()
    _require(page_request)
    user_id, name = (
        id_in_text(fields.get("user", "")) or 0,
        fields.get("key_name", "").replace("\0", "")[:_NAME_MAX],
    )
    if not user_id:
        return await _page(page_request, Problem("user", EMPTY), fields)
    try:
        until = _end_of(page_request, fields.get("until", ""))
        await _check_user(page_request, user_id)
        async with logged(page_request, "console.create.api_key", {"user_id": user_id, "name": name}):
            made = await Users(page_request.db).create_key(page_request.account_id, user_id, name, until)
    except (InvalidInput, NotFound) as error:
        control = {"expires_at": "until", "user_id": "user"}.get(error.field or "", "key_name")
        return await _page(
            page_request, Problem(control, _("This cannot be used."), detail=error.message), fields
        )
    return await _page(page_request, made=made)


def _end_of(page_request: PageRequest, text: str) -> datetime | None:
    """The end of a day in the user's zone.

    :raises InvalidInput: it is no day.
    """
    if not text:
        return None
    try:
        return midnight(date.fromisoformat(text) + timedelta(days=1), page_request.zone)
    except (ValueError, OverflowError) as error:
        raise InvalidInput("the end is a day, as 2026-12-31", field="expires_at", value=text) from error


async def _block_key(page_request: PageRequest) -> web.StreamResponse:
    key_id = await _key(page_request)
    async with logged(page_request, "console.update.api_key_blocked", {"key_id": key_id}):
        await Users(page_request.db).block_key(page_request.account_id, key_id)
    raise page_request.back(f"{PATH}?done=saved")


async def _delete_key(page_request: PageRequest) -> web.StreamResponse:
    key_id = await _key(page_request)
    async with logged(page_request, "console.delete.api_key", {"key_id": key_id}):
        await Users(page_request.db).delete_key(page_request.account_id, key_id)
    raise page_request.back(f"{PATH}?done=deleted")


async def _key(page_request: PageRequest) -> int:
    """The key of the address, which the user may change.

    :raises NotFound: no such key.
    :raises PermissionDenied: the user may not.
    """
    await page_request.form()
    _require(page_request)
    key_id = int(page_request.request.match_info["id"])
    for one in await Users(page_request.db).list_keys(page_request.account_id):
        if one["key_id"] == key_id:
            await _check_user(page_request, one["user_id"])
            return key_id
    raise NotFound(_("It is not there any more: somebody may have deleted it."))


async def _allow(page_request: PageRequest) -> web.StreamResponse:
    fields = await page_request.form()
    _require(page_request)
    api, network = _api(fields), fields.get("network", "").replace("\0", "").strip()
    if not network:
        return await _page(page_request, Problem("network", EMPTY), fields)
    comment = fields.get("comment", "").replace("\0", "").strip()[:_NAME_MAX]
    try:
        async with logged(page_request, "console.create.allowed_address", {"api": api, "network": network}):
            await Administration(page_request.db).allow_address(
                page_request.account_id, api, network, comment
            )
    except InvalidInput as error:
        return await _page(page_request, problem_of(error, ("network",)), fields)
    raise page_request.back(f"{PATH}?done=saved")


async def _disallow(page_request: PageRequest) -> web.StreamResponse:
    fields = await page_request.form()
    _require(page_request)
    api, network = _api(fields), fields.get("network", "")
    keep = page_request.client_ip if api is Api.CONSOLE else None
    try:
        async with logged(page_request, "console.delete.allowed_address", {"api": api, "network": network}):
            await Administration(page_request.db).disallow_address(
                page_request.account_id, api, network, keep=keep
            )
    except InvalidState as error:
        problem = Problem(
            "", _("You use the console from this address: allow another one first."), detail=error.message
        )
        return await _page(page_request, problem)
    raise page_request.back(f"{PATH}?done=deleted")


def _api(fields: Mapping[str, str]) -> Api:
    """:raises InvalidInput: it is none."""
    try:
        return Api(fields.get("api", ""))
    except ValueError as error:
        raise InvalidInput(_("This does not exist any more: choose another."), field="api") from error


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
MENU_ENTRIES = (
    MenuEntry(
        PATH,
        _("API keys and addresses"),
        _("Which programs may use the APIs, from where, and how much."),
        _is_visible,
    ),
)
MENU = tuple(Entry(one.path, one.title, one.is_visible) for one in MENU_ENTRIES)
