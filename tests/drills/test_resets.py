"""The switch's connections to Asterisk are reset (RST) again and again while calls go on; no call is lost."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.drills.rig import Rig
from trunkline.core.settings import Settings
from trunkline.runtime.ports import free_ports
from trunkline.testing.foreign import ForeignPhones
from trunkline.testing.proxy import FaultProxy

RATE = 15.0
RESETS = 30

pytestmark = [
    pytest.mark.drill,
    pytest.mark.engine,
    pytest.mark.phones,
    pytest.mark.long(70),
    pytest.mark.timeout(1800),
]

CAN_DESTROY = os.geteuid() == 0 and shutil.which("ss") is not None


class Link(NamedTuple):
    """A connection of the switch to Asterisk."""

    proxy: FaultProxy
    engine_port: int


class Ports:
    """The ports of proxies before ARI and AMI, and the change of settings that makes the switch use them."""

    def __init__(self) -> None:
        self.ari, self.ami = free_ports(2)
        self.settings: Settings

    def __call__(self, settings: Settings) -> Settings:
        self.settings = settings
        engine = settings.engine.model_copy(
            update={"ari_connect_port": self.ari, "ami_connect_port": self.ami}
        )
        return settings.model_copy(update={"engine": engine})


async def test_no_call_is_lost_when_connections_are_reset(
    drill_phones: ForeignPhones, tmp_path: Path, share_of_rate: float
) -> None:
    """Requests, responses and events that are under way are lost: by a proxy, on both sides, with SO_LINGER 0; and, where
    this is root and the kernel can, by ``ss -K``, which destroys the sockets that are in use."""
    seed = random.randrange(1_000_000)
    dice, ports = random.Random(seed), Ports()
    rig = Rig(drill_phones, tmp_path, ports)
    destroyed = 0
    async with AsyncExitStack() as stack:
        engine = ports.settings.engine
        links = [
            Link(await stack.enter_async_context(FaultProxy(engine.ari_port, ports.ari)), engine.ari_port),
            Link(await stack.enter_async_context(FaultProxy(engine.ami_port, ports.ami)), engine.ami_port),
        ]
        await stack.enter_async_context(rig)
        await rig.start_calls(RATE * share_of_rate)
        await asyncio.sleep(1.0)
        for _ in range(RESETS):
            await asyncio.sleep(dice.choice((0.02, 0.2, 1.0, 2.5)) * dice.random())
            for link in dice.choice((links[:1], links[1:], links)):
                if CAN_DESTROY and dice.random() < 0.5:
                    destroyed += await _destroy(dice.choice((link.proxy.port, link.engine_port)))
                else:
                    link.proxy.reset()
        await asyncio.sleep(2.0)
        await rig.stop_calls()
        await rig.settle()
        account = await rig.count()
        restarts = rig.installation.process("switch")["restarts"]
        print(
            f"seed {seed}: {RESETS} resets, {destroyed} of them by ss -K; {len(rig.call_counts.completed)} calls completed,"
            f" {restarts} restarts of the switch; {account.figures}"
        )
        assert len(rig.call_counts.completed) > RESETS
        assert account.faults == {}, f"seed {seed}"


async def _destroy(port: int) -> bool:
    """Destroy the connections to a port of loopback; False where the kernel cannot (CONFIG_INET_DIAG_DESTROY)."""
    process = await asyncio.create_subprocess_exec(
        *("ss", "-H", "-K", "-t", "state", "established", "dst", "127.0.0.1", "dport", "=", f":{port}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    return bool(output.strip())
