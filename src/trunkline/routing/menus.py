"""What the keys of a caller mean in a menu. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trunkline.directory.model import Account, OperationKind
from trunkline.routing.decisions import Chosen

TERMINATOR = "#"
"""Ends the input, where no key of the menu begins with the digits before it and it."""

MAX_DIGITS = 32
"""Keys of one input; more are not kept."""


@dataclass(frozen=True, slots=True)
class MoreAwaited:
    """Further keys may make something else of it: wait for them."""


@dataclass(frozen=True, slots=True)
class Picked:
    """A branch of the menu.

    :ivar key: of the operation that follows; None: the scenario ends.
    :ivar is_collected: the digits are not a key of the menu, but what it asks for, as the number of an order.
    """

    key: str | None
    digits: str
    is_collected: bool = False


@dataclass(frozen=True, slots=True)
class ExtensionDialled:
    """The extension of an employee or a group."""

    chosen: Chosen
    digits: str


@dataclass(frozen=True, slots=True)
class Invalid:
    """Nothing has this key."""

    digits: str


Meaning = MoreAwaited | Picked | ExtensionDialled | Invalid


def meaning(
    account: Account, kind: OperationKind, settings: Mapping[str, Any], pressed: str, *, is_over: bool = False
) -> Meaning:
    """What the keys pressed so far mean.

    :param kind: ``menu`` or ``dial_extension``.
    :param is_over: no further key came in time.
    """
    keys: Mapping[str, str | None] = settings.get("keys") or {}
    extensions = kind is OperationKind.DIAL_EXTENSION or bool(settings.get("extensions"))
    asked: Mapping[str, Any] | None = settings.get("digits")
    digits = pressed
    if pressed.endswith(TERMINATOR) and not any(key.startswith(pressed) for key in keys):
        digits, is_over = pressed[:-1], True
    more = not is_over and (
        any(key != digits and key.startswith(digits) for key in keys)
        or (extensions and account.extension_begins_with(digits))
        or (asked is not None and digits.isdecimal() and len(digits) < asked["max"])
    )
    if more:
        return MoreAwaited()
    if digits in keys:
        return Picked(keys[digits], digits)
    chosen = _extension(account, digits) if extensions else None
    if chosen is not None:
        return ExtensionDialled(chosen, digits)
    if asked is not None and digits.isdecimal() and asked["min"] <= len(digits) <= asked["max"]:
        return Picked(asked.get("next"), digits, is_collected=True)
    return Invalid(digits)


def _extension(account: Account, digits: str) -> Chosen | None:
    employee = account.employee_by_extension(digits)
    if employee is not None:
        return Chosen(employee_id=employee.employee_id)
    group = account.group_by_extension(digits)
    return Chosen(group_id=group.group_id) if group is not None else None
