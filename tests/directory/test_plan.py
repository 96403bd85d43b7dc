"""The difference: nothing between equals, all of it between others, deletions only when asked."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trunkline.directory.files.form import SECTIONS
from trunkline.directory.files.plan import Action, FieldChange, difference

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 9)
    | st.text("ab", max_size=3)
    | st.lists(st.text("ab", max_size=2)),
    lambda inner: (
        st.dictionaries(st.sampled_from("pqr"), inner, max_size=2)
        | st.lists(
            st.dictionaries(st.sampled_from("pq"), st.integers(0, 3), min_size=1, max_size=2), max_size=3
        )
    ),
    max_leaves=4,
)
items = st.fixed_dictionaries({"name": st.text("xy", max_size=3)}, optional={"a": values, "b": values})
facts = st.dictionaries(
    st.sampled_from(SECTIONS),
    st.dictionaries(st.sampled_from(["k1", "k2", "k3"]), items, max_size=3),
    max_size=4,
)


def meaning(value: Any) -> Any:
    """A value without what an absent and an empty thing do not distinguish."""
    if value in ({}, []):
        return None
    if isinstance(value, dict):
        return {k: m for k, v in value.items() if (m := meaning(v)) is not None} or None
    if isinstance(value, list):
        return [meaning(item) for item in value]
    return value


@given(facts)
def test_nothing_between_equals(present: dict[str, Any]) -> None:
    plan = difference(present, copy.deepcopy(present), {s: ["k1", "k2", "k3"] for s in SECTIONS})
    assert plan.is_empty
    assert plan.lines() == ["no changes"]


@given(facts, facts, st.booleans())
def test_following_the_plan_leads_to_what_is_wanted(
    present: dict[str, Any], wanted: dict[str, Any], delete: bool
) -> None:
    to_delete = {section: ["k1", "k2", "k3"] for section in wanted} if delete else {}
    plan = difference(present, wanted, to_delete)
    state = copy.deepcopy(present)
    for change in plan.changes:
        section = state.setdefault(change.section, {})
        if change.action is Action.DELETE:
            del section[change.key]
        elif change.action is Action.CREATE:
            assert change.key not in section
            section[change.key] = wanted[change.section][change.key]
        else:
            assert change.fields
            section[change.key] = {**section[change.key], **wanted[change.section][change.key]}
    for section, demanded in wanted.items():
        for key, item in demanded.items():
            for field, value in item.items():
                assert meaning(state[section][key].get(field)) == meaning(value)
        if delete:
            assert set(state.get(section, {})) == set(demanded)
        else:
            assert set(state.get(section, {})) == set(demanded) | set(present.get(section, {}))
    for section in set(present) - set(wanted):
        assert state[section] == present[section]
    assert difference(state, wanted, to_delete).is_empty


def test_fields_are_reported_by_their_paths() -> None:
    present = {
        "employees": {"anna": {"last_name": "A", "phones": [{"line": "1"}, {"line": "2"}], "email": None}}
    }
    wanted = {
        "employees": {
            "anna": {"last_name": "A", "phones": [{"line": "1", "dial_time": 9}], "email": "a@b.example"}
        }
    }
    (change,) = difference(present, wanted, {}).changes
    assert change.fields == (
        FieldChange("phones[1].line", "2", None),
        FieldChange("phones[0].dial_time", None, 9),
        FieldChange("email", None, "a@b.example"),
    )


def test_what_headers_hide_is_hidden_in_the_difference() -> None:
    present = {"notifications": {"crm": {"headers": {"Authorization": "old-token", "Accept": "a"}}}}
    wanted = {"notifications": {"crm": {"headers": {"Authorization": "new-token", "Accept": "b"}}}}
    plan = difference(present, wanted, {})
    assert plan.lines() == [
        "~ notifications.crm",
        "    headers.Authorization: *** -> ***",
        "    headers.Accept: a -> b",
    ]


def test_a_plan_prints_one_line_for_each_item() -> None:
    present = {"tags": {"old": {"name": "Old"}, "same": {"name": "Same"}, "other": {"name": "Other"}}}
    wanted = {"tags": {"new": {"name": "New"}, "same": {"name": "Renamed"}}}
    plan = difference(present, wanted, {"tags": ["old"]}, ["tags"])
    assert plan.lines() == [
        "+ tags.new  New",
        "~ tags.same  Renamed",
        "    name: Same -> Renamed",
        "- tags.old  Old",
        "  tags.other: not in the file; stays (--delete removes it)",
    ]
    assert plan.as_json()["changes"][1]["fields"] == [{"path": "name", "old": "Same", "new": "Renamed"}]
