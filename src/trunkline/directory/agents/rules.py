"""What the settings of an agent may be: the limits and defaults, for every interface. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from trunkline.core import time_zones

MAX_SECONDS = 86_400
MAX_COUNT = 2**31 - 1
MAX_NO_ANSWER = 86_400
"""A count of offers."""
MAX_ID = 2**53 - 1
MAX_TEXT = 255
MAX_IDS = 1000

DEFAULT_RING_TIMEOUT = 60
"""Seconds. The other times and counts are 0 by default."""


class SettingKind(StrEnum):
    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRING = "string"
    ARRAY = "array"
    """Of ids."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that is kept and returned.

    :ivar maximum: of a number; of a text or an array: length.
    """

    kind: SettingKind
    description: str
    maximum: int
    check: Callable[[str], str] | None = None


def time_zone(text: str) -> str:
    """:raises ValueError: it is no IANA name."""
    try:
        time_zones.time_zone(text)
    except ValueError:
        raise ValueError("send an IANA name of a time zone, for example Asia/Dubai") from None
    return text


def _integer(description: str, maximum: int = MAX_COUNT) -> Setting:
    return Setting(SettingKind.INTEGER, description, maximum)


def _flag(description: str) -> Setting:
    return Setting(SettingKind.BOOLEAN, description, 1)


def _text(description: str) -> Setting:
    return Setting(SettingKind.STRING, description, MAX_TEXT)


def _ids(description: str) -> Setting:
    return Setting(SettingKind.ARRAY, description, MAX_IDS)


SETTINGS: Mapping[str, Setting] = {
    "timezone": Setting(
        SettingKind.STRING, "IANA name of the time zone; null: that of the account.", 64, time_zone
    ),
    "sites": _ids("Ids of offices."),
    "intercept_groups": _ids("Groups whose calls the user may intercept."),
    "intercept_other_groups": _ids("Further groups whose calls the user may intercept."),
    "follow_me": _integer("0: all devices at once, else seconds until the next device.", MAX_SECONDS),
    "dr_id": _integer("Dial rule.", MAX_ID),
    "call_timeout": _integer("Seconds until voice mail answers.", MAX_SECONDS),
    "vm_id": _integer("Voice mail box.", MAX_ID),
    "override_device": _flag("Whether the settings below replace those of the device."),
    "ecnam": _text("Caller name of calls to outside."),
    "ecnum": _text("Caller number of calls to outside."),
    "ocnam": _text("Caller name of internal calls."),
    "ocnum": _text("Caller number of internal calls."),
    "user_record": _integer("Whether the user may record calls."),
    "cnum_by_country": _flag("Caller number by the country that is called."),
    "blf_ext": _text("Extension that lamps of other phones show."),
    "rec_inb_ext": _integer("Recording of calls from outside."),
    "rec_out_ext": _integer("Recording of calls to outside."),
    "rec_inb_int": _integer("Recording of internal calls that are received."),
    "rec_out_int": _integer("Recording of internal calls that are made."),
    "max_snooze": _integer("Largest number of snoozes."),
    "web_device_id": _integer("Device of the browser.", MAX_ID),
    "call_waiting": _flag("Whether a second call is announced."),
    "wrap_up_out": _flag("Whether wrap-up follows calls that the agent makes."),
}
"""Settings that are kept and returned, and that calls do not use yet, by their names in the Call Center API.

Ids of what Trunkline does not have (offices, dial rules, voice mail boxes, devices of browsers) name nothing of any account.
"""

GROUP_SETTINGS = frozenset({"intercept_groups", "intercept_other_groups"})
"""Settings with ids of groups of employees: of the account."""

_INTEGER = re.compile(r"[0-9]{1,16}\Z")
_WORDS = {"true": True, "false": False, "1": True, "0": False}


def checked_settings(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are kept: without empty ones; numbers and truth values may be written as text.

    :raises ValueError: an unknown setting, or a value that it cannot have.
    """
    found: dict[str, Any] = {}
    for name, value in sent.items():
        setting = SETTINGS.get(name)
        if setting is None:
            raise ValueError(f"there is no setting {name}; there are {', '.join(SETTINGS)}")
        if value is not None:
            found[name] = _checked(name, setting, value)
    return found


def _checked(name: str, setting: Setting, value: Any) -> Any:
    match setting.kind:
        case SettingKind.BOOLEAN:
            word = _WORDS.get(str(value).lower())
            if word is None:
                raise ValueError(f"{name} is true or false")
            return word
        case SettingKind.INTEGER:
            return _number(name, value, setting.maximum)
        case SettingKind.ARRAY:
            if not isinstance(value, list | tuple) or len(value) > setting.maximum:
                raise ValueError(f"{name} is a list of at most {setting.maximum} ids")
            return [_number(name, one, MAX_ID) for one in value]
        case SettingKind.STRING:
            if not isinstance(value, str) or len(value) > setting.maximum:
                raise ValueError(f"{name} is a text of at most {setting.maximum} characters")
            return setting.check(value) if setting.check is not None else value


def _number(name: str, value: Any, maximum: int) -> int:
    if isinstance(value, bool) or not _INTEGER.match(str(value)) or int(value) > maximum:
        raise ValueError(f"{name} has whole numbers from 0 to {maximum}")
    return int(value)
