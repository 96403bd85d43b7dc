"""Text that PostgreSQL stores."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.storable_text import is_storable, storable


@given(st.text(st.characters(categories=None)))
def test_what_is_made_storable_is_storable_and_as_long(text: str) -> None:
    made = storable(text)
    assert is_storable(made)
    assert len(made) == len(text)
    assert "\x00" not in made
    made.encode()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_storable_text_stays_as_it_is(text: str) -> None:
    assert is_storable(text)
    assert storable(text) == text


def test_nul_and_halves_of_surrogate_pairs_are_replaced() -> None:
    assert storable("a\x00b\ud83dc\udc00") == "a\ufffdb\ufffdc\ufffd"
    assert not is_storable("\x00")
    assert not is_storable("\ud800")
