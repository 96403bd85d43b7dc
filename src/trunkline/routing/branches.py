"""Operations of a scenario that only choose the next operation: by chance, by who calls, or from where. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import phonenumbers

from trunkline.directory.model import Contact, UsualEmployee

PERCENT = 100

MAX_NESTED = 10
"""Sub-scenarios inside each other; a scenario that runs itself ends there."""


@dataclass(frozen=True, slots=True)
class ReturnPoint:
    """Where a scenario goes on after a sub-scenario.

    :ivar key: of the operation; None: it ends there.
    """

    scenario_id: int
    key: str | None


@dataclass(frozen=True, slots=True)
class Caller:
    """What the operations of a scenario may know of the call.

    :ivar call_session_id: of the call: the same call always takes the same branch of a split.
    :ivar phone_number: E.164 digits; None: withheld.
    :ivar contact: of the address book; None: unknown.
    :ivar returns: the scenarios that wait for the present one, the outermost first.
    :ivar follows_forwards: whether the call goes where an employee forwards calls.
    :ivar phones: numbers that another system named for the present operation, and that were not called yet.
    """

    call_session_id: int = 0
    phone_number: str | None = None
    contact: Contact | None = None
    returns: tuple[ReturnPoint, ...] = ()
    follows_forwards: bool = True
    phones: tuple[str, ...] = ()


UNKNOWN_CALLER = Caller()


def split(settings: Mapping[str, Any], operation_id: int, call_session_id: int) -> str | None:
    """The branch of a percentage split.

    It depends on the call and the operation only, so it stays the same when a restarted switch repeats the operation.
    """
    digest = hashlib.sha256(f"{call_session_id}.{operation_id}".encode()).digest()
    drawn = int.from_bytes(digest[:8]) % PERCENT
    reached = 0
    for branch in settings["branches"]:
        reached += branch["percent"]
        if drawn < reached:
            return _next(branch)
    return None


def contact_group(settings: Mapping[str, Any], contact: Contact | None) -> str | None:
    """The branch of the first group that the caller is in."""
    groups = contact.group_ids if contact is not None else ()
    for branch in settings["branches"]:
        if branch["contact_group_id"] in groups:
            return _next(branch)
    return _otherwise(settings)


def region(settings: Mapping[str, Any], phone_number: str | None) -> str | None:
    """The branch of the place that the caller's number belongs to: the longest prefix that fits, else its country."""
    if phone_number is None:
        return _otherwise(settings)
    found, longest = None, 0
    for branch in settings["branches"]:
        for prefix in branch["prefixes"]:
            if phone_number.startswith(prefix) and len(prefix) > longest:
                found, longest = branch, len(prefix)
    if found is None:
        country = country_of(phone_number)
        found = next((one for one in settings["branches"] if country in one["countries"]), None)
    return _next(found) if found is not None else _otherwise(settings)


def country_of(phone_number: str) -> str | None:
    """ISO 3166 alpha-2 code of the country of an E.164 number; None: its numbering plan does not say."""
    try:
        parsed = phonenumbers.parse(f"+{phone_number}")
    except phonenumbers.NumberParseException:
        return None
    code: str | None = phonenumbers.region_code_for_number(parsed)
    if code is None:  # within the numbering plan, but not in use
        code = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return code


def caller_list(settings: Mapping[str, Any], phone_number: str | None) -> str | None:
    """The branch of callers that are in the list of the operation, or of the others."""
    is_listed = phone_number is not None and is_in_list(settings["numbers"], phone_number)
    return settings.get("listed") if is_listed else _otherwise(settings)


def is_in_list(numbers: Sequence[str], phone_number: str) -> bool:
    """Whether a list has the number, or a prefix of it that ends with ``*``."""
    return any(
        phone_number.startswith(one[:-1]) if one.endswith("*") else phone_number == one for one in numbers
    )


def usual_employee(choose: UsualEmployee, contact: Contact | None, last: int | None) -> int | None:
    """Id of the employee who usually serves the caller; None: nobody does.

    :param last: who talked with the caller last.
    """
    manager = contact.manager_id if contact is not None else None
    match choose:
        case UsualEmployee.MANAGER:
            return manager
        case UsualEmployee.LAST:
            return last
        case UsualEmployee.MANAGER_THEN_LAST:
            return manager if manager is not None else last


def _next(branch: Mapping[str, Any]) -> str | None:
    key: str | None = branch.get("next")
    return key


def _otherwise(settings: Mapping[str, Any]) -> str | None:
    key: str | None = settings.get("otherwise")
    return key
