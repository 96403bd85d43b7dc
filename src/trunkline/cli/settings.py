"""The settings of a command, with readable errors."""

from __future__ import annotations

import difflib
import tomllib

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import Settings


def load_settings() -> Settings:
    """Settings from environment and file; :class:`ConfigurationError` names the invalid ones."""
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(_fault(each) for each in error.errors())
        raise ConfigurationError(
            f"the settings (TRUNKLINE_* variables, trunkline.toml) are wrong: {faults}"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"the settings file (TRUNKLINE_CONFIG, trunkline.toml) is not TOML: {error}"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            "the settings file (TRUNKLINE_CONFIG, trunkline.toml) is not UTF-8 text; save it as UTF-8"
        ) from error
    except SettingsError as error:
        raise ConfigurationError(f"{error}; lists in the environment are written as JSON") from error


_FORMS = {
    "bool_": "true or false",
    "int_": "a whole number",
    "float_": "a number",
    "string_": "a text",
    "list_": "a list of texts",
    "path_": "a path",
}
"""What a setting must be, by the start of the name of the error."""


def _reason(detail: ErrorDetails) -> str:
    """Why a value is refused; without the value where the type is wrong, as it may be a password."""
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    form = next((form for start, form in _FORMS.items() if detail["type"].startswith(start)), None)
    if form is not None and detail["type"].endswith(("_type", "_parsing")):
        return f"write {form}"
    return detail["msg"]


def _fault(detail: ErrorDetails) -> str:
    """One invalid setting; for an unknown one, the closest known name."""
    loc = [str(part) for part in detail["loc"]]
    name = ".".join(loc)
    if detail["type"] != "extra_forbidden":
        return f"{name}: {_reason(detail)}"
    group: type[BaseModel] | None = Settings
    for part in loc[:-1]:
        found = group.model_fields.get(part) if group is not None else None
        kind = found.annotation if found is not None else None
        group = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    known = list(group.model_fields) if group is not None else []
    prefix = "".join(f"{part}." for part in loc[:-1])
    near = difflib.get_close_matches(loc[-1], known, 1)
    hint = f"did you mean {prefix}{near[0]}?" if near else f"there are {', '.join(known)}"
    return f"{name}: there is no such setting; {hint}"
