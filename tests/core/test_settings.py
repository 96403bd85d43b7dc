"""What settings are refused, before anything starts with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.cli.settings import load_settings
from trunkline.core.errors import ConfigurationError


def test_a_file_that_is_named_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRUNKLINE_CONFIG", str(tmp_path / "second.toml"))
    with pytest.raises(ConfigurationError, match=r"second\.toml, and there is no such file"):
        load_settings()
    (tmp_path / "second.toml").write_text("[sip]\nudp_port = 5070\n")
    assert load_settings().sip.udp_port == 5070
    monkeypatch.setenv("TRUNKLINE_CONFIG", "")
    assert load_settings().sip.udp_port == 5060


@pytest.mark.parametrize(
    "name", ["SIP__UDP_PORT", "SIP__RTP_PORT_LAST", "WEB__HTTPS_PORT", "SWITCH__CONTROL_PORT"]
)
@pytest.mark.parametrize("port", ["65536", "-1"])
def test_ports_are_ports(name: str, port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"TRUNKLINE_{name}", port)
    with pytest.raises(ConfigurationError, match=name.lower().replace("__", r"\.")):
        load_settings()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("dat_dir = 'x'", "dat_dir: "),
        ("[sip]\nudp_prot = 1", r"sip\.udp_prot: "),
        ("[sip]\nudp_port = 1\n[sip]\ntcp_port = 1", "is not TOML: .*line 3"),
    ],
)
def test_a_wrong_file_is_refused(
    text: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trunkline.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=fault):
        load_settings()


def test_a_list_of_the_environment_is_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRUNKLINE_SIP__LOGIN_BAN_EXEMPT", "192.0.2.0/24")
    with pytest.raises(ConfigurationError, match="JSON"):
        load_settings()
