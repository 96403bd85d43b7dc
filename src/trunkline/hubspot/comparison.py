"""What differs between a call here and its engagements in HubSpot. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from trunkline.hubspot.engagement import ESSENTIAL, EXTERNAL_ID, OWNER

NUMERIC = frozenset({"hs_call_duration"})
TIMES = frozenset({"hs_timestamp"})


class Defect(StrEnum):
    MISSING = "missing"
    """There is no engagement."""
    DUPLICATE = "duplicate"
    """There are several."""
    EMPTY = "empty"
    """A property is empty that the call has."""
    WRONG_OWNER = "wrong_owner"
    DIFFERENT = "different"
    """A property has another value."""
    NO_CONTACT = "no_contact"
    """The engagement has no contact, and the call has one."""


@dataclass(frozen=True, slots=True)
class Finding:
    """:ivar name: of the property.
    :ivar here, there: its values.
    :ivar object_id: the engagement; of duplicates the one that stays.
    :ivar others: of duplicates, those that go.
    """

    call_session_id: int
    defect: Defect
    name: str | None = None
    here: str | None = None
    there: str | None = None
    object_id: str | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Engagement:
    """As HubSpot has it.

    :ivar contacts: None: they were not read.
    """

    object_id: str
    properties: Mapping[str, Any]
    contacts: frozenset[str] | None = None


def compare(
    call_session_id: int,
    wanted: Mapping[str, str],
    found: Sequence[Engagement],
    *,
    known_id: str | None = None,
    contact_id: str | None = None,
) -> list[Finding]:
    """What is wrong with the engagements of a call.

    Only what people do not write themselves is compared: title, body and outcome may be theirs, and so may be another
    contact. A value that the call does not have is left as it is.

    :param wanted: properties of the call.
    :param found: engagements with our own id of it.
    :param known_id: the one that is known as the call's; of duplicates it stays.
    :param contact_id: the contact that the call was given.
    """
    if not found:
        return [Finding(call_session_id, Defect.MISSING)]
    ranked = sorted(found, key=lambda one: (one.object_id != known_id, len(one.object_id), one.object_id))
    stays, others = ranked[0], ranked[1:]
    defects = list(_defects(call_session_id, wanted, stays))
    if contact_id is not None and stays.contacts is not None and not stays.contacts:
        defects.append(
            Finding(call_session_id, Defect.NO_CONTACT, here=contact_id, object_id=stays.object_id)
        )
    if others:
        ids = tuple(one.object_id for one in others)
        defects.append(Finding(call_session_id, Defect.DUPLICATE, object_id=stays.object_id, others=ids))
    return defects


def _defects(call_session_id: int, wanted: Mapping[str, str], one: Engagement) -> Iterable[Finding]:
    for name in ESSENTIAL:
        here, there = wanted.get(name), one.properties.get(name)
        if here is None or same(name, here, there):
            continue
        defect = Defect.EMPTY if there in (None, "") else Defect.DIFFERENT
        if name == OWNER and defect is Defect.DIFFERENT:
            defect = Defect.WRONG_OWNER
        shown = None if there in (None, "") else str(there)
        yield Finding(call_session_id, defect, name, here, shown, one.object_id)


def same(name: str, here: str, there: Any) -> bool:
    """Whether two values of a property are equal; HubSpot returns times as text and numbers in several forms."""
    if there is None:
        return False
    text = str(there)
    if name in NUMERIC:
        try:
            return float(text) == float(here)
        except ValueError:
            return False
    if name in TIMES:
        return _milliseconds(text) == _milliseconds(here)
    return text == here


def _milliseconds(text: str) -> int | None:
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return None


def call_of(properties: Mapping[str, Any]) -> int | None:
    """The call of an engagement, by our own id in it."""
    tail = str(properties.get(EXTERNAL_ID) or "").rpartition("-")[2]
    return int(tail) if tail.isascii() and tail.isdecimal() else None
