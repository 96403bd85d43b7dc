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


def _fault(detail: ErrorDetails) -> str:
    """One invalid setting; for an unknown one, the closest known name."""
    loc = [str(part) for part in detail["loc"]]
    name = ".".join(loc)
    if detail["type"] != "extra_forbidden":
        return f"{name}: {detail['msg']}"
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
