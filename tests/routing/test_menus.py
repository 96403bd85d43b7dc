"""What the keys of a caller mean in a menu, compared with a model that reads all keys at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls import company as c
from tests.calls.company import company
from trunkline.directory.model import OperationKind
from trunkline.routing.decisions import Chosen
from trunkline.routing.menus import ExtensionDialled, Invalid, Meaning, MoreAwaited, Picked, meaning

ACCOUNT = company()
"""Employees have 101 to 104, groups 200 to 202."""


def read(settings: dict[str, Any], pressed: str, *, is_over: bool = False) -> Meaning:
    return meaning(ACCOUNT, OperationKind.MENU, settings, pressed, is_over=is_over)


@pytest.mark.parametrize(
    ("pressed", "is_over", "expected"),
    [
        ("1", False, MoreAwaited()),
        ("1", True, Picked("a", "1")),
        ("1#", False, Picked("a", "1")),
        ("12", False, Picked("b", "12")),
        ("2", False, Picked(None, "2")),
        ("3", False, Invalid("3")),
        ("*", False, Picked("c", "*")),
        ("#", False, Invalid("")),
    ],
)
def test_keys_of_several_digits(pressed: str, is_over: bool, expected: Meaning) -> None:
    settings = {"keys": {"1": "a", "12": "b", "2": None, "*": "c"}}
    assert read(settings, pressed, is_over=is_over) == expected


def test_the_hash_key_may_be_a_key_of_the_menu() -> None:
    assert read({"keys": {"#": "a", "1#": "b"}}, "#") == Picked("a", "#")
    assert read({"keys": {"#": "a", "1#": "b"}}, "1") == MoreAwaited()
    assert read({"keys": {"#": "a", "1#": "b"}}, "1#") == Picked("b", "1#")


@pytest.mark.parametrize(
    ("pressed", "is_over", "expected"),
    [
        ("12", False, MoreAwaited()),
        ("12", True, Invalid("12")),
        ("123", True, Picked("o", "123", is_collected=True)),
        ("123#", False, Picked("o", "123", is_collected=True)),
        ("12345", False, Picked("o", "12345", is_collected=True)),
        ("9", False, MoreAwaited()),
        ("9", True, Picked("k", "9")),
        ("1*", False, Invalid("1*")),
    ],
)
def test_collected_digits(pressed: str, is_over: bool, expected: Meaning) -> None:
    settings = {"keys": {"9": "k"}, "digits": {"min": 3, "max": 5, "next": "o"}}
    assert read(settings, pressed, is_over=is_over) == expected


@pytest.mark.parametrize(
    ("pressed", "expected"),
    [
        ("1", MoreAwaited()),
        ("10", MoreAwaited()),
        ("102", ExtensionDialled(Chosen(employee_id=c.BORIS), "102")),
        ("200", ExtensionDialled(Chosen(group_id=c.ALL), "200")),
        ("19", Invalid("19")),
        ("5", Invalid("5")),
    ],
)
def test_extensions(pressed: str, expected: Meaning) -> None:
    assert meaning(ACCOUNT, OperationKind.DIAL_EXTENSION, {}, pressed) == expected
    assert read({"extensions": True, "keys": {"7": "a"}}, pressed) == expected
    assert read({"keys": {"7": "a"}}, pressed) == Invalid(pressed)


def test_a_key_of_the_menu_comes_before_an_extension() -> None:
    settings = {"extensions": True, "keys": {"1": "a"}}
    assert read(settings, "1") == MoreAwaited()
    assert read(settings, "1", is_over=True) == Picked("a", "1")


_texts = st.text("012*", min_size=1, max_size=3)


@given(
    st.dictionaries(_texts, st.sampled_from(["a", "b", None]), max_size=5),
    st.one_of(st.none(), st.tuples(st.integers(1, 3), st.integers(3, 5))),
    st.booleans(),
    st.text("012*#", min_size=1, max_size=6),
)
def test_key_by_key_as_the_model_reads_all_at_once(
    keys: dict[str, str | None],
    bounds: tuple[int, int] | None,
    extensions: bool,
    pressed: str,
) -> None:
    """The input ends with the first key after which nothing longer is possible, with ``#``, or with the time."""
    digits = {"min": bounds[0], "max": bounds[1], "next": "d"} if bounds else None
    settings = {"keys": keys, "digits": digits, "extensions": extensions}
    known = {e.extension for e in ACCOUNT.employees.values()} | {g.extension for g in ACCOUNT.groups.values()}
    candidates = [*keys, *(known if extensions else ())]

    def longer(text: str) -> bool:
        return any(
            one is not None and len(one) > len(text) and one.startswith(text) for one in candidates
        ) or (bounds is not None and text.isdecimal() and len(text) < bounds[1])

    expected: str | None = None
    for end in range(1, len(pressed) + 1):
        text = pressed[:end]
        if text.endswith("#"):
            expected = text[:-1]
            break
        if not longer(text):
            expected = text
            break
    found: Meaning = MoreAwaited()
    for end in range(1, len(pressed) + 1):
        found = read(settings, pressed[:end])
        if not isinstance(found, MoreAwaited):
            break
    else:
        assert expected is None
        found = read(settings, pressed, is_over=True)
        expected = pressed
    assert expected is not None
    assert not isinstance(found, MoreAwaited)
    assert found.digits == expected
    if expected in keys:
        assert found == Picked(keys[expected], expected)
    elif extensions and expected in known:
        assert isinstance(found, ExtensionDialled)
    elif bounds and expected.isdecimal() and bounds[0] <= len(expected) <= bounds[1]:
        assert found == Picked("d", expected, is_collected=True)
    else:
        assert found == Invalid(expected)
