"""Times on the command line."""

from __future__ import annotations

from datetime import datetime

from trunkline.core.errors import InvalidInput


def moment_of(text: str, option: str) -> datetime:
    """An aware time from ISO 8601 with its offset.

    :param option: named in the error.
    :raises InvalidInput: it is none, or has no offset.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput(f"{text}: write it as 2026-03-02T15:30+04:00", field=option, value=text)
    return moment
