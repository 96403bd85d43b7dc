"""The switch's connections to Asterisk are reset (RST) again and again while calls go on; no call is lost."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

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
    pytest.mark.timeout(1800),
]

needs_ss = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ss") is None, reason="ss -K needs root, and iproute2"
)


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


async def _count(rig: Rig, seed: int) -> None:
    await asyncio.sleep(2.0)
    await rig.stop_calls()
    await rig.settle()
    account = await rig.count()
    restarts = rig.installation.process("switch")["restarts"]
    print(f"{len(rig.tally.completed)} completed, {restarts} restarts of the switch; {account.figures}")
    assert len(rig.tally.completed) > RESETS
    assert account.faults == {}, f"seed {seed}"


async def test_no_call_is_lost_when_a_proxy_resets_connections(
    drill_phones: ForeignPhones, tmp_path: Path
) -> None:
    """On both sides, with SO_LINGER 0: requests, responses and events that are under way are lost."""
    seed = random.randrange(1_000_000)
    dice, ports = random.Random(seed), Ports()
    rig = Rig(drill_phones, tmp_path, ports)
    async with AsyncExitStack() as stack:
        engine = ports.settings.engine
        proxies = [
            await stack.enter_async_context(FaultProxy(engine.ari_port, ports.ari)),
            await stack.enter_async_context(FaultProxy(engine.ami_port, ports.ami)),
        ]
        await stack.enter_async_context(rig)
        await rig.start_calls(RATE)
        await asyncio.sleep(1.0)
        for _ in range(RESETS):
            await asyncio.sleep(dice.choice((0.02, 0.2, 1.0, 2.5)) * dice.random())
            for proxy in dice.choice(([0], [1], [0, 1])):
                proxies[proxy].reset()
        await _count(rig, seed)


@needs_ss
async def test_no_call_is_lost_when_the_kernel_resets_connections(
    drill_phones: ForeignPhones, tmp_path: Path
) -> None:
    """``ss -K``: the sockets are destroyed while Asterisk and the switch use them."""
    seed = random.randrange(1_000_000)
    dice = random.Random(seed)
    async with Rig(drill_phones, tmp_path) as rig:
        engine = rig.installation.settings.engine
        if not await _destroy(engine.ami_port):
            pytest.skip("the kernel has no CONFIG_INET_DIAG_DESTROY")
        await rig.start_calls(RATE)
        await asyncio.sleep(1.0)
        for _ in range(RESETS):
            await asyncio.sleep(dice.choice((0.02, 0.2, 1.0, 2.5)) * dice.random())
            for port in dice.choice(
                ([engine.ari_port], [engine.ami_port], [engine.ari_port, engine.ami_port])
            ):
                await _destroy(port)
        await _count(rig, seed)


async def _destroy(port: int) -> bool:
    """Destroy the connections to a port of loopback; whether one was destroyed, which ``ss`` lists."""
    process = await asyncio.create_subprocess_exec(
        *("ss", "-H", "-K", "-t", "state", "established", "dst", "127.0.0.1", "dport", "=", f":{port}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    return bool(output.strip())
