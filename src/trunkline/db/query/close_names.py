"""The closest valid name of a wrong one, for the remedy of an error. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from itertools import islice

NAMES_MAX = 50
"""Wrong names that an error has at most; a client that sends more corrects these first."""

NAME_LENGTH = 255
"""Characters of a wrong name that an error has."""

_SHOWN = 60
"""Valid names that an error lists at most."""

_COMPARED = 10
"""Wrong names that are compared with the valid ones: each comparison costs time."""

_LENGTH = 100
"""Characters of a wrong name that are compared and shown."""


def field_remedy(unknown: Iterable[str], known: Collection[str], what: str = "Fields") -> str:
    """What to write in place of the first unknown names, and the valid names if they are not too many.

    :param what: what the names are, as the beginning of a sentence.
    """
    names = sorted(known)
    close = [
        f"{name[:_LENGTH]} may be {found[0]}"
        for name in islice(unknown, _COMPARED)
        if (found := close_names(name[:_LENGTH].lower(), names, 1))
    ]
    listed = ", ".join(names) if len(names) <= _SHOWN else f"{', '.join(names[:_SHOWN])} and others"
    return f"{'; '.join(close)}{'. ' if close else ''}{what}: {listed}."


def close_names(name: str, known: Sequence[str], most: int) -> list[str]:
    """The valid names that are closest to a wrong one, best first; none for a name that is longer than any could be.

    The comparison takes time for each valid name, and more for a long one.
    """
    return difflib.get_close_matches(name, known, most) if len(name) <= _LENGTH else []


def shown_names(unknown: Iterable[str]) -> list[str]:
    """The wrong names as an error has them: not too many, and none too long."""
    return [name[:NAME_LENGTH] for name in islice(unknown, NAMES_MAX)]
