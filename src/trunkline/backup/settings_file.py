"""Settings as a TOML file."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, SecretStr

from trunkline.core.settings import Settings

_OF_THE_PLACE = frozenset({"data_dir", "runtime_dir"})


def changed_settings(settings: Settings) -> str:
    """The settings that differ from the defaults, without the folders. The text has passwords."""
    top: list[str] = []
    groups: list[str] = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            lines = _lines(value)
            if lines:
                groups += ["", f"[{name}]", *lines]
        elif name not in _OF_THE_PLACE and value != type(settings).model_fields[name].default:
            top.append(f"{name} = {_toml(value)}")
    return "\n".join([*top, *groups]) + "\n"


def _lines(group: BaseModel) -> list[str]:
    plain = type(group)()
    return [
        f"{name} = {_toml(value)}"
        for name in type(group).model_fields
        if (value := getattr(group, name)) is not None and value != getattr(plain, name)
    ]


def _toml(value: Any) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, (bool, int, float, list)):
        return json.dumps(value)
    return json.dumps(str(value))
