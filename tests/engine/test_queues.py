"""Queues with real calls: callers hear music, agents' phones ring, and who is connected hears the other."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import psycopg
import pytest
import pytest_asyncio
import yaml

from tests.engine.setup import Setup
from tests.engine.test_calls_in import NOTIFICATIONS_OF_A_TALK
from tests.patience import PATIENCE
from trunkline.calls.switch.queue_commands import AgentCommands, AgentView
from trunkline.calls.switch.rpc_client import SwitchClient
from trunkline.demo.outside import Answer, Call, Customer, Ignore
from trunkline.queues.states import AgentState, AgentStatus
from trunkline.runtime import postgres, secrets

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup of queues"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

SUPPORT, EMPTY, LIMITED = "97140000400", "97140000401", "97140000402"
FIRST_STRATEGY = 97140000410
ALWAYS_FIRST, NEVER_FIRST = ("anna", "anna"), ("boris", "boris")
STRATEGIES: dict[str, tuple[str, str] | None] = {
    "longest-idle-agent": None,
    "agent-with-least-talk-time": NEVER_FIRST,
    "agent-with-fewest-calls": NEVER_FIRST,
    "sequentially-by-agent-order": ALWAYS_FIRST,
    "top-down": ALWAYS_FIRST,
    "round-robin": ("anna", "boris"),
    "sequentially-by-next-agent-order": ("anna", "boris"),
    "random": None,
    "ring-all": None,
}
"""Who is called for the first and for the second caller, when Anna alone has talked before; None: see the test."""
THREE = [
    {"employee": name, "position": position} for position, name in enumerate(("anna", "boris", "clara"), 1)
]
QUEUES: dict[str, dict[str, Any]] = {
    "queues": {
        "support": {
            "name": "Support",
            "extension": "601",
            "music": "tune",
            "ring_timeout": 4,
            "join_announce": "word_to_contact",
            "pre_bridge_announce": "word_to_employee",
            "auto_answer": True,
            "agents": [{"employee": "anna"}, {"employee": "boris", "position": 2}],
        },
        "limited": {
            "name": "Limited",
            "music": "tune",
            "max_wait_time": 2,
            "agents": [{"employee": "clara"}],
        },
        **{name: {"name": name, "strategy": name, "music": "tune", "agents": THREE} for name in STRATEGIES},
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
            "operations": {
                "wait": {"kind": "queue", "queue": "support", "exits": {"5": "boris"}},
                "boris": {"kind": "forward_employee", "employee": "boris", "ring_seconds": 4},
            },
        },
        "queue_empty": {"name": "Empty queue", "operations": {"wait": {"kind": "queue", "queue": "empty"}}},
        "queue_limited": {
            "name": "Limited queue",
            "operations": {
                "wait": {"kind": "queue", "queue": "limited", "next": "message"},
                "message": {"kind": "voicemail", "media": ["word_to_contact"], "max_seconds": 2},
            },
        },
        **{
            f"queue_{name}": {"name": name, "operations": {"wait": {"kind": "queue", "queue": name}}}
            for name in STRATEGIES
        },
    },
    "virtual_numbers": {
        SUPPORT: {"name": "Support", "trunk": "carrier", "rules": [{"scenario": "queue_support"}]},
        LIMITED: {"name": "Limited queue", "trunk": "carrier", "rules": [{"scenario": "queue_limited"}]},
        **{
            str(FIRST_STRATEGY + number): {
                "name": name,
                "trunk": "carrier",
                "rules": [{"scenario": f"queue_{name}"}],
            }
            for number, name in enumerate(STRATEGIES)
        },
        EMPTY: {"name": "Empty queue", "trunk": "carrier", "rules": [{"scenario": "queue_empty"}]},
    },
}
TUNE, WORD = 1395.0, 1065.0
FLOOR = {"longest-idle-agent": (1, 2, 3), "round-robin": (3, 4, 5), "top-down": (5, 6, 1)}
"""Queues of many callers: agents by their numbers; three of them are in two queues."""
FIRST_OF_FLOOR, FIRST_AGENT = 97140000430, 971500001900
WAITS, TO_QUEUE, TO_NUMBER = "97140000440", "97140000441", "97140000442"
OUTSIDE = "971500001990"
QUEUES["employees"] = {
    f"agent{number}": {
        "first_name": f"Agent{number}",
        "last_name": "Floor",
        "phones": [{"number": str(FIRST_AGENT + number)}],
    }
    for number in range(1, 7)
}
QUEUES["queues"] |= {
    **{
        f"floor_{name}": {
            "name": f"Floor {name}",
            "strategy": name,
            "music": "tune",
            "agents": [{"employee": f"agent{one}", "position": at} for at, one in enumerate(members, 1)],
        }
        for name, members in FLOOR.items()
    },
    "all": {
        "name": "All", "music": "tune", "strategy": "top-down",
        "agents": [{"employee": f"agent{one}", "position": one} for one in range(1, 6)],
    },
    "first": {"name": "First", "music": "tune", "max_wait_time": 1, "exits": {"timeout": "queue:second"}},
    "second": {"name": "Second", "music": "tune", "max_wait_time": 1, "exits": {"timeout": "scenario:queue_message"}},
    "third": {"name": "Third", "music": "tune", "max_wait_time": 1, "exits": {"timeout": f"number:{OUTSIDE}"}},
}  # fmt: skip
_MORE = {
    **{str(FIRST_OF_FLOOR + at): f"floor_{name}" for at, name in enumerate(FLOOR)},
    WAITS: "all",
    TO_QUEUE: "first",
    TO_NUMBER: "third",
}
QUEUES["scenarios"] |= {
    **{
        f"into_{name}": {"name": name, "operations": {"wait": {"kind": "queue", "queue": name}}}
        for name in _MORE.values()
    },
    "queue_message": {
        "name": "Message after two queues",
        "operations": {"message": {"kind": "voicemail", "media": ["word_to_contact"], "max_seconds": 2}},
    },
}
QUEUES["virtual_numbers"] |= {
    number: {"name": f"To {name}", "trunk": "carrier", "rules": [{"scenario": f"into_{name}"}]}
    for number, name in _MORE.items()
}


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
        async with asyncio.timeout(PATIENCE):
            while not condition(found := await self.view(name)):
                await asyncio.sleep(0.05)
        return found

    async def called(self, count: int = 1) -> list[str]:
        """Names of the agents who are called now, once there are so many."""
        names = {agent_id: name for name, agent_id in self.ids.items()}
        async with asyncio.timeout(PATIENCE):
            while True:
                views = await self.commands.agents(self._setup.account.account_id)
                found = [names[one.agent_id] for one in views if one.state is AgentState.RECEIVING]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.05)

    async def waiting(self) -> list[dict[str, Any]]:
        """Callers of all queues in their order."""
        queues = await self.commands.queues(self._setup.account.account_id)
        return [caller for queue in queues for caller in queue["callers"]]

    async def until_waiting(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(PATIENCE):
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


async def header(call: Call, name: str) -> str:
    """A header of the INVITE that a phone got."""
    got = await call._line.ari.get(call._path("/variable"), variable=f"PJSIP_HEADER(read,{name})")
    return str(got["value"])


async def end(*calls: Call) -> None:
    for call in calls:
        await call.hangup()
    await asyncio.gather(*(call.ended() for call in calls))


async def test_a_caller_hears_music_and_then_the_agent_who_becomes_free(setup: Setup, agents: Agents) -> None:
    before = await setup.last_id()
    setup.anna.on_call(Answer(after=0.5))
    call = await dial(setup, SUPPORT)
    await call.hears(WORD, 0.3)
    await call.hears(TUNE)
    [waiting] = await agents.until_waiting(1)
    assert (waiting["position"], waiting["state"]) == (1, "Waiting")
    await agents.set(anna=AgentStatus.AVAILABLE)
    phone = await setup.anna.next_call()
    assert "answer-after=0" in await header(phone, "Call-Info")
    await phone.answered()
    await phone.hears(1175.0, 0.3)
    await agents.until("anna", lambda one: one.state is AgentState.IN_CALL)
    [living] = await setup.living()
    assert living["legs"][1]["employee_full_name"] == "Berg Anna"
    await asyncio.gather(call.hears(phone.tone), phone.hears(call.tone))
    await call.hangup()
    await phone.ended()
    row = await setup.row(before, recorded=True)
    assert not row["is_lost"]
    assert set(NOTIFICATIONS_OF_A_TALK) <= set(await setup.reported(row["id"], NOTIFICATIONS_OF_A_TALK))
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


async def test_after_the_longest_wait_the_caller_leaves_a_message(setup: Setup, agents: Agents) -> None:
    before = await setup.last_id()
    await agents.set(clara=AgentStatus.ON_BREAK)
    call = await dial(setup, LIMITED)
    await call.hears(TUNE)
    await call.hears(WORD, 0.3)
    await call.ended()
    row = await setup.row_with(before, "voice_mail_records")
    assert row["is_lost"]
    assert (await setup.voice_mail(row)).keys() == {call.tone}


async def rest(setup: Setup, path: str, body: Any = None) -> Any:
    """``data`` of a request to the Call Center API: GET, or PUT of a body."""
    key = setup.account.keys["call_center"]
    async with aiohttp.ClientSession() as session:
        method = "GET" if body is None else "PUT"
        url = f"{setup.installation.url}/api/{path}"
        async with session.request(method, url, params={"api_key": key}, json=body) as response:
            answer = await response.json()
            assert response.status == 200, answer
            return answer["data"]


async def cli(setup: Setup, *arguments: str) -> Any:
    account = str(setup.account.account_id)
    return json.loads(await setup.installation.run(*arguments, "--account", account, "--json"))


async def test_the_state_of_agents_and_queues_is_shown(setup: Setup, agents: Agents) -> None:
    """An agent who does not answer gets a break, and everybody can see why; each call is counted once."""
    anna, boris = agents.ids["anna"], agents.ids["boris"]

    async def support() -> Any:
        return next(one for one in await rest(setup, "cc_queue/live") if one["name"] == "Support")

    async def doing(agent_id: int) -> Any:
        return next(one for one in await rest(setup, "cc_agent/live") if one["user_id"] == agent_id)

    setup.anna.on_call(Ignore())
    setup.boris.on_call(Answer())
    await rest(setup, f"user/{anna}", {"max_no_answer": 1})
    try:
        before = (await support())["today"]
        await agents.free("anna")
        began = int(time.time())
        call = await dial(setup, SUPPORT)
        await (await setup.anna.next_call()).ringing()
        ringing = await doing(anna)
        assert (ringing["activity"], ringing["reason"]) == ("ringing", None)
        shown = await cli(setup, "queue", "show", "Support")
        [caller] = shown["callers"]
        assert (shown["waiting"], caller["position"], caller["cid_num"]) == (1, 1, call.party)
        assert shown["longest_wait"] == caller["waited"]
        [live] = [one for one in await rest(setup, "cc_agent/active_calls") if one["uuid"] == caller["uuid"]]
        assert live["queue_id"] == shown["id"]
        await agents.until("anna", lambda one: one.status is AgentStatus.ON_BREAK)
        listed = {one["user_id"]: one for one in await cli(setup, "agent", "list")}
        stopped = listed[anna]
        assert (stopped["activity"], stopped["reason"], stopped["pause_id"]) == (
            "on_break",
            "max_no_answer",
            None,
        )
        assert began <= stopped["since"] <= time.time() + 1
        assert listed[boris]["activity"] == "logged_out"
        assert (await support())["available_agents"] == 0
        await agents.set(boris=AgentStatus.AVAILABLE)
        await (await setup.boris.next_call()).answered()
        await agents.until("boris", lambda one: one.state is AgentState.IN_CALL)
        talking = await support()
        assert (talking["waiting"], talking["talking"], talking["longest_wait"]) == (0, 1, None)
        [at_work] = [one for one in talking["agents"] if one["activity"] == "talking"]
        assert (at_work["user_id"], at_work["uuid"]) == (boris, caller["uuid"])
        page = await setup.installation.get(
            f"http://127.0.0.1:{setup.installation.settings.metrics.switch_port}/metrics"
        )
        label = f'account="{setup.account.account_id}",queue="{shown["id"]}"'
        assert f"trunkline_queue_talking{{{label}}} 1.0" in page[1].decode()
        await end(call)
        after = (await support())["today"]
        assert after["answered"] == before["answered"] + 1
        assert (after["offered"], after["abandoned"]) == (before["offered"] + 1, before["abandoned"])
    finally:
        await rest(setup, f"user/{anna}", {"max_no_answer": None})


async def test_the_events_of_a_queue_call_are_sent(setup: Setup, agents: Agents) -> None:
    """To the URL of the account, also when it did not respond at first, and over a WebSocket."""
    anna, key = agents.ids["anna"], setup.account.keys["call_center"]
    setup.anna.on_call(Answer(after=0.5))
    setup.boris.on_call(Ignore())
    await rest(setup, "account_defaults", {"event_push_url": f"{setup.receiver.url}/center"})
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{setup.installation.url}/api/events", headers={"X-Api-Key": key}) as socket,
        ):
            setup.receiver.answer_next(503, 500)
            call = await dial(setup, SUPPORT)
            await call.hears(TUNE)
            waits_at = time.time()
            await agents.set(anna=AgentStatus.AVAILABLE)
            phone = await setup.anna.next_call()
            await phone.answered()
            await call.hears(phone.tone)
            talks_at = time.time()
            await end(call)
            await agents.set(anna=AgentStatus.LOGGED_OUT)
            over_socket: list[dict[str, Any]] = []
            async with asyncio.timeout(30):
                names: list[str] = []
                while names.count("call:end") < 3 or names.count("agent:status") < 2:
                    over_socket.append(await socket.receive_json())
                    names.append(over_socket[-1]["event"])

        def pushed() -> list[dict[str, Any]]:
            bodies = [json.loads(one.body) for one in setup.receiver.accepted if "center" in one.path]
            return [one for one in bodies if "event" in one]

        def named(found: list[dict[str, Any]]) -> set[tuple[str, str]]:
            return {(one["event"], str(one["data"].get("id") or one["data"]["user_id"])) for one in found}

        async with asyncio.timeout(60):  # those of before, which were on their way, come to the URL, too
            while not named(over_socket) <= named(pushed()):
                await asyncio.sleep(0.2)
    finally:
        await rest(setup, "account_defaults", {"event_push_url": None})
    of_agent = [one for one in over_socket if one["event"].startswith("agent:")]
    assert [one["event"] for one in of_agent] == [
        "agent:checkin",
        "agent:status",
        "agent:checkout",
        "agent:status",
    ]
    assert of_agent[0]["data"]["user_id"] == anna
    assert of_agent[0]["data"]["device_name"]
    calls = [one for one in over_socket if one["event"].startswith("call:")]
    visit = next(one["data"]["id"] for one in calls if one["event"] == "call:start")
    of_visit = [one for one in calls if one["data"]["id"] == visit]
    assert [one["event"] for one in of_visit] == ["call:start", "call:answer", "call:end"]
    answer, last = of_visit[1]["data"], of_visit[2]["data"]
    assert (answer["type"], answer["dst_user_id"], answer["cid_num"]) == ("queue", anna, call.party)
    assert answer["cc_wait"] == answer["waitms"] // 1000
    # From a moment between its INVITE and the music to one between the answer of the phone and what the caller hears of it.
    shortest, longest = phone.at_answer - waits_at, talks_at - call.at_dial
    assert 1000 * shortest <= answer["waitms"] <= 1000 * longest, (shortest, longest)
    assert (last["hangup_cause"], last["canceled"]) == ("NORMAL_CLEARING", None)
    assert last["durationms"] == pytest.approx(last["waitms"] + last["billms"], abs=1)
    legs = {one["data"]["id"] for one in calls} - {visit}
    assert len(legs) == 2, "the caller and the phone of the agent"
    assert {one["data"]["call_id"] for one in calls} <= legs
    assert {one["data"]["a2"] for one in calls} == {"AE"}
    ring = next(one["data"] for one in calls if one["event"] == "call:ring" and one["data"]["dst_user_id"])
    assert ring["progressms"] >= 0


async def test_a_key_takes_the_caller_out(setup: Setup, agents: Agents) -> None:
    setup.boris.on_call(Answer())
    call = await dial(setup, SUPPORT)
    await call.hears(TUNE)
    await call.send_keys("5")
    phone = await setup.boris.next_call()
    await phone.answered()
    await call.hears(phone.tone)
    assert await agents.waiting() == []
    await end(call)


async def test_each_strategy_chooses_whom_it_calls(setup: Setup, agents: Agents) -> None:
    names = ("anna", "boris", "clara")
    for one in (setup.anna, setup.boris, setup.clara):
        one.on_call(Ignore())
    await agents.free(*names)
    setup.anna.on_call(Answer())
    call = await dial(setup, str(FIRST_STRATEGY + list(STRATEGIES).index("top-down")))
    await agents.until("anna", lambda one: one.state is AgentState.IN_CALL)
    await asyncio.sleep(1)
    await end(call)
    setup.anna.on_call(Ignore())
    for number, (name, expected) in enumerate(STRATEGIES.items()):
        found = []
        for turn in range(2):
            call = await dial(setup, str(FIRST_STRATEGY + number))
            called = await agents.called(3 if name == "ring-all" else 1)
            await end(call)
            for agent in names:
                await agents.until(agent, lambda one: one.state is AgentState.WAITING)
            match name:
                case "ring-all":
                    assert sorted(called) == sorted(names)
                case "random":
                    assert len(called) == 1
                case "longest-idle-agent":
                    assert called[0] != "anna", turn
                case _:
                    found += called
        assert expected is None or tuple(found) == expected, name


async def test_the_phones_of_the_others_show_answered_elsewhere(setup: Setup, agents: Agents) -> None:
    setup.anna.on_call(Ignore())
    setup.boris.on_call(Answer(after=0.5))
    await agents.free("anna", "boris")
    call = await dial(setup, str(FIRST_STRATEGY + list(STRATEGIES).index("ring-all")))
    other, phone = await asyncio.gather(setup.anna.next_call(), setup.boris.next_call())
    await phone.answered()
    await other.ended()
    assert other.cause == 26
    await call.hears(phone.tone)
    anna = await agents.until("anna", lambda one: one.state is AgentState.WAITING)
    assert (anna.no_answer_count, anna.status) == (0, AgentStatus.AVAILABLE)
    await end(call)


async def test_a_colleague_transfers_a_caller_to_a_queue(setup: Setup, agents: Agents) -> None:
    """Boris talks with a customer and transfers to the short number of the queue, where Anna takes the call."""
    setup.boris.on_call(Answer())
    setup.anna.on_call(Answer())
    call = await dial(setup, SUPPORT)
    await call.send_keys("5")
    first = await setup.boris.next_call()
    await first.answered()
    await call.hears(first.tone)
    await first.transfer("601")
    await first.ended()
    await call.hears(TUNE)
    await agents.set(anna=AgentStatus.AVAILABLE)
    phone = await setup.anna.next_call()
    await phone.answered()
    await asyncio.gather(call.hears(phone.tone), phone.hears(call.tone))
    await end(call)


async def floor(setup: Setup) -> dict[int, Customer]:
    """The phones of the agents of many callers, by their numbers."""
    return {number: await setup.customer_with(str(FIRST_AGENT + number)) for number in range(1, 7)}


async def stored(setup: Setup, kind: str, after: float) -> list[dict[str, Any]]:
    """Events of the streams of queues or agents since a moment, in the order of time."""
    url = postgres.dsn(setup.installation.settings)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute(
            "select stream, type, extract(epoch from occurred_at)::float8, data from stream_events"
            " where account_id = %s and stream like %s and occurred_at > to_timestamp(%s) order by occurred_at, seq",
            (setup.account.account_id, f"{kind}:%", after),
        )
        rows = await cursor.fetchall()
    return [{"stream": row[0], "type": row[1], "at": row[2], **row[3]} for row in rows]


async def test_forty_callers_of_three_queues_and_six_agents(setup: Setup, agents: Agents) -> None:
    """Nobody is lost, nobody is passed over in a queue, and no agent has two calls, also those of two queues."""
    began = time.time()
    before = {
        one.agent_id: one.calls_answered for one in await agents.commands.agents(setup.account.account_id)
    }
    for phone in (await floor(setup)).values():
        phone.on_call(Answer(after=0.2, hang_up_after=1.0))
    names = tuple(f"agent{number}" for number in range(1, 7))
    await agents.free(*names)
    calls: list[Call] = []
    for wave in range(10):
        numbers = [str(FIRST_OF_FLOOR + (4 * wave + one) % 3) for one in range(4)]
        calls += await asyncio.gather(*(dial(setup, number) for number in numbers))
    async with asyncio.timeout(150):
        await asyncio.gather(*(call.ended() for call in calls))
    assert await agents.until_waiting(0) == []
    events = await stored(setup, "queue", began)
    joined = [one for one in events if one["type"] == "caller_joined"]
    connected = [one for one in events if one["type"] == "agent_connected"]
    assert len(joined) == len(connected) == 40
    assert {one["caller_id"] for one in connected} == {one["caller_id"] for one in joined}
    for queue in {one["stream"] for one in joined}:
        order = [one["caller_id"] for one in joined if one["stream"] == queue]
        offered = [
            one["caller_id"] for one in events if one["type"] == "agent_offering" and one["stream"] == queue
        ]
        assert list(dict.fromkeys(offered)) == order
    busy: dict[str, int] = {}
    for one in await stored(setup, "agent", began):
        if one["type"] == "offer_started":
            assert one["stream"] not in busy, "an agent has two calls"
            busy[one["stream"]] = one["offer_id"]
        elif one["type"] in ("offer_ended", "queue_call_ended"):
            assert busy.pop(one["stream"]) == one["offer_id"]
    assert busy == {}
    after = await agents.commands.agents(setup.account.account_id)
    answered = [one.calls_answered - before.get(one.agent_id, 0) for one in after]
    assert sum(answered) == 40
    assert sum(count > 0 for count in answered) >= 5


async def test_the_timeout_of_a_queue_leads_to_a_queue_a_scenario_and_a_number(
    setup: Setup, agents: Agents
) -> None:
    before = await setup.last_id()
    call = await dial(setup, TO_QUEUE)
    await call.hears(TUNE)
    await call.hears(WORD, 0.3)
    await call.ended()
    row = await setup.row_with(before, "voice_mail_records")
    assert (await setup.voice_mail(row)).keys() == {call.tone}
    outside = await setup.customer_with(OUTSIDE)
    outside.on_call(Answer())
    call = await dial(setup, TO_NUMBER)
    phone = await outside.next_call()
    await phone.answered()
    await asyncio.gather(call.hears(phone.tone), phone.hears(call.tone))
    assert await agents.waiting() == []
    await end(call)


async def test_a_killed_switch_with_twenty_waiting_and_five_talking(setup: Setup, agents: Agents) -> None:
    phones = await floor(setup)
    for one in phones.values():
        one.on_call(Answer())
    names = [f"agent{number}" for number in range(1, 6)]
    await agents.free(*names)
    talking = []
    for number in range(1, 6):
        call = await dial(setup, WAITS)
        phone = await phones[number].next_call()
        await phone.answered()
        talking.append((call, phone))
    waiting = [await dial(setup, WAITS) for _ in range(20)]
    before = await agents.until_waiting(20)
    killed = setup.installation.kill("switch")
    await setup.installation.wait_restarted("switch", killed)
    after = await agents.until_waiting(20)
    assert [one["call_session_id"] for one in after] == [one["call_session_id"] for one in before]
    assert not any(one.is_ended for one in (*waiting, *(side for pair in talking for side in pair)))
    for name in names:
        assert (await agents.view(name)).state is AgentState.IN_CALL
    await asyncio.gather(
        *(call.hears(phone.tone) for call, phone in talking), *(one.hears(TUNE) for one in waiting)
    )
    for at, (call, phone) in enumerate(talking[:2]):
        await end(call)
        await phone.ended()
        following = await phones[at + 1].next_call()
        await following.answered()
        await waiting[at].hears(following.tone)
    left = await agents.until_waiting(18)
    assert [one["call_session_id"] for one in left] == [one["call_session_id"] for one in before][2:]
    await agents.free()
    await end(*waiting, *(call for call, _ in talking[2:]))
    assert await agents.until_waiting(0) == []


async def test_a_killed_switch_keeps_who_waits_and_who_talks(setup: Setup, agents: Agents) -> None:
    """Six wait and two talk: nobody is dropped, the order stays, and the next free agent gets who waits longest."""
    setup.anna.on_call(Answer())
    setup.boris.on_call(Answer())
    await agents.free("anna", "boris")
    number = str(FIRST_STRATEGY + list(STRATEGIES).index("top-down"))
    talks = []
    for party in (setup.anna, setup.boris):
        call = await dial(setup, number)
        phone = await party.next_call()
        await phone.answered()
        talks.append((call, phone))
    waiting = [await dial(setup, number) for _ in range(6)]
    before = await agents.until_waiting(6)
    killed = setup.installation.kill("switch")
    await setup.installation.wait_restarted("switch", killed)
    after = await agents.until_waiting(6)
    assert [one["call_session_id"] for one in after] == [one["call_session_id"] for one in before]
    assert not any(one.is_ended for one in waiting)
    for name in ("anna", "boris"):
        assert (await agents.view(name)).state is AgentState.IN_CALL
    await asyncio.gather(
        *(call.hears(phone.tone) for call, phone in talks), *(one.hears(TUNE) for one in waiting)
    )
    call, phone = talks[0]
    await end(call)
    await phone.ended()
    phone = await setup.anna.next_call()
    await phone.answered()
    await waiting[0].hears(phone.tone)
    assert len(await agents.until_waiting(5)) == 5
    await agents.free()
    await end(*waiting, talks[1][0])
    assert await agents.until_waiting(0) == []
