"""What settings are refused, before anything starts with them."""

from __future__ import annotations

from ipaddress import ip_address
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
    "name",
    ["METRICS__WEB_PORT", "SIP__UDP_PORT", "SIP__RTP_PORT_LAST", "WEB__HTTPS_PORT", "SWITCH__CONTROL_PORT"],
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


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::", "0:0::0"])
def test_an_address_that_no_client_can_reach_is_not_for_the_lease(
    everywhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRUNKLINE_SWITCH__CONTROL_BIND", everywhere)
    with pytest.raises(ConfigurationError, match="control_address"):
        load_settings()
    for address in (everywhere, "", "two words", "http://192.0.2.7", "127.0.0.300", "192.0.2.7:8070"):
        monkeypatch.setenv("TRUNKLINE_SWITCH__CONTROL_ADDRESS", address)
        with pytest.raises(ConfigurationError, match="control_address"):
            load_settings()
    for address, host in (
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "[2001:db8::7]"),
        ("switch.example", "switch.example"),
        ("switch-1", "switch-1"),
    ):
        monkeypatch.setenv("TRUNKLINE_SWITCH__CONTROL_ADDRESS", address)
        settings = load_settings().switch
        assert settings.control_url == f"http://{host}:{settings.control_port}"
        assert settings.control_bind == str(ip_address(everywhere))


def test_the_switch_is_reached_where_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings().switch.control_url == "http://127.0.0.1:8070"
    monkeypatch.setenv("TRUNKLINE_SWITCH__CONTROL_BIND", "2001:db8::7")
    assert load_settings().switch.control_url == "http://[2001:db8::7]:8070"
    monkeypatch.setenv("TRUNKLINE_SWITCH__CONTROL_BIND", "not an address")
    with pytest.raises(ConfigurationError, match="control_bind"):
        load_settings()


@pytest.mark.parametrize(
    ("channels", "administrators"), [("max_channels", "administrators"), ("max_calls", "operators")]
)
def test_former_names_of_settings_are_accepted(
    channels: str, administrators: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trunkline.toml").write_text(
        f'[engine]\n{channels} = 40\n[mail]\n{administrators} = ["admin@palm.example"]\n'
    )
    settings = load_settings()
    assert settings.engine.max_channels == 40
    assert settings.mail.administrators == ["admin@palm.example"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[sip]\nrtp_port_first = 25000\nrtp_port_last = 20000", r"sip: .*25000 to rtp_port_last 20000"),
        ("[sip]\nrtp_port_first = 20000\nrtp_port_last = 20010", r"sip: .*at least 40 ports"),
        ("[sip]\nudp_port = 20500", r"sip: .*udp_port 20500 is one of the media ports 20000 to 24999"),
        ("[engine]\nmax_channels = 2501", r"max_channels 2501 needs 5002 media ports"),
    ],
)
def test_media_ports_are_enough_and_their_own(
    text: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trunkline.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=fault):
        load_settings()
