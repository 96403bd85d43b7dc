"""Limits of names, phones and extension numbers that several entities share."""

from __future__ import annotations

MAX_PHONES = 10
"""Phones of one employee."""

MAX_CHANNELS = 150
"""Concurrent calls on one phone."""

MIN_DIAL_SECONDS, MAX_DIAL_SECONDS = 1, 100

MIN_EXTENSION, MAX_EXTENSION = 2, 5
"""Digits of a short number."""

MAX_OPERATIONS = 500
"""Operations of one scenario."""

MAX_ACCOUNT_OPERATIONS = 10_000
"""Operations of all scenarios of an account when one is saved in the console. Directory files, which the administrator
of the installation applies, may have more."""

MAX_CONDITION_VALUES = 100
"""Values of one condition of a subscription."""

MAX_TALK_SECONDS = 7 * 86_400
"""Of a condition on the length of a talk."""

MAX_NAME = 255


def short_number(text: str) -> str:
    """:raises ValueError: it is none."""
    if not is_extension(text):
        raise ValueError(f"a short number has {MIN_EXTENSION} to {MAX_EXTENSION} digits")
    return text


def is_extension(text: str) -> bool:
    """Whether a text is a short number."""
    return text.isascii() and text.isdigit() and MIN_EXTENSION <= len(text) <= MAX_EXTENSION
