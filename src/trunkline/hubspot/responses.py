"""What a response of HubSpot means. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from trunkline.core.errors import Unavailable

_EXISTING = re.compile(r"Existing ID:\s*(\d+)", re.IGNORECASE)
_NAMED = re.compile(r'"name"\s*:\s*"(\w+)"|[Pp]roperty "?(\w+)"?')

LONGEST_PAUSE = 86_400.0
"""Seconds of a ``Retry-After`` that are honoured."""

_LIMIT_PAUSE, _SEARCH_PAUSE, _DAILY_PAUSE = 10.0, 1.0, 900.0
"""Seconds after a limit was exceeded and HubSpot does not say how long."""

_LOCKED_PAUSE = 3.0
_BUSY_PAUSE = 5.0


class HubSpotError(Unavailable):
    """A request to HubSpot without the wanted result. Unless it is :class:`OutcomeUnknown`, this request
    changed nothing there; an earlier one whose outcome is unknown may still do."""


class OutcomeUnknown(HubSpotError):  # noqa: N818 - reads as what it is
    """No usable response: HubSpot may have carried the request out."""


class TryLater(HubSpotError):  # noqa: N818 - reads as what it is
    """HubSpot refuses the request for a time.

    :ivar seconds: until another attempt.
    :ivar is_of_portal: it refuses all requests of this kind.
    """

    def __init__(self, message: str, seconds: float, *, is_of_portal: bool = False) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.is_of_portal = is_of_portal


class TokenExpired(HubSpotError):  # noqa: N818 - reads as what it is
    """The access token is over; another one may be had."""


class ConnectionProblem(HubSpotError):  # noqa: N818 - reads as what it is
    """The connection does not work until a person has done something: the token is refused, a scope is missing."""


class RequestRefused(HubSpotError):  # noqa: N818 - reads as what it is
    """HubSpot does not accept this request, whenever it is sent.

    :ivar names: properties that the response names.
    :ivar existing_id: of the object that has the unique value already.
    """

    def __init__(
        self, message: str, *, names: frozenset[str] = frozenset(), existing_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.names = names
        self.existing_id = existing_id


class NotThere(RequestRefused):
    """There is no such object."""


def error_of(
    status: int, headers: Mapping[str, str], body: Any, *, is_search: bool = False
) -> HubSpotError | None:
    """The error that a response means; None: it has what was requested.

    :param headers: names in lower case.
    :param body: JSON; None: it has none that can be read.
    """
    found = body if isinstance(body, dict) else {}
    text = f"HTTP {status}: {_text(found)}"
    if 200 <= status < 300:
        return OutcomeUnknown(f"HTTP {status} without JSON") if body is None and status != 204 else None
    match status:
        case 401:
            if found.get("category") == "EXPIRED_AUTHENTICATION":
                return TokenExpired(text)
            return ConnectionProblem(f"{text}; connect the account again (trunkline hubspot connect)")
        case 403:
            return ConnectionProblem(
                f"{text}; grant the scopes and connect again (trunkline hubspot connect)"
            )
        case 404:
            return NotThere(text)
        case 423:
            return TryLater(text, _seconds(headers, _LOCKED_PAUSE))
        case 429:
            return TryLater(text, _seconds(headers, _limit_pause(found, is_search)), is_of_portal=True)
        case 477:
            return TryLater(text, _seconds(headers, _DAILY_PAUSE), is_of_portal=True)
        case _ if 400 <= status < 500 and status not in (408, 499):
            existing = _EXISTING.search(str(found.get("message") or ""))
            return RequestRefused(
                text, names=_names(found), existing_id=None if existing is None else existing[1]
            )
    return OutcomeUnknown(text)


def grant_error(status: int, headers: Mapping[str, str], body: Any) -> HubSpotError | None:
    """The same for a request for a token: what is refused needs a person."""
    error = error_of(status, headers, body)
    if isinstance(error, RequestRefused | TokenExpired):
        return ConnectionProblem(f"{error.message}; connect the account again (trunkline hubspot connect)")
    return error


def pause_of(error: HubSpotError) -> float | None:
    """Seconds that the response asks for; None: none."""
    return error.seconds if isinstance(error, TryLater) else None


def _limit_pause(found: Mapping[str, Any], is_search: bool) -> float:
    if str(found.get("policyName") or "").upper() == "DAILY":
        return _DAILY_PAUSE
    if is_search or "secondly" in str(found.get("message") or "").lower().replace("ten_secondly", ""):
        return _SEARCH_PAUSE
    return _LIMIT_PAUSE


def _seconds(headers: Mapping[str, str], default: float) -> float:
    text = headers.get("retry-after", "").strip()
    if not (text.isascii() and text.isdecimal()):
        return default
    return min(max(float(text[:9]), 1.0), LONGEST_PAUSE)


def _text(found: Mapping[str, Any]) -> str:
    """Category and message, without the line breaks that would make it several lines of a log."""
    parts = [str(found[name]) for name in ("category", "error", "message") if found.get(name)]
    return " ".join(": ".join(parts).split())[:500] or "no explanation"


def _names(found: Mapping[str, Any]) -> frozenset[str]:
    names: set[str] = set()
    errors = found.get("errors")
    for error in errors if isinstance(errors, list) else ():
        if isinstance(error, dict):
            context = error.get("context") or {}
            for values in context.values() if isinstance(context, dict) else ():
                names |= {str(one) for one in (values if isinstance(values, list) else [values])}
            if error.get("name"):
                names.add(str(error["name"]))
    for pair in _NAMED.findall(str(found.get("message") or "")):
        names |= {name for name in pair if name}
    return frozenset(names)
