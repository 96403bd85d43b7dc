"""Schedules: working hours of each day, and dates with other hours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trunkline.accounts.permissions import CHANGE_CONFIGURATION, READ_CONFIGURATION
from trunkline.apis.service.request_context import CallerLike
from trunkline.console.languages import translatable
from trunkline.console.page_request import PageRequest
from trunkline.console.setup.controls import Control, Kind, Row
from trunkline.console.setup.entity import Column, Part, SetupEntity
from trunkline.console.setup.file_writer import FileWriter
from trunkline.console.setup.hours import exceptions_of, hours_of, merged, shown
from trunkline.console.setup.writer import call, may_call
from trunkline.directory.forms.fields import DAYS
from trunkline.directory.schedules.changes import SCHEDULES_FOR_PEOPLE

_ = translatable

_DELETE = "delete.schedules"
_NAMES = (
    _("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScheduleWriter(FileWriter):
    """Working hours are written as items of a file; the method removes a schedule that nothing uses."""

    def may(self, caller: CallerLike, action: str) -> bool:
        return may_call(caller, _DELETE) if action == "delete" else caller.may(*CHANGE_CONFIGURATION)

    async def delete(self, page_request: PageRequest, entity_id: int) -> None:
        await call(page_request, _DELETE, {"id": entity_id})


def _day(day: str) -> Callable[[Row], str]:
    return lambda row: shown(hours_of(row).get(day, []))


def _hours(row: Row) -> list[Part]:
    different = dict.fromkeys(shown(times) for times in hours_of(row).values())
    rules = [Part(_("Rules of the Data API"), is_text=True)] if row["has_rules"] else []
    return [Part(one) for one in different] + rules or [Part(_("Never open"), is_text=True, mood="bad")]


def _dates(row: Row) -> list[Part]:
    return [Part(one) for one in exceptions_of(row)[-3:]]


async def _more(page_request: PageRequest, row: Row) -> Mapping[str, Any]:
    return {"has_rules": row["has_rules"]}


SCHEDULES = SetupEntity(
    name="schedules",
    title=_("Schedules"),
    new=_("New schedule"),
    about=_("Working hours and holidays, for scenarios, employees and groups."),
    listing=SCHEDULES_FOR_PEOPLE,
    needs=READ_CONFIGURATION,
    fields=("id", "key", "name", "hours", "exceptions", "has_rules"),
    named="name",
    columns=(Column(_("Open"), _hours), Column(_("Holidays and other dates"), _dates)),
    controls=(
        Control("name", _("Name")),
        *(
            Control(
                day, title, shown=_day(day), usual=("09:00-18:00",) if day in DAYS[:5] else (),
                hint=_("For example 09:00-13:00, 14:00-18:00; 22:00-06:00 ends on the next day; empty: closed.")
                if day == "mon" else "",
            )
            for day, title in zip(DAYS, _NAMES, strict=True)
        ),
        Control(
            "exceptions", _("Holidays and other dates"), Kind.LINES, shown=exceptions_of,
            hint=_("One a line: 2026-12-31 09:00-13:00 for other hours, 2027-01-01 alone for closed all day."),
        ),
    ),
    writer=ScheduleWriter(
        "schedules", READ_CONFIGURATION[0], SCHEDULES_FOR_PEOPLE, "name", required=("name",), merge=merged
    ),
    order="name",
    texts=("name",),
    template="setup/schedule.html",
    more=_more,
)  # fmt: skip
