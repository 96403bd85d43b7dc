"""The receiver stores the requests and fails on demand."""

from __future__ import annotations

import aiohttp
import pytest

from trunkline.demo.webhooks import WebhookReceiver


async def test_it_keeps_bodies_and_fails_as_reported() -> None:
    async with WebhookReceiver() as receiver, aiohttp.ClientSession() as client:
        receiver.answer_next(500)
        for number in (1, 2):
            async with client.post(
                receiver.url, json={"number": number}, headers={"X-Kind": "call"}
            ) as answer:
                assert answer.status == (500 if number == 1 else 200)
        [accepted] = await receiver.wait_for(lambda got: len(got) == 1)
        assert accepted.json() == {"number": 2}
        assert accepted.headers["X-Kind"] == "call"
        assert [request.answered for request in receiver.received] == [500, 200]


async def test_waiting_in_vain_says_what_came() -> None:
    async with WebhookReceiver() as receiver, aiohttp.ClientSession() as client:
        async with client.post(receiver.url, data=b"something else"):
            pass
        with pytest.raises(TimeoutError, match="something else"):
            await receiver.wait_for(lambda got: len(got) > 1, timeout=0.2)
