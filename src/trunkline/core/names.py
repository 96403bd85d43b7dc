"""Names of entities, locales and e-mail addresses: what is one. Pure."""

from __future__ import annotations

import re

_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?\Z")
_EMAIL = re.compile(
    r"[^\s@<>,;:\"()]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_](?:[\w-]{0,61}[^\W_])?\Z"
)


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

COLUMNS = ("name", "first_name", "last_name", "patronymic", "display_name")
"""Columns, and fields of forms, that have the name of an entity of the directory."""


def one_line(text: str) -> str:
    """A name, which lists, mails and logs have in one line.

    :raises ValueError: it has a line break or another control character.
    """
    if _CONTROL.search(text):
        raise ValueError(
            "a name is one line without control characters: write it without line breaks and tabs"
        )
    return text


def in_one_line(text: str) -> str:
    """A name from elsewhere, with a space for what :func:`one_line` refuses."""
    return _CONTROL.sub(" ", text)


def locale(text: str) -> str:
    """:raises ValueError: neither ``en`` nor ``en-GB``."""
    if not _LOCALE.match(text):
        raise ValueError(f"{text!r} is not a locale; write en or en-GB")
    return text


def is_email(text: str) -> bool:
    """Whether a text is the address of one mailbox."""
    return len(text) <= 254 and _EMAIL.match(text) is not None and ".." not in text


def email(text: str) -> str:
    """:raises ValueError: not an address of one mailbox."""
    if not is_email(text):
        raise ValueError(f"{text!r} is not an e-mail address; write layla@example.com")
    return text
