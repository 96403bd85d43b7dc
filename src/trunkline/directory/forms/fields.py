"""The words of directory files: keys, numbers, times and whatever else a field may be, each with what it must look
like. No I/O."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Any, Literal

import phonenumbers
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from trunkline.core import names
from trunkline.core.phone import normalise, with_extension
from trunkline.core.time_zones import time_zone
from trunkline.directory.model.hours import clock, minutes
from trunkline.directory.model.limits import (
    MAX_DIAL_SECONDS,
    MAX_NAME,
    MIN_DIAL_SECONDS,
    is_extension,
    short_number,
)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _phone(text: str) -> str:
    digits = normalise(text)
    if digits is None:
        raise ValueError(f"{text!r} is not a telephone number; write it in full, for example +12025550110")
    return digits


def _outside(text: str) -> str:
    kept = with_extension(text)
    if kept is None:
        raise ValueError(
            f"{text!r} is not a telephone number; write it in full, for example +12025550110, or with an extension"
            " behind dots, each a pause of a second: 12025550110...2345"
        )
    return kept


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise ValueError(f"{text!r} is not an address or network; write 192.0.2.7 or 192.0.2.0/24") from None


def _time(text: str) -> str:
    return clock(minutes(text))


def _zone(text: str) -> str:
    try:
        time_zone(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time zone; write an IANA name like Asia/Dubai") from None
    return text


def _days(value: Any) -> Any:
    """``mon-fri``, ``[mon, wed-fri]``, ``[1, 2]`` to a sorted tuple of ISO weekdays."""
    found: set[int] = set()
    for part in value if isinstance(value, list | tuple) else [value]:
        first, dash, last = str(part).lower().partition("-")
        start, end = _day(first), _day(last if dash else first)
        found |= {(start - 1 + step) % 7 + 1 for step in range((end - start) % 7 + 1)}
    if not found:
        raise ValueError("no days given; write for example mon-fri")
    return tuple(sorted(found))


def _day(name: str) -> int:
    if name.strip() in DAYS:
        return DAYS.index(name.strip()) + 1
    if name.strip() in {str(day) for day in range(1, 8)}:
        return int(name)
    raise ValueError(f"{name!r} is not a day; write {', '.join(DAYS)}")


def distinct(items: tuple[Any, ...]) -> tuple[Any, ...]:
    """:raises ValueError: the same thing twice."""
    if len(set(items)) != len(items):
        raise ValueError("the same thing is named twice")
    return items


def once(items: tuple[Any, ...]) -> tuple[Any, ...]:
    """Each thing once, at its first place."""
    return tuple(dict.fromkeys(items))


def one_of(*values: str) -> AfterValidator:
    """:raises ValueError: none of these."""

    def check(text: str) -> str:
        if text not in values:
            raise ValueError(f"{text!r} is none of {', '.join(values)}")
        return text

    return AfterValidator(check)


def in_order(items: tuple[str, ...]) -> tuple[str, ...]:
    """For lists without a significant order: sorted, without duplicates."""
    return tuple(sorted(set(items)))


_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
_LOGIN = re.compile(r"[0-9]{3,15}\Z")
_SHORT = re.compile(r"[0-9]{2,8}\Z")
_CALLER = re.compile(r"[0-9]{1,15}\Z|[a-z]{1,32}\Z")
_BUTTON = re.compile(r"[0-9*#]{1,2}\Z")


def _key(text: str) -> str:
    if not _KEY.match(text):
        raise ValueError(f"{text!r} is not a key; use small letters, digits, - and _ (at most 64)")
    return text


def _subscription_key(text: str) -> str:
    """``trunkline notification add`` makes keys of URLs."""
    if not 1 <= len(text) <= 200:
        raise ValueError("a subscription's key has 1 to 200 characters")
    return text


def is_present(info: ValidationInfo) -> bool:
    """Whether a stored row is read, which other rules than a file's may have let in, and not what somebody writes."""
    return bool((info.context or {}).get(PRESENT))


def _caller(text: str, info: ValidationInfo) -> str:
    """Callers may also be lines, short numbers and words such as ``anonymous``: ``block.contact`` and talk options keep
    them as calls have them."""
    if normalise(text) is None and (_CALLER.match(text) or is_present(info)):
        return text
    return _phone(text)


def _email(text: str, info: ValidationInfo) -> str:
    return text if is_present(info) else names.email(text)


def _forward(text: str) -> str:
    """Empty: calls are not forwarded."""
    return text if not text or is_extension(text) else _outside(text)


def _title(text: str, info: ValidationInfo) -> str:
    if not text.strip():
        raise ValueError("a name has at least one character")
    return text if is_present(info) else names.one_line(text)


def _login(text: str) -> str:
    if not _LOGIN.match(text):
        raise ValueError(f"{text!r} is not a SIP login; use 3 to 15 digits")
    return text


def _button(text: str) -> str:
    if not _BUTTON.match(text):
        raise ValueError(f"{text!r} is not a button; use one or two of 0-9, * and #")
    return text


def _phone_key(text: str) -> str:
    if not re.fullmatch(r"[0-9*#]", text):
        raise ValueError(f"{text!r} is no key of a phone; use one of 0-9, * and #")
    return text


def _menu_keys(text: str) -> str:
    if not re.fullmatch(r"[0-9*#]{1,8}", text):
        raise ValueError(f"{text!r} are no keys of a phone; use one to eight of 0-9, * and #")
    return text


def _place(text: str) -> str:
    """A country as its ISO 3166 code, or the beginning of numbers as ``+`` and digits."""
    bare = text.strip()
    if re.fullmatch(r"[A-Za-z]{2}", bare):
        code = bare.upper()
        if code not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError(f"{text!r} is no country; write its ISO 3166 code, for example AE")
        return code
    digits = re.sub(r"[\s()-]+", "", bare)
    if not re.fullmatch(r"\+[1-9][0-9]{0,14}", digits):
        raise ValueError(f"{text!r} is no place; write a country (AE) or the beginning of numbers (+9714)")
    return digits


def _caller_pattern(text: str) -> str:
    """A number, or the beginning of numbers with ``*`` behind it."""
    beginning, star, rest = text.strip().partition("*")
    if not star:
        return _blocked_or_short(text)
    digits = re.sub(r"[\s()-]+", "", beginning).removeprefix("+")
    if rest or not re.fullmatch(r"[0-9]{1,15}", digits):
        raise ValueError(f"{text!r} is no list entry; write a number, or the beginning of numbers: +97150*")
    return f"{digits}*"


def _blocked_or_short(text: str) -> str:
    """Callers may also be lines and short numbers."""
    bare = text.strip()
    return bare if normalise(bare) is None and _SHORT.match(bare) else _phone(bare)


PRESENT = "present"
"""In the context of a validation: the rows that are there, which other rules than a file's may have let in."""

Key = Annotated[str, AfterValidator(_key)]
EmailAddress = Annotated[str, AfterValidator(names.email)]
SubscriptionKey = Annotated[str, AfterValidator(_subscription_key)]
Caller = Annotated[str, AfterValidator(_caller)]
"""A number as calls have it."""
Email = Annotated[str, AfterValidator(_email)]
Title = Annotated[str, AfterValidator(_title)]
"""A name that is the key of its item."""
Login = Annotated[str, AfterValidator(_login)]
Button = Annotated[str, AfterValidator(_button)]
Phone = Annotated[str, AfterValidator(_phone)]
PhoneKey = Annotated[str, AfterValidator(_phone_key)]
MenuKeys = Annotated[str, AfterValidator(_menu_keys)]
Place = Annotated[str, AfterValidator(_place)]
CallerPattern = Annotated[str, AfterValidator(_caller_pattern)]
OutsidePhone = Annotated[str, AfterValidator(_outside)]
"""An outside number that may have an extension (:func:`trunkline.core.phone.with_extension`)."""
ForwardTarget = Annotated[str, AfterValidator(_forward)]
"""A short number, or an outside number; empty: none."""
HubSpotOwner = Annotated[str, Field(pattern=r"^[0-9]{0,20}$")]
"""The id of an owner in HubSpot; empty: none."""
Network = Annotated[str, AfterValidator(_network)]
Networks = Annotated[tuple[Network, ...], AfterValidator(in_order)]
TimeOfDay = Annotated[str, AfterValidator(_time)]
Zone = Annotated[str, AfterValidator(_zone)]
Days = Annotated[tuple[int, ...], BeforeValidator(_days)]
Extension = Annotated[str, AfterValidator(short_number)]
Sides = Annotated[tuple[Literal["in", "out"], ...], AfterValidator(in_order)]
DialTime = Annotated[int, Field(ge=MIN_DIAL_SECONDS, le=MAX_DIAL_SECONDS)]
Secret = Annotated[SecretStr | None, BeforeValidator(lambda value: value or None)]
"""Never shown; an empty one is none."""
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_title)]

BOTH: tuple[Literal["in", "out"], ...] = ("in", "out")


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True, frozen=True, hide_input_in_errors=True)

    @field_validator(*names.COLUMNS, check_fields=False)
    @classmethod
    def _one_line(cls, text: Any, info: ValidationInfo) -> Any:
        return names.one_line(text) if isinstance(text, str) and not is_present(info) else text

    def default_name(self, key: str) -> str:
        """Name of an item that is written without one."""
        return key


class TitleForm(Item):
    """An item that has nothing but its name, which is its key."""


def shorthand(field: str) -> BeforeValidator:
    """``key: text`` for ``key: {field: text}``."""
    return BeforeValidator(lambda value: {field: value} if isinstance(value, str) else value)
