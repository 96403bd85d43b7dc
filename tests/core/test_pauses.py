"""Pauses of this process are measured; time that passes while it works is none."""

from __future__ import annotations

import asyncio
import time

from trunkline.core.pauses import Pauses


async def test_a_blocked_event_loop_is_a_pause() -> None:
    with Pauses() as pauses:
        await asyncio.sleep(0.3)
        before = pauses.seconds
        time.sleep(1.2)
        during = pauses.seconds
        await asyncio.sleep(0.3)
        after = pauses.seconds
    assert during - before > 0.5
    assert after >= during - 0.3


async def test_waiting_is_no_pause() -> None:
    with Pauses() as pauses:
        for _ in range(60):
            await asyncio.sleep(0.02)
    assert pauses.seconds < 1.0
