"""Columns of lists come from the pages of their methods; a declaration says what the page lacks or has wrong."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import trunkline
from trunkline.contract import fields_of, params_of
from trunkline.contract.columns import field, listed, optional_field, with_uses
from trunkline.db.query.columns import ColumnType, number, string

SOURCES = Path(trunkline.__file__).parent
USES = frozenset({"filter", "sort", "default"})

IN_FULL = {
    "campaigns/listing.py static_utm": "the page has no column for the default response, the sample leaves these out",
    "numbers/listing.py site_blocks": "get.virtual_numbers: only the sample has it",
    "sites/listing.py creation_date": "getobj.site shows a text",
    "sites/listing.py domain_name": "the page misprints the type",
    "sites/listing.py industry_id": "the page calls a number a boolean",
    "sites/listing.py state": "the page calls an enumeration a string",
    "tags/listing.py state": "the page calls an enumeration a string",
    "web_analytics/listing.py segment_conditions": "the sample's name of segments_conditions",
    "reports/calls.py is_internal": "no page has it: a filter of the web console",
    "reports/chats.py status": "the page calls an enumeration a string",
}
"""Columns with uses of their own, and why."""


def _columns_in_full() -> set[str]:
    found = set()
    for path in SOURCES.rglob("*.py"):
        if path.parts[-2:] == ("query", "columns.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and len(node.args) > 2 and _is_uses(node.args[2]):
                found.add(f"{'/'.join(path.parts[-2:])} {_name(node.args[0])}")
    return found


def _is_uses(node: ast.expr) -> bool:
    words = node.value.split() if isinstance(node, ast.Constant) and isinstance(node.value, str) else []
    return bool(words) and USES.issuperset(words)


def _name(node: ast.expr) -> str:
    first = node.values[0] if isinstance(node, ast.JoinedStr) else node
    return str(first.value).rstrip("_") if isinstance(first, ast.Constant) else ast.unparse(node)


def test_what_the_page_says_is_not_repeated() -> None:
    assert _columns_in_full() == set(IN_FULL)


def test_a_field_has_what_its_page_says() -> None:
    [name, state] = listed("get.virtual_numbers", field("name", "v.name"), field("status", "v.status"))
    assert (name.type, name.sql, name.enum) == (ColumnType.STRING, "v.name", ())
    assert (name.filterable, name.sortable, name.default) == (True, True, True)
    assert state.type is ColumnType.ENUM
    assert "active" in state.enum


def test_a_field_names_what_differs() -> None:
    [one] = listed("get.virtual_numbers", field("status", "v.status", enum=("lost",), sortable=False))
    assert (one.enum, one.sortable, one.filterable) == (("lost",), False, True)


def test_a_structure_has_what_it_contains() -> None:
    [groups] = listed("get.contacts", field("groups", "null::jsonb"))
    assert [(inner.name, inner.type) for inner in groups.nested] == [
        ("group_id", ColumnType.NUMBER),
        ("group_name", ColumnType.STRING),
    ]


def test_an_empty_text_is_shown_as_null() -> None:
    [one] = listed("get.contacts", optional_field("first_name", "c.first_name"))
    assert one.sql == "nullif(c.first_name, '')"


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValueError, match="no field nick"):
        listed("get.contacts", field("nick", "c.nick"))


def test_a_page_field_without_sql_is_refused() -> None:
    with pytest.raises(KeyError):
        with_uses("get.contact_organizations", {"id": number("id", "o.organization_id")})


def test_uses_of_the_page_replace_those_of_a_shared_column() -> None:
    known = {"id": number("id", "o.id", "sort"), "name": string("name", "o.name")}
    [id_column, name] = with_uses("get.contact_organizations", known)
    assert (id_column.filterable, id_column.sortable) == (True, False)
    assert (name.filterable, name.sortable) == (True, True)


def test_two_pages_of_one_method_are_joined() -> None:
    by_name = {fact.name: fact for fact in fields_of("data_api", "get.tags")}
    assert by_name["id"].sortable  # the newer page alone
    assert not by_name["rating"].is_default
    assert "is_include_rating" in {fact.name for fact in params_of("data_api", "get.tags")}
