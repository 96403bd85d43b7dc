"""Every statement says whose rows it means: a guard over the SQL in the source, against the migrated schema.

What is looked at: each string of ``src/trunkline`` that reads or writes a table, and each piece of one that a listing or a
condition is made of. A table with a column ``account_id`` must be held to it: by its alias (``s.account_id``), or without
one in the parentheses in which the table stands. No parser of SQL: names and parentheses are enough for our own words.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import psycopg
import pytest

import trunkline
from trunkline.db.query import Listing

SOURCE = Path(trunkline.__file__).parent

EVERYBODY = "for all accounts at once: "
ALLOWED = {
    ("accounts/first.py", "accounts"): EVERYBODY + "is there any account?",
    (
        "accounts/sessions.py",
        "login_sessions",
    ): "by the hash of a token, which nobody can guess; and old ones of all",
    ("backup/restore.py", "trunks"): EVERYBODY + "those of a restored copy are switched off and counted",
    ("calls/records/history.py", "{}"): "rows of the switch, which bear their account as every column",
    ("db/rows.py", "{}"): "the column is among the values that are inserted",
    ("db/query/compiler.py", "{}"): "the condition is that of the listing, which is looked at below",
    ("db/query/compiler.py", "{counts}"): "likewise",
    ("db/query/compiler.py", "{table}"): "likewise",
    ("directory/lines/changes.py", "sip_lines"): "logins are unique in the installation",
    (
        "directory/numbers/inventory.py",
        "number_inventory",
    ): "numbers are unique; by who runs the installation",
    ("directory/numbers/inventory.py", "virtual_numbers"): "numbers are unique in the installation",
    ("db/row_security.py", "virtual_numbers"): "a number that anybody has is offered to nobody",
    (
        "directory/numbers/private.py",
        "number_inventory",
    ): "a number that is offered to anybody is nobody's own",
    ("directory/media/spoken_retention.py", "media_files"): EVERYBODY + "files that nobody has",
    ("dialer/campaign_store.py", "dial_campaigns"): EVERYBODY + "a switch runs the campaigns of its accounts",
    ("events/retention.py", "hubspot_objects"): EVERYBODY + "a month is dropped for all or for nobody",
    ("events/retention.py", "recordings"): EVERYBODY + "a month is dropped for all or for nobody",
    ("events/retention.py", "{}"): EVERYBODY + "a month is dropped for all or for nobody",
    ("events/relay.py", "outbox"): EVERYBODY + "one worker empties it in the order of what happened",
    ("mails/sending.py", "account_mails"): EVERYBODY + "rows of old mails",
    ("notifications/deliveries.py", "deliveries"): EVERYBODY + "ends what was tried too long",
    ("notifications/deliveries.py", "endpoint_states"): EVERYBODY + "when the next suspension ends",
    ("roles/backlog.py", "outbox"): EVERYBODY + "backlogs of the installation, as counts",
    ("roles/backlog.py", "event_failures"): EVERYBODY + "backlogs of the installation, as counts",
    ("recordings/service.py", "recordings"): EVERYBODY + "folders of the spool bear the id of the call alone",
    ("reports/communications.py", "{}"): "the condition is that of the listing, which is looked at below",
}
"""By file and table: why a statement need not name the account."""

_SQL = re.compile(
    r"\b(?:select\b.*\bfrom|insert\s+into|update\s+[\w{}]+\s+(?:\w+\s+)?set|delete\s+from|(?:from|join)\s+\w+\s+\w+)\b",
    re.IGNORECASE | re.DOTALL,
)
_TABLE = re.compile(
    r"\b(?:from|join|into|update)\s+(?:only\s+)?(?P<table>[a-z_]+|\{\w*\})(?:\s+(?:as\s+)?(?P<alias>[a-z_]+))?",
    re.IGNORECASE,
)
_NO_ALIAS = re.compile(
    "where|set|on|left|right|inner|cross|join|full|natural|order|group|limit|using|values|for|and|union|select|returning"
    "|default|having|or|when|window|fetch|offset|not",
    re.IGNORECASE,
)
_BARE = re.compile(r"(?<![.\w])account_id\b")


class Unheld(NamedTuple):
    """A table that a statement does not hold to an account."""

    table: str
    statement: str


def unheld(statement: str, tables: frozenset[str]) -> Iterator[Unheld]:
    for found in _TABLE.finditer(statement):
        table, alias = found["table"], found["alias"]
        if table not in tables and not table.startswith("{"):
            continue
        name = alias if alias is not None and not _NO_ALIAS.fullmatch(alias) else table
        if f"{name}.account_id" in statement:
            continue
        if not _BARE.search(_around(statement, found.start())):
            yield Unheld(table, " ".join(statement.split()))


def _around(text: str, place: int) -> str:
    """What stands in the innermost parentheses around a place, with what is nested in them."""
    depth, start = 0, place
    while start > 0 and not (text[start - 1] == "(" and depth == 0):
        start -= 1
        depth += {")": 1, "(": -1}.get(text[start], 0)
    depth, end = 0, place
    while end < len(text) and not (text[end] == ")" and depth == 0):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    return text[start:end]


def strings(tree: ast.Module) -> Iterator[str]:
    """Strings of a module but for docstrings; in f-strings, constants of the module by their text, the rest as ``{}``."""
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }

    def text_of(node: ast.expr) -> str:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.JoinedStr):
            return "".join(text_of(value) for value in node.values)
        if isinstance(node, ast.FormattedValue):
            return text_of(node.value)
        if isinstance(node, ast.Name) and node.id in constants:
            return text_of(constants[node.id])
        return "{}"

    skipped = {
        id(part)
        for node in ast.walk(tree)
        for part in (
            node.values
            if isinstance(node, ast.JoinedStr)
            else [node.value]
            if isinstance(node, ast.Expr | ast.FormattedValue)
            else []
        )
    }
    for node in ast.walk(tree):
        if id(node) not in skipped and isinstance(node, ast.Constant | ast.JoinedStr):
            yield text_of(node)


@pytest.fixture
def tables(database: str) -> frozenset[str]:
    """Those with a column ``account_id``."""
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select table_name from information_schema.columns where table_schema = 'public' and column_name = 'account_id'"
        )
        return frozenset(name for (name,) in rows)


def test_every_statement_names_the_account(tables: frozenset[str]) -> None:
    assert {"call_sessions", "employees", "outbox", "subscriptions"} <= tables
    seen, wrong, used = 0, [], set()
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if name.startswith(("db/migrations/", "bench/")):  # a schema for all, and calls that are made up
            continue
        for text in strings(ast.parse(path.read_text())):
            if not _SQL.search(text):
                continue
            seen += 1
            for one in unheld(text, tables):
                if (name, one.table) in ALLOWED:
                    used.add((name, one.table))
                else:
                    wrong.append(f"{name}: {one.table} in: {one.statement}")
    assert wrong == []
    assert seen > 300
    assert set(ALLOWED) - used == set(), "these exceptions are needed no more"


def test_every_listing_is_of_one_account(tables: frozenset[str]) -> None:
    listings = {
        id(value): (module.__name__, value)
        for module in _modules()
        for value in vars(module).values()
        if isinstance(value, Listing)
    }
    assert len(listings) > 40
    wrong = [
        f"{module}: {listing.name}"
        for module, listing in listings.values()
        if listing.table.split()[0] in tables and "account_id" not in listing.where
    ]
    assert wrong == []


def _modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages([str(SOURCE)], "trunkline."):
        if (
            not found.name.startswith(("trunkline.db.migrations", "trunkline.bench"))
            and "__main__" not in found.name
        ):
            yield importlib.import_module(found.name)


@pytest.mark.parametrize(
    ("statement", "missed"),
    [
        ("select * from employees where employee_id = 5", ["employees"]),
        ("select * from employees where account_id = 1 and employee_id = 5", []),
        ("update tags set name = 'x' where tag_id = 5", ["tags"]),
        ("delete from tags where tag_id = 5", ["tags"]),
        ("insert into tags (name) values ('x')", ["tags"]),
        ("insert into tags (account_id, name) values (1, 'x')", []),
        ("select 1 from tags t join employees e on e.key = t.key where t.account_id = 1", ["employees"]),
        ("select 1 from tags t join employees e using (account_id, key) where t.account_id = 1", []),
        ("select (select name from tags where tag_id = 1) from employees where account_id = 1", ["tags"]),
        (
            "select (select t.name from tags t where t.account_id = e.account_id) from employees e where e.account_id = 1",
            [],
        ),
        ("select * from {} where key = 'x'", ["{}"]),
        ("select * from schema_migrations", []),
    ],
)
def test_the_guard_sees_it(statement: str, missed: list[str]) -> None:
    assert _SQL.search(statement) or statement.endswith("schema_migrations")
    assert [one.table for one in unheld(statement, frozenset({"employees", "tags"}))] == missed


def test_strings_of_a_module_are_found() -> None:
    module = '''"""select from docs"""
_OWN = "account_id = 1"
def f():
    """select from more docs"""
    a = "select 1" " from tags"
    return f"select 1 from {a} where {_OWN}"
'''
    assert list(strings(ast.parse(module))) == [
        "account_id = 1",
        "select 1 from tags",
        "select 1 from {} where account_id = 1",
    ]
