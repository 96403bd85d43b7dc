"""Versions of scenarios: each state that was saved, by whom and when. Written in the transaction of the change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Json

from trunkline.core.errors import NotFound
from trunkline.db.pool import Connection, Database
from trunkline.directory.forms.fields import PRESENT
from trunkline.directory.scenarios.form import OperationForm, ScenarioForm

KEPT = 100
"""Versions of one scenario; older ones are deleted when another is saved."""


@dataclass(frozen=True, slots=True)
class Version:
    """:ivar saved_at: UTC; None: before versions were kept.
    :ivar author: log-in; empty: a directory file, or nobody knows."""

    version_id: int
    saved_at: datetime | None
    author: str


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One value of an operation, as JSON; None: there is none."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class OperationDifference:
    """:ivar key: of the operation; empty: the scenario itself.
    :ivar old, new: the operation before and after; None: it is not there.
    :ivar fields: what differs, when both are there."""

    key: str
    old: OperationForm | None = None
    new: OperationForm | None = None
    fields: tuple[FieldDifference, ...] = field(default=())


def fingerprint(scenario: ScenarioForm) -> str:
    """The same for the same scenario with its texts."""
    return hashlib.sha256(json.dumps(as_json(scenario)).encode()).hexdigest()


def as_json(scenario: ScenarioForm) -> dict[str, Any]:
    """What is kept of a scenario."""
    return scenario.model_dump(mode="json", by_alias=True)


def from_json(data: Mapping[str, Any]) -> ScenarioForm:
    """The reverse of :func:`as_json`. A scenario without operations is one that is not finished yet.

    :raises ValueError: it is none.
    """
    return ScenarioForm.model_validate(data, context={PRESENT: True})


def differences(old: ScenarioForm, new: ScenarioForm) -> tuple[OperationDifference, ...]:
    """What differs between two versions, in the order of the newer one. Pure."""
    found: list[OperationDifference] = []
    whole = [FieldDifference("name", old.name, new.name)] if old.name != new.name else []
    order = (next(iter(old.operations), None), next(iter(new.operations), None))
    if order[0] != order[1]:
        whole.append(FieldDifference("first", *order))
    if whole:
        found.append(OperationDifference("", fields=tuple(whole)))
    for key in dict.fromkeys([*new.operations, *old.operations]):
        before, after = old.operations.get(key), new.operations.get(key)
        if before is None or after is None:
            found.append(OperationDifference(key, before, after))
        elif fields := _fields(before, after):
            found.append(OperationDifference(key, before, after, fields))
    return tuple(found)


def _fields(before: OperationForm, after: OperationForm) -> tuple[FieldDifference, ...]:
    old, new = _flat(before.model_dump(mode="json")), _flat(after.model_dump(mode="json"))
    return tuple(
        FieldDifference(path, old.get(path), new.get(path))
        for path in dict.fromkeys([*new, *old])
        if old.get(path) != new.get(path)
    )


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        parts = {f"{path}.{name}" if path else name: one for name, one in value.items()}
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        parts = {f"{path}[{index}]": one for index, one in enumerate(value)}
    else:
        return {path: value}
    return {name: one for at, part in parts.items() for name, one in _flat(part, at).items()}


async def keep_version(
    connection: Connection,
    account_id: int,
    scenario_id: int,
    former: ScenarioForm | None,
    saved: ScenarioForm,
    author: str,
) -> None:
    """Keep what is saved; before it what was there, if no version has that. For the transaction that writes the scenario."""
    params: dict[str, Any] = {"account_id": account_id, "scenario_id": scenario_id, "kept": KEPT}
    cursor = await connection.execute(
        "select form from scenario_versions where account_id = %(account_id)s and scenario_id = %(scenario_id)s"
        " order by version_id desc limit 1",
        params,
    )
    last = await cursor.fetchone()
    states: list[tuple[ScenarioForm, str, datetime | None]] = [(saved, author, datetime.now(UTC))]
    if former is not None and (last is None or last["form"] != as_json(former)):
        states = [(former, "", None), *states]
    for state, who, when in states:
        await connection.execute(
            "insert into scenario_versions (account_id, scenario_id, saved_at, author, form)"
            " values (%(account_id)s, %(scenario_id)s, %(when)s, %(who)s, %(form)s)",
            {**params, "when": when, "who": who, "form": Json(as_json(state))},
        )
    await connection.execute(
        "delete from scenario_versions where account_id = %(account_id)s and scenario_id = %(scenario_id)s"
        " and version_id <= (select version_id from scenario_versions where account_id = %(account_id)s"
        " and scenario_id = %(scenario_id)s order by version_id desc offset %(kept)s limit 1)",
        params,
    )


async def list_versions(db: Database, account_id: int, key: str) -> list[Version]:
    """Of the scenario with this key, the newest first."""
    rows = await db.fetch_all(
        "select v.version_id, v.saved_at, v.author from scenario_versions v join scenarios s"
        " on s.account_id = v.account_id and s.scenario_id = v.scenario_id"
        " where v.account_id = %s and s.account_id = %s and s.key = %s order by v.version_id desc",
        (account_id, account_id, key),
    )
    return [Version(row["version_id"], row["saved_at"], row["author"]) for row in rows]


async def read_version(db: Database, account_id: int, key: str, version_id: int) -> ScenarioForm:
    """One version.

    :raises NotFound: the scenario has none of this number.
    """
    row = await db.fetch_one(
        "select v.form from scenario_versions v join scenarios s"
        " on s.account_id = v.account_id and s.scenario_id = v.scenario_id"
        " where v.account_id = %s and s.account_id = %s and s.key = %s and v.version_id = %s",
        (account_id, account_id, key, version_id),
    )
    if row is None:
        raise NotFound("There is no such version any more.")
    return from_json(row["form"])
