"""A summary of a transcript: the most significant phrases, in order of time. Pure.

No model writes it; words that come up often across the talk weigh more, and a phrase is worth the mean of its words.
It needs no knowledge of the language.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from trunkline.analysis.model import Phrase

MOST_PHRASES = 3

_WORD = re.compile(r"\w{4,}")
"""Shorter ones are mostly function words (the, of, and)."""

_FEWEST_WORDS = 2


def summary(phrases: Sequence[Phrase]) -> str | None:
    """One line for each phrase, ``employee: ...``; None without significant phrases."""
    words = [_WORD.findall(phrase.text.casefold()) for phrase in phrases]
    counts = Counter(word for each in words for word in set(each))
    worth = [
        sum(counts[word] for word in set(each)) / len(set(each)) if len(each) >= _FEWEST_WORDS else 0.0
        for each in words
    ]
    best = sorted(range(len(phrases)), key=lambda number: (-worth[number], number))[:MOST_PHRASES]
    lines = [f"{phrases[number].side}: {phrases[number].text}" for number in sorted(best) if worth[number]]
    return "\n".join(lines) or None
