"""The first page: a day in figures against the same day of the week before; each figure leads to its calls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from aiohttp import web

from trunkline.console.call_filter import CallFilter, Outcome, Part, When
from trunkline.console.formats import midnight
from trunkline.console.languages import translatable
from trunkline.console.page import Entry, Page
from trunkline.console.page_request import HOME, PageRequest, may_see_calls
from trunkline.console.setup.first_steps import is_new
from trunkline.core.errors import InvalidInput
from trunkline.reports.overview import SERVICE_SECONDS, Hour, Overview, read_overview
from trunkline.reports.reason_descriptions import REASON_DESCRIPTIONS

_ = translatable

_CHART_HEIGHT = 120
_COLUMN = 32
_MARGIN = 20


@dataclass(frozen=True, slots=True)
class Column:
    """An hour of the chart, in its own units.

    :ivar before: height of the calls in of the week before.
    """

    hour: int
    x: int
    incoming: int
    lost: int
    outgoing: int
    incoming_before: int
    height: float
    lost_height: float
    before: float
    calls: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Calls in by hour."""

    columns: tuple[Column, ...]
    most: int
    width: int
    height: int = _CHART_HEIGHT
    margin: int = _MARGIN
    column: int = _COLUMN


async def _show(page_request: PageRequest) -> web.StreamResponse:
    if not may_see_calls(page_request.caller):
        return page_request.page("no_calls.html", start=await is_new(page_request))
    day = _day(page_request.request.query.get("day", ""), page_request.today)
    is_today = day == page_request.today
    employee_id = page_request.only_employee
    start, end = midnight(day, page_request.zone), midnight(day + timedelta(days=1), page_request.zone)
    week = timedelta(days=7)
    start_before, end_before = (
        midnight(day - week, page_request.zone),
        midnight(day + timedelta(days=-6), page_request.zone),
    )
    if is_today:
        local = page_request.now.astimezone(page_request.zone)
        end = page_request.now
        end_before = min(end_before, datetime.combine(day - week, local.time(), page_request.zone))
    zone = page_request.zone.key
    now = await read_overview(page_request.db, page_request.account_id, start, end, zone, employee_id)
    before = await read_overview(
        page_request.db, page_request.account_id, start_before, end_before, zone, employee_id
    )
    chosen = (
        CallFilter(internal=False)
        if is_today
        else CallFilter(when=When.PERIOD, first=day, last=day, internal=False)
    )
    until = page_request.now.astimezone(page_request.zone).time().replace(microsecond=0) if is_today else None
    earlier = CallFilter(when=When.PERIOD, first=day - week, last=day - week, until=until, internal=False)
    return page_request.page(
        "home.html",
        start=await is_new(page_request),
        day=day,
        day_before=day - timedelta(days=1),
        day_after=None if is_today else day + timedelta(days=1),
        is_today=is_today,
        until=until,
        overview=now,
        before=before,
        chosen=chosen,
        earlier=earlier,
        chart=_chart(now, before, chosen),
        reasons=REASON_DESCRIPTIONS,
        service_seconds=SERVICE_SECONDS,
        only_own=employee_id is not None,
        Outcome=Outcome,
        Part=Part,
    )


def _day(text: str, today: date) -> date:
    """The chosen day.

    :raises InvalidInput: it is none, or not yet there.
    """
    if not text:
        return today
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(_("This is not a day: choose again."), field="day") from error
    if not date(2000, 1, 8) <= day <= today:
        raise InvalidInput(_("This day is not over yet: choose again."), field="day")
    return day


def _chart(now: Overview, before: Overview, chosen: CallFilter) -> Chart:
    """The hours with calls, at least those from 8 to 18 o'clock."""
    nothing = Hour(0, 0, 0, 0)
    of_now = {one.hour: one for one in now.hours}
    of_before = {one.hour: one for one in before.hours}
    used = {*of_now, *of_before, 8, 18}
    hours = range(min(used), max(used) + 1)
    most = max(
        (max(of_now.get(one, nothing).incoming, of_before.get(one, nothing).incoming) for one in hours),
        default=0,
    )
    scale = _CHART_HEIGHT / (most or 1)
    columns = []
    for place, hour in enumerate(hours):
        one, earlier = of_now.get(hour, nothing), of_before.get(hour, nothing)
        columns.append(
            Column(
                hour,
                _MARGIN + place * _COLUMN,
                one.incoming,
                one.lost,
                one.outgoing,
                earlier.incoming,
                round(one.incoming * scale, 1),
                round(one.lost * scale, 1),
                round(earlier.incoming * scale, 1),
                chosen.path(hour=hour, direction="in"),
            )
        )
    return Chart(tuple(columns), most, _MARGIN + _COLUMN * len(columns))


PAGES = (Page(HOME, _show),)
ENTRIES = (Entry(HOME, "Overview", lambda caller: True),)
