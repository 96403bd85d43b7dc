"""Settings that are addresses, networks, host names or URLs: wrong values are refused with name, value and form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, SecretStr

from trunkline.cli.settings import load_settings
from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import Settings

_BIND = (
    ["192.0.2.5", "0.0.0.0", "::", "2001:db8::5"],
    ["pbx.local", "", "127.0.0.300", "::1\nx = y", "1.2.3.4:5"],
)
_NETWORK = (
    ["192.168.5.0/24", "192.168.5.7", "2001:db8::/32"],
    ["10.0.0.0/33", "office", "", "192.168.5.7/24", "10.0.0.0/8 ", "10.0.0.0-10.0.0.9"],
)
_HOST = (
    ["mail.example", "smtp_relay", "192.0.2.5", "2001:db8::5"],
    ["", "two words", "https://mail.example", "mail.example:25", "127.0.0.300", "a\nb"],
)
_URL = (
    ["https://pbx.example", "http://192.0.2.5:8080", "https://[2001:db8::5]:8443/x"],
    [
        "pbx.example",
        "",
        "ftp://pbx.example",
        "https://",
        "https://a b",
        "https://pbx.example:x",
        "https://u@pbx.example",
        "https://pbx.example/?a=1",
        "//pbx.example",
    ],
)
_ORIGIN = (["https://crm.example", "*"], ["crm.example", "https://crm.example/path"])

KINDS: dict[str, tuple[list[str], list[str], str]] = {
    "database_url": (["postgresql://u:p@db.example/x", "host=/run dbname=x"], ["db.example", ""], "postgresql://"),
    "sip.bind": (*_BIND, "192.0.2.5"),
    "sip.external_address": (
        ["203.0.113.5"],
        ["pbx.example.com", "", "0.0.0.0", "2001:db8::5", "203.0.113.5:5060", "224.0.0.1"],
        "203.0.113.5",
    ),
    "sip.local_networks": (*_NETWORK, "192.168.5"),
    "sip.login_ban_exempt": (*_NETWORK, "192.168.5"),
    "engine.asterisk_mirror": (
        ["https://debian.mirror.example/debian/", "https://u:p@debian.mirror.example/debian", "file:///srv/debian"],
        ["debian.mirror.example", "", "ftp://debian.mirror.example", "https://a b", "file:///a b", "https://x\ny"],
        "https://",
    ),
    "web.http_bind": (*_BIND, "192.0.2.5"),
    "web.https_bind": (*_BIND, "192.0.2.5"),
    "web.public_url": (*_URL, "https://"),
    "web.asset_registry": (*_URL, "https://"),
    "web.trusted_proxies": (*_NETWORK, "192.168.5"),
    "web.country_header": (["CF-IPCountry", "X-Country"], ["", "a b", "X:", "x\ny"], "CF-IPCountry"),
    "web.cors_origins": (*_ORIGIN, "https://crm.example"),
    "switch.control_bind": (*_BIND, "192.0.2.5"),
    "switch.control_address": (*_HOST, "host"),
    "metrics.bind": (*_BIND, "192.0.2.5"),
    "notifications.allowed_private_networks": (*_NETWORK, "192.168.5"),
    "uploads.allowed_private_networks": (*_NETWORK, "192.168.5"),
    "external_decisions.allowed_private_networks": (*_NETWORK, "192.168.5"),
    "hubspot.allowed_private_networks": (*_NETWORK, "192.168.5"),
    "hubspot.api_url": (*_URL, "https://"),
    "mail.host": (*_HOST, "mail.example"),
}  # fmt: skip
"""By setting: good values, wrong values, and a part of the form in the message."""

OTHER_TEXTS = {
    "log_level",
    "engine.asterisk",  # a word or a path
    "mail.user",
    "mail.administrators",  # mail addresses
    "mail.sender",
    "analysis.language",
}
"""Settings with texts that are of none of these kinds."""


def _fields(group: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in group.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields(kind, f"{prefix}{name}.")
        else:
            yield prefix + name, kind


def _has_text(kind: Any) -> bool:
    if get_origin(kind) is Annotated:
        return _has_text(get_args(kind)[0])
    if get_origin(kind) in (list, Union, UnionType):
        return any(_has_text(one) for one in get_args(kind))
    return kind is str and kind is not SecretStr


TEXTS = {name: kind for name, kind in _fields(Settings) if _has_text(kind)}


def test_each_text_is_of_a_known_kind() -> None:
    """A new setting with a text must be entered in one of the two lists."""
    assert set(TEXTS) == set(KINDS) | OTHER_TEXTS


def _load(name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.chdir(tmp_path)
    group, _, own = name.rpartition(".")
    written = json.dumps([value] if _is_list(name) else value)
    others = {
        "switch.control_bind": 'control_address = "127.0.0.1"\n',
        "metrics.bind": f'token = "{"x" * 16}"\n',
    }
    head = f"[{group}]\n" if group else ""
    (tmp_path / "trunkline.toml").write_text(f"{head}{others.get(name, '')}{own} = {written}\n")
    return load_settings()


def _is_list(name: str) -> bool:
    return get_origin(TEXTS[name]) is list


@pytest.mark.parametrize(
    ("name", "value"), [(name, one) for name, (_, bad, _) in KINDS.items() for one in bad]
)
def test_a_wrong_value_is_refused_with_name_value_and_form(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _load(name, value, monkeypatch, tmp_path)
    message = caught.value.message
    assert name in message
    assert KINDS[name][2] in message
    assert "Value error" not in message
    assert "\n" not in message
    if name != "database_url":  # it may contain a password
        assert repr(value) in message


@pytest.mark.parametrize(
    ("name", "value"), [(name, one) for name, (good, _, _) in KINDS.items() for one in good]
)
def test_a_right_value_is_accepted(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _load(name, value, monkeypatch, tmp_path)


def test_links_have_one_slash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = _load("web.public_url", "https://pbx.example:8443/", monkeypatch, tmp_path)
    assert settings.web.public_url == "https://pbx.example:8443"
