"""Where the simulated phones of ``trunkline demo call`` look for the PBX."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from trunkline.cli.demo import registrar_of
from trunkline.core.errors import Unavailable
from trunkline.core.settings import Settings, SipSettings
from trunkline.demo import demo_call


@pytest.mark.parametrize(
    ("bind", "host"), [("0.0.0.0", "127.0.0.1"), ("127.0.0.9", "127.0.0.9"), ("192.0.2.7", "192.0.2.7")]
)
def test_phones_register_where_the_pbx_listens(bind: str, host: str) -> None:
    registrar = registrar_of(Settings(sip=SipSettings(bind=bind, udp_port=5970)))
    assert registrar.uri("0160001") == f"sip:0160001@{host}:5970"


def test_without_udp_there_is_no_demo_call() -> None:
    with pytest.raises(Unavailable, match=r"sip\.udp_port"):
        registrar_of(Settings(sip=SipSettings(udp_port=0)))


class _Refused:
    """A call that ends at once, and a phone that never rings."""

    name, cause, is_ended = "Layla", 21, True

    async def next_call(self, timeout: float) -> Any:
        await asyncio.Event().wait()

    async def ended(self, timeout: float) -> float:
        return 0.0


async def test_a_refused_call_of_the_demo_ends_with_a_sentence() -> None:
    party: Any = _Refused()
    with pytest.raises(TimeoutError, match=r"ended \(cause 21\) and Layla's phone did not ring"):
        await demo_call._taken(party, party)
