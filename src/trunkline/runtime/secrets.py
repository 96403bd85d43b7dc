"""The secrets of an instance: made once, readable by their owner only, never logged.

``master.key`` encrypts what must be stored readable (trunk passwords); losing it loses those, so it belongs
in the backup. ``engine.json`` and ``control.token`` authenticate loopback connections between the processes.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet

from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import Settings
from trunkline.runtime.files import create_once, private_folder


@dataclass(frozen=True)
class Login:
    """A name and a password that never shows itself."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Secrets:
    """All secrets of an instance.

    :ivar master_key: a Fernet key (URL-safe base64).
    :ivar ari, ami: logins of Asterisk's two interfaces.
    :ivar control_token: bearer token of the switch's command server.
    """

    master_key: bytes = field(repr=False)
    ari: Login
    ami: Login
    control_token: str = field(repr=False)


def ensure(settings: Settings) -> Secrets:
    """Make the secrets that are not there yet and load all; several processes at once are fine."""
    folder = settings.secrets_dir
    private_folder(folder)
    if not (folder / "master.key").exists():
        create_once(folder / "master.key", Fernet.generate_key() + b"\n", 0o600)
    if not (folder / "engine.json").exists():
        logins = {name: {"user": "trunkline", "password": secrets.token_hex(24)} for name in ("ari", "ami")}
        create_once(folder / "engine.json", json.dumps(logins, indent=1).encode() + b"\n", 0o600)
    if not (folder / "control.token").exists():
        create_once(folder / "control.token", secrets.token_hex(32).encode() + b"\n", 0o600)
    return load(settings)


def load(settings: Settings) -> Secrets:
    """Load the secrets; :class:`ConfigurationError` when one is absent or damaged."""
    check_instance(settings)
    folder = settings.secrets_dir
    try:
        master_key = (folder / "master.key").read_bytes().strip()
        Fernet(master_key)
        engine = json.loads((folder / "engine.json").read_text())
        ari, ami = (Login(engine[name]["user"], engine[name]["password"]) for name in ("ari", "ami"))
        token = (folder / "control.token").read_text().strip()
    except FileNotFoundError as error:
        raise ConfigurationError(_missing(Path(error.filename))) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"a file in {folder} is damaged; restore it from the backup (engine.json and control.token may "
            "also be deleted: `trunkline up` creates them again)"
        ) from error
    return Secrets(master_key, ari, ami, token)


def master_key(settings: Settings) -> bytes:
    """The master key alone; :class:`ConfigurationError` when it is absent or damaged."""
    check_instance(settings)
    path = settings.secrets_dir / "master.key"
    try:
        key = path.read_bytes().strip()
        Fernet(key)
    except FileNotFoundError as error:
        raise ConfigurationError(_missing(path)) from error
    except ValueError as error:
        raise ConfigurationError(f"{path} is damaged; restore it from the backup") from error
    return key


def check_instance(settings: Settings) -> None:
    """:class:`ConfigurationError` when the data folder has no instance: a command was started in another folder."""
    if (sentence := no_instance(settings)) is not None:
        raise ConfigurationError(sentence, value=str(settings.data))


def no_instance(settings: Settings) -> str | None:
    """The sentence when the data folder has no instance, with its remedy."""
    if settings.secrets_dir.exists():
        return None
    return (
        f"no instance in {settings.data}; set TRUNKLINE_CONFIG or TRUNKLINE_DATA_DIR, or change to its folder"
        " (`trunkline up` makes a new one here)"
    )


def _missing(path: Path) -> str:
    return f"{path} is missing; start the instance with `trunkline up` once, or restore it from the backup"
