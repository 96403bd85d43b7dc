"""What another system answered about a call. Pure.

Source of the forms: the reference's page on interactive call processing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trunkline.core.storable_text import is_storable

REPLY_MAX = 65_536
"""Bytes of a reply."""

PHONES_MAX = 20
"""Numbers of one reply."""

CODES_MAX = 10
"""Return codes of one reply: each waits for the one before it, as sub-scenarios do."""

TEXT_MAX = 2000
"""Characters of a text that is read out."""

_NUMBER_MAX = 64


class InvalidReply(ValueError):  # noqa: N818 - reads as what it is
    """The reply is in none of the forms. The message says why."""


@dataclass(frozen=True, slots=True)
class Said:
    """A sound of a reply: a media file of the account, or a text to be read out. Both: the file.

    :ivar name: name or key of the file.
    """

    name: str | None = None
    text: str | None = None

    def __bool__(self) -> bool:
        return self.name is not None or self.text is not None


@dataclass(frozen=True, slots=True)
class Reply:
    """What is to happen to the call.

    :ivar codes: return codes, followed in turn. With one, the rest of the reply has no meaning.
    :ivar message: for the caller, before anybody is called.
    :ivar phones: numbers to call, as they were written; the next one when one is not reached.
    :ivar employee_message: for who answers, before the connection.
    """

    codes: tuple[str, ...] = ()
    message: Said = Said()
    phones: tuple[str, ...] = ()
    employee_message: Said = Said()


def parse(body: bytes) -> Reply:
    """The reply in a response.

    :raises InvalidReply: not JSON, not an object, a member of another type, or nothing to do.
    """
    if len(body) > REPLY_MAX:
        raise InvalidReply(f"more than {REPLY_MAX} bytes")
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidReply("not JSON") from None
    if not isinstance(read, dict):
        raise InvalidReply("not an object")
    codes = _codes(read.get("returned_code"))
    if codes:
        return Reply(codes=codes)
    phones = _phones(read.get("phones"))
    message = Said(_text(read, "message_name"), _text(read, "text"))
    if not phones and not message:
        raise InvalidReply("nothing to do: send returned_code, phones, message_name or text")
    return Reply((), message, phones, _employee_message(read))


def _codes(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    listed = value if isinstance(value, list) else [value]
    if len(listed) > CODES_MAX:
        raise InvalidReply(f"returned_code has more than {CODES_MAX} codes")
    return tuple(_code(one) for one in listed)


def _code(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise InvalidReply("returned_code is a text, a whole number, or a list of these")
    return _checked_text(str(value).strip()[:_NUMBER_MAX], "returned_code")


def _phones(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    listed = value if isinstance(value, list) else [value]
    if len(listed) > PHONES_MAX:
        raise InvalidReply(f"phones has more than {PHONES_MAX} numbers")
    if any(isinstance(one, bool) or not isinstance(one, str | int) for one in listed):
        raise InvalidReply("phones is a list of numbers")
    return tuple(_checked_text(str(one)[:_NUMBER_MAX], "phones") for one in listed)


def _text(read: Mapping[str, Any], name: str) -> str | None:
    value = read.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InvalidReply(f"{name} is a text")
    if len(value) > TEXT_MAX:
        raise InvalidReply(f"{name} has more than {TEXT_MAX} characters")
    return _checked_text(value, name)


def _checked_text(text: str, name: str) -> str:
    """PostgreSQL stores no NUL and no half of a surrogate pair, and the reply becomes an event of the call."""
    if not is_storable(text):
        raise InvalidReply(f"{name} has a character that is none: NUL, or half of a surrogate pair")
    return text


def _employee_message(read: Mapping[str, Any]) -> Said:
    """``operator_message``, a name or an object of the two others; else ``operator_media`` and ``operator_text``."""
    within = read.get("operator_message")
    if isinstance(within, dict):
        return Said(_text(within, "operator_media"), _text(within, "operator_text"))
    name = _text(read, "operator_message") or _text(read, "operator_media")
    return Said(name, _text(read, "operator_text"))
