"""The page of a user about themselves: codes of an app as the second factor."""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlsplit

import segno
from aiohttp import web

from trunkline.accounts.second_factor import SecondFactors
from trunkline.apis.service.workloads import Workload
from trunkline.console.languages import translatable
from trunkline.console.page import Page
from trunkline.console.page_request import PageRequest
from trunkline.core.errors import AuthenticationFailed, InvalidInput

PATH = "/console/me"

_ = translatable


async def _show(page_request: PageRequest) -> web.StreamResponse:
    return await _page(page_request)


async def _begin(page_request: PageRequest) -> web.StreamResponse:
    await page_request.form()
    caller = page_request.caller
    address = await _factors(page_request).begin(page_request.account_id, caller.user_id, caller.login)
    return await _page(page_request, address)


async def _confirm(page_request: PageRequest) -> web.StreamResponse:
    fields, caller, factors = await page_request.form(), page_request.caller, _factors(page_request)
    try:
        await factors.confirm(page_request.account_id, caller.user_id, fields.get("code", ""), time.time())
    except InvalidInput as error:
        if await factors.is_in_use(page_request.account_id, caller.user_id):
            raise
        address = await factors.begin(page_request.account_id, caller.user_id, caller.login)
        return await _page(page_request, address, error.message)
    raise page_request.back(PATH)


async def _remove(page_request: PageRequest) -> web.StreamResponse:
    fields, caller, factors = await page_request.form(), page_request.caller, _factors(page_request)
    code = fields.get("code", "")[:20]
    try:
        removed = await factors.remove(page_request.account_id, caller.user_id, code, time.time())
    except AuthenticationFailed as error:
        return await _page(page_request, problem=error.message)
    if not removed:
        return await _page(
            page_request, problem=_("this is not the present code: enter the one that the app shows now")
        )
    raise page_request.back(PATH)


async def _page(
    page_request: PageRequest, address: str | None = None, problem: str | None = None
) -> web.Response:
    """:param address: of a secret that is not confirmed yet, shown as a QR code."""
    drawn = secret = None
    if address is not None:
        drawn = segno.make(address, error="m").svg_data_uri(scale=5, border=2, light="#fff", dark="#000")
        secret = parse_qs(urlsplit(address).query)["secret"][0]
    return page_request.page(
        "me.html",
        in_use=await _factors(page_request).is_in_use(page_request.account_id, page_request.caller.user_id),
        drawn=drawn,
        secret=secret,
        problem=problem,
        status=403 if problem else 200,
    )


def _factors(page_request: PageRequest) -> SecondFactors:
    return SecondFactors(page_request.db, page_request.services.secrets)


PAGES = (
    Page(PATH, _show, workload=Workload.CHANGE),
    Page(f"{PATH}/codes", _begin, method="POST", workload=Workload.CHANGE),
    Page(f"{PATH}/codes/confirm", _confirm, method="POST", workload=Workload.CHANGE),
    Page(f"{PATH}/codes/remove", _remove, method="POST", workload=Workload.CHANGE),
)
