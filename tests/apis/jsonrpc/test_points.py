"""Points: a success costs the method's weight, a failure nothing, and many at once never overspend."""

from __future__ import annotations

import asyncio
import dataclasses

from tests.apis.jsonrpc.test_order import PROBE
from tests.apis.support import ApisOnFakes, mnemonic
from trunkline.apis.jsonrpc import Api, Params, RequestContext, Result


async def test_many_requests_at_once_never_overspend() -> None:
    running = 0
    most = 0

    async def handler(request: RequestContext, params: Params) -> Result:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return Result({})

    fakes = ApisOnFakes(extra=[dataclasses.replace(PROBE, handler=handler, permissions=())])
    fakes.accounts.minute_limit = 10
    answers = await asyncio.gather(*(fakes.ask(Api.CALL, "get.probe", {"count": n}) for n in range(50)))
    assert sorted(map(mnemonic, answers)) == ["limit_exceeded"] * 40 + ["ok"] * 10
    assert most == 10
    assert fakes.accounts.used == 10


async def test_weight_of_method_and_of_account() -> None:
    fakes = ApisOnFakes(extra=[dataclasses.replace(PROBE, weight=5, permissions=())])
    answer = await fakes.ask(Api.CALL, "get.probe", {"count": 2})
    assert answer["result"]["metadata"]["limits"]["minute_remaining"] == 95
    fakes.accounts.weights["get.probe"] = 7
    answer = await fakes.ask(Api.CALL, "get.probe", {"count": 2})
    assert answer["result"]["metadata"]["limits"]["minute_remaining"] == 88
    assert [entry.points for entry in fakes.request_log.entries] == [5, 7]


async def test_cancelled_request_gives_its_points_back() -> None:
    started = asyncio.Event()

    async def handler(request: RequestContext, params: Params) -> Result:
        started.set()
        await asyncio.sleep(60)
        return Result({})

    fakes = ApisOnFakes(extra=[dataclasses.replace(PROBE, handler=handler, permissions=())])
    request = asyncio.create_task(fakes.ask(Api.CALL, "get.probe", {"count": 1}))
    await started.wait()
    assert fakes.accounts.used == 1
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    assert fakes.accounts.used == 0
