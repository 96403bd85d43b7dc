"""The name of a user is one text; an employee has a first and a last name. Pure."""

from __future__ import annotations

from trunkline.directory.model.limits import MAX_NAME


def split_name(name: str) -> dict[str, str]:
    """The columns of an employee whose full name this is: the last word is the last name.

    :raises ValueError: it is no name.
    """
    words = name.split()
    if not words:
        raise ValueError("send a name with at least one character")
    parts = {"first_name": " ".join(words[:-1]), "last_name": words[-1], "patronymic": ""}
    if any(len(part) > MAX_NAME for part in parts.values()):
        raise ValueError(f"send at most {MAX_NAME} characters")
    return parts


def joined_name(first_name: str, patronymic: str, last_name: str) -> str:
    """The full name; :func:`split_name` of it gives the same full name."""
    return " ".join(part for part in (first_name, patronymic, last_name) if part)
