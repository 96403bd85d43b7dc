from __future__ import annotations

import pytest

from trunkline.core.id_text import id_in_text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("748052062380032", 748052062380032),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, None),
        ("", None),
        ("-1", None),
        ("1 ", None),
        ("1_0", None),
        ("٣", None),
        ("²", None),
    ],
)
def test_an_identifier_is_ascii_digits_that_fit_a_bigint(text: str, number: int | None) -> None:
    assert id_in_text(text) == number
