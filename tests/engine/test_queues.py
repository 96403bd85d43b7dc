"""Queues with real calls: callers hear music, agents' phones ring, and who is connected hears the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
import yaml

from tests.engine.setup import Setup
from trunkline.calls.switch.queue_commands import AgentCommands, AgentView
from trunkline.calls.switch.rpc_client import SwitchClient
from trunkline.demo.outside import Answer, Call, Ignore
from trunkline.queues.states import AgentState, AgentStatus
from trunkline.runtime import secrets

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("third setup"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

SUPPORT, EMPTY = "97140000400", "97140000401"
QUEUES = {
    "queues": {
        "support": {
            "name": "Support",
            "music": "tune",
            "ring_timeout": 4,
            "agents": [{"employee": "anna"}, {"employee": "boris", "position": 2}],
        },
        "empty": {
            "name": "Empty",
            "music": "tune",
            "max_wait_time_with_no_agent": 1,
            "max_wait_time_with_no_agent_time_reached": 0,
            "agents": [{"employee": "clara"}],
        },
    },
    "scenarios": {
        "queue_support": {
            "name": "Queue of support",
            "operations": {"wait": {"kind": "queue", "queue": "support"}},
        },
        "queue_empty": {"name": "Empty queue", "operations": {"wait": {"kind": "queue", "queue": "empty"}}},
    },
    "virtual_numbers": {
        SUPPORT: {"name": "Support", "trunk": "carrier", "rules": [{"scenario": "queue_support"}]},
        EMPTY: {"name": "Empty queue", "trunk": "carrier", "rules": [{"scenario": "queue_empty"}]},
    },
}
TUNE = 1395.0


class Agents:
    """The agents of the account, commanded as the web process does."""

    def __init__(self, setup: Setup, commands: AgentCommands) -> None:
        self._setup = setup
        self.commands = commands
        self.ids: dict[str, int] = {}

    async def begin(self) -> None:
        setup = self._setup
        found = await setup.installation.data_api(setup.account, "get.employees", fields=["id", "first_name"])
        self.ids = {one["first_name"].lower(): one["id"] for one in found["data"]}

    async def view(self, name: str) -> AgentView:
        views = await self.commands.agents(self._setup.account.account_id)
        return next(one for one in views if one.agent_id == self.ids[name])

    async def set(self, **statuses: AgentStatus) -> None:
        for name, status in statuses.items():
            await self.commands.set_status(self._setup.account.account_id, self.ids[name], status)

    async def free(self, *names: str) -> None:
        """Exactly these agents are available, without wrap-up."""
        account_id = self._setup.account.account_id
        for view in await self.commands.agents(account_id):
            is_wanted = view.agent_id in [self.ids[name] for name in names]
            status = AgentStatus.AVAILABLE if is_wanted else AgentStatus.LOGGED_OUT
            await self.commands.set_status(account_id, view.agent_id, AgentStatus.LOGGED_OUT)
            await self.commands.set_status(account_id, view.agent_id, status)

    async def until(self, name: str, condition: Callable[[AgentView], bool]) -> AgentView:
        async with asyncio.timeout(10):
            while not condition(found := await self.view(name)):
                await asyncio.sleep(0.05)
        return found

    async def waiting(self) -> list[dict[str, Any]]:
        """Callers of all queues in their order."""
        queues = await self.commands.queues(self._setup.account.account_id)
        return [caller for queue in queues for caller in queue["callers"]]

    async def until_waiting(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(10):
            while len(found := await self.waiting()) != count:
                await asyncio.sleep(0.05)
        return found


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def all_agents(whole_setup: Setup) -> AsyncIterator[Agents]:
    file = whole_setup.folder / "queues.yaml"
    file.write_text(yaml.safe_dump(QUEUES, sort_keys=False))
    await whole_setup.installation.apply(whole_setup.account, file, whole_setup.environment)
    settings = whole_setup.installation.settings
    url = f"http://127.0.0.1:{settings.switch.control_port}"
    async with SwitchClient(url, secrets.load(settings).control_token) as client:
        agents = Agents(whole_setup, AgentCommands(client))
        await agents.begin()
        yield agents


@pytest_asyncio.fixture(loop_scope="session")
async def agents(all_agents: Agents, setup: Setup) -> AsyncIterator[Agents]:
    await all_agents.free()
    yield all_agents
    await all_agents.free()


async def dial(setup: Setup, number: str) -> Call:
    call = await (await setup.customer()).dial(number)
    await call.answered()
    return call


async def end(*calls: Call) -> None:
    for call in calls:
        await call.hangup()
    await asyncio.gather(*(call.ended() for call in calls))


async def test_a_caller_hears_music_and_then_the_agent_who_becomes_free(setup: Setup, agents: Agents) -> None:
    before = await setup.last_id()
    setup.anna.on_call(Answer(after=0.5))
    call = await dial(setup, SUPPORT)
    await call.hears(TUNE)
    [waiting] = await agents.until_waiting(1)
    assert (waiting["position"], waiting["state"]) == (1, "Waiting")
    await agents.set(anna=AgentStatus.AVAILABLE)
    phone = await setup.anna.next_call()
    await phone.answered()
    await agents.until("anna", lambda one: one.state is AgentState.IN_CALL)
    [living] = await setup.living()
    assert living["legs"][1]["employee_full_name"] == "Berg Anna"
    await asyncio.sleep(1.5)
    await call.hangup()
    await phone.ended()
    row = await setup.row(before)
    # Music is what the caller heard first; from the answer on the two hear each other and nobody else.
    await setup.prove_talk(row, call, phone)
    assert row["finish_reason"] == "caller_disconnects"
    assert row["first_talked_employee_full_name"] == "Berg Anna"
    assert row["wait_duration"] == pytest.approx(phone.at_answer - call.at_dial, abs=1.0)
    anna = await agents.until("anna", lambda one: one.state is AgentState.WAITING)
    assert (anna.calls_answered, anna.status) == (1, AgentStatus.AVAILABLE)
    assert anna.talk_time == pytest.approx(row["talk_duration"], abs=1.0)


async def test_who_hangs_up_while_waiting_has_abandoned(setup: Setup, agents: Agents) -> None:
    before = await setup.last_id()
    await agents.free("anna")
    setup.anna.on_call(Ignore())
    call = await dial(setup, SUPPORT)
    phone = await setup.anna.next_call()
    await phone.ringing()
    await call.hangup()
    await asyncio.gather(call.ended(), phone.ended())
    row = await setup.row(before)
    assert (row["finish_reason"], row["is_lost"]) == ("abandoned_in_queue", True)
    assert await agents.waiting() == []
    anna = await agents.until("anna", lambda one: one.state is AgentState.WAITING)
    assert anna.no_answer_count == 0


async def test_without_agents_the_call_goes_on_and_is_reported(setup: Setup, agents: Agents) -> None:
    before = await setup.last_id()
    call = await (await setup.customer()).dial(EMPTY)
    await call.ended()
    row = await setup.row(before)
    assert (row["finish_reason"], row["is_lost"]) == ("no_operators_available", True)
