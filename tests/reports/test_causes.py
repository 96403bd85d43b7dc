"""Each cause that Q.850 and Asterisk have is in words."""

from __future__ import annotations

import re

from trunkline.reports.causes import CAUSE_DESCRIPTIONS, cause_description

Q850 = {
    *range(1, 10), 14, *range(16, 32), 34, 35, *range(37, 48), 49, 50, *range(52, 56), 57, 58, 62, 63, 65, 66, 69, 70, 79,
    *range(81, 89), 90, 91, *range(95, 104), 110, 111, 127,
}  # fmt: skip
ASTERISK = {
    0, 1, 2, 3, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 26, 27, 28, 29, 30, 31, 34, 38, 41, 42, 43, 44, 45, 50, 52, 54,
    57, 58, 65, 66, 69, 81, 88, 95, 96, 97, 98, 99, 100, 101, 102, 103, 111, 127,
}  # fmt: skip


def test_each_cause_has_a_sentence() -> None:
    assert {str(code) for code in Q850 | ASTERISK} <= set(CAUSE_DESCRIPTIONS)
    assert set(CAUSE_DESCRIPTIONS) == {str(code) for code in range(128)}
    assert all(re.fullmatch(r"[A-Z][^.]{8,}", text) for text in CAUSE_DESCRIPTIONS.values())


def test_causes_of_asterisk_have_sentences_of_their_own() -> None:
    texts = [CAUSE_DESCRIPTIONS[str(code)] for code in ASTERISK]
    assert len(texts) == len(set(texts))


def test_what_is_no_cause() -> None:
    assert cause_description(None) == cause_description(128) == "unknown"
