"""``Idempotency-Key``: a repeated start is answered and never dials twice, over processes and their deaths."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.apis.call_api.requests import ANSWERS, COMMANDS, REQUESTS, SESSION
from tests.apis.support import TOKEN, ApisOnFakes, NotedSwitch, mnemonic
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.accounts.model import Caller
from trunkline.apis.call_api import idempotency
from trunkline.apis.jsonrpc import Api
from trunkline.apis.service.repeated_changes import KEPT_HOURS, request_hash
from trunkline.core.errors import NotFound, SwitchInterrupted, SwitchUnavailable
from trunkline.core.ids import IdGenerator
from trunkline.db.pool import Database

STARTS = sorted(name for name in REQUESTS if name.startswith("start."))
SIMPLE = REQUESTS["start.simple_call"]


@dataclass
class _SlowSwitch(NotedSwitch):
    """Answers when let."""

    let: asyncio.Event = field(default_factory=asyncio.Event)

    async def command(
        self, account_id: int, name: str, params: dict[str, Any], *, request_id: str = ""
    ) -> dict[str, Any]:
        self.commands.append((account_id, name, params))
        await self.let.wait()
        return {"call_session_id": SESSION}


@dataclass
class _Web:
    """Web processes on one database, each with separate services; request numbers never repeat."""

    db: Database
    account_id: int
    last_request: int = 0

    def process(self, switch: NotedSwitch | None = None) -> ApisOnFakes:
        fakes = ApisOnFakes(database=self.db)
        fakes.switch = switch or NotedSwitch(dict(ANSWERS))
        self.last_request += 100
        fakes.request_log._last = self.last_request
        self.act_as(fakes, self.account_id)
        return fakes

    @staticmethod
    def act_as(fakes: ApisOnFakes, account_id: int) -> None:
        caller = fakes.accounts.callers[TOKEN]
        assert isinstance(caller, Caller)
        fakes.accounts.callers[TOKEN] = replace(caller, account_id=account_id)
        fakes.accounts.networks[account_id] = ["127.0.0.0/8"]

    async def age(self, **interval: int) -> None:
        """Make all keys older."""
        await self.db.execute(
            "update idempotency_keys set claimed_at = claimed_at - make_interval(hours => %(hours)s, secs => %(secs)s),"
            " changed_at = changed_at - make_interval(hours => %(hours)s, secs => %(secs)s) where account_id = %(id)s",
            {"hours": 0, "secs": 0, **interval, "id": self.account_id},
        )

    async def session_started(self, call_session_id: int, api_request_id: int) -> None:
        """The switch did dial."""
        await self.db.execute(
            "insert into call_sessions"
            " (account_id, call_session_id, node, start_time, direction, source, api_request_id)"
            " values (%s, %s, 0, now(), 'in', 'callapi', %s)",
            (self.account_id, call_session_id, api_request_id),
        )

    async def state(self) -> str | None:
        row = await self.db.fetch_one(
            "select state from idempotency_keys where account_id = %s", (self.account_id,)
        )
        return row["state"] if row else None


@pytest.fixture
async def web(database: str) -> AsyncIterator[_Web]:
    async with await Database.open(database) as db:
        account = await Administration(db).create_account(
            AccountProfile("Harbour Tours"), login="captain", password="a long password"
        )
        yield _Web(db, account.account_id)


@pytest.mark.parametrize("method", STARTS)
async def test_the_second_gets_the_first_answer(web: _Web, method: str) -> None:
    first, second = web.process(), web.process()
    second.switch.answers[COMMANDS[method][0]] = {"call_session_id": 1}
    once = await first.ask(Api.CALL, method, REQUESTS[method], key="order-17")
    again = await second.ask(Api.CALL, method, REQUESTS[method], key="order-17")
    assert once["result"]["data"] == again["result"]["data"] == {"call_session_id": SESSION}
    assert second.switch.commands == []
    other = await second.ask(Api.CALL, method, REQUESTS[method], key="order-18")
    assert other["result"]["data"] == {"call_session_id": 1}


async def test_without_a_key_every_request_dials(web: _Web) -> None:
    fakes = web.process()
    for _ in range(2):
        assert mnemonic(await fakes.ask(Api.CALL, "start.simple_call", SIMPLE)) == "ok"
    assert len(fakes.switch.commands) == 2


async def test_the_same_in_other_words_is_the_same(web: _Web) -> None:
    fakes = web.process()
    await fakes.ask(Api.CALL, "start.simple_call", SIMPLE, key="k")
    dressed = {**SIMPLE, "contact": "+971 50 000 0010", "switch_at_once": False}
    assert mnemonic(await fakes.ask(Api.CALL, "start.simple_call", dressed, key="k")) == "ok"
    assert len(fakes.switch.commands) == 1


async def test_other_parameters_under_a_used_key(web: _Web) -> None:
    fakes = web.process()
    await fakes.ask(Api.CALL, "start.simple_call", SIMPLE, key="k")
    answer = await fakes.ask(Api.CALL, "start.simple_call", {**SIMPLE, "direction": "out"}, key="k")
    assert mnemonic(answer) == "invalid_parameter_value"
    assert (answer["error"]["data"]["field"], answer["error"]["data"]["value"]) == ("Idempotency-Key", "k")
    assert len(fakes.switch.commands) == 1
    informer = await fakes.ask(Api.CALL, "start.informer_call", REQUESTS["start.informer_call"], key="k")
    assert mnemonic(informer) == "ok", "another method has keys of its own"


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ", "a\tb"])
async def test_what_is_no_key(web: _Web, key: str) -> None:
    fakes = web.process()
    answer = await fakes.ask(Api.CALL, "start.simple_call", SIMPLE, key=key)
    assert (mnemonic(answer), answer["error"]["data"]["field"]) == (
        "invalid_parameter_value",
        "Idempotency-Key",
    )
    assert fakes.switch.commands == []


async def test_methods_that_take_no_key_ignore_it(web: _Web) -> None:
    fakes = web.process()
    for _ in range(2):
        assert mnemonic(await fakes.ask(Api.CALL, "unhold.call", REQUESTS["unhold.call"], key="k")) == "ok"
    assert len(fakes.switch.commands) == 2


async def test_accounts_do_not_share_keys(web: _Web) -> None:
    account = await Administration(web.db).create_account(
        AccountProfile("Desert Bikes"), login="rider", password="a long password"
    )
    ours, theirs = web.process(), web.process()
    web.act_as(theirs, account.account_id)
    await ours.ask(Api.CALL, "start.simple_call", SIMPLE, key="k")
    assert mnemonic(await theirs.ask(Api.CALL, "start.simple_call", SIMPLE, key="k")) == "ok"
    assert len(theirs.switch.commands) == 1


async def test_many_at_once_dial_once(web: _Web) -> None:
    switch = _SlowSwitch()
    processes = [web.process(switch) for _ in range(6)]
    asking = [
        asyncio.create_task(fakes.ask(Api.CALL, "start.simple_call", SIMPLE, key="k")) for fakes in processes
    ]
    await asyncio.sleep(0.3)
    assert not any(task.done() for task in asking)
    switch.let.set()
    answers = await asyncio.gather(*asking)
    assert {answer["result"]["data"]["call_session_id"] for answer in answers} == {SESSION}
    assert len(switch.commands) == 1


@pytest.mark.parametrize(
    "error", [NotFound("none", mnemonic="media_file_not_found"), SwitchUnavailable("nothing was done")]
)
async def test_a_refusal_frees_the_key(web: _Web, error: Exception) -> None:
    fakes = web.process()
    fakes.switch.answers["start_simple_call"] = error
    assert mnemonic(await fakes.ask(Api.CALL, "start.simple_call", SIMPLE, key="k")) != "ok"
    fakes.switch.answers["start_simple_call"] = {"call_session_id": SESSION}
    corrected = {**SIMPLE, "media_file_id": 2501}
    assert mnemonic(await fakes.ask(Api.CALL, "start.simple_call", corrected, key="k")) == "ok"


async def test_an_interrupted_first_attempt_is_never_dialled_again(web: _Web) -> None:
    fakes = web.process()
    fakes.switch.answers["start_simple_call"] = SwitchInterrupted("may have been carried out; look")
    broken = await fakes.ask(Api.CALL, "start.simple_call", SIMPLE, key="k")
    assert broken["error"]["data"]["params"]["remedy"] == "may have been carried out; look"
    await web.age(secs=idempotency.DIALLING_SECONDS + 1)
    fakes.switch.answers["start_simple_call"] = {"call_session_id": SESSION}
    for _ in range(2):
        answer = await fakes.ask(Api.CALL, "start.simple_call", SIMPLE, key="k")
        assert mnemonic(answer) == "internal_error"
        assert "will not be dialled again" in answer["error"]["data"]["params"]["remedy"]
    assert len(fakes.switch.commands) == 1


@pytest.mark.parametrize("died_with", [SwitchInterrupted("?"), asyncio.CancelledError()])
async def test_a_session_that_was_started_is_found(web: _Web, died_with: BaseException) -> None:
    fakes, other = web.process(), web.process()

    async def die(*_: Any, **__: Any) -> dict[str, Any]:
        raise died_with

    fakes.switch.command = die  # type: ignore[method-assign]
    with_cancel = isinstance(died_with, asyncio.CancelledError)
    try:
        await fakes.ask(Api.CALL, "start.simple_call", SIMPLE, key="k")
    except asyncio.CancelledError:
        assert with_cancel
    assert await web.state() == "dialling"
    session = IdGenerator(0).next()
    first_request = fakes.request_log._last
    waiting = asyncio.create_task(other.ask(Api.CALL, "start.simple_call", SIMPLE, key="k"))
    await asyncio.sleep(0.2)
    assert not waiting.done(), "its outcome may still come"
    await web.session_started(session, first_request)
    assert (await waiting)["result"]["data"] == {"call_session_id": session}
    assert other.switch.commands == []
    assert await web.state() == "done"


@contextlib.asynccontextmanager
async def _web_process(web: _Web, port: int, note: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.apis.call_api.web_process",
        web.db.dsn,
        str(web.account_id),
        str(port),
        str(note),
        cwd=Path(__file__).parents[3],
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 60) == b"ready\n"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.shells
@pytest.mark.parametrize("reached_the_switch", [True, False])
async def test_a_web_process_killed_while_it_dials(
    web: _Web, reached_the_switch: bool, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    port, note = free_ports(1)[0], tmp_path / "dialled"
    params = {**SIMPLE, "access_token": TOKEN}
    message = {"jsonrpc": "2.0", "id": 1, "method": "start.simple_call", "params": params}
    async with _web_process(web, port, note) as process, aiohttp.ClientSession() as client:
        asking = asyncio.create_task(
            client.post(f"http://127.0.0.1:{port}/v4.0", json=message, headers={"Idempotency-Key": "k"})
        )
        async with asyncio.timeout(60):
            while not (note.exists() and note.read_text()):
                await asyncio.sleep(0.02)
        process.kill()
        with pytest.raises(aiohttp.ClientError):
            await asking
    session = IdGenerator(0).next()
    if reached_the_switch:
        await web.session_started(session, int(note.read_text()))
    else:
        await web.age(secs=idempotency.DIALLING_SECONDS + 1)
    other = web.process()
    answer = await other.ask(Api.CALL, "start.simple_call", SIMPLE, key="k")
    assert other.switch.commands == []
    if reached_the_switch:
        assert answer["result"]["data"] == {"call_session_id": session}
    else:
        assert "will not be dialled again" in answer["error"]["data"]["params"]["remedy"]


async def test_an_attempt_that_died_before_it_dialled_is_replaced(web: _Web) -> None:
    fakes = web.process()
    await web.db.execute(
        "insert into idempotency_keys (account_id, method, key, request_hash, api_request_id)"
        " select %s, 'start.simple_call', 'k', %s, 1",
        (web.account_id, request_hash(COMMANDS["start.simple_call"][1])),
    )
    await web.age(secs=idempotency.CLAIM_SECONDS + 1)
    assert mnemonic(await fakes.ask(Api.CALL, "start.simple_call", SIMPLE, key="k")) == "ok"
    assert len(fakes.switch.commands) == 1


async def test_keys_are_over_after_a_day(web: _Web) -> None:
    fakes = web.process()
    await fakes.ask(Api.CALL, "start.simple_call", SIMPLE, key="k")
    await web.age(hours=KEPT_HOURS, secs=1)
    changed = {**SIMPLE, "direction": "out"}
    assert mnemonic(await fakes.ask(Api.CALL, "start.simple_call", changed, key="k")) == "ok"
    assert len(fakes.switch.commands) == 2
    await idempotency.prune(web.db)
    assert await web.state() == "done"
    await web.age(hours=KEPT_HOURS, secs=1)
    await idempotency.prune(web.db)
    assert await web.state() is None


async def test_block_contact_writes_once(web: _Web) -> None:
    fakes = web.process()
    first = await fakes.ask(Api.CALL, "block.contact", REQUESTS["block.contact"])
    assert first["result"]["data"] == {"success": "true"}
    rows = await web.db.fetch_all("select account_id, phone_number, added_by from blacklist")
    user = await web.db.fetch_one("select login from users where account_id = %s", (web.account_id,))
    assert user is not None
    assert rows == [{"account_id": web.account_id, "phone_number": "971500000010", "added_by": user["login"]}]
    again = await fakes.ask(Api.CALL, "block.contact", REQUESTS["block.contact"])
    assert again["error"]["message"] == "The contact with phone number 971500000010 already exists"
    assert again["error"]["data"]["params"] == {"contact_phone_number": "971500000010"}
    assert len(await web.db.fetch_all("select 1 from blacklist")) == 1
