"""A migration blocks no writer of a big table: a guard over the statements of the migrations.

Looked at are those after 0017; big are the tables that calls, events and deliveries are written to.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trunkline.db import migrate, migrations

FOLDER = Path(migrations.__file__).parent
FIRST = 18

BIG = [
    "api_requests",
    "call_events",
    "call_legs",
    "call_sessions",
    "communications",
    "deliveries",
    "delivery_attempts",
    "leg_charges",
    "outbox",
    "recordings",
    "uploaded_calls",
]

_TABLE = rf"(?:only\s+)?(?:{'|'.join(BIG)})(?:_\d\w*)?\b"

RULES = {
    "build the index `concurrently` in a file outside a transaction, which lets others write": (
        rf"create\s+(?:unique\s+)?index\s+(?!concurrently)[^;]*?\bon\s+{_TABLE}"
    ),
    "add the constraint `not valid`, and validate it in a later migration": (
        rf"alter\s+table\s+{_TABLE}[^;]*\badd\s+(?:constraint\s+\w+\s+)?(?:check|foreign\s+key)\b(?![^;]*\bnot\s+valid\b)"
    ),
    "build a unique index `concurrently`, and add the constraint `using index`": (
        rf"alter\s+table\s+{_TABLE}[^;]*\badd\s+(?:constraint\s+\w+\s+)?(?:unique|primary\s+key)\s*\("
    ),
    "a column's new type writes the table anew: add a column": rf"alter\s+table\s+{_TABLE}[^;]*\btype\b",
    "`set not null` reads the whole table: add a check that is not valid": (
        rf"alter\s+table\s+{_TABLE}[^;]*\bset\s+not\s+null\b"
    ),
    "a volatile default, a generated or identity column writes the table anew": (
        rf"alter\s+table\s+{_TABLE}[^;]*\badd\s+(?:column\s+)?[^;,]*(?:default\s+\w+\(|\bgenerated\b|\bserial\b)"
    ),
    "rows of a big table are changed in small batches by the worker": (
        rf"(?:^|;)\s*(?:update|delete\s+from)\s+{_TABLE}"
    ),
    "this locks the whole table": rf"\b(?:lock\s+(?:table\s+)?|cluster\s+|vacuum\s+full\s+|reindex\s+table\s+){_TABLE}",
}


def broken_rules(text: str) -> list[str]:
    """What is wrong with a migration's statements. Tables that it makes itself are no concern."""
    plain = re.sub(r"--[^\n]*", "", text)
    own = re.findall(r"create\s+table\s+(?:if\s+not\s+exists\s+)?(\w+)", plain, re.IGNORECASE)
    return [
        f"{rule}: {' '.join(found.group(0).split())}"
        for rule, pattern in RULES.items()
        for found in re.finditer(pattern, plain, re.IGNORECASE)
        if not any(re.search(rf"\b{name}\b", found.group(0)) for name in own)
    ]


def _files() -> list[Path]:
    return sorted(path for path in FOLDER.glob("*.sql") if int(path.name[:4]) >= FIRST)


@pytest.mark.parametrize("path", _files(), ids=lambda path: path.name)
def test_no_migration_blocks_a_big_table(path: Path) -> None:
    assert broken_rules(path.read_text()) == []


def test_the_numbers_have_no_gap_and_nothing_else_is_in_the_folder() -> None:
    versions = [one.version for one in migrate.migrations()]
    assert versions == [f"{number:04d}" for number in range(1, len(versions) + 1)]
    files = [path for path in FOLDER.iterdir() if path.is_file() and path.name != "__init__.py"]
    assert {path.suffix for path in files} == {".sql"}


def test_a_concurrent_index_stands_in_a_file_outside_a_transaction() -> None:
    for one in migrate.migrations():
        assert one.is_outside or "concurrently" not in re.sub(r"--[^\n]*", "", one.text).lower(), one.name
        assert not one.is_outside or "$$" not in one.text, (
            f"{one.name}: a function body is split at its semicolons"
        )


@pytest.mark.parametrize(
    "statement",
    [
        "create index on call_sessions (account_id)",
        "create unique index x on deliveries (account_id)",
        "alter table recordings add constraint c check (size_bytes > 0)",
        "alter table recordings add foreign key (account_id) references accounts",
        "alter table call_legs add unique (account_id)",
        "alter table outbox alter column seq type bigint",
        "alter table outbox alter column seq set not null",
        "alter table recordings add column made_at timestamptz default clock_timestamp()",
        "update recordings set status = 'ready'",
        "select 1; delete from api_requests where true",
        "lock table call_events",
    ],
)
def test_the_guard_finds(statement: str) -> None:
    assert len(broken_rules(statement)) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "create index concurrently x on call_sessions (account_id)",
        "create index on employees (account_id)",
        "alter table recordings add constraint c check (size_bytes > 0) not valid",
        "alter table recordings add column removed_at timestamptz",
        "alter table recordings add column note text not null default ''",
        "alter table deliveries drop constraint c",
        "create table call_events_old (a int); create index on call_events_old (a)",
        "insert into deliveries (account_id) select 1",
        "update accounts set name = name",
    ],
)
def test_the_guard_lets_pass(statement: str) -> None:
    assert broken_rules(statement) == []
