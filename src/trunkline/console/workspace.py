"""The page of an operator's day: the phone of the browser, the present call with its contact, state, wrap-up, whom to call.

It shows what is the user's own. Setting one's state and ending one's wrap-up need no permission, as in the Call
Center API; tags, a note and a callback for an own call need that to control calls (an operator has it), which permits
tags of live calls in the Call API, too. Ended calls are there for users who see them in the list of calls. Commands are in
the request log.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from trunkline.accounts.permissions import CONTROL_CALLS
from trunkline.apis.service.agent_status import set_pause, set_queue_status
from trunkline.apis.service.request_context import CallerLike
from trunkline.apis.service.workloads import Workload
from trunkline.calls.switch.queue_commands import AgentCommands, AgentView
from trunkline.console import call_page, phone
from trunkline.console.call_filter import CallFilter, Outcome, Part
from trunkline.console.languages import translatable
from trunkline.console.live_calls import CALLS, Call
from trunkline.console.live_stream import send_changes
from trunkline.console.other_party import CALLER, FIELDS, colleague_of, live_seen_by, seen_by
from trunkline.console.page import Entry, Page
from trunkline.console.page_request import PageRequest, may_see_calls
from trunkline.console.queues_live import QUEUES, QueuesNow
from trunkline.console.setup.writer import logged, may_call
from trunkline.core.clock import to_instant
from trunkline.core.errors import InvalidInput, NotFound, PermissionDenied, TrunklineError
from trunkline.core.id_text import id_in_text
from trunkline.dialer.lead_store import NextLead, agree_callback, campaign_of_call, next_leads
from trunkline.directory.agents.check_ins import check_out
from trunkline.directory.contacts.listing import CONTACTS
from trunkline.directory.employees.statuses import IS_DELETED, STATUSES
from trunkline.directory.tags.listing import TAGS
from trunkline.phone_lists.leads import lead_of_phone
from trunkline.queues.states import AgentStatus
from trunkline.reports.calls import calls_for_people
from trunkline.reports.comments import MAX_LENGTH, Author, add_comment
from trunkline.reports.communications import Kind
from trunkline.tagging import communications as tagged
from trunkline.tagging.changes import Named, TagChanges

PATH = "/console/workspace"
CALL_PATH = "/console/call"

HISTORY = 5
"""Calls of a contact that are shown while it rings, and leads and missed calls of each list."""

INTERNAL_TALKS = 100
"""Talks with colleagues among which is the return of a missed call."""

FRESH_SECONDS = 60
"""After which whom to call is read again."""

IDLE_SECONDS = 3.0
"""Between two looks at what no event reports."""

LEADS_AHEAD = timedelta(hours=1)
MEMORY = timedelta(minutes=30)
"""For so long an ended call is the last one, to which a note belongs."""

_ = translatable

_NAMES_OF_STATUSES: Mapping[str, str] = {
    "break": _("Break"),
    "do_not_disturb": _("Do not disturb"),
    "not_at_workplace": _("Out of the office"),
    "not_at_work": _("Not working"),
    "auto_out_call": _("Outbound calls"),
}
"""The standard statuses; those of an account have a name of their own."""

_CALL_FIELDS = (
    "id",
    "start_time",
    "finish_time",
    "direction",
    "is_lost",
    "last_talked_employee_full_name",
    "talk_duration",
    "tags",
    "coach_ids",
    *FIELDS,
)


def _is_visible(caller: CallerLike) -> bool:
    return caller.employee_id is not None


def _employee(page_request: PageRequest) -> int:
    """:raises PermissionDenied: the user is no employee."""
    if page_request.caller.employee_id is None:
        raise PermissionDenied(
            _("The workspace is for employees: an admin of the account can make this user one.")
        )
    return page_request.caller.employee_id


class _WorkspaceState:
    """What the page of one operator shows; remembers what is read from the database while the page is open."""

    def __init__(self, page_request: PageRequest) -> None:
        self._page_request = page_request.reading()
        self._employee_id = _employee(page_request)
        self._cards: dict[int, Mapping[str, Any]] = {}
        self._known: frozenset[int] = frozenset()
        self._read_at = 0.0
        self._todo: Mapping[str, Any] = {}

    async def values(self) -> dict[str, Any]:
        """Of the template."""
        page_request = self._page_request
        queues = await QUEUES.now(page_request.account_id, page_request.services.switch)
        calls = await CALLS.now(page_request.account_id, page_request.services.switch)
        now = queues.value or QueuesNow()
        own = [
            live_seen_by(one, self._employee_id)
            for one in calls.value or ()
            if self._employee_id in one["employee_ids"]
        ]
        agent = now.agent(self._employee_id)
        own_queues = set(agent.queue_ids) if agent is not None else set()
        await self._read(own, agent)
        return {
            "agent": agent,
            "state": _state(agent),
            "queues": [
                {name: one[name] for name in ("queue_id", "name", "waiting", "waiting_since", "callbacks")}
                for one in now.queues
                if one["queue_id"] in own_queues
            ],
            "calls": [{**one, "coaches": []} for one in own],
            "cards": {one["call_session_id"]: self._cards[one["call_session_id"]] for one in own},
            "problem": calls.problem or queues.problem,
            "may_see_calls": may_see_calls(self._page_request.caller),
            **self._todo,
        }

    async def _read(self, own: Sequence[Call], agent: AgentView | None) -> None:
        for one in own:
            if one["call_session_id"] not in self._cards:
                self._cards[one["call_session_id"]] = await _card(self._page_request, one)
        ids = frozenset(one["call_session_id"] for one in own)
        if ids == self._known and time.monotonic() - self._read_at < FRESH_SECONDS and self._todo:
            return
        if self._known - ids:  # a call has ended: its row may be written a moment later
            self._read_at = time.monotonic() - FRESH_SECONDS + IDLE_SECONDS
        else:
            self._read_at = time.monotonic()
        self._known = ids
        self._cards = {call_id: card for call_id, card in self._cards.items() if call_id in ids}
        self._todo = await _todo(self._page_request, self._employee_id, agent)


async def _card(page_request: PageRequest, one: Call) -> Mapping[str, Any]:
    """The contact of a call: its entry in the address book, its last calls, and the lead that is called."""
    number = one["contact_number"]
    contact, lead = None, None
    if one["contact_id"] is not None and page_request.may(("address_book", "select")):
        fields = ["id", "full_name", "phone_numbers", "emails", "organization_name", "groups"]
        params = {
            "fields": fields,
            "filter": {"field": "id", "operator": "=", "value": one["contact_id"]},
            "limit": 1,
        }
        contact = next(iter(orjson.loads((await page_request.reader.list(CONTACTS, params)).rows)), None)
    if (of_call := one.get("lead")) is not None:
        lead = of_call
    elif one["lead_id"] is not None and number:
        lead = await lead_of_phone(page_request.db, page_request.account_id, number)
    return {
        "contact": contact,
        "lead": lead,
        "history": await _calls(page_request, _with_other(page_request, one), HISTORY) if number else [],
    }


def _with_other(page_request: PageRequest, one: Call) -> dict[str, Any]:
    """The filter for calls with the contact, or those between the user and the colleague."""
    own = _employee(page_request)
    colleague = colleague_of(one, own)
    if colleague is None:
        return _with_number(one["contact_number"])
    both = [{"field": "employee_id", "operator": "=", "value": who} for who in (own, colleague)]
    internal = {"field": "is_internal", "operator": "=", "value": True}
    return {"filters": [*both, internal], "condition": "and"}


def _with_number(number: str) -> dict[str, Any]:
    return {"field": "contact_phone_number", "operator": "=", "value": number}


async def _todo(page_request: PageRequest, employee_id: int, agent: AgentView | None) -> Mapping[str, Any]:
    """Whom to call: missed calls of the employee, and leads of the campaigns of its queues; and its last calls."""
    mine = {"field": "employee_id", "operator": "=", "value": employee_id}
    missed = CallFilter(outcome=Outcome.NOT_CALLED_BACK, employee_id=employee_id, part=Part.MISSED)
    ended = {"field": "finish_time", "operator": "!=", "value": None}
    leads: Sequence[NextLead] = ()
    if agent is not None and agent.queue_ids:
        until = to_instant(page_request.clock() + LEADS_AHEAD)
        leads = await next_leads(
            page_request.db, page_request.account_id, agent.queue_ids, until, 2 * HISTORY
        )
    recent = await _calls(page_request, {"filters": [mine, ended], "condition": "and"}, 2 * HISTORY)
    recent = [one for one in recent if not _only_coached(one, employee_id)][:HISTORY]
    not_returned = await _calls(page_request, missed.report_filter(), 2 * HISTORY)
    if any(one["is_internal"] for one in not_returned):
        internal = {"field": "is_internal", "operator": "=", "value": True}
        talked = {"field": "is_lost", "operator": "=", "value": False}
        talks = await _calls(
            page_request, {"filters": [mine, internal, talked], "condition": "and"}, INTERNAL_TALKS
        )
        not_returned = [one for one in not_returned if not _is_returned(one, talks)]
    return {
        "missed": not_returned[:HISTORY],
        "recent": recent,
        "last": next((one for one in recent if _is_fresh(page_request, one)), None),
        "callbacks": [one for one in leads if one.is_callback][:HISTORY],
        "leads": [one for one in leads if not one.is_callback][:HISTORY],
    }


def _only_coached(one: Mapping[str, Any], employee_id: int) -> bool:
    """Whether the employee was in a call as a coach, and did not talk with its contact."""
    own = [who for who in one["employees"] if who["employee_id"] == employee_id]
    return employee_id in one["coach_ids"] and not any(who["is_talked"] for who in own)


def _is_returned(missed: Mapping[str, Any], talks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a later talk of the two employees follows a call that one of them missed. Reports have this of calls with
    contacts only (``lost_call_processing_duration``)."""
    caller = (missed[CALLER] or {}).get("employee_id") if missed["is_internal"] else None
    return caller is not None and any(
        one["start_time"] > missed["start_time"]
        and caller in {who["employee_id"] for who in one["employees"]}
        for one in talks
    )


def _is_fresh(page_request: PageRequest, one: Mapping[str, Any]) -> bool:
    ended = datetime.fromisoformat(one["finish_time"]).replace(tzinfo=page_request.zone)
    return page_request.clock() - ended < MEMORY


async def _calls(page_request: PageRequest, chosen: Mapping[str, Any], limit: int) -> list[Mapping[str, Any]]:
    """Ended calls and those in progress; none for a user who may not see calls."""
    if not may_see_calls(page_request.caller):
        return []
    now = page_request.clock().astimezone(page_request.zone)
    page = await calls_for_people(
        page_request.reader,
        {
            "date_from": f"{now - timedelta(days=31):%Y-%m-%d} 00:00:00",
            "date_till": f"{now:%Y-%m-%d} 23:59:59",
            "fields": list(_CALL_FIELDS),
            "filter": chosen,
            "sort": [{"field": "start_time", "order": "desc"}],
            "limit": limit,
        },
    )
    return [seen_by(one, page_request.caller.employee_id) for one in orjson.loads(page.rows)]


async def _show(page_request: PageRequest) -> web.StreamResponse:
    desk = _WorkspaceState(page_request)
    may_note = page_request.may(CONTROL_CALLS)
    response = page_request.page(
        "workspace.html",
        **phone.panel(page_request),
        statuses=await _statuses(page_request),
        tags=await _tags(page_request) if may_note else [],
        may_note=may_note,
        comment_max=MAX_LENGTH,
        **await desk.values(),
    )
    phone.permit(page_request, response)
    return response


async def _stream(page_request: PageRequest) -> web.StreamResponse:
    desk = _WorkspaceState(page_request)
    return await send_changes(
        page_request, "workspace_part.html", (QUEUES, CALLS), desk.values, idle=IDLE_SECONDS
    )


def _state(agent: AgentView | None) -> str:
    """The button of the present state, as :func:`_set_state` has it; empty: not known, as of an employee in no queue."""
    if agent is None:
        return ""
    if agent.status is AgentStatus.ON_BREAK:
        return agent.status_reason or ""
    return "logged_out" if agent.status is AgentStatus.LOGGED_OUT else "available"


async def _statuses(page_request: PageRequest) -> list[tuple[int, str]]:
    """The statuses that an employee may choose, except "available": id and name."""
    fields = ["id", "name", "mnemonic", "is_select_allowed"]
    page = await page_request.reader.list(
        STATUSES, {"fields": fields, "limit": 100}, IS_DELETED, {"is_deleted": False}
    )
    return [
        (one["id"], _NAMES_OF_STATUSES.get(one["mnemonic"], one["name"]))
        for one in orjson.loads(page.rows)
        if one["is_select_allowed"] and one["mnemonic"] != "available"
    ]


async def _tags(page_request: PageRequest) -> list[Mapping[str, Any]]:
    params = {"fields": ["id", "name"], "sort": [{"field": "name", "order": "asc"}], "limit": 1000}
    page = await page_request.reader.list(TAGS, params, None, {"include_rating": False})
    found: list[Mapping[str, Any]] = orjson.loads(page.rows)
    return found


# --- what is done


async def _set_state(page_request: PageRequest) -> web.StreamResponse:
    """``state`` is ``available``, ``logged_out``, ``end_wrap_up`` or the id of a status."""
    fields, employee_id = await page_request.form(), _employee(page_request)
    wanted, account_id = fields.get("state", ""), page_request.account_id
    commands = AgentCommands(page_request.services.switch)

    if wanted == "available":
        async with logged(page_request, "cc_agent/setPause", {"user_id": employee_id, "id": 0}):
            await set_pause(page_request.db, commands, account_id, employee_id, 0, checks_in=True)
    elif wanted == "logged_out":
        async with logged(page_request, "cc_agent/checkOut", {"user_id": employee_id}):
            set_status = partial(set_queue_status, commands, account_id)
            await check_out(page_request.db, account_id, employee_id, set_status)
    elif wanted == "end_wrap_up":
        async with logged(page_request, "cc_agent/wrapup", {"user_id": employee_id, "seconds": 0}):
            await commands.set_wrap_up(account_id, employee_id, 0)
    elif wanted in {str(status_id) for status_id, _name in await _statuses(page_request)}:
        async with logged(page_request, "cc_agent/setPause", {"user_id": employee_id, "id": int(wanted)}):
            await set_pause(page_request.db, commands, account_id, employee_id, int(wanted))
    else:
        raise InvalidInput(_("The form cannot be read: open the page again."), field="state")
    raise page_request.back(PATH)


async def _note(page_request: PageRequest) -> web.StreamResponse:
    """Tag and comment an own call; agree with its contact on another one."""
    fields, employee_id = await page_request.form(), _employee(page_request)
    if not page_request.may(CONTROL_CALLS):
        raise PermissionDenied(_("You may not change calls: an admin of the account can permit it."))
    call_id, number = await _own_call(page_request, employee_id, fields.get("call", ""))
    caller = page_request.caller
    text = fields.get("comment", "").replace("\r\n", "\n").replace("\0", "").strip()
    if len(text) > MAX_LENGTH:
        raise InvalidInput(_("The comment is too long: shorten it."), field="comment")
    shown = {
        "call_session_id": call_id,
        "tag_id": fields.get("tag") or None,
        "callback": fields.get("at") or None,
    }
    async with logged(page_request, "note.call", shown):
        # Everything is checked before anything is written: a form that is refused is sent again as a whole.
        tag_id = call_page.tag_of(fields) if fields.get("tag") else None
        again = (
            await _wanted_callback(page_request, call_id, number, fields["at"]) if fields.get("at") else None
        )
        if tag_id is not None:
            changes = TagChanges(
                page_request.db,
                page_request.services.switch,
                page_request.account_id,
                caller.user_id,
                caller.login,
                employee_id,
                "console",
            )
            await changes.set_tag(Named(tagged.Kind.CALL, call_id), tag_id)
        if text:
            author = Author(page_request.account_id, caller.user_id, caller.login)
            await add_comment(page_request.db, author, Kind.CALL, call_id, text)
        if again is not None:
            campaign_id, at = again
            await agree_callback(
                page_request.db, page_request.account_id, campaign_id, number, to_instant(at)
            )
    raise page_request.back(PATH)


async def _wanted_callback(
    page_request: PageRequest, call_id: int, number: str, text: str
) -> tuple[int, datetime]:
    """The campaign of the call, and when its contact is called again.

    :raises InvalidInput: no time to come, or the call is of no campaign.
    """
    try:
        at = datetime.fromisoformat(text).replace(tzinfo=page_request.zone)
    except ValueError as error:
        raise InvalidInput(_("This is not a valid time: choose again."), field="at") from error
    if not page_request.clock() < at < page_request.clock() + timedelta(days=366):
        raise InvalidInput(_("Choose a time to come, within a year."), field="at")
    campaign_id = await campaign_of_call(page_request.db, page_request.account_id, call_id, number)
    if campaign_id is None:
        raise InvalidInput(_("A callback can be agreed only for calls of a campaign."), field="at")
    return campaign_id, at


async def _own_call(page_request: PageRequest, employee_id: int, text: str) -> tuple[int, str]:
    """A call of the user, live or ended, and the number of its contact.

    :raises NotFound: it is none.
    """
    call_id = id_in_text(text)
    if call_id is not None:
        found = await CALLS.now(page_request.account_id, page_request.services.switch)
        for live in found.value or ():
            if live["call_session_id"] == call_id and employee_id in live["employee_ids"]:
                return call_id, live["contact_number"] or ""
        mine = {"field": "employee_id", "operator": "=", "value": employee_id}
        this = {"field": "id", "operator": "=", "value": call_id}
        for row in await _calls(page_request, {"filters": [mine, this], "condition": "and"}, 1):
            return call_id, row["contact_phone_number"] or ""
    raise NotFound(_("There is no such call, or you may not see it."))


async def _call(page_request: PageRequest) -> web.StreamResponse:
    """Click-to-call without a phone in this browser: the user's phones ring, then the number is called. JSON."""
    fields, employee_id = await page_request.form(), _employee(page_request)
    number = fields.get("number", "").strip()
    if not number or len(number) > 40:
        raise InvalidInput(_("Choose a number."), field="number")
    if not may_call(page_request.caller, "start.employee_call"):
        raise PermissionDenied(_("You may not start calls: an admin of the account can permit it."))
    params = {"contact": number, "employee_id": employee_id}
    try:
        async with logged(
            page_request, "cc_agent/originate", {"destination": number, "user_id": employee_id}
        ) as request_id:
            signed = {
                **params, "user_id": page_request.caller.user_id, "login": page_request.caller.login,
                "api_request_id": request_id,
            }  # fmt: skip
            await page_request.services.switch.command(
                page_request.account_id, "start_agent_call", signed, request_id=str(request_id)
            )
    except TrunklineError as error:
        text = (
            _("None of your phones is registered: open the phone in the browser.")
            if error.mnemonic == "facility_not_subscribed"
            else error.message
        )
        shown = page_request.language.texts.gettext(text)
        return web.json_response({"problem": shown}, status=409, headers=dict(page_request.renderer.headers))
    return web.json_response({}, headers=dict(page_request.renderer.headers))


PAGES = (
    Page(PATH, _show, workload=Workload.COMMAND),
    Page(f"{PATH}/stream", _stream, workload=Workload.COMMAND),
    Page(f"{PATH}/state", _set_state, method="POST", workload=Workload.CHANGE),
    Page(f"{PATH}/note", _note, method="POST", workload=Workload.CHANGE),
    Page(CALL_PATH, _call, method="POST", workload=Workload.COMMAND),
)
ENTRIES = (Entry(PATH, _("Workspace"), _is_visible),)
