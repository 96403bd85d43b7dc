"""Settings of a dialing campaign: their names, limits and defaults, for every interface. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

from trunkline.core.errors import InvalidInput

MAX_LINES = 1000
LEAST_RING_SECONDS = 15
"""A shorter ring counts as an abandoned call by the rules of several countries."""
MOST_RING_SECONDS = 120
MAX_ATTEMPTS = 20
DEFAULT_HOURS = "mon-sat 09:00-18:00"
"""Inside the hours of every country whose rules are known to us."""

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RANGE = re.compile(
    r"(?P<first>[a-z]{3})(-(?P<last>[a-z]{3}))? (?P<h>\d\d):(?P<m>\d\d)-(?P<eh>\d\d):(?P<em>\d\d)\Z"
)


class Mode(StrEnum):
    """How leads are dialled."""

    PREVIEW = "preview"
    """The agent is called first, sees the lead, and the lead is called when the agent has answered."""
    PROGRESSIVE = "progressive"
    """One lead for each agent who is reserved for it."""
    PREDICTIVE = "predictive"
    """More leads than free agents, as many as the cap on abandoned calls permits."""


@dataclass(frozen=True, slots=True)
class Hours:
    """When numbers may be called, in their local time.

    :ivar spans: (weekday, first minute of the day, minute after the last); Monday is 0.
    """

    spans: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, text: str) -> Hours:
        """From text such as ``mon-fri 09:00-18:00, sat 10:00-14:00``.

        :raises InvalidInput: it is none.
        """
        spans: list[tuple[int, int, int]] = []
        for part in text.lower().split(","):
            found = _RANGE.match(part.strip())
            if found is None or not {found["first"], found["last"] or found["first"]} <= set(_DAYS):
                raise _refused("hours", text, "write them as 'mon-fri 09:00-18:00, sat 10:00-14:00'")
            first = _DAYS.index(found["first"])
            last = _DAYS.index(found["last"] or found["first"])
            begin, end = int(found["h"]) * 60 + int(found["m"]), int(found["eh"]) * 60 + int(found["em"])
            if not 0 <= begin < end <= 24 * 60 or int(found["m"]) > 59 or int(found["em"]) > 59:
                raise _refused("hours", text, "an end must be after its beginning, and 24:00 at most")
            spans += [((first + n) % 7, begin, end) for n in range((last - first) % 7 + 1)]
        return cls(tuple(sorted(spans)))


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSettings:
    """Settings of one campaign. Times are seconds.

    :ivar max_lines: calls to leads at the same time.
    :ivar ring_seconds: how long a lead rings.
    :ivar connect_seconds: within which an answered call must be connected with an agent; afterwards it is abandoned.
    :ivar abandon_limit: largest share of abandoned calls among those that persons answered.
    :ivar hours: when leads may be called, in the local time of their number.
    :ivar max_attempts: calls to one lead in all.
    :ivar max_per_day: calls to one number within 24 hours, over all campaigns of the account.
    :ivar least_agents: with fewer agents a predictive campaign dials progressively.
    :ivar detect_machines: whether calls that answering machines answer are ended, and only persons get to agents.
    """

    mode: Mode = Mode.PROGRESSIVE
    max_lines: int = 100
    ring_seconds: int = 30
    connect_seconds: float = 2.0
    abandon_limit: float = 0.03
    hours: str = DEFAULT_HOURS
    max_attempts: int = 5
    max_per_day: int = 2
    least_agents: int = 6
    detect_machines: bool = False
    spans: Hours = field(init=False, compare=False)

    def __post_init__(self) -> None:
        _check("max_lines", self.max_lines, 1, MAX_LINES)
        _check("ring_seconds", self.ring_seconds, LEAST_RING_SECONDS, MOST_RING_SECONDS)
        _check("connect_seconds", self.connect_seconds, 0.5, 10.0)
        _check("abandon_limit", self.abandon_limit, 0.0, 0.1)
        _check("max_attempts", self.max_attempts, 1, MAX_ATTEMPTS)
        _check("max_per_day", self.max_per_day, 1, MAX_ATTEMPTS)
        _check("least_agents", self.least_agents, 1, MAX_LINES)
        if not isinstance(self.detect_machines, bool):
            raise _refused("detect_machines", self.detect_machines, "must be true or false")
        if self.detect_machines and self.mode is Mode.PREVIEW:
            raise _refused(
                "detect_machines",
                True,
                "leave it out with preview: the agent is in the call when a machine answers",
            )
        object.__setattr__(self, "spans", Hours.of(self.hours))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """From the values of a request or a row; what is not there has its default.

        :raises InvalidInput: an unknown name, or a value out of its range.
        """
        known = {one.name for one in fields(cls) if one.init}
        if unknown := sorted(values.keys() - known):
            raise _refused(unknown[0], values[unknown[0]], "there is no such setting")
        given = {name: value for name, value in values.items() if value is not None}
        if "mode" in given:
            try:
                given["mode"] = Mode(given["mode"])
            except ValueError:
                allowed = ", ".join(Mode)
                raise _refused("mode", given["mode"], f"must be one of {allowed}") from None
        return cls(**given)


def _check(name: str, value: float, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise _refused(name, value, f"must be from {least:g} to {most:g}")


def _refused(name: str, value: object, why: str) -> InvalidInput:
    return InvalidInput(f"{name}: {why}", field=name, value=value)
