"""The settings of a command, with errors a person can read."""

from __future__ import annotations

from pydantic import ValidationError

from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import Settings


def load_settings() -> Settings:
    """Settings from environment and file; :class:`ConfigurationError` names what is wrong in them."""
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ConfigurationError(
            f"the settings (TRUNKLINE_* variables, trunkline.toml) are wrong: {faults}"
        ) from error
