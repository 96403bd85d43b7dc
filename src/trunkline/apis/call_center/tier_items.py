"""The arrays by which the API names agents of a queue, and queues of a user.

Sent: ``[user_id, mode, position, level, timegroup_id]``. In answers the name follows the level:
``[user_id, mode, position, level, name, timegroup_id, false]``; such an array may be sent back as it was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trunkline.apis.call_center.declaration import ID_MAX, INT_MAX, Field, Kind
from trunkline.directory.queues.rules import DEFAULT_LEVEL, DEFAULT_MODE, DEFAULT_POSITION, Tier

_ITEMS_MAX = 2000
_NAME_AT = 4
_FORM = "send [id, mode, position, level, timegroup_id] for each, with whole numbers from 0"


@dataclass(frozen=True, slots=True)
class TierItem:
    """One array; ``id`` is that of the user, or of the queue."""

    id: int
    mode: int
    position: int
    level: int
    schedule_id: int | None

    def of_user(self) -> Tier:
        """Of a queue's list."""
        return Tier(0, self.id, self.mode, self.position, self.level, self.schedule_id)

    def of_queue(self) -> Tier:
        """Of a user's list."""
        return Tier(self.id, 0, self.mode, self.position, self.level, self.schedule_id)


def _items(value: list[Any]) -> list[TierItem]:
    return [_item(one) for one in value]


def _item(value: Any) -> TierItem:
    if isinstance(value, int | str) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list) or not 1 <= len(value) <= 7:
        raise ValueError(_FORM)
    rest = value[_NAME_AT + 1 :] if len(value) > _NAME_AT + 1 else value[_NAME_AT:]
    numbers = [*value[1:_NAME_AT], None, None, None][:3]
    mode, position, level = (
        usual if one is None else _number(one, INT_MAX)
        for one, usual in zip(numbers, (DEFAULT_MODE, DEFAULT_POSITION, DEFAULT_LEVEL), strict=True)
    )
    schedule = rest[0] if rest else None
    return TierItem(
        _number(value[0], ID_MAX),
        mode,
        position,
        level,
        None if schedule in (None, 0, "0", "") else _number(schedule, ID_MAX),
    )


def _number(value: Any, most: int) -> int:
    if isinstance(value, bool) or not (
        isinstance(value, int) or (isinstance(value, str) and value.isdigit())
    ):
        raise ValueError(_FORM)
    number = int(value) if len(str(value)) < 20 else -1
    if not 0 <= number <= most:
        raise ValueError(_FORM)
    return number


def tier_rows(name: str, of: str, **more: Any) -> Field:
    """The field of such arrays.

    :param of: ``user`` or ``queue``: what the first number is.
    """
    description = (
        f"[{of}_id, mode, position, level, timegroup_id] of each; in answers the name follows the level."
    )
    default: Any = None if more.get("required") else []
    return Field(
        name,
        Kind.ARRAY,
        description,
        **{"maximum": _ITEMS_MAX, "items": None, "check": _items, "default": default, **more},
    )


def shown_tier(row: Mapping[str, Any], of: str) -> list[Any]:
    """A row of :func:`~trunkline.directory.queues.listing.read_tiers` as an array.

    :param of: ``user`` or ``queue``.
    """
    number = row["employee_id"] if of == "user" else row["queue_id"]
    return [number, row["mode"], row["position"], row["level"], row[f"{of}_name"], row["schedule_id"], False]


SHOWN_SCHEMA: Mapping[str, Any] = {
    "type": "array",
    "items": {
        "type": "array",
        "description": "[id, mode, position, level, name, timegroup_id, false]",
        "items": {"type": ["integer", "string", "boolean", "null"]},
        "minItems": 7,
        "maxItems": 7,
    },
}
"""Without ``prefixItems``, which many generators of clients do not support."""
