"""Working hours as people write them: ``09:00-13:00, 14:00-18:00`` for each day, and dates with other hours. Pure.

To and from ``open`` and ``exceptions`` of a schedule in a directory file, which checks days and times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from trunkline.core.errors import InvalidInput
from trunkline.directory.forms.fields import DAYS
from trunkline.directory.model.hours import clock, minutes

Ranges = list[tuple[str, str]]

_RANGE = re.compile(r"(\d{1,2}:\d{2})\s*[-–—]\s*(\d{1,2}:\d{2})")
"""With the dashes that keyboards and other programs write."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

_WRITE_HOURS = "write hours like 09:00-18:00, several with a comma between them"
_WRITE_DATE = "begin each line with a date like 2026-12-31, then its hours, or nothing for closed"


def ranges(text: str, field: str) -> Ranges:
    """Times of a day, in their order.

    :raises InvalidInput: something else is written.
    """
    found: Ranges = []
    for part in filter(None, (one.strip() for one in re.split("[,;،]", text))):
        matched = _RANGE.fullmatch(part)
        if matched is None:
            raise InvalidInput(_WRITE_HOURS, field=field)
        try:
            found.append((clock(minutes(matched[1])), clock(minutes(matched[2]))))
        except ValueError as error:
            raise InvalidInput(str(error), field=field) from error
    return sorted(found)


def shown(times: Sequence[tuple[str, str]]) -> str:
    """What :func:`ranges` reads."""
    return ", ".join(f"{since}-{till}" for since, till in times)


def hours_of(row: Mapping[str, Any]) -> dict[str, Ranges]:
    """Times by day (``mon``) of a row of :data:`.SCHEDULES_FOR_PEOPLE`."""
    found: dict[str, Ranges] = {}
    for line in (row["hours"] or "").splitlines():
        day, since, till = line.split(" ")
        found.setdefault(DAYS[int(day) - 1], []).append((since, till))
    return found


def exceptions_of(row: Mapping[str, Any]) -> list[str]:
    """A line for each date of a row of :data:`.SCHEDULES_FOR_PEOPLE`."""
    found: dict[str, Ranges] = {}
    for line in (row["exceptions"] or "").splitlines():
        date, *times = line.split(" ")
        found.setdefault(date, []).extend([(times[0], times[1])] if times else [])
    return [f"{date} {shown(times)}".strip() for date, times in found.items()]


def merged(item: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The item of a directory file with changed days and dates; its rules stay.

    :param values: of controls: texts of days, lines of ``exceptions``, ``name``.
    :raises InvalidInput: hours or dates that cannot be read.
    """
    by_day: dict[str, Ranges] = {day: [] for day in DAYS}
    for interval in item.get("open", ()):
        for day in interval["days"]:
            by_day[day].append((interval["from"], interval["till"]))
    by_day |= {day: ranges(values[day] or "", day) for day in DAYS if day in values}
    result = {**item, "open": _intervals(by_day)}
    if "name" in values:
        result["name"] = values["name"] or ""
    if "exceptions" in values:
        result["exceptions"] = [one for line in values["exceptions"] for one in _exceptions(line)]
    return result


def _intervals(by_day: Mapping[str, Ranges]) -> list[dict[str, Any]]:
    """Days of the same times together."""
    days: dict[tuple[str, str], list[str]] = {}
    for day in DAYS:
        for times in dict.fromkeys(by_day[day]):
            days.setdefault(times, []).append(day)
    return [{"days": names, "from": since, "till": till} for (since, till), names in days.items()]


def _exceptions(line: str) -> list[dict[str, Any]]:
    date, _space, rest = line.partition(" ")
    if not _DATE.fullmatch(date):
        raise InvalidInput(_WRITE_DATE, field="exceptions")
    times = ranges(rest, "exceptions")
    return [{"date": date, "from": since, "till": till} for since, till in times] or [
        {"date": date, "closed": True}
    ]
