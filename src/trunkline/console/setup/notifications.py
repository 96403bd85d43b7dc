"""Notifications: subscriptions with preview and test, presets, and the log of deliveries with replay.

Written by :class:`~trunkline.notifications.subscriptions.Subscriptions`, which the Call Center API and the command line
use, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from trunkline.accounts.permissions import CHANGE_ADMINISTRATION, READ_ADMINISTRATION
from trunkline.apis.service.request_context import CallerLike
from trunkline.apis.service.workloads import Workload
from trunkline.console.languages import translatable
from trunkline.console.page import Entry, Page
from trunkline.console.page_request import PageRequest
from trunkline.console.setup.choices import rows_of
from trunkline.console.setup.controls import Choice, Control, Kind, Row, Texts, version
from trunkline.console.setup.entity import PATH as SETUP
from trunkline.console.setup.entity import VERSION
from trunkline.console.setup.menu_entry import MenuEntry
from trunkline.console.setup.problems import EMPTY, Problem, problem_of
from trunkline.console.setup.writer import logged
from trunkline.core.errors import InvalidInput, NotFound, PermissionDenied, Refused
from trunkline.core.id_text import id_in_text
from trunkline.directory.employees.listing import EMPLOYEES
from trunkline.directory.queues.listing import read_queues
from trunkline.directory.tags.listing import TAGS
from trunkline.notifications import conditions, presets
from trunkline.notifications.catalogue import Mnemonic
from trunkline.notifications.deliveries import replay, replay_many
from trunkline.notifications.subscriptions import (
    METHODS,
    Draft,
    Subscription,
    Subscriptions,
    key_of,
    new_secret,
)
from trunkline.notifications.templates import MAX_TEMPLATE_LENGTH

_ = translatable

PATH = f"{SETUP}/notifications"
DELIVERIES = f"{SETUP}/deliveries"

PAGE_SIZE = 50

MANY = 8
"""Notifications of one address: more are shown when their group is opened, as those of a preset."""

_BODY_MAX = 8 * MAX_TEMPLATE_LENGTH
"""Bytes of a form: a template of Arabic letters is six bytes a letter."""

_FORMER_SECONDS = 24 * 3600.0
"""A replaced secret signs, too, for so long."""

_EVENTS = tuple(Choice(one.value, one.value) for one in Mnemonic)

STATUSES: Mapping[str, tuple[str, str]] = {
    "pending": (_("Waiting"), "soft"),
    "delivered": (_("Delivered"), "good"),
    "failed": (_("Not delivered"), "bad"),
}
"""Title and mood of a status of deliveries."""

PRESETS: Mapping[str, str] = {
    "calls": _("Calls: six events"),
    "planfix": _("Planfix: eight notifications"),
    "everything": _("Every event, with all variables"),
}


async def _queues(page_request: PageRequest) -> list[Choice]:
    if not page_request.may(("queues", "select")):
        return []
    rows = await read_queues(page_request.db, page_request.account_id)
    return [Choice(str(one["id"]), str(one["name"])) for one in rows]


def _of_condition(name: str) -> Any:
    return lambda row: row["conditions"].get(name)


CONDITIONS = (
    Control(
        "direction", _("Direction"), Kind.CHOICE, empty=_("Both"), shown=_of_condition("direction"),
        choices=(Choice("in", _("In"), is_text=True), Choice("out", _("Out"), is_text=True)),
    ),
    Control(
        "virtual_phone_numbers", _("Own numbers"), Kind.LINES, shown=_of_condition("virtual_phone_numbers"),
        hint=_("One a line; empty: all."),
    ),
    Control(
        "contact_phone_numbers", _("Numbers of contacts"), Kind.LINES, shown=_of_condition("contact_phone_numbers"),
        hint=_("One a line; empty: all."),
    ),
    Control(
        "employee_ids", _("Employees"), Kind.CHOICES, shown=_of_condition("employee_ids"),
        choices=rows_of(EMPLOYEES, ("employees", "select"), "id", "full_name"),
    ),
    Control(
        "tag_ids", _("Tags"), Kind.CHOICES, shown=_of_condition("tag_ids"),
        choices=rows_of(TAGS, ("tag_management", "select"), "id", "name"),
    ),
    Control("queue_ids", _("Queues"), Kind.CHOICES, shown=_of_condition("queue_ids"), choices=_queues),
    Control(
        "talk_seconds_min", _("Talk of at least, seconds"), Kind.NUMBER, shown=_of_condition("talk_seconds_min")
    ),
    Control(
        "talk_seconds_max", _("Talk of at most, seconds"), Kind.NUMBER, shown=_of_condition("talk_seconds_max")
    ),
)  # fmt: skip
"""Names as of :class:`~trunkline.notifications.conditions.Conditions`."""

CONTROLS = (
    Control("url", _("Address"), hint=_("Where to, for example https://example.com/calls; {{name}} puts in a variable.")),
    Control("name", _("Name"), hint=_("Empty: host and path of the address.")),
    Control("key", _("Key in directory files"), hint=_("Empty: host and path of the address.")),
    Control("is_active", _("Deliveries are sent"), Kind.CHECKBOX, usual=("on",)),
    Control("events", _("Events"), Kind.CHOICES, choices=_EVENTS),
    Control("method", _("Method"), Kind.CHOICE, choices=tuple(Choice(one, one) for one in METHODS), usual=("POST",)),
    Control("body_template", _("Template of the body"), Kind.LONG, hint=_("Empty: all variables as JSON.")),
    Control(
        "headers", _("Further headers"), Kind.LINES, hint=_("One a line: name, colon, value."),
        shown=lambda row: [f"{name}: {value}" for name, value in row["headers"].items()],
    ),
)  # fmt: skip

_ALL = (*CONTROLS, *CONDITIONS)
_NAMES = tuple(one.name for one in _ALL)


def _subscriptions(page_request: PageRequest) -> Subscriptions:
    return Subscriptions(page_request.db, page_request.services.cipher)


def _require_change(page_request: PageRequest) -> None:
    """:raises PermissionDenied: the user may not change notifications."""
    if not page_request.may(CHANGE_ADMINISTRATION):
        raise PermissionDenied(_("You may not change this: an admin of the account can permit it."))


async def _read(page_request: PageRequest) -> dict[str, Any]:
    """The subscription of the address, as controls show it."""
    wanted = _id(page_request)
    for one in await _subscriptions(page_request).all(page_request.account_id):
        if one.subscription_id == wanted:
            return {
                "id": one.subscription_id,
                "name": one.name,
                "key": one.key,
                "url": one.url,
                "method": one.method,
                "events": one.events,
                "body_template": one.body_template,
                "headers": one.headers,
                "is_active": one.is_active,
                "is_signed": one.is_signed,
                "conditions": one.conditions,
                "suspended_until": one.suspended_until,
                "switched_off_reason": one.switched_off_reason,
            }
    raise NotFound(_("It is not there any more: somebody may have deleted it."))


def parse_headers(lines: Sequence[str]) -> dict[str, str]:
    """Headers of a form. Pure.

    :raises InvalidInput: a line without a colon.
    """
    found = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise InvalidInput("Write a name, a colon and a value.", field="headers", value=line)
        found[name.strip()] = value.strip()
    return found


def parse_conditions(typed: Mapping[str, Texts]) -> conditions.Conditions:
    """Conditions of a form. Pure.

    :raises InvalidInput: its ``field`` is the control.
    """
    given: dict[str, Any] = {}
    for control in CONDITIONS:
        value = control.value(typed.get(control.name, ()))
        if control.name.endswith("_ids"):
            value = [int(one) for one in value if one.isascii() and one.isdigit()]
        elif control.kind is Kind.NUMBER and value is not None and value.isascii() and value.isdigit():
            value = int(value)
        if value in (None, []):
            continue
        given[control.name] = value
        try:
            conditions.parse({control.name: value})
        except InvalidInput as error:
            raise InvalidInput(error.message, field=control.name, value=error.value) from error
    try:
        return conditions.parse(given)
    except InvalidInput as error:  # the shortest talk is longer than the longest
        raise InvalidInput(error.message, field="talk_seconds_max") from error


def _values(typed: Mapping[str, Texts]) -> dict[str, Any]:
    """Fields of :class:`Draft`, and ``is_active``.

    :raises InvalidInput: its ``field`` is the control.
    """
    values = {one.name: one.value(typed[one.name]) for one in CONTROLS}
    for name in ("url", "events"):
        if not values[name]:
            raise InvalidInput("Fill this in.", field=name)
    values["key"] = values["key"] or key_of(values["url"])
    values["name"] = values["name"] or values["key"]
    values["headers"] = parse_headers(values["headers"])
    values["conditions"] = parse_conditions(typed)
    return values


def _problem(error: Refused, typed: Mapping[str, Texts]) -> Problem:
    """:raises PermissionDenied: the error is one."""
    if isinstance(error, PermissionDenied):
        raise error
    if error.field in ("url", "events") and not typed.get(error.field):
        return Problem(error.field, EMPTY)
    return problem_of(error, _NAMES)


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of the request log, without templates and headers, which may have secrets."""
    return {name: values[name] for name in ("key", "name", "events", "method", "is_active")}


async def _choices(page_request: PageRequest) -> dict[str, Sequence[Choice]]:
    return {
        one.name: await one.choices(page_request) if callable(one.choices) else one.choices
        for one in _ALL
        if one.kind in (Kind.CHOICE, Kind.CHOICES)
    }


async def _list(page_request: PageRequest) -> web.StreamResponse:
    return await _list_page(page_request)


async def _list_page(
    page_request: PageRequest, problem: Problem | None = None, typed: Mapping[str, str] | None = None
) -> web.Response:
    rows = await _subscriptions(page_request).all(page_request.account_id)
    return page_request.page(
        "setup/notifications.html",
        status=200 if problem is None else 422,
        rows=rows,
        groups=grouped(rows),
        list_path=PATH,
        log_path=DELIVERIES,
        may_change=page_request.may(CHANGE_ADMINISTRATION),
        saved=page_request.request.query.get("done", ""),
        presets=PRESETS,
        problem=problem,
        typed=typed or {},
    )


@dataclass(frozen=True, slots=True)
class Group:
    """A table of the list.

    :ivar url: of all its rows; empty: they have several.
    :ivar has_problem: deliveries of one of them fail.
    """

    url: str
    rows: Sequence[Subscription]

    @property
    def has_problem(self) -> bool:
        return any(one.switched_off_reason or one.suspended_until for one in self.rows)


def grouped(rows: Sequence[Subscription]) -> list[Group]:
    """A group for each address with more than :data:`MANY`, and before them one of all others."""
    by_url: dict[str, list[Subscription]] = {}
    for one in rows:
        by_url.setdefault(one.url, []).append(one)
    few = [one for one in rows if len(by_url[one.url]) <= MANY]
    many = [Group(url, found) for url, found in by_url.items() if len(found) > MANY]
    return [Group("", few), *many] if few else many


async def _preset(page_request: PageRequest) -> web.StreamResponse:
    fields = await page_request.form()
    _require_change(page_request)
    name, url = fields.get("preset", ""), fields.get("url", "").replace("\0", "").strip()
    if name not in PRESETS:
        return await _list_page(
            page_request, Problem("preset", _("This does not exist any more: choose another.")), fields
        )
    if not url:
        return await _list_page(page_request, Problem("url", EMPTY), fields)
    try:
        async with logged(page_request, "console.create.notification_preset", {"preset": name}):
            await _subscriptions(page_request).save_all(
                page_request.account_id,
                presets.drafts(name, url),
                quota=page_request.services.settings.limits.account_notifications,
            )
    except Refused as error:
        return await _list_page(page_request, problem_of(error, ("url",)), fields)
    raise page_request.back(f"{PATH}?done=saved")


async def _form(
    page_request: PageRequest,
    row: Row | None,
    shown: Mapping[str, Texts],
    problem: Problem | None = None,
    status: int = 200,
    **more: Any,
) -> web.Response:
    preview = None
    event = page_request.request.query.get("event", "")
    if row is not None:
        chosen = event if event in Mnemonic._value2member_map_ else None
        preview = await _subscriptions(page_request).preview(page_request.account_id, row["id"], chosen)
    values = {
        "row": row,
        "list_path": PATH,
        "log_path": DELIVERIES,
        "action_path": f"{PATH}/new" if row is None else f"{PATH}/{row['id']}",
        "controls": CONTROLS,
        "conditions": CONDITIONS,
        "shown": shown,
        "choices": await _choices(page_request),
        "row_version": "" if row is None else version(_ALL, row),
        "problem": problem,
        "preview": preview,
        "events": _EVENTS,
        "may_change": page_request.may(CHANGE_ADMINISTRATION),
        "saved": "",
        "secret": None,
        "Kind": Kind,
    }
    return page_request.page("setup/notification.html", status=status, **{**values, **more})


async def _show_new(page_request: PageRequest) -> web.StreamResponse:
    _require_change(page_request)
    return await _form(page_request, None, {one.name: one.usual for one in _ALL})


async def _create(page_request: PageRequest) -> web.StreamResponse:
    fields = await page_request.form_lists(limit=_BODY_MAX)
    _require_change(page_request)
    typed = {one.name: one.sent(fields) for one in _ALL}
    try:
        values = _values(typed)
        async with logged(page_request, "console.create.notification", _shown(values)):
            is_active = values.pop("is_active")
            made = await _subscriptions(page_request).create(
                page_request.account_id,
                Draft(**values),
                is_active=is_active,
                quota=page_request.services.settings.limits.account_notifications,
            )
    except Refused as error:
        return await _form(page_request, None, typed, _problem(error, typed), 422)
    raise page_request.back(f"{PATH}/{made}?done=created")


async def _show_one(page_request: PageRequest) -> web.StreamResponse:
    row = await _read(page_request)
    return await _form(
        page_request,
        row,
        {one.name: one.texts(row) for one in _ALL},
        saved=page_request.request.query.get("done", ""),
    )


async def _update(page_request: PageRequest) -> web.StreamResponse:
    fields = await page_request.form_lists(limit=_BODY_MAX)
    _require_change(page_request)
    row = await _read(page_request)
    typed = {one.name: one.sent(fields) for one in _ALL}
    if fields.get(VERSION, [""])[-1] != version(_ALL, row):
        text = _("Somebody has changed this meanwhile. Compare, and save again to keep what you typed.")
        return await _form(page_request, row, typed, Problem("", text), 409)
    try:
        values = _values(typed)
        async with logged(page_request, "console.update.notification", {"id": row["id"], **_shown(values)}):
            await _subscriptions(page_request).change(page_request.account_id, row["id"], values)
    except Refused as error:
        return await _form(page_request, row, typed, _problem(error, typed), 422)
    raise page_request.back(f"{PATH}/{row['id']}?done=saved")


async def _confirm(page_request: PageRequest) -> web.StreamResponse:
    _require_change(page_request)
    return page_request.page("setup/notification_delete.html", row=await _read(page_request), list_path=PATH)


async def _delete(page_request: PageRequest) -> web.StreamResponse:
    await page_request.form()
    _require_change(page_request)
    row = await _read(page_request)
    async with logged(page_request, "console.delete.notification", {"id": row["id"], "key": row["key"]}):
        await _subscriptions(page_request).remove(page_request.account_id, row["id"])
    raise page_request.back(f"{PATH}?done=deleted")


async def _sign(page_request: PageRequest) -> web.StreamResponse:
    """Give the subscription a new secret, shown once; the former one signs, too, for a day."""
    await page_request.form()
    _require_change(page_request)
    row = await _read(page_request)
    secret = new_secret()
    async with logged(page_request, "console.update.notification_secret", {"id": row["id"]}):
        await _subscriptions(page_request).rotate(page_request.account_id, row["id"], secret, _FORMER_SECONDS)
    row = await _read(page_request)
    return await _form(page_request, row, {one.name: one.texts(row) for one in _ALL}, secret=secret)


async def _do_not_sign(page_request: PageRequest) -> web.StreamResponse:
    await page_request.form()
    _require_change(page_request)
    row = await _read(page_request)
    async with logged(page_request, "console.delete.notification_secret", {"id": row["id"]}):
        await _subscriptions(page_request).change(page_request.account_id, row["id"], {"secret": None})
    raise page_request.back(f"{PATH}/{row['id']}?done=saved")


async def _test(page_request: PageRequest) -> web.StreamResponse:
    fields = await page_request.form()
    _require_change(page_request)
    row = await _read(page_request)
    event = fields.get("event", "") or None
    async with logged(page_request, "console.create.notification_test", {"id": row["id"], "event": event}):
        await _subscriptions(page_request).send_sample(page_request.account_id, row["id"], event)
    raise page_request.back(f"{DELIVERIES}?{urlencode({'notification': row['id'], 'done': 'sent'})}")


async def _show_log(page_request: PageRequest) -> web.StreamResponse:
    return await _log_page(page_request, page_request.request.query)


async def _log_page(
    page_request: PageRequest, chosen: Mapping[str, str], problem: Problem | None = None
) -> web.Response:
    notification, before, status = (
        _number(chosen, "notification"),
        _number(chosen, "before"),
        chosen.get("status"),
    )
    if status not in STATUSES:
        status = None
    rows = await _subscriptions(page_request).log(
        page_request.account_id,
        subscription_id=notification,
        status=status,
        before=before,
        limit=PAGE_SIZE + 1,
    )

    def path(**changes: Any) -> str:
        query = {"notification": notification, "status": status, **changes}
        return f"{DELIVERIES}?{urlencode({name: value for name, value in query.items() if value})}"

    return page_request.page(
        "setup/deliveries.html",
        status=200 if problem is None else 422,
        rows=rows[:PAGE_SIZE],
        older=path(before=rows[PAGE_SIZE - 1]["delivery_id"]) if len(rows) > PAGE_SIZE else "",
        newest=path() if before else "",
        notifications=await _subscriptions(page_request).all(page_request.account_id),
        chosen={"notification": notification, "status": status},
        statuses=STATUSES,
        events=_EVENTS,
        typed=chosen if problem else {},
        problem=problem,
        log_path=DELIVERIES,
        list_path=PATH,
        page_path=path,
        may_change=page_request.may(CHANGE_ADMINISTRATION),
        done=page_request.request.query.get("done", ""),
        queued=_number(page_request.request.query, "queued") or 0,
    )


async def _replay(page_request: PageRequest) -> web.StreamResponse:
    fields = await page_request.form()
    _require_change(page_request)
    async with logged(page_request, "console.create.notification_replay", {"delivery_id": _id(page_request)}):
        await replay(page_request.db, page_request.account_id, _id(page_request))
    query = {"notification": _number(fields, "notification"), "done": "replayed", "queued": 1}
    raise page_request.back(f"{DELIVERIES}?{urlencode({name: one for name, one in query.items() if one})}")


async def _replay_many(page_request: PageRequest) -> web.StreamResponse:
    fields = await page_request.form()
    _require_change(page_request)
    notification = _number(fields, "notification")
    if notification is None:
        return await _log_page(page_request, fields, Problem("notification", EMPTY))
    event, status = fields.get("event") or None, fields.get("status") or None
    try:
        since, until = (_moment(page_request, fields.get(name, ""), name) for name in ("since", "until"))
    except InvalidInput as error:
        return await _log_page(
            page_request, fields, Problem(error.field or "", _("This is not a valid time: choose again."))
        )
    shown = {"notification_id": notification, "event": event, "status": status}
    async with logged(page_request, "console.create.notification_replays", shown):
        count = await replay_many(
            page_request.db, page_request.account_id, subscription_id=notification, mnemonic=event, status=status,
            since=since, until=until,
        )  # fmt: skip
    query = {"notification": notification, "done": "replayed", "queued": count}
    raise page_request.back(f"{DELIVERIES}?{urlencode(query)}")


def _moment(page_request: PageRequest, text: str, name: str) -> datetime | None:
    """Of a control of a day and time, in the user's zone.

    :raises InvalidInput: it is none.
    """
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=page_request.zone)
    except ValueError as error:
        raise InvalidInput("not a time", field=name, value=text) from error


def _number(fields: Mapping[str, str], name: str) -> int | None:
    return id_in_text(fields.get(name, ""))


def _id(page_request: PageRequest) -> int:
    return int(page_request.request.match_info["id"])


def _is_visible(caller: CallerLike) -> bool:
    return caller.may(*READ_ADMINISTRATION)


_ONE = f"{PATH}/{{id:[0-9]{{1,18}}}}"

PAGES = (
    Page(PATH, _list, READ_ADMINISTRATION),
    Page(f"{PATH}/preset", _preset, READ_ADMINISTRATION, "POST", Workload.CHANGE),
    Page(f"{PATH}/new", _show_new, READ_ADMINISTRATION),
    Page(f"{PATH}/new", _create, READ_ADMINISTRATION, "POST", Workload.CHANGE),
    Page(_ONE, _show_one, READ_ADMINISTRATION),
    Page(_ONE, _update, READ_ADMINISTRATION, "POST", Workload.CHANGE),
    Page(f"{_ONE}/delete", _confirm, READ_ADMINISTRATION),
    Page(f"{_ONE}/delete", _delete, READ_ADMINISTRATION, "POST", Workload.UPLOAD),
    Page(f"{_ONE}/sign", _sign, READ_ADMINISTRATION, "POST", Workload.CHANGE),
    Page(f"{_ONE}/do-not-sign", _do_not_sign, READ_ADMINISTRATION, "POST", Workload.CHANGE),
    Page(f"{_ONE}/test", _test, READ_ADMINISTRATION, "POST", Workload.CHANGE),
    Page(DELIVERIES, _show_log, READ_ADMINISTRATION),
    Page(f"{DELIVERIES}/replay", _replay_many, READ_ADMINISTRATION, "POST", Workload.UPLOAD),
    Page(f"{DELIVERIES}/{{id:[0-9]{{1,18}}}}/replay", _replay, READ_ADMINISTRATION, "POST", Workload.CHANGE),
)
MENU_ENTRIES = (
    MenuEntry(
        PATH,
        _("Notifications"),
        _("What other systems get of calls, with the log of deliveries."),
        _is_visible,
    ),
)
MENU = (
    *(Entry(one.path, one.title, one.is_visible) for one in MENU_ENTRIES),
    Entry(DELIVERIES, _("Deliveries"), _is_visible),
)
