"""The difference between the present directory and that of a file. Pure; determines what apply writes.

An item is compared as *facts*: a JSON-like mapping of its fields. A field that the wanted facts lack is left
as it is; everything else must become equal. That a secret changes is a fact, its value is not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trunkline.directory.files.file import HIDDEN, is_sensitive_header
from trunkline.directory.files.form import SECTIONS

NormalisedState = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Section to key to field to value. The section ``account`` has the one key ``""``."""

ORDER = "order"
"""The fact that keeps the order of a mapping whose order matters (operations)."""


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


_SECRETS = frozenset({"password", "secret"})
"""Fields of which only the change is known."""

_SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.DELETE: "-"}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field's old and new value as they may be shown; None = not there."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Change:
    """One item that will be written. ``fields`` is filled for updates."""

    action: Action
    section: str
    key: str
    label: str
    fields: tuple[FieldChange, ...] = ()

    @property
    def where(self) -> str:
        return f"{self.section}.{self.key}" if self.key else self.section


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes, in the order of the sections. ``unlisted`` items are not in the file and stay."""

    changes: tuple[Change, ...] = ()
    unlisted: tuple[str, ...] = field(default=(), compare=False)

    @property
    def is_empty(self) -> bool:
        return not self.changes

    def of(self, action: Action, section: str) -> list[str]:
        """Keys of a section with this action."""
        return [each.key for each in self.changes if each.action is action and each.section == section]

    def written(self, section: str) -> list[str]:
        """Keys of a section that are created or updated."""
        return [
            each.key for each in self.changes if each.action is not Action.DELETE and each.section == section
        ]

    def lines(self) -> list[str]:
        """What will happen, for a reader."""
        lines = [line for change in self.changes for line in _lines(change)]
        if not lines:
            lines.append("no changes")
        lines += [f"  {where}: not in the file; stays (--delete removes it)" for where in self.unlisted]
        return lines

    def as_json(self) -> dict[str, Any]:
        """The same as data."""
        return {
            "changes": [
                {
                    "action": change.action.value,
                    "section": change.section,
                    "key": change.key,
                    "label": change.label,
                    "fields": [{"path": f.path, "old": f.old, "new": f.new} for f in change.fields],
                }
                for change in self.changes
            ],
            "unlisted": list(self.unlisted),
        }


def difference(
    current: NormalisedState,
    wanted: NormalisedState,
    to_delete: Mapping[str, Iterable[str]],
    listing: Collection[str] = (),
) -> Plan:
    """The changes that turn ``current`` into ``wanted``.

    :param to_delete: keys by section to delete; wanted and missing ones are ignored.
    :param listing: sections whose present but unwanted items are listed in ``unlisted``.
    """
    changes: list[Change] = []
    unlisted: list[str] = []
    for section in ("account", *SECTIONS):
        present, demanded = current.get(section, {}), wanted.get(section, {})
        for key, facts in demanded.items():
            if key not in present:
                changes.append(Change(Action.CREATE, section, key, _label(facts)))
            elif fields := tuple(_field_changes(present[key], facts)):
                changes.append(Change(Action.UPDATE, section, key, _label({**present[key], **facts}), fields))
        going = set(to_delete.get(section, ()))
        for key, facts in present.items():
            if key in demanded:
                continue
            if key in going:
                changes.append(Change(Action.DELETE, section, key, _label(facts)))
            elif section in listing:
                unlisted.append(f"{section}.{key}")
    return Plan(tuple(changes), tuple(unlisted))


def _field_changes(present: Mapping[str, Any], demanded: Mapping[str, Any]) -> Iterator[FieldChange]:
    for name, value in demanded.items():
        old = dict(_flat(name, present.get(name)))
        new = dict(_flat(name, value))
        for path in dict.fromkeys([*old, *new]):
            if old.get(path) != new.get(path):
                yield FieldChange(path, _shown(path, old.get(path)), _shown(path, new.get(path)))


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Leaves of a nested value with their paths; lists of plain values are leaves."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(f"{path}.{name}", item)
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _flat(f"{path}[{index}]", item)
    else:
        yield path, value


def _shown(path: str, value: Any) -> Any:
    container, _, name = path.partition(".")
    if value is not None and container == "headers" and is_sensitive_header(name):
        return HIDDEN
    return list(value) if isinstance(value, tuple) else value


def _label(facts: Mapping[str, Any]) -> str:
    person = " ".join(str(facts[part]) for part in ("last_name", "first_name") if facts.get(part))
    name = str(facts.get("name") or person or facts.get("comment") or "")
    extension = facts.get("extension")
    return f"{name} ({extension})" if extension else name


def _lines(change: Change) -> Iterator[str]:
    yield f"{_SIGNS[change.action]} {change.where}" + (f"  {change.label}" if change.label else "")
    for each in change.fields:
        is_secret = each.path in _SECRETS and each.new == "new"
        yield f"    {each.path}: " + ("changed" if is_secret else f"{_text(each.old)} -> {_text(each.new)}")


def _text(value: Any) -> str:
    if value is None or value == "":
        return "(none)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(str(item) for item in value) + "]"
    return str(value)
