"""Ports: which are needed, and the one sentence when one is taken."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import Settings, SipSettings, WebSettings
from trunkline.runtime import ports
from trunkline.runtime.ports import (
    Port,
    Transport,
    check_free,
    free_media_ports,
    is_open,
    media_ports,
    media_ports_in_use,
    ports_given_to_programs,
    ports_of,
    program_name,
    published_media_ports,
)


def test_a_taken_port_is_said_with_its_setting_and_holder(free_ports: Callable[[int], list[int]]) -> None:
    number = free_ports(1)[0]
    with socket.create_server(("127.0.0.1", number)):
        port = Port("web.http_port", Transport.TCP, "127.0.0.1", number)
        with pytest.raises(ConfigurationError) as caught:
            check_free([port])
        assert is_open(port)
    message = caught.value.message
    assert f"TCP port {number} of 127.0.0.1 is in use by" in message
    assert f"(pid {os.getpid()})" in message
    assert "web.http_port (TRUNKLINE_WEB__HTTP_PORT)" in message
    assert not is_open(port)


def test_the_program_that_the_loader_runs() -> None:
    loader = [
        "/r/lib64/ld-linux-x86-64.so.2",
        "--library-path",
        "/r/lib:/r/lib/asterisk",
        "/r/usr/sbin/asterisk",
        "-f",
    ]
    of_instance = [*loader, "-C", "/data/asterisk/etc/asterisk.conf", ""]
    assert program_name("ld-linux-x86-64", loader) == "asterisk"
    assert program_name("ld-linux-x86-64", of_instance) == "asterisk with /data/asterisk/etc/asterisk.conf"
    assert program_name("ld-linux-x86-64", ["ld-linux"]) == "ld-linux-x86-64"
    assert program_name("nginx", ["nginx: master", "-C"]) == "nginx"


def test_a_taken_udp_port_is_noticed(free_ports: Callable[[int], list[int]]) -> None:
    number = free_ports(1)[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", number))
        with pytest.raises(ConfigurationError, match=r"sip\.udp_port"):
            check_free([Port("sip.udp_port", Transport.UDP, "0.0.0.0", number)])
        check_free([Port("sip.tcp_port", Transport.TCP, "0.0.0.0", number)])


def test_two_settings_with_the_same_port(free_ports: Callable[[int], list[int]]) -> None:
    number = free_ports(1)[0]
    settings = Settings(web=WebSettings(http_port=number, https_port=number))
    with pytest.raises(ConfigurationError, match=r"web\.http_port and web\.https_port both name TCP port"):
        check_free(port for port in ports_of(settings) if port.setting.startswith("web."))


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        check_free([Port("sip.tcp_port", Transport.TCP, "192.0.2.1", 5060)])


def test_ports_turned_off_are_not_needed(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, sip=SipSettings(tcp_port=0), web=WebSettings(https_port=0))
    names = {port.setting for port in ports_of(settings)}
    assert "sip.udp_port" in names
    assert not names & {"sip.tcp_port", "web.https_port", "database_port"}


def test_an_own_database_needs_no_port_here() -> None:
    settings = Settings(database_url="postgresql://db.example/pbx", database_port=5444)
    assert "database_port" not in {port.setting for port in ports_of(settings)}


def test_free_ports_differ_and_can_be_had(free_ports: Callable[[int], list[int]]) -> None:
    numbers = free_ports(20)
    assert len(set(numbers)) == 20
    check_free(Port(f"p{number}", kind, "0.0.0.0", number) for number in numbers for kind in Transport)


def test_media_ports_of_another_running_instance_are_reported(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from trunkline.core.settings import Settings, SipSettings\n"
        "from trunkline.runtime.ports import media_ports\n"
        "with media_ports(Settings(sip=SipSettings(rtp_port_first=41000, rtp_port_last=41199))):\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path
    ) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"ready\n"
            overlapping = Settings(sip=SipSettings(rtp_port_first=41100, rtp_port_last=41299))
            with media_ports(overlapping) as sentences:
                [sentence] = [one for one in sentences if f"pid {other.pid} " in one]
            assert "(41000 to 41199)" in sentence
            apart = Settings(sip=SipSettings(rtp_port_first=41200, rtp_port_last=41299))
            with media_ports(apart) as sentences:
                assert not [one for one in sentences if f"pid {other.pid} " in one]
        finally:
            other.kill()


def test_media_ports_that_the_kernel_gives_to_programs_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which ports these are is a setting of the kernel, so it is replaced here."""
    monkeypatch.setattr(
        ports, "_given_to_programs", lambda: (range(41_000, 42_000), frozenset({41_010, 50_000}))
    )
    assert ports_given_to_programs(40_000, 40_999) == 0
    assert ports_given_to_programs(40_900, 41_099) == 99
    assert ports_given_to_programs(40_000, 50_000) == 999
    with media_ports(Settings(sip=SipSettings(rtp_port_first=40_900, rtp_port_last=41_099))) as sentences:
        [sentence] = [one for one in sentences if "the kernel gives" in one]
    assert "sysctl -w net.ipv4.ip_local_reserved_ports=40900-41099" in sentence
    free = free_media_ports()
    assert ports_given_to_programs(free[0], free[-1]) == 0


def test_free_media_ports_overlap_those_of_nobody() -> None:
    """Neither what was given before, here and in another process, nor what a running instance has published."""
    program = "from trunkline.runtime.ports import free_media_ports as f; print(f()[0], flush=True); input()"
    ours = [free_media_ports() for _ in range(3)]
    with (
        published_media_ports(ours[0][0], ours[0][-1]),
        subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other,
    ):
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        starts = [one[0] for one in ours] + [theirs]
        # Ours are no longer reserved after some more, but the first one is still published.
        starts.append(free_media_ports()[0])
        assert len(set(starts)) == len(starts)
        later = {free_media_ports()[0] for _ in range(60)}
        assert ours[0][0] not in later
        assert theirs not in later
        other.communicate("\n")


def test_media_ports_that_another_program_uses_are_not_free() -> None:
    """Asterisk refuses the call of which it gets no port, and nothing else shows that."""
    assert media_ports_in_use(os.getpid()) is None
    reserved = free_media_ports()
    first, last = reserved[0], reserved[-1]
    with (
        published_media_ports(first, last),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other,
    ):
        before = media_ports_in_use(os.getpid())
        assert before is not None
        assert before == {
            "first": first,
            "last": last,
            "pairs": (last - first + 1) // 2,
            "free": before["free"],
            "given_to_programs": 0,
        }
        one.bind(("127.0.0.1", first))
        other.bind(("::1", first + 3))
        assert media_ports_in_use(os.getpid()) == {**before, "free": before["free"] - 2}
