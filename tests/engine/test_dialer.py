"""Campaigns with real calls: leads are called over the trunk, who answers talks with an agent, and each has its result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import yaml

from tests.engine.setup import Setup
from tests.engine.test_queues import Agents
from tests.patience import PATIENCE
from trunkline.calls.switch.queue_commands import AgentCommands
from trunkline.calls.switch.rpc_client import SwitchClient
from trunkline.db.pool import Database
from trunkline.demo import tones
from trunkline.demo.outside import Answer, Customer, Ignore
from trunkline.demo.outside.behaviour import (
    Behaviour,
    busy,
    decline,
    no_such_number,
    ring_then_give_up,
    unreachable,
)
from trunkline.dialer import campaign_store, lead_store
from trunkline.dialer.campaigns import Action, CampaignState
from trunkline.queues.states import AgentState
from trunkline.runtime import postgres, secrets

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup of queues"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(420),
]

NUMBER = "97140000450"
COMPANY = {
    "queues": {
        "calls": {
            "name": "Calls",
            "music": "tune",
            "ring_timeout": 5,
            "auto_answer": True,
            "exits": '{"1": "callback"}',
            "agents": [{"employee": name} for name in ("anna", "boris", "clara")],
        },
    },
    "scenarios": {
        "calls": {"name": "Calls", "operations": {"wait": {"kind": "queue", "queue": "calls"}}},
        "sorry": {
            "name": "Sorry",
            "operations": {
                "say": {"kind": "greeting", "media": ["word_to_contact"], "next": "end"},
                "end": {"kind": "hangup"},
            },
        },
    },
    "virtual_numbers": {
        NUMBER: {"name": "Campaign", "trunk": "carrier", "rules": [{"scenario": "calls"}]},
    },
}
WORD, TUNE = 1065.0, 1395.0


@dataclass
class Campaigns:
    """Campaigns of the account, and the people who are called."""

    setup: Setup
    agents: Agents
    db: Database
    next_number: int = 971520000000

    @property
    def account_id(self) -> int:
        return self.setup.account.account_id

    async def people(self, count: int, behaviour: Behaviour) -> tuple[Customer, list[str]]:
        """So many numbers of somebody who always does the same."""
        person = await self.setup.customer()
        person.on_call(behaviour)
        numbers = []
        for _ in range(count):
            self.next_number += 1
            numbers.append(str(self.next_number))
            self.setup.world._called[numbers[-1]] = person
        return person, numbers

    async def create(
        self, name: str, phones: Sequence[str], *, scenario: bool = False, **settings: object
    ) -> int:
        """A campaign that may call at any hour; it is not started."""
        async with self.db.connection() as connection:
            row = await (
                await connection.execute(
                    "insert into phone_lists (account_id, name) values (%s, %s) returning phone_list_id",
                    (self.account_id, name),
                )
            ).fetchone()
            assert row is not None
            list_id = row["phone_list_id"]
            await connection.execute(
                "insert into leads (account_id, phone_list_id, phone) select %s, %s, unnest(%s::text[])",
                (self.account_id, list_id, list(phones)),
            )
            found = await (
                await connection.execute(
                    "select scenario_id from scenarios where account_id = %s and key = 'sorry'",
                    (self.account_id,),
                )
            ).fetchone()
            assert found is not None
        return await campaign_store.create_campaign(
            self.db,
            self.account_id,
            name=name,
            queue_id=await campaign_store.queue_by_name(self.db, self.account_id, "Calls"),
            phone_list_ids=[list_id],
            virtual_phone_number=NUMBER,
            abandoned_scenario_id=found["scenario_id"] if scenario else None,
            settings={"hours": "mon-sun 00:00-24:00", "ring_seconds": 15, **settings},
        )

    async def start(self, campaign_id: int) -> None:
        await campaign_store.change_state(self.db, self.account_id, campaign_id, Action.START)

    async def stop(self, campaign_id: int) -> None:
        await campaign_store.change_state(self.db, self.account_id, campaign_id, Action.STOP)

    async def until_finished(self, campaign_id: int) -> None:
        async with asyncio.timeout(20):
            while (
                await campaign_store.campaign(self.db, self.account_id, campaign_id)
            ).state is not CampaignState.FINISHED:
                await asyncio.sleep(0.2)

    async def outcomes(self, campaign_id: int) -> dict[str, str | None]:
        rows = await lead_store.lead_results(self.db, self.account_id, campaign_id)
        return {row["phone"]: row["last_outcome"] for row in rows}

    async def until_called(self, campaign_id: int, count: int, seconds: float = 60) -> dict[str, str | None]:
        """The last outcome of each lead, once so many have one."""
        try:
            async with asyncio.timeout(seconds):
                while len(found := await self.outcomes(campaign_id)) < count:
                    await asyncio.sleep(0.2)
        except TimeoutError:
            found = await self.outcomes(campaign_id)
            raise AssertionError(f"{found}\n{self.setup.installation.log_tail(30)}") from None
        return found

    async def reported_attempts(self, campaign_id: int) -> list[dict[str, Any]]:
        """All attempts with a call, once each of these calls is in the report: its end may come after the outcome."""
        async with asyncio.timeout(PATIENCE):
            while True:
                rows = await self.db.fetch_all(
                    "select a.phone, extract(epoch from a.connected_at - a.answered_at)::float8 as waited,"
                    " (select count(*) from call_sessions s where s.account_id = a.account_id"
                    " and s.call_session_id = a.call_session_id and s.finish_time is not null) as reported"
                    " from dial_attempts a where a.account_id = %s and a.campaign_id = %s and a.outcome <> 'do_not_call'",
                    (self.account_id, campaign_id),
                )
                assert all(row["reported"] <= 1 for row in rows), rows
                if all(row["reported"] for row in rows):
                    return rows
                await asyncio.sleep(0.2)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def all_campaigns(whole_setup: Setup) -> AsyncIterator[Campaigns]:
    file = whole_setup.folder / "campaigns.yaml"
    file.write_text(yaml.safe_dump(COMPANY, sort_keys=False))
    await whole_setup.installation.apply(whole_setup.account, file, whole_setup.environment)
    settings = whole_setup.installation.settings
    url = f"http://127.0.0.1:{settings.switch.control_port}"
    async with (
        SwitchClient(url, secrets.load(settings).control_token) as client,
        await Database.open(postgres.dsn(settings), application_name="tests") as db,
    ):
        agents = Agents(whole_setup, AgentCommands(client))
        await agents.begin()
        yield Campaigns(whole_setup, agents, db)


@pytest_asyncio.fixture(loop_scope="session")
async def campaigns(all_campaigns: Campaigns, setup: Setup) -> AsyncIterator[Campaigns]:
    await all_campaigns.agents.free()
    yield all_campaigns
    for one in await campaign_store.campaigns(all_campaigns.db, all_campaigns.account_id):
        if one.state is CampaignState.RUNNING:
            await campaign_store.change_state(
                all_campaigns.db, all_campaigns.account_id, one.campaign_id, Action.STOP
            )
    await all_campaigns.agents.free()


async def test_a_lead_who_answers_talks_with_the_reserved_agent(setup: Setup, campaigns: Campaigns) -> None:
    person, phones = await campaigns.people(1, Answer(after=0.5))
    setup.anna.on_call(Answer())
    campaign_id = await campaigns.create("One", phones)
    await campaigns.start(campaign_id)
    await asyncio.sleep(2)
    assert await campaigns.outcomes(campaign_id) == {}, "no agent is there"
    await campaigns.agents.free("anna")
    called = await person.next_call()
    await campaigns.agents.until("anna", lambda one: one.state is AgentState.RESERVED)
    phone = await setup.anna.next_call()
    await asyncio.gather(called.answered(), phone.answered())
    await asyncio.gather(called.hears(phone.tone), phone.hears(called.tone))
    assert phone.at_answer - called.at_answer < 2.0, "within the time that the law permits"
    await phone.hangup()
    await called.ended()
    assert await campaigns.until_called(campaign_id, 1) == {phones[0]: "answered"}
    await campaigns.agents.until("anna", lambda one: one.state is AgentState.WAITING)
    await campaigns.until_finished(campaign_id)


async def test_a_campaign_of_100_leads_ends_with_exact_results(setup: Setup, campaigns: Campaigns) -> None:
    groups: dict[str, tuple[int, Behaviour]] = {
        "answered": (40, Answer(after=0.2, hang_up_after=1.0)),
        "busy": (20, busy()),
        "no_answer": (12, ring_then_give_up(0.5)),
        "invalid": (12, no_such_number()),
        "rejected": (8, decline(0.3)),
        "failed": (5, unreachable()),
    }
    expected: dict[str, str | None] = {}
    for outcome, (count, behaviour) in groups.items():
        _, phones = await campaigns.people(count, behaviour)
        expected |= dict.fromkeys(phones, outcome)
    _, silent = await campaigns.people(2, Ignore())  # the ring time ends these
    _, [forbidden] = await campaigns.people(1, Answer())
    expected |= {**dict.fromkeys(silent, "no_answer"), forbidden: "do_not_call"}
    assert len(expected) == 100
    await campaign_store.forbid_numbers(campaigns.db, campaigns.account_id, [forbidden])
    for phone in (setup.anna, setup.boris, setup.clara):
        phone.on_call(Answer())
    await campaigns.agents.free("anna", "boris", "clara")
    campaign_id = await campaigns.create("Hundred", list(expected))
    await campaigns.start(campaign_id)
    found = await campaigns.until_called(campaign_id, 100, 200)
    await campaigns.stop(campaign_id)
    assert found == expected
    results = await lead_store.results(campaigns.db, campaigns.account_id, campaign_id)
    assert results["leads"] == {"do_not_call": 1, "invalid": 12, "open": 47, "reached": 40}
    assert results["calls"] == 0
    assert results["abandoned"]["share_24_hours"] == 0
    rows = await campaigns.reported_attempts(campaign_id)
    assert len(rows) == 99, "each once"
    waits = sorted(row["waited"] for row in rows if row["waited"] is not None)
    print(f"answered to connected: median {waits[20]:.2f} s, longest {waits[-1]:.2f} s")
    assert len(waits) == 40
    assert waits[-1] < 2.0


async def test_who_answers_without_an_agent_hears_the_message_and_is_abandoned(
    setup: Setup, campaigns: Campaigns
) -> None:
    """The reserved agent does not pick up in two seconds."""
    person, phones = await campaigns.people(1, Answer())
    setup.anna.on_call(Ignore())
    campaign_id = await campaigns.create("Abandoned", phones, scenario=True)
    await campaigns.agents.free("anna")
    await campaigns.start(campaign_id)
    called = await person.next_call()
    phone = await setup.anna.next_call()
    await called.hears(WORD, 0.3)
    await asyncio.gather(called.ended(), phone.ended())
    assert phone.at_end - called.at_answer == pytest.approx(2.0, abs=0.6)
    assert await campaigns.until_called(campaign_id, 1) == {phones[0]: "abandoned"}
    await campaigns.agents.until("anna", lambda one: one.state is AgentState.WAITING)
    results = await lead_store.results(campaigns.db, campaigns.account_id, campaign_id)
    assert results["abandoned"]["share_24_hours"] == 1.0


async def test_answering_machines_are_connected_with_nobody(
    setup: Setup, campaigns: Campaigns, tmp_path: Path
) -> None:
    """A person says a word and waits; a machine speaks for seconds, and its call ends before any agent's phone rings."""
    greetings = {"person": tmp_path / "person.wav", "machine": tmp_path / "machine.wav"}
    word, pause = tones.sine(700, 0.5), tones.silence(6)
    tones.write_wav(greetings["person"], np.concatenate([tones.silence(0.3), word, pause]))
    tones.write_wav(greetings["machine"], np.concatenate([tones.silence(0.3), tones.sine(700, 6)]))
    setup.anna.on_call(Answer())
    # The machine has the smaller number, and is called first.
    machine, machine_phones = await campaigns.people(1, Answer(greeting=greetings["machine"]))
    person, person_phones = await campaigns.people(1, Answer(greeting=greetings["person"]))
    campaign_id = await campaigns.create("Machines", machine_phones + person_phones, detect_machines=True)
    await campaigns.agents.free("anna")
    await campaigns.start(campaign_id)
    first = await machine.next_call()
    await first.ended()
    assert not setup.anna.incoming
    assert first.ended_by_other
    called, phone = await person.next_call(), await setup.anna.next_call()
    await called.hears(phone.tone)
    greeted_at = called.at_answer + 0.8
    print(f"greeted to answered by the agent: {phone.at_answer - greeted_at:.2f} s")
    assert phone.at_answer - greeted_at < 2.0, "within the time that the law permits"
    await phone.hangup()
    await called.ended()
    found = await campaigns.until_called(campaign_id, 2)
    await campaigns.stop(campaign_id)
    assert found == {machine_phones[0]: "machine", person_phones[0]: "answered"}
    results = await lead_store.results(campaigns.db, campaigns.account_id, campaign_id)
    assert results["abandoned"]["share_24_hours"] == 0
    await campaigns.agents.until("anna", lambda one: one.state is AgentState.WAITING)


async def test_a_stop_begins_no_further_call(setup: Setup, campaigns: Campaigns) -> None:
    """The call that rings goes on: to cut it would be an abandoned call, too."""
    person, phones = await campaigns.people(20, Answer(after=1.5, hang_up_after=0.5))
    setup.anna.on_call(Answer())
    await campaigns.agents.free("anna")
    campaign_id = await campaigns.create("Stopped", phones)
    await campaigns.start(campaign_id)
    called = await person.next_call()
    await campaigns.stop(campaign_id)
    await called.answered()
    await called.ended()
    found = await campaigns.until_called(campaign_id, 1)
    assert list(found.values()) == ["answered"]
    await asyncio.sleep(3)
    assert await campaigns.outcomes(campaign_id) == found
    results = await lead_store.results(campaigns.db, campaigns.account_id, campaign_id)
    assert (results["leads"], results["calls"]) == ({"new": 19, "reached": 1}, 0)


async def test_preview_calls_the_agent_first(setup: Setup, campaigns: Campaigns) -> None:
    person, phones = await campaigns.people(1, Answer())
    setup.anna.on_call(Answer(after=1.0))
    await campaigns.agents.free("anna")
    campaign_id = await campaigns.create("Preview", phones, mode="preview")
    await campaigns.start(campaign_id)
    phone = await setup.anna.next_call()
    await phone.ringing()
    called = await person.next_call()
    assert called.at_dial > phone.at_answer
    await called.hears(phone.tone)
    await called.hangup()
    await phone.ended()
    assert await campaigns.until_called(campaign_id, 1) == {phones[0]: "answered"}
    await campaigns.agents.until("anna", lambda one: one.state is AgentState.WAITING)


@pytest.mark.parametrize("process", ["switch", "worker", "web", "postgres"])
async def test_a_killed_process_calls_no_lead_twice_and_loses_no_result(
    setup: Setup, campaigns: Campaigns, process: str
) -> None:
    """Killed while leads ring and talk: the talks go on, each lead is called once, and each has its result."""
    groups: dict[str, tuple[int, Behaviour]] = {
        "answered": (9, Answer(after=0.7, hang_up_after=2.5)),
        "busy": (6, busy(0.5)),
    }
    expected: dict[str, str | None] = {}
    people = []
    for outcome, (count, behaviour) in groups.items():
        person, phones = await campaigns.people(count, behaviour)
        people.append(person)
        expected |= dict.fromkeys(phones, outcome)
    for phone in (setup.anna, setup.boris, setup.clara):
        phone.on_call(Answer())
    await campaigns.agents.free("anna", "boris", "clara")
    campaign_id = await campaigns.create(f"Killed {process}", list(expected))
    await campaigns.start(campaign_id)
    await campaigns.until_called(campaign_id, 2)
    await asyncio.sleep(0.4)
    killed = setup.installation.kill(process)
    await setup.installation.wait_restarted(process, killed)
    found = await campaigns.until_called(campaign_id, len(expected), 120)
    await campaigns.stop(campaign_id)
    assert found == expected
    rows = await campaigns.db.fetch_all(
        "select phone, count(*) as attempts from dial_attempts where account_id = %s and campaign_id = %s group by phone",
        (campaigns.account_id, campaign_id),
    )
    assert {row["phone"]: row["attempts"] for row in rows} == dict.fromkeys(expected, 1)
    calls = [call for person in people for call in person.calls]
    assert len(calls) == len(expected), "each phone rang once"


async def test_a_caller_keeps_the_place_and_is_called_back(setup: Setup, campaigns: Campaigns) -> None:
    person = await setup.customer()
    call = await person.dial(NUMBER)
    await call.answered()
    await call.hears(TUNE)
    await call.send_keys("1")
    await call.ended()
    person.on_call(Answer(after=0.5))
    setup.anna.on_call(Answer())
    await campaigns.agents.free("anna")
    called = await person.next_call()
    await campaigns.agents.until("anna", lambda one: one.state is AgentState.RESERVED)
    phone = await setup.anna.next_call()
    await asyncio.gather(called.hears(phone.tone), phone.hears(called.tone))
    assert phone.at_answer - called.at_answer < 2.0
    await called.hangup()
    await phone.ended()
    await campaigns.agents.until("anna", lambda one: one.state is AgentState.WAITING)
    assert await campaigns.agents.waiting() == []
