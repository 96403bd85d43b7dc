from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from trunkline.core.engine_values import BadEngineValue, MediaPath
from trunkline.core.settings import Settings
from trunkline.telephony.config import (
    DefaultRoute,
    EndpointSet,
    EngineConfig,
    EnginePaths,
    EnginePorts,
    EngineSecrets,
    LineConfig,
    TrunkConfig,
    TrunkMode,
    TrunkTransport,
    base_files,
    directory_files,
    write_files,
)

HERE = Path("/nowhere")
CONFIG = EngineConfig(
    EnginePaths(HERE, HERE / "spool", HERE / "modules", HERE / "data"),
    EnginePorts(8088, 5038, 5060, 5060, 9061, 8089, 20000, 20999),
    EngineSecrets("t", "ari-secret", "t", "ami-secret"),
    HERE / "t.crt",
    HERE / "t.key",
)
LINES = [LineConfig.of("1002", "b" * 32), LineConfig.of("1001", "a" * 32, "c" * 64, browser=False)]
TRUNK = TrunkConfig.of("7", TrunkMode.ADDRESS, "192.0.2.7", addresses=["192.0.2.7", "198.51.100.0/24"])


def sections(text: str) -> list[tuple[str, dict[str, list[str]]]]:
    """Sections in order with their settings."""
    found: list[tuple[str, dict[str, list[str]]]] = []
    for line in text.splitlines():
        if line.startswith("["):
            found.append((line.partition("]")[0][1:], {}))
        elif "=" in line:
            key, _, value = line.partition("=")
            found[-1][1].setdefault(key.strip(), []).append(value.strip().removeprefix("> "))
    return found


def everything(files: Mapping[str, str]) -> str:
    """What an account brings, of all kinds."""
    return "\n".join(text for name, text in sorted(files.items()) if name.startswith("accounts/"))


def test_the_dialplan_has_no_function_that_asterisk_refuses_after_a_command() -> None:
    """ARI sets variables on the thread of the channel, and Asterisk refuses some functions as dangerous there afterwards: a
    second connect of such a call found no device."""
    text = "\n".join(base_files(CONFIG).values())
    assert "${DB_EXISTS(" in text
    refused = ("DB", "DB_DELETE", "DB_KEYS", "SHELL", "FILE", "SYSINFO", "ENV", "IMPORT", "REALTIME")
    assert [name for name in refused if f"${{{name}(" in text] == []


def test_same_values_same_text_whatever_the_order() -> None:
    one = directory_files(CONFIG, EndpointSet(lines=LINES, trunks=[TRUNK]))
    other = directory_files(CONFIG, EndpointSet(lines=LINES[::-1], trunks=[TRUNK]))
    assert one == other


def test_control_interfaces_listen_on_loopback_only() -> None:
    files = base_files(CONFIG)
    (http, *restrictions) = sections(files["http.conf"])
    assert http[1]["bindaddr"] == ["127.0.0.1"]
    assert http[1]["tlsbindaddr"] == ["0.0.0.0:8089"]
    assert {name for name, _ in restrictions} >= {"/ari", "/ARI", "/aRi"}
    assert len(restrictions) == 8
    assert sections(files["manager.conf"])[0][1]["bindaddr"] == ["127.0.0.1"]


def test_new_calls_do_not_wait_for_who_only_listens() -> None:
    """Asterisk's own default leaves INVITEs unanswered while any queue, as the one of our events, is long."""
    [general] = [found for name, found in sections(base_files(CONFIG)["pjsip.conf"]) if name == "global"]
    assert general["taskprocessor_overload_trigger"] == ["pjsip_only"]


def test_a_port_of_zero_turns_a_transport_off() -> None:
    ports = EnginePorts(8088, 5038, 0, 0, 0, 0, 20000, 20999)
    files = base_files(EngineConfig(CONFIG.paths, ports, CONFIG.secrets, CONFIG.certificate, CONFIG.key))
    assert "type = transport" not in files["pjsip.conf"]
    assert "tlsenable" not in files["http.conf"]


def test_a_credential_of_browsers_is_not_good_for_phones() -> None:
    files = directory_files(CONFIG, EndpointSet(lines=[LineConfig.of("1002", "b" * 32, phones=False)]))
    endpoints = dict(sections(files["accounts/0-endpoints.conf"]))
    assert endpoints["1002"]["auth"] == ["tl-applied"]
    assert endpoints["web-1002"]["auth"] == ["1002"]
    assert dict(sections(files["accounts/0-aors.conf"]))["1002"]["max_contacts"] == ["0"]


def test_a_line_is_a_phone_and_a_browser_with_one_login() -> None:
    files = directory_files(CONFIG, EndpointSet(lines=[LINES[0]]))
    [(login, auth)] = sections(files["accounts/0-auths.conf"])
    endpoints = sections(files["accounts/0-endpoints.conf"])
    assert [name for name, _ in endpoints] == ["1002", "web-1002"]
    assert [name for name, _ in sections(files["accounts/0-aors.conf"])] == ["1002", "web-1002"]
    assert (login, auth["password_digest"]) == ("1002", [f"MD5:{'b' * 32}"])
    assert endpoints[0][1]["auth"] == endpoints[1][1]["auth"] == ["1002"]
    assert endpoints[1][1]["aors"] == ["web-1002"]


def test_a_line_that_may_not_register_takes_no_contact() -> None:
    text = directory_files(CONFIG, EndpointSet(lines=[LineConfig.of("1001", "a" * 32, may_register=False)]))
    assert "max_contacts = 0" in text["accounts/0-aors.conf"]


def test_a_trunk_by_address_and_one_that_registers() -> None:
    text = everything(directory_files(CONFIG, EndpointSet(trunks=[TRUNK])))
    matches = [values["match"] for _, values in sections(text) if "match" in values]
    assert matches == [["192.0.2.7", "198.51.100.0/24"]]
    assert "registration" not in text
    registering = TrunkConfig.of(
        "8",
        TrunkMode.REGISTER,
        "sip.example.net",
        5061,
        TrunkTransport.TLS,
        "user",
        "p=w#d",
        server="2001:db8::9",
    )
    text = everything(directory_files(CONFIG, EndpointSet(trunks=[registering])))
    assert "password = p=w#d" in text
    assert "server_uri = sip:sip.example.net:5061\\;transport=tls" in text
    assert text.count("outbound_proxy = sip:[2001:db8::9]:5061\\;transport=tls\\;lr\\;hide\n") == 3
    assert "line = yes" in text
    assert "match" not in text


@pytest.mark.parametrize("value", ["1001]", "10 01", "abc", "", "1001\n[x]"])
def test_a_login_cannot_break_the_file(value: str) -> None:
    with pytest.raises(ValueError, match="login"):
        LineConfig.of(value, "a" * 32)


def test_default_routes_and_music() -> None:
    files = directory_files(
        CONFIG,
        EndpointSet(
            defaults=[DefaultRoute.of("442079460100", "1001", ["trunk-7", "trunk-9-ip"])],
            music=[MediaPath("/m/a")],
        ),
    )
    for endpoint in ("trunk7", "trunk9ip"):
        assert f"exten => {endpoint}~442079460100,1,Goto(tl-ring,1001,1)" in files["accounts/0-routes.conf"]
    assert "entry = /m/a" in files["musiconhold.conf"]
    with pytest.raises(BadEngineValue, match="digits"):
        DefaultRoute.of("44,1,System(x)", "1001", [])


def test_only_changed_files_are_written_and_nobody_else_reads_them(tmp_path: Path) -> None:
    files = directory_files(CONFIG, EndpointSet(lines=LINES))
    assert write_files(tmp_path / "etc", files) == set(files)
    assert write_files(tmp_path / "etc", files) == set()
    changed = directory_files(CONFIG, EndpointSet(lines=LINES[:1]))
    assert "accounts/0-auths.conf" in write_files(tmp_path / "etc", changed)
    for file in (file for file in (tmp_path / "etc").rglob("*") if file.is_file()):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_from_settings(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    config = EngineConfig.of(settings, CONFIG.secrets, HERE / "modules", HERE / "data")
    assert config.paths.root == tmp_path / "asterisk"
    assert config.ports.tls == settings.sip.tls_port
    assert config.away_wait == settings.switch.away_wait
    assert "ari-secret" not in repr(config)


def test_an_ipv6_address_is_in_brackets_before_a_port() -> None:
    files = base_files(replace(CONFIG, bind="2001:db8::5"))
    binds = [
        found["bind"]
        for name, found in sections(files["pjsip.conf"])
        if name != "transport-wss" and "bind" in found
    ]
    assert binds == [["[2001:db8::5]:5060"], ["[2001:db8::5]:5060"], ["[2001:db8::5]:9061"]]
    assert sections(files["http.conf"])[0][1]["tlsbindaddr"] == ["[2001:db8::5]:8089"]
