"""The page of one call: its facts, its story, its recording, tags and comments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from trunkline.accounts.permissions import CHANGE_REPORTS, READ_REPORTS, Permission
from trunkline.apis.service.workloads import Workload
from trunkline.console.languages import translatable
from trunkline.console.other_party import FIELDS, seen_by
from trunkline.console.page import Page
from trunkline.console.page_request import PageRequest
from trunkline.console.story_texts import reason_of, sentence
from trunkline.core.errors import InvalidInput, NotFound
from trunkline.core.id_text import id_in_text
from trunkline.directory.tags.listing import TAGS
from trunkline.events.catalogue import EventType
from trunkline.reports.call_explanation import explain
from trunkline.reports.calls import CALLS_FOR_PEOPLE
from trunkline.reports.comments import MAX_LENGTH, Author, add_comment, comments_of
from trunkline.reports.communications import Kind
from trunkline.reports.legs import LEGS
from trunkline.reports.reason_descriptions import REASON_DESCRIPTIONS
from trunkline.reports.story import Step, read_story
from trunkline.tagging import communications as tagged
from trunkline.tagging.changes import Named, TagChanges

_ = translatable

SET_TAGS: Permission = ("tag_management", "update")

_PATH = r"/console/calls/{call_id:\d{1,18}}"

_FIELDS = (
    "id",
    "start_time",
    "finish_time",
    "direction",
    "is_lost",
    "finish_reason",
    "contact_id",
    "virtual_phone_number",
    "operator_phone_number",
    "total_wait_duration",
    "talk_duration",
    "total_duration",
    "lost_call_processing_duration",
    "tags",
    "queues",
    "scenario_name",
    "source",
    "call_records",
    "voice_mail_records",
    *FIELDS,
)

_LEG_FIELDS = (
    "id",
    "start_time",
    "connect_time",
    "duration",
    "finish_reason",
    "direction",
    "is_operator",
    "is_coach",
    "employee_full_name",
    "calling_phone_number",
    "called_phone_number",
    "is_failed",
    "is_talked",
    "release_cause_code",
    "release_cause_description",
)


async def _show(page_request: PageRequest) -> web.StreamResponse:
    call = await _visible_call(page_request)
    call_id = call["id"]
    legs = await page_request.reader.list(LEGS, _one("call_session_id", call_id, _LEG_FIELDS, 500))
    may_listen = page_request.may(READ_REPORTS)
    may_tag = page_request.may(SET_TAGS)
    tags: list[Any] = []
    if may_tag:
        listed = {"fields": ["id", "name"], "sort": [{"field": "name", "order": "asc"}], "limit": 1000}
        page = await page_request.reader.list(TAGS, listed, None, {"include_rating": False})
        used = {one["tag_id"] for one in call["tags"] or ()}
        tags = [one for one in orjson.loads(page.rows) if one["id"] not in used]
    is_over = call["finish_time"] is not None
    story = [
        one
        for one in await read_story(page_request.db, page_request.account_id, call_id)
        if may_listen or not is_for_supervisors(one)
    ]
    return page_request.page(
        "call.html",
        call=call,
        legs=[one for one in orjson.loads(legs.rows) if may_listen or not one["is_coach"]],
        story=[one for one in story if not is_delivered(one)],
        delivered=[one for one in story if is_delivered(one)],
        sentence=sentence,
        reason_of=reason_of,
        explanation=await explain(page_request.db, page_request.account_id, call_id) if is_over else None,
        reasons=REASON_DESCRIPTIONS,
        recordings=[f"/system/media/talk/{call_id}/{one}/" for one in call["call_records"] or ()]
        if may_listen
        else [],
        messages=[f"/system/media/voice_mail/{call_id}/{one}/" for one in call["voice_mail_records"] or ()]
        if may_listen
        else [],
        comments=await comments_of(page_request.db, page_request.account_id, Kind.CALL, call_id),
        may_comment=page_request.may(CHANGE_REPORTS),
        may_tag=may_tag,
        tags=tags,
        comment_max=MAX_LENGTH,
    )


def is_for_supervisors(step: Step) -> bool:
    """Coaches may listen without being noticed; where notifications go is configuration."""
    return step.role == "coach" or step.kind in ("notification", EventType.COACH_JOINED)


def is_delivered(step: Step) -> bool:
    """Notifications that arrived are listed apart: a subscription to every event has one for each step."""
    return step.kind == "notification" and step.data.get("status") == "delivered"


async def _set_tag(page_request: PageRequest) -> web.StreamResponse:
    call, fields = await _visible_call(page_request), await page_request.form()
    await _tag_changes(page_request).set_tag(Named(tagged.Kind.CALL, call["id"]), tag_of(fields))
    raise page_request.back(f"/console/calls/{call['id']}")


async def _unset_tag(page_request: PageRequest) -> web.StreamResponse:
    call, fields = await _visible_call(page_request), await page_request.form()
    await _tag_changes(page_request).take(Named(tagged.Kind.CALL, call["id"]), tag_of(fields))
    raise page_request.back(f"/console/calls/{call['id']}")


async def _comment(page_request: PageRequest) -> web.StreamResponse:
    call, fields = await _visible_call(page_request), await page_request.form()
    text = fields.get("comment", "").replace("\r\n", "\n").replace("\0", "").strip()
    if not text:
        raise InvalidInput(_("The comment is empty: write something."), field="comment")
    if len(text) > MAX_LENGTH:
        raise InvalidInput(_("The comment is too long: shorten it."), field="comment")
    author = Author(page_request.account_id, page_request.caller.user_id, page_request.caller.login)
    await add_comment(page_request.db, author, Kind.CALL, call["id"], text)
    raise page_request.back(f"/console/calls/{call['id']}")


async def _visible_call(page_request: PageRequest) -> Mapping[str, Any]:
    """The call of the address.

    :raises NotFound: there is none, or the user may not see it.
    """
    own = page_request.only_employee
    params = _one("id", int(page_request.request.match_info["call_id"]), _FIELDS, 1)
    if own is not None:
        mine = {"field": "employee_id", "operator": "=", "value": own}
        params["filter"] = {"filters": [mine, params["filter"]], "condition": "and"}
    page = await page_request.reader.list(CALLS_FOR_PEOPLE, params, None, {"include_ongoing": True})
    found: list[Mapping[str, Any]] = orjson.loads(page.rows)
    if not found:
        raise NotFound(_("There is no such call, or you may not see it."))
    return seen_by(found[0], page_request.caller.employee_id)


def _one(field: str, value: int, fields: tuple[str, ...], limit: int) -> dict[str, Any]:
    return {
        "fields": list(fields),
        "filter": {"field": field, "operator": "=", "value": value},
        "limit": limit,
    }


def _tag_changes(page_request: PageRequest) -> TagChanges:
    caller = page_request.caller
    return TagChanges(
        page_request.db,
        page_request.services.switch,
        page_request.account_id,
        caller.user_id,
        caller.login,
        caller.employee_id,
        "console",
    )


def tag_of(fields: Mapping[str, str]) -> int:
    """The tag of a form.

    :raises InvalidInput: none.
    """
    tag_id = id_in_text(fields.get("tag", ""))
    if tag_id is None:
        raise InvalidInput(_("Choose a tag."), field="tag")
    return tag_id


PAGES = (
    Page(_PATH, _show),
    Page(f"{_PATH}/tag", _set_tag, SET_TAGS, "POST", Workload.CHANGE),
    Page(f"{_PATH}/untag", _unset_tag, SET_TAGS, "POST", Workload.CHANGE),
    Page(f"{_PATH}/comment", _comment, CHANGE_REPORTS, "POST", Workload.CHANGE),
)
