"""Telephone numbers as people and interfaces write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.phone import Dialled, normalise, split_number, with_extension

NUMBERS = st.from_regex(r"[1-9][0-9]{5,14}", fullmatch=True)
KEYS = st.from_regex(r"\.{2}[0-9*#.]{0,30}[0-9*#]", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+44 20 7946 0100", "442079460100"),
        ("0044-20-7946-0100", "442079460100"),
        ("44.20.7946.0100", "442079460100"),
        ("(44) 20/7946 0100 ", "442079460100"),
        ("0201", None),
        ("44207946010000000", None),
        ("442079460100..17", None),
        ("442079460100...", None),
    ],
)
def test_a_number(text: str, number: str | None) -> None:
    assert normalise(text) == number


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("+44 20 7946 0100...2345", "442079460100...2345"),
        ("+44.20.7946.0100 ..1.2#", "442079460100..1.2#"),
        ("442079460100", "442079460100"),
        ("442079460100...", None),
        ("442079460100..17 ", "442079460100..17"),
        ("442079460100..1x", None),
        ("442079460100.." + "1" * 40, None),
        ("...17", None),
        ("12...17", None),
    ],
)
def test_a_number_with_an_extension(text: str, kept: str | None) -> None:
    assert with_extension(text) == kept


@given(NUMBERS, KEYS)
def test_what_is_kept_is_dialled(number: str, keys: str) -> None:
    assert with_extension(f"+{number}{keys}") == f"{number}{keys}"
    assert split_number(f"{number}{keys}") == Dialled(number, keys)
    assert split_number(number) == Dialled(number, None)
