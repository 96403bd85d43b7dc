"""The settings of a command, with readable errors."""

from __future__ import annotations

import tomllib

from pydantic import ValidationError
from pydantic_settings import SettingsError

from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import Settings


def load_settings() -> Settings:
    """Settings from environment and file; :class:`ConfigurationError` names the invalid ones."""
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ConfigurationError(
            f"the settings (TRUNKLINE_* variables, trunkline.toml) are wrong: {faults}"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"the settings file (TRUNKLINE_CONFIG, trunkline.toml) is not TOML: {error}"
        ) from error
    except SettingsError as error:
        raise ConfigurationError(f"{error}; lists in the environment are written as JSON") from error
