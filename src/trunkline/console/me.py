"""The page of the own user: codes of an app as the second factor."""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlsplit

import segno
from aiohttp import web

from trunkline.accounts.second_factor import SecondFactors
from trunkline.apis.service.workloads import Workload
from trunkline.console.languages import translatable
from trunkline.console.page import Page
from trunkline.console.visit import Visit
from trunkline.core.errors import AuthenticationFailed, InvalidInput

PATH = "/console/me"

_ = translatable


async def _show(visit: Visit) -> web.StreamResponse:
    return await _page(visit)


async def _begin(visit: Visit) -> web.StreamResponse:
    await visit.form()
    caller = visit.caller
    address = await _factors(visit).begin(visit.account_id, caller.user_id, caller.login)
    return await _page(visit, address)


async def _confirm(visit: Visit) -> web.StreamResponse:
    fields, caller, factors = await visit.form(), visit.caller, _factors(visit)
    try:
        await factors.confirm(visit.account_id, caller.user_id, fields.get("code", ""), time.time())
    except InvalidInput as error:
        if await factors.is_in_use(visit.account_id, caller.user_id):
            raise
        address = await factors.begin(visit.account_id, caller.user_id, caller.login)
        return await _page(visit, address, error.message)
    raise visit.back(PATH)


async def _remove(visit: Visit) -> web.StreamResponse:
    fields, caller, factors = await visit.form(), visit.caller, _factors(visit)
    code = fields.get("code", "")[:20]
    try:
        removed = await factors.remove(visit.account_id, caller.user_id, code, time.time())
    except AuthenticationFailed as error:
        return await _page(visit, problem=error.message)
    if not removed:
        return await _page(
            visit, problem=_("this is not the present code: enter the one that the app shows now")
        )
    raise visit.back(PATH)


async def _page(visit: Visit, address: str | None = None, problem: str | None = None) -> web.Response:
    """:param address: of a secret that is not confirmed yet, shown as a QR code."""
    drawn = secret = None
    if address is not None:
        drawn = segno.make(address, error="m").svg_data_uri(scale=5, border=2, light="#fff", dark="#000")
        secret = parse_qs(urlsplit(address).query)["secret"][0]
    return visit.page(
        "me.html",
        in_use=await _factors(visit).is_in_use(visit.account_id, visit.caller.user_id),
        drawn=drawn,
        secret=secret,
        problem=problem,
        status=403 if problem else 200,
    )


def _factors(visit: Visit) -> SecondFactors:
    return SecondFactors(visit.db, visit.services.secrets)


PAGES = (
    Page(PATH, _show, workload=Workload.CHANGE),
    Page(f"{PATH}/codes", _begin, method="POST", workload=Workload.CHANGE),
    Page(f"{PATH}/codes/confirm", _confirm, method="POST", workload=Workload.CHANGE),
    Page(f"{PATH}/codes/remove", _remove, method="POST", workload=Workload.CHANGE),
)
