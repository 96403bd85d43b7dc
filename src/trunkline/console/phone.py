"""The phone in the browser: its page, and the line and credential with which it registers."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from trunkline.accounts.secrets import Cipher
from trunkline.apis.service.request_context import CallerLike
from trunkline.apis.service.workloads import Workload
from trunkline.apis.sip_websocket import sip_websocket_url
from trunkline.console.languages import translatable
from trunkline.console.page import Entry, Page
from trunkline.console.page_renderer import content_security_policy
from trunkline.console.page_request import PageRequest
from trunkline.core.errors import PermissionDenied, Unavailable
from trunkline.provisioning.browser_lines import browser_line

PATH = "/console/phone"
LINE_PATH = f"{PATH}/line"


def _is_visible(caller: CallerLike) -> bool:
    return caller.employee_id is not None


def _employee(page_request: PageRequest) -> int:
    """:raises PermissionDenied: the user is no employee."""
    if page_request.caller.employee_id is None:
        raise PermissionDenied(
            "The phone in the browser is for employees: an admin of the account can make this user one."
        )
    return page_request.caller.employee_id


def _server(page_request: PageRequest) -> str:
    """:raises Unavailable: SIP for browsers is turned off."""
    return sip_websocket_url(page_request.services.settings.sip.wss_port, page_request.request.url.host)


def panel(page_request: PageRequest) -> dict[str, Any]:
    """Values of the template of the phone (``phone_panel.html``).

    :raises PermissionDenied: the user is no employee.
    """
    _employee(page_request)
    return {"line_path": LINE_PATH}


def permit(page_request: PageRequest, response: web.Response) -> None:
    """Let the scripts of a page connect to the WebSocket of SIP.

    :raises Unavailable: it is turned off.
    """
    origin = _server(page_request).removesuffix("/ws")
    response.headers["Content-Security-Policy"] = content_security_policy((origin,))


async def _show(page_request: PageRequest) -> web.StreamResponse:
    response = page_request.page("phone.html", **panel(page_request))
    permit(page_request, response)
    return response


async def _line(page_request: PageRequest) -> web.StreamResponse:
    """JSON: with what the page registers. Only for a page of the console, as a form is."""
    await page_request.form()
    cipher = page_request.services.cipher
    if not isinstance(cipher, Cipher):
        raise Unavailable("Credentials cannot be made: the web process has no master key.")
    line = await browser_line(page_request.db, cipher, page_request.account_id, _employee(page_request))
    content = {
        "server": _server(page_request),
        "user": f"web-{line.login}",
        "login": line.login,
        "realm": line.realm,
        "ha1": line.ha1,
        "expires_at": line.expires_at.isoformat(),
        "may_call": line.may_call,
        "is_new": line.is_new,
    }
    return web.json_response(content, headers=dict(page_request.renderer.headers))


PAGES = (
    Page(PATH, _show),
    Page(LINE_PATH, _line, method="POST", workload=Workload.CHANGE),
)
ENTRIES = (Entry(PATH, translatable("Phone"), _is_visible),)
