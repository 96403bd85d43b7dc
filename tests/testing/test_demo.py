"""Where the simulated phones of ``trunkline demo call`` look for the PBX."""

from __future__ import annotations

import pytest

from trunkline.cli.demo import registrar_of
from trunkline.core.errors import Unavailable
from trunkline.core.settings import Settings, SipSettings


@pytest.mark.parametrize(
    ("bind", "host"), [("0.0.0.0", "127.0.0.1"), ("127.0.0.9", "127.0.0.9"), ("192.0.2.7", "192.0.2.7")]
)
def test_phones_register_where_the_pbx_listens(bind: str, host: str) -> None:
    registrar = registrar_of(Settings(sip=SipSettings(bind=bind, udp_port=5970)))
    assert registrar.uri("0160001") == f"sip:0160001@{host}:5970"


def test_without_udp_there_is_no_demo_call() -> None:
    with pytest.raises(Unavailable, match=r"sip\.udp_port"):
        registrar_of(Settings(sip=SipSettings(udp_port=0)))
