"""Which owner in HubSpot an employee is: proposals by mail address, then by name. Pure."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Owner:
    """:ivar owner_id: ``id`` of HubSpot, not ``userId``."""

    owner_id: str
    email: str
    first_name: str = ""
    last_name: str = ""


@dataclass(frozen=True, slots=True)
class Employee:
    """:ivar owner_id: as it is set now."""

    employee_id: int
    full_name: str
    email: str | None
    owner_id: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """:ivar owner_id: the one that is set, else the proposed one; None: there is none.
    :ivar why: ``set``, ``unknown owner`` (the one that is set is not there), ``email``, ``name`` or ``none``.
    """

    employee: Employee
    owner_id: str | None
    why: str


def owner_from(row: Mapping[str, Any]) -> Owner:
    """Of a response of HubSpot."""
    return Owner(
        str(row["id"]), row.get("email") or "", row.get("firstName") or "", row.get("lastName") or ""
    )


def matches(employees: Iterable[Employee], owners: Sequence[Owner]) -> list[Match]:
    """What each employee has, or a proposal. Nobody gets an owner by a mail address or name that several have."""
    known = {owner.owner_id for owner in owners}
    people = list(employees)
    by_email = _unique(owners, lambda one: [_email(one.email)])
    by_name = _unique(owners, lambda one: [_name(f"{one.first_name} {one.last_name}")])
    emails = _unique(people, lambda one: [_email(one.email or "")])
    names = _unique(people, lambda one: [_name(one.full_name)])
    taken = {one.owner_id for one in people if one.owner_id in known}
    found: dict[int, Match] = {}
    for one in people:
        if one.owner_id is not None:
            found[one.employee_id] = Match(
                one, one.owner_id, "set" if one.owner_id in known else "unknown owner"
            )
    # Mail addresses first, of all employees: a name is weaker than the address of somebody else.
    ways: tuple[tuple[str, dict[str, Employee], dict[str, Owner], Callable[[Employee], str]], ...] = (
        ("email", emails, by_email, lambda one: _email(one.email or "")),
        ("name", names, by_name, lambda one: _name(one.full_name)),
    )
    for why, those, theirs, key in ways:
        for one in people:
            owner = theirs.get(key(one)) if key(one) in those else None
            if one.employee_id not in found and owner is not None and owner.owner_id not in taken:
                found[one.employee_id] = Match(one, owner.owner_id, why)
                taken.add(owner.owner_id)
    return [found.get(one.employee_id, Match(one, None, "none")) for one in people]


def _unique(items: Iterable[Any], keys: Callable[[Any], Iterable[str]]) -> dict[str, Any]:
    """Items by keys that no other one has."""
    groups: dict[str, list[Any]] = defaultdict(list)
    for item in items:
        for key in keys(item):
            if key:
                groups[key].append(item)
    return {key: those[0] for key, those in groups.items() if len(those) == 1}


def _email(text: str) -> str:
    return text.strip().casefold()


def _name(text: str) -> str:
    """The words of a name in any order, without accents."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    letters = "".join(one for one in plain if not unicodedata.combining(one))
    return " ".join(sorted(letters.split()))
