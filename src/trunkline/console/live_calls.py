"""Calls in progress: who talks with whom, by server-sent events while the page is open; listen, whisper, barge, hang up.

Commands are those of the Call API (``add.coach``, ``disconnect.leg``, ``release.call``), with its checks, components and
permissions, and a row in the request log. Who may not read reports sees their own
calls, no coaches, and may end those only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
from aiohttp import web

from trunkline.accounts.permissions import READ_REPORTS, WATCH_CALLS
from trunkline.apis.jsonrpc.errors import RpcError
from trunkline.apis.service.request_context import SwitchPort
from trunkline.apis.service.workloads import Workload
from trunkline.calls.command_names import CoachMode
from trunkline.console.languages import translatable
from trunkline.console.live_source import LiveSource
from trunkline.console.live_stream import send_changes
from trunkline.console.other_party import live_seen_by
from trunkline.console.page import Entry, Page
from trunkline.console.page_request import PageRequest, may_see_calls
from trunkline.console.setup.writer import call, may_call
from trunkline.core.errors import InvalidInput, InvalidState, NotFound, PermissionDenied, Refused
from trunkline.directory.lines.listing import REGISTERED, SIP_LINES
from trunkline.provisioning.browser_lines import login_of_browser

PATH = "/console/live"

Call = Mapping[str, Any]
"""See :func:`~trunkline.calls.live_view.call_in_progress`."""

_ = translatable

_ACTION = re.compile(r"(listen|whisper|barge|leave|release):([0-9]{1,18})(?::([0-9]{1,18}))?\Z")

_LEAVES, _RELEASES = "leave", "release"


async def _ask(switch: SwitchPort, account_id: int, _last: Sequence[Call] | None) -> Sequence[Call]:
    found: list[Call] = orjson.loads(
        await switch.command_json(account_id, "list_calls_in_progress", {}, request_id="")
    )
    return sorted(found, key=lambda one: (one["since"], one["call_session_id"]))


CALLS: LiveSource[Sequence[Call]] = LiveSource(_ask)
"""The calls of each account that are in progress."""


@dataclass(frozen=True, slots=True)
class OwnPhone:
    """A phone of the user that can ring.

    :ivar is_browser: the one of the pages.
    """

    number: str
    is_browser: bool


def visible(calls: Sequence[Call], only_employee: int | None) -> list[Call]:
    """The calls that somebody may see.

    :param only_employee: None: all of them; else those of this employee, without coaches.
    """
    if only_employee is None:
        return list(calls)
    return [{**one, "coaches": []} for one in calls if only_employee in one["employee_ids"]]


async def calls_now(page_request: PageRequest) -> tuple[list[Call], str | None]:
    """The calls that the user may see, and why they may be old.

    :raises PermissionDenied: none.
    """
    found = await CALLS.now(page_request.account_id, page_request.services.switch)
    calls = visible(found.value or (), page_request.only_employee)
    return [live_seen_by(one, page_request.caller.employee_id) for one in calls], found.problem


async def own_phones(page_request: PageRequest) -> list[OwnPhone]:
    """The registered phones of the user, that of the browser first."""
    employee_id = page_request.caller.employee_id
    if employee_id is None:
        return []
    params = {
        "fields": ["phone_number", "physical_state"],
        "filter": {"field": "employee_id", "operator": "=", "value": employee_id},
        "limit": 100,
    }
    page = await page_request.reader.list(SIP_LINES, params)
    of_browser = await login_of_browser(page_request.db, page_request.account_id, employee_id)
    found = [
        OwnPhone(one["phone_number"], one["phone_number"] == of_browser)
        for one in orjson.loads(page.rows)
        if one["physical_state"] == REGISTERED
    ]
    return sorted(found, key=lambda one: not one.is_browser)


def may_coach(page_request: PageRequest) -> bool:
    """Whether the user may listen to the calls of others."""
    return page_request.may(READ_REPORTS) and may_call(page_request.caller, "add.coach")


async def _show(page_request: PageRequest) -> web.StreamResponse:
    coaches = may_coach(page_request)
    return page_request.page(
        "live.html",
        phones=await own_phones(page_request) if coaches else [],
        phone=page_request.request.query.get("phone", ""),
        **await _values(page_request),
    )


async def _stream(page_request: PageRequest) -> web.StreamResponse:
    own = page_request.only_employee
    key = (
        own,
        page_request.caller.employee_id,
        may_coach(page_request),
        may_call(page_request.caller, "release.call"),
    )
    return await send_changes(
        page_request, "live_part.html", (CALLS,), lambda: _values(page_request), key=key
    )


async def _values(page_request: PageRequest) -> dict[str, Any]:
    calls, problem = await calls_now(page_request)
    return {
        "calls": calls,
        "problem": problem,
        "may_coach": may_coach(page_request),
        "may_release": may_call(page_request.caller, "release.call"),
        "own_id": page_request.caller.employee_id,
        "only_own": page_request.only_employee is not None,
    }


async def _act(page_request: PageRequest) -> web.StreamResponse:
    """Do what a button of the page says: ``action`` is ``whisper:CALL``, ``leave:CALL:LEG``, ``release:CALL``."""
    fields = await page_request.form()
    found = _ACTION.match(fields.get("action", ""))
    if found is None:
        raise InvalidInput(_("The form cannot be read: open the page again."), field="action")
    name, call_id, leg = found[1], int(found[2]), found[3]
    calls, _problem = await calls_now(page_request)
    one = next((one for one in calls if one["call_session_id"] == call_id), None)
    if one is None:
        raise NotFound(_("There is no such call now, or you may not see it."))
    phone = fields.get("phone", "")
    try:
        if name == _RELEASES:
            await call(page_request, "release.call", {"call_session_id": call_id})
        elif name == _LEAVES:
            await _leave(page_request, one, int(leg or 0))
        else:
            await _coach(page_request, call_id, CoachMode(name), phone)
    except RpcError as error:
        raise InvalidInput(error.extended_helper or error.message) from error
    except NotFound as error:
        raise NotFound(_("There is no such call now, or you may not see it.")) from error
    except InvalidState as error:
        raise InvalidState(_("This is not possible any more: look at the state of the call.")) from error
    raise page_request.back(f"{PATH}?{urlencode({'phone': phone})}" if phone else PATH)


async def _coach(page_request: PageRequest, call_id: int, mode: CoachMode, phone: str) -> None:
    """Ring the user's own phone, which joins the talk."""
    if not may_coach(page_request):
        raise PermissionDenied(_("You may not listen to calls: an admin of the account can permit it."))
    own = [one.number for one in await own_phones(page_request)]
    if phone not in own:
        phone = own[0] if not phone and own else ""
    if not phone:
        raise Refused(
            _("None of your phones is registered: open the phone in the browser, then choose it here.")
        )
    await call(
        page_request, "add.coach", {"call_session_id": call_id, "phone_number": phone, "mode": mode.value}
    )


async def _leave(page_request: PageRequest, one: Call, leg_id: int) -> None:
    """End the user's own part as a coach."""
    own = page_request.caller.employee_id
    if own is None or not any(
        coach["leg_id"] == leg_id and coach["employee_id"] == own for coach in one["coaches"]
    ):
        raise PermissionDenied(_("You are no coach of this call."))
    await call(page_request, "disconnect.leg", {"call_session_id": one["call_session_id"], "leg_id": leg_id})


PAGES = (
    Page(PATH, _show, WATCH_CALLS, workload=Workload.COMMAND),
    Page(f"{PATH}/stream", _stream, WATCH_CALLS, workload=Workload.COMMAND),
    Page(f"{PATH}/action", _act, WATCH_CALLS, method="POST", workload=Workload.COMMAND),
)
ENTRIES = (Entry(PATH, _("Live calls"), lambda caller: caller.may(*WATCH_CALLS) and may_see_calls(caller)),)
