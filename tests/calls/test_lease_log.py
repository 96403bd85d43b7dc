"""What the lease of a node logs while PostgreSQL is unavailable."""

import asyncio

import structlog

from trunkline.calls.switch.lease import Lease


async def test_an_outage_is_logged_once_a_minute_not_at_each_attempt() -> None:
    nobody_listens = "postgresql://trunkline@127.0.0.1:1/trunkline"
    lease = Lease(nobody_listens, 0, "http://127.0.0.1:1", holder="test")
    with structlog.testing.capture_logs() as logged:
        attempts = asyncio.create_task(lease.__aenter__())
        await asyncio.sleep(0.5)
        attempts.cancel()
        await asyncio.gather(attempts, return_exceptions=True)
        await lease.__aexit__(None, None, None)
    [line] = [line for line in logged if line["event"] == "lease_without_database"]
    assert line["log_level"] == "warning"
    assert line["consequence"]
    assert line["remedy"]
