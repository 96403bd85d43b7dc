"""Comparison of two copies of an account without disclosing them: each process can return its fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum
from pathlib import PurePath
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from trunkline.directory.model import Account


def fingerprint(account: Account) -> str:
    """64 hexadecimal digits of an account's data for calls, including secrets: equal accounts have equal
    ones, in every process and after every restart.

    :raises TypeError: the account holds a kind of value that has no plain form here.
    """
    return hashlib.sha256(orjson.dumps(_plain(account))).hexdigest()


def _plain(value: Any) -> Any:
    """Lists, texts and numbers, in an order that does not depend on how the value came about."""
    if value is None or (isinstance(value, (bool, int, float, str)) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, ZoneInfo):
        return value.key
    if isinstance(value, Mapping):
        return sorted(([str(name), _plain(one)] for name, one in value.items()), key=lambda pair: pair[0])
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(one) for one in value), key=orjson.dumps)
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if is_dataclass(value):
        # What does not count in a comparison follows from the rest: the indexes.
        return [_plain(getattr(value, each.name)) for each in fields(value) if each.compare]
    raise TypeError(f"{type(value).__name__} has no plain form")
