"""Edits of a scenario as a tree, and the differences between two versions: rules without a database."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.errors import InvalidInput
from trunkline.directory.model import OperationKind
from trunkline.directory.model.limits import MAX_OPERATIONS
from trunkline.directory.scenarios.editing import (
    BEGINNING,
    DEPTH_MAX,
    Drawn,
    Place,
    added,
    continuation_of,
    deleted,
    first_of,
    moved,
    new_key,
    places_of,
    reached,
    tree_of,
)
from trunkline.directory.scenarios.form import ScenarioForm, branches_of, form_of_kind
from trunkline.directory.scenarios.versions import as_json, differences, fingerprint, from_json


def scenario(**operations: dict[str, Any]) -> ScenarioForm:
    return ScenarioForm.model_validate({"name": "Office", "operations": operations})


def office() -> ScenarioForm:
    return scenario(
        hello={"kind": "greeting", "text": "Hello", "next": "choose"},
        choose={"kind": "menu", "text": "1 or 2", "keys": {"1": "anna", "2": "team"}, "timeout": "team"},
        anna={"kind": "forward_employee", "employee": "anna", "next": "message"},
        team={"kind": "forward_group", "group": "sales", "next": "message"},
        message={"kind": "voicemail", "text": "Speak", "next": "bye"},
        bye={"kind": "hangup"},
    )


def shape(drawn: Drawn) -> list[Any]:
    """Keys of a line, each with its branches; an end as the key of what is drawn elsewhere."""
    return [
        (one.key, {each.place.branch: shape(each) for each in one.branches}) if one.key else one.elsewhere
        for one in drawn.line()
    ]


def test_the_tree_has_each_operation_once() -> None:
    [tree] = tree_of(office())
    message: list[Any] = [("message", {}), ("bye", {})]
    assert shape(tree) == [
        ("hello", {}),
        (
            "choose",
            {
                "invalid": [None],
                "timeout": [("team", {}), *message],
                "keys.1": [("anna", {}), "message"],
                "keys.2": ["team"],
            },
        ),
        None,
    ]


def test_what_no_call_reaches_is_drawn_too() -> None:
    one = scenario(a={"kind": "hangup"}, b={"kind": "tag", "tags": ["x"], "next": "c"}, c={"kind": "hangup"})
    assert [shape(each)[0][0] for each in tree_of(one)] == ["a", "b"]
    circle = scenario(a={"kind": "hangup"}, b={"kind": "voicemail", "next": "b"})
    assert shape(tree_of(circle)[1]) == [("b", {}), "b"]


def test_an_operation_is_added_before_what_stood_there() -> None:
    tag = form_of_kind(OperationKind.TAG).model_validate({"kind": "tag", "tags": ["vip"]})
    first = added(office(), BEGINNING, "tag", tag)  # type: ignore[arg-type]
    assert first_of(first) == "tag"
    assert branches_of(first.operations["tag"]) == {"next": "hello"}
    inside = added(office(), Place("choose", "keys.1"), "tag", tag)  # type: ignore[arg-type]
    assert branches_of(inside.operations["choose"])["keys.1"] == "tag"
    assert branches_of(inside.operations["tag"]) == {"next": "anna"}
    with pytest.raises(InvalidInput):
        added(office(), Place("choose", "keys.9"), "tag", tag)  # type: ignore[arg-type]


def test_an_operation_is_moved_and_the_scenario_goes_on_without_it() -> None:
    one = moved(office(), "hello", Place("choose", "keys.2"))
    assert first_of(one) == "choose"
    assert branches_of(one.operations["choose"])["keys.2"] == "hello"
    assert branches_of(one.operations["hello"]) == {"next": "team"}
    assert moved(office(), "hello", BEGINNING) == office()
    with pytest.raises(InvalidInput, match="follow itself"):
        moved(office(), "choose", Place("choose", "keys.1"))
    with pytest.raises(InvalidInput, match="by the operation itself"):
        moved(office(), "choose", Place("anna", "next"))


def test_an_operation_is_deleted_alone_or_with_its_branches() -> None:
    alone = deleted(office(), "anna")
    assert branches_of(alone.operations["choose"])["keys.1"] == "message"
    assert "message" in alone.operations
    pruned = deleted(office(), "choose", with_branches=True)
    assert list(pruned.operations) == ["hello"]
    assert branches_of(pruned.operations["hello"]) == {"next": None}
    shared = deleted(office(), "anna", with_branches=True)
    assert "message" in shared.operations
    assert branches_of(shared.operations["choose"])["keys.1"] is None
    with pytest.raises(InvalidInput, match="needs an operation"):
        deleted(scenario(a={"kind": "hangup"}), "a")


@given(st.data())
def test_edits_leave_no_branch_to_nothing_and_lose_nothing(data: st.DataObject) -> None:
    one = office()
    for _ in range(6):
        key = data.draw(st.sampled_from(sorted(one.operations)))
        before = set(one.operations)
        try:
            if data.draw(st.booleans()):
                place = data.draw(st.sampled_from(places_of(one)))
                seen = reached(one)
                one = moved(one, key, place)
                assert set(one.operations) == before
                assert key not in seen or key in reached(one)
            else:
                one = deleted(one, key, with_branches=data.draw(st.booleans()))
                assert key not in one.operations
        except InvalidInput:
            continue
        for operation in one.operations.values():
            assert {to for to in branches_of(operation).values() if to} <= one.operations.keys()
        drawn = [str(each) for tree in tree_of(one) for each in _keys(tree)]
        assert sorted(drawn) == sorted(one.operations)


def _keys(drawn: Drawn) -> list[str]:
    found: list[str] = []
    for one in drawn.line():
        found += [one.key] if one.key else []
        for each in one.branches:
            found += _keys(each)
    return found


def test_each_kind_has_a_place_to_go_on_or_ends() -> None:
    assert new_key(office(), OperationKind.MENU) == "menu"
    assert new_key(scenario(menu={"kind": "hangup"}), OperationKind.MENU) == "menu-2"
    ends = {kind for kind in OperationKind if kind is OperationKind.HANGUP}
    for kind in OperationKind:
        has = any(
            "next" in name or name in ("open", "otherwise", "branches")
            for name in form_of_kind(kind).model_fields
        )
        assert has != (kind in ends), kind
    assert continuation_of(office().operations["bye"]) is None


def test_what_is_too_deep_is_a_tree_of_its_own() -> None:
    deep = scenario(
        **{f"o{n}": {"kind": "schedule", "schedule": "x", "open": f"o{n + 1}"} for n in range(DEPTH_MAX + 5)}
    )
    trees = tree_of(deep)
    assert [one.key for one in trees] == ["o0", f"o{DEPTH_MAX}"]
    assert reached(deep) == deep.operations.keys()


def test_a_long_scenario_is_drawn() -> None:
    many = scenario(
        **{
            f"o{n}": {"kind": "greeting", "text": "x", "next": f"o{n + 1}"} for n in range(MAX_OPERATIONS - 1)
        },
        **{f"o{MAX_OPERATIONS - 1}": {"kind": "hangup"}},
    )
    assert len(list(tree_of(many)[0].line())) == MAX_OPERATIONS


def test_versions_differ_by_operation() -> None:
    old = office()
    new = deleted(old, "hello")
    new = new.model_copy(
        update={
            "operations": {
                **new.operations,
                "bye": scenario(x={"kind": "hangup", "cause": "busy"}).operations["x"],
            }
        }
    )
    found = {one.key: one for one in differences(old, new)}
    assert set(found) == {"", "hello", "bye"}
    assert [(one.path, one.old, one.new) for one in found[""].fields] == [("first", "hello", "choose")]
    assert found["hello"].new is None
    assert [(one.path, one.old, one.new) for one in found["bye"].fields] == [("cause", None, "busy")]
    assert differences(old, from_json(as_json(old))) == ()
    assert fingerprint(old) == fingerprint(from_json(as_json(old))) != fingerprint(new)
