"""Shares of accounts: who runs, who waits, who is refused, and in which order places are given."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import psycopg
import pytest

from tests.apis.support import TOKEN, ApisOnFakes, mnemonic
from trunkline.apis.catalogue import CALL_API, DATA_API
from trunkline.apis.jsonrpc import ACCESS_TOKEN, Api, Envelope, Method, Params, RequestContext, Result
from trunkline.apis.service.workloads import Workload, limits_of
from trunkline.core.concurrency_limit import ConcurrencyLimit
from trunkline.core.errors import InvalidInput, LimitExceeded, TooExpensive
from trunkline.core.settings import WebSettings

A, B, C = 1, 2, 3


def _limit(total: int = 4, per_account: int = 2, queue: int = 2, wait: float = 30.0) -> ConcurrencyLimit:
    return ConcurrencyLimit(Workload.REPORT, total=total, per_account=per_account, queue=queue, wait=wait)


class _Crowd:
    """Requests that end on demand."""

    def __init__(self, limit: ConcurrencyLimit) -> None:
        self._limit = limit
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.inside: list[str] = []

    async def come(self, name: str, account_id: int) -> None:
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._stay(name, account_id))
        await self._settle()

    async def go(self, name: str) -> None:
        self._ends[name].set()
        await self._tasks[name]
        await self._settle()

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._tasks[name]
        await self._settle()

    async def _stay(self, name: str, account_id: int) -> None:
        async with self._limit.place(account_id):
            self.inside.append(name)
            await self._ends[name].wait()
            self.inside.remove(name)

    async def _settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_one_account_leaves_places_to_others() -> None:
    crowd = _Crowd(_limit())
    for number in range(4):
        await crowd.come(f"a{number}", A)
    await crowd.come("b0", B)
    assert crowd.inside == ["a0", "a1", "b0"]
    await crowd.go("a0")
    assert crowd.inside == ["a1", "b0", "a2"]


async def test_free_places_go_to_the_accounts_in_turn() -> None:
    crowd = _Crowd(_limit(total=2))
    await crowd.come("a0", A)
    await crowd.come("a1", A)
    await crowd.come("a2", A)
    await crowd.come("a3", A)
    await crowd.come("b0", B)
    await crowd.come("c0", C)
    await crowd.go("a0")
    await crowd.go("a1")
    assert crowd.inside == ["a2", "b0"]
    await crowd.go("a2")
    assert crowd.inside == ["b0", "c0"]


async def test_a_full_queue_and_a_long_wait_are_refused() -> None:
    limit = _limit(per_account=1, queue=1)
    crowd = _Crowd(limit)
    await crowd.come("a0", A)
    await crowd.come("a1", A)
    with pytest.raises(LimitExceeded):
        async with limit.place(A):
            pass
    hasty = _limit(per_account=1, wait=0.01)
    async with hasty.place(A):
        with pytest.raises(LimitExceeded) as caught:
            async with hasty.place(A):
                pass
        assert caught.value.params == {"limit_type": "concurrent reports", "limit_max_value": 1}
    async with hasty.place(A):
        assert hasty.running(A) == 1
    assert hasty.running(A) == 0


async def test_a_cancelled_request_keeps_no_place() -> None:
    limit = _limit(per_account=1)
    crowd = _Crowd(limit)
    await crowd.come("a0", A)
    await crowd.come("a1", A)
    await crowd.come("a2", A)
    await crowd.cancel("a1")
    await crowd.go("a0")
    assert crowd.inside == ["a2"]
    await crowd.cancel("a2")
    assert limit.running(A) == 0


async def test_changes_of_all_accounts_leave_connections_to_commands() -> None:
    limits = limits_of(WebSettings(command_connections=4, changes_per_account=2, queue_wait=0.01))
    assert Workload.COMMAND not in limits
    changes = limits[Workload.CHANGE]
    async with changes.place(A), changes.place(B):
        with pytest.raises(LimitExceeded):
            async with changes.place(C):
                pass


def test_every_method_has_its_class() -> None:
    classes = {method.name: method.workload for method in (*DATA_API.methods, *CALL_API.methods)}
    assert {classes[method.name] for method in CALL_API.methods} == {Workload.COMMAND}
    assert classes["get.account"] is classes["get.calls_report"] is Workload.REPORT
    assert classes["upload.calls"] is classes["upload.sessions"] is Workload.UPLOAD
    assert classes["update.employees"] is classes["delete.chats"] is Workload.CHANGE
    assert set(Counter(classes.values())) == set(Workload)


@pytest.mark.isolation
@pytest.mark.parametrize(
    ("raised", "reported", "spent"),
    [
        (TooExpensive("too long", params={"error_message": "too long"}), "error", 5),
        (psycopg.errors.QueryCanceled("canceling statement due to statement timeout"), "error", 5),
        (InvalidInput("wrong"), "invalid_parameter_value", 0),
        (LimitExceeded("busy", params={"limit_type": "x", "limit_max_value": 1}), "limit_exceeded", 0),
        (RuntimeError("ours"), "internal_error", 0),
    ],
)
async def test_points_of_a_request_that_took_too_long_stay_spent(
    raised: Exception, reported: str, spent: int
) -> None:
    async def handler(request: RequestContext, params: Params) -> Result:
        raise raised

    method = Method(
        Api.DATA, "get.something", "", (ACCESS_TOKEN,), (), Envelope.DATA_ARRAY, handler, weight=5
    )
    fakes = ApisOnFakes(extra=[method])
    answer = await fakes.ask(Api.DATA, "get.something", token=TOKEN)
    assert (mnemonic(answer), fakes.accounts.used) == (reported, spent)
    assert fakes.request_log.entries[-1].points == spent
