"""What only the database has is stored before it has a consequence, and before a command succeeds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.company import scenario, to_employee
from tests.calls.fake_engine import a_trunk
from tests.calls.restarted_node import FakeWriter, Node, talking
from tests.calls.simulation import T0
from tests.calls.test_effect_failures import FailingEngine
from tests.calls.test_menus import menu
from tests.calls.test_scenario_operations import account_with
from trunkline.calls.effects import ConnectTargets, PlayFiles
from trunkline.calls.states import InMenu
from trunkline.calls.switch import command_handler, executor
from trunkline.calls.switch.executor import EffectExecutor
from trunkline.calls.switch.switch import Switch
from trunkline.core.clock import Instant
from trunkline.core.errors import DatabaseUnavailable, NotCarriedOut
from trunkline.directory.model import Account, Directory, OperationKind, TalkOption, TalkOptionKind
from trunkline.events.catalogue import KEPT_FIRST, UNPUBLISHED, EventType
from trunkline.telephony.port import Arrived, Channel, KeyPressed

pytestmark = pytest.mark.shells

CALLER = Channel(f"{int(T0)}.1")

REBUILT = frozenset(
    {
        EventType.SESSION_STARTED, EventType.LEG_RINGING, EventType.LEG_ANSWERED, EventType.TALK_STARTED,
        EventType.TALK_ENDED, EventType.LEG_ENDED, EventType.VOICE_MAIL_LEFT, EventType.SESSION_FINISHED,
        EventType.RECORDING_REFUSED, EventType.RECORDING_READY,
    }
)  # fmt: skip
"""Published events of calls that a recovery makes again from Asterisk, its CEL log and the spool folder."""


def tagging_menu() -> Account:
    """Key 1 tags the call and calls Anna."""
    return account_with(
        scenario(
            1,
            ("m", *menu(keys={"1": "t"})),
            ("t", OperationKind.TAG, {"tag_ids": [1], "next": "x"}),
            ("x", *to_employee(c.ANNA)),
        )
    )


class InMenuCall:
    """A caller in a menu, on a switch with a real executor."""

    def __init__(self, folder: Path, account: Account | None = None) -> None:
        self.engine, self.writer = FailingEngine(None), FakeWriter()
        self.account = account or tagging_menu()
        self.performers: list[EffectExecutor] = []

        def made(switch: Switch) -> EffectExecutor:
            self.performers.append(EffectExecutor(self.engine, folder, switch.effect_failed))
            return self.performers[0]

        self.switch = Switch(
            node=1,
            directory=lambda: Directory({c.ACCOUNT: self.account}),
            writer=self.writer,  # type: ignore[arg-type]
            executor=made,
            clock=lambda: T0,
        )

    def arrive(self) -> None:
        at = Instant(T0)
        self.switch.handle(Arrived(CALLER, at, a_trunk(), c.number_of(1), c.CUSTOMER, "", at))

    async def drain(self) -> None:
        await self.performers[0].drain()

    def press(self, key: str) -> None:
        self.engine.asked.clear()
        self.switch.handle(KeyPressed(CALLER, Instant(T0 + 1), key))

    @property
    def types(self) -> list[EventType]:
        return [event.type for events in self.writer.events.values() for event in events]


@pytest.mark.durability
async def test_the_consequence_of_a_key_waits_until_the_key_is_stored(tmp_path: Path) -> None:
    """A switch that is killed now has called nobody for a tag and a decision that no report has."""
    call = InMenuCall(tmp_path)
    call.arrive()
    await call.drain()
    call.writer.is_stuck = True
    call.press("1")
    assert {EventType.MENU_DECIDED, EventType.TAG_SET} <= set(call.types)
    await asyncio.sleep(0.05)
    assert call.engine.asked == []
    call.writer.is_stuck = False
    await call.drain()
    assert "connect" in call.engine.asked


async def test_a_call_goes_on_when_its_events_are_not_stored_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "EFFECTS_WAIT_SECONDS", 0.05)
    call = InMenuCall(tmp_path)
    call.arrive()
    await call.drain()
    call.writer.is_stuck = True
    call.press("1")
    async with asyncio.timeout(2):
        await call.drain()
    assert "connect" in call.engine.asked


async def test_no_call_waits_for_a_database_that_is_known_to_be_unavailable(tmp_path: Path) -> None:
    call = InMenuCall(tmp_path)
    call.arrive()
    await call.drain()
    call.writer.is_stuck, call.writer.unavailable_since = True, 1.0
    call.press("1")
    async with asyncio.timeout(executor.EFFECTS_WAIT_SECONDS / 2):
        await call.drain()
    assert "connect" in call.engine.asked


async def test_the_first_ringing_does_not_wait_for_the_database(tmp_path: Path) -> None:
    """Not even when the scenario sets a tag before."""
    tagged = scenario(1, ("t", OperationKind.TAG, {"tag_ids": [1], "next": "x"}), ("x", *to_employee(c.ANNA)))
    call = InMenuCall(tmp_path, account_with(tagged))
    call.writer.is_stuck = True
    call.arrive()
    async with asyncio.timeout(executor.EFFECTS_WAIT_SECONDS / 2):
        await call.drain()
    assert EventType.TAG_SET in call.types
    assert "connect" in call.engine.asked


@pytest.mark.durability
async def test_a_scenario_answers_only_what_is_stored(tmp_path: Path) -> None:
    """Without its events, a switch that is killed after the answer leaves a caller who hears nothing, for nothing."""
    call = InMenuCall(tmp_path)
    call.writer.is_stuck = True
    call.arrive()
    assert EventType.OPERATION_ENTERED in call.types
    await asyncio.sleep(0.05)
    assert call.engine.asked == []
    call.writer.is_stuck = False
    await call.drain()
    assert "answer" in call.engine.asked


@pytest.mark.durability
@pytest.mark.parametrize("stored", [0, 2])
def test_a_call_of_whose_scenario_nothing_is_stored_begins_it_again(stored: int) -> None:
    """A recovery had begun the call, which then reached the switch; that was killed after the answer."""
    node = Node(tagging_menu())
    customer = node.arrive(1)
    [events] = node.reported.events.values()
    before = [type(one) for one in node.engine.done].count(PlayFiles)
    assert before == 1
    del events[stored:]
    if not stored:
        node.forget()
    node.kill().restart()
    [session] = node.switch.sessions.values()
    assert isinstance(session.state, InMenu)
    assert [type(one) for one in node.engine.done].count(PlayFiles) == before + 1
    node.switch.handle(KeyPressed(customer, Instant(node.clock), "1"))
    node.flow()
    assert any(isinstance(one, ConnectTargets) for one in node.engine.done)


@pytest.mark.durability
def test_each_published_event_of_a_call_is_kept_first_or_made_again() -> None:
    """A new type of event belongs into one of the two sets."""
    of_calls = set(list(EventType)[: list(EventType).index(EventType.LINE_REGISTERED)])
    assert of_calls - UNPUBLISHED - REBUILT <= KEPT_FIRST
    assert not KEPT_FIRST & REBUILT


@pytest.mark.durability
def test_a_menu_is_repeated_when_its_key_is_lost() -> None:
    """The key was sent to the killed switch, and nothing else has it: the caller hears the prompt again."""
    node = Node(tagging_menu())
    customer = node.arrive(1)
    before = [type(one) for one in node.engine.done].count(PlayFiles)
    node.kill().restart()
    assert [type(one) for one in node.engine.done].count(PlayFiles) == before + 1
    [session] = node.switch.sessions.values()
    assert isinstance(session.state, InMenu)
    node.switch.handle(KeyPressed(customer, Instant(node.clock), "1"))
    node.flow()
    assert any(isinstance(one, ConnectTargets) for one in node.engine.done)
    assert [tag["tag_id"] for tag in session.tags] == [1]


# --- commands


async def _fails(node: Node, name: str, **params: Any) -> None:
    [key] = node.switch.sessions
    with pytest.raises(NotCarriedOut, match="Send the command again"):
        await node.switch.command(c.ACCOUNT, name, {"call_session_id": key, **params})


@pytest.fixture
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_handler, "WRITE_TIMEOUT_SECONDS", 0.05)


OPTIONS = {
    "1": TalkOption("1", TalkOptionKind.TAG_CALL, "Order", {"tag_id": 1}),
    "2": TalkOption("2", TalkOptionKind.SAVE_NUMA, "Save", {}),
}

DATA_COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("tag_call", {"tag_id": 1}),
    ("mark_call", {"set": [{"tag_id": 1, "tag_name": "Order"}], "unset": []}),
    ("call_talk_option", {"button": "1"}),
    ("send_dtmf", {"dtmf_string": "1"}),
]


@pytest.mark.durability
@pytest.mark.usefixtures("_short_wait")
@pytest.mark.parametrize(("name", "params"), DATA_COMMANDS)
async def test_a_tag_that_is_not_stored_is_no_success(name: str, params: dict[str, Any]) -> None:
    node, _, _ = talking()
    node.directory = Directory({c.ACCOUNT: c.company(talk_options=OPTIONS)})
    node.reported.is_stuck = True
    await _fails(node, name, **params)
    await _fails(node, name, **params)  # that the tag is set already is no success either
    node.reported.is_stuck = False
    [session] = node.switch.sessions.values()
    assert [tag["tag_id"] for tag in session.tags] == [1]


@pytest.mark.usefixtures("_short_wait")
async def test_a_command_that_asterisk_carried_out_succeeds_without_the_database() -> None:
    node, _, _ = talking()
    node.reported.is_stuck = True
    [key] = node.switch.sessions
    assert await node.switch.command(c.ACCOUNT, "release_call", {"call_session_id": key}) == {}


@pytest.mark.durability
@pytest.mark.usefixtures("_short_wait")
@pytest.mark.parametrize("is_frozen", [False, True])
async def test_a_contact_that_is_not_saved_is_no_success(is_frozen: bool) -> None:
    async def save(*_: object) -> None:
        if is_frozen:
            await asyncio.sleep(60)
        raise DatabaseUnavailable("it is not there")

    node, _, _ = talking()
    node.directory = Directory({c.ACCOUNT: c.company(talk_options=OPTIONS)})
    node.switch.commands._save_contact = save
    await _fails(node, "call_talk_option", button="2")
