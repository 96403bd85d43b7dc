"""Timers and questions: started by rules, kept in the call's events, and back as inputs, also after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.calls import company as c
from tests.calls.restarted_node import Node
from tests.calls.simulation import T0, CallSimulation
from tests.calls.test_consultation_recovery import TalkNode
from tests.patience import PATIENCE
from trunkline.calls import rules
from trunkline.calls.decision import RING_MARGIN_SECONDS, Decision
from trunkline.calls.effects import OriginateLeg
from trunkline.calls.flows.third_party import THIRD_PARTY_RING_SECONDS
from trunkline.calls.session import Phase
from trunkline.calls.switch.call_timers import CallTimers
from trunkline.calls.timers import (
    NO_EXECUTOR,
    RESTARTED,
    TIMED_OUT,
    Ask,
    CancelTimer,
    Deadlines,
    Elapsed,
    Question,
    QuestionAnswered,
    QuestionFailed,
    StartTimer,
    TimerInput,
)
from trunkline.core.clock import Instant
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason

DORA_NUMBER = "104"


# --- the open timers of many streams


@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.integers(0, 2),
                st.dictionaries(st.sampled_from("ab"), st.integers(0, 20).map(float), max_size=2),
            ),
            st.integers(0, 20).map(float),
        ),
        max_size=30,
    )
)
def test_deadlines_are_returned_once_and_in_order(
    steps: list[tuple[int, dict[str, Instant]] | float],
) -> None:
    deadlines: Deadlines[int] = Deadlines()
    model: dict[tuple[int, str], float] = {}
    for step in steps:
        if isinstance(step, tuple):
            stream, timers = step
            deadlines.replace(stream, timers)
            model = {key: due for key, due in model.items() if key[0] != stream}
            model |= {(stream, key): due for key, due in timers.items()}
        else:
            passed = sorted(due for due in model.values() if due <= step)
            returned = list(deadlines.due(Instant(step)))
            assert [model.pop(one) for one in returned] == passed
        assert deadlines.earliest() == min(model.values(), default=None)
        assert len(deadlines) == len(model)


# --- ringing


def consulting_simulation() -> CallSimulation:
    simulation = CallSimulation(online=[c.ANNA_LINE, c.DORA_LINE]).arrive(c.TO_ANNA)
    simulation.at(3).answer(c.ANNA_LINE)
    return simulation.at(10).command("hold_call").command("make_call", to=DORA_NUMBER)


def ring_seconds(simulation: CallSimulation) -> int:
    call = next(one for one in reversed(simulation.engine.done) if isinstance(one, OriginateLeg))
    return call.originate.ring_seconds - RING_MARGIN_SECONDS


def test_a_third_party_rings_as_long_as_its_timer() -> None:
    simulation = consulting_simulation()
    seconds = ring_seconds(simulation)
    assert 0 < seconds <= THIRD_PARTY_RING_SECONDS
    assert list(simulation.session.timers.values()) == [T0 + 10 + seconds]
    simulation.at(10 + seconds - 1).flow()
    assert simulation.session.phase.value == "dialing"
    simulation.at(10 + seconds).flow()
    assert simulation.session.phase.value == "hold"
    assert simulation.leg(-1).finish_reason is Reason.OPERATOR_NOT_RESPONSIVE
    assert simulation.session.timers == {}
    simulation.command("unhold_call")
    assert simulation.session.phase is Phase.TALK


def test_an_answered_party_has_no_ring_timer() -> None:
    simulation = consulting_simulation()
    simulation.answer(c.DORA_LINE)
    assert simulation.session.timers == {}
    simulation.at(500).flow()
    assert simulation.session.phase is Phase.OPERATOR_TALK


def test_an_answered_plain_call_has_no_event_of_a_timer() -> None:
    simulation = CallSimulation()
    common = {"virtual_phone_number": c.number_of(1), "contact": c.CUSTOMER}
    simulation.start("start_employee_call", **common, first_call="employee", employee={"id": c.ANNA})
    simulation.answer()
    simulation.answer()
    simulation.hang_up(simulation.leg(0).channel)
    kinds = {EventType.TIMER_STARTED, EventType.TIMER_CANCELLED, EventType.TIMER_ELAPSED}
    assert not kinds & set(simulation.types)


def test_a_party_called_by_the_api_rings_as_long_as_its_timer() -> None:
    simulation = CallSimulation()
    common = {"virtual_phone_number": c.number_of(1), "contact": c.CUSTOMER}
    simulation.start("start_employee_call", **common, first_call="employee", employee={"id": c.ANNA})
    seconds = ring_seconds(simulation)
    simulation.at(seconds).flow()
    assert simulation.leg(0).finish_reason is Reason.OPERATOR_NOT_RESPONSIVE


def test_a_ring_time_that_passed_while_no_switch_ran_ends_at_once() -> None:
    node = TalkNode()
    node.do("hold_call").do("make_call", to=DORA_NUMBER)
    assert node.session.phase.value == "dialing"
    node.kill()
    node.at(500).restart()
    assert node.session.phase.value == "hold"
    node._register()
    node.do("unhold_call")
    assert node.session.phase is Phase.TALK


def test_an_answer_during_the_restart_comes_before_the_ring_time() -> None:
    """What was missed is handled first: a party that answered in time is not hung up for its timer."""
    node = TalkNode()
    node.do("hold_call").do("make_call", to=DORA_NUMBER).kill()
    node.engine.answer(node.ringing(c.DORA_LINE))
    node.flow()
    node.at(500).restart()
    assert node.session.phase is Phase.OPERATOR_TALK
    assert node.session.timers == {}


def test_a_timer_that_was_cancelled_is_ignored_and_counted() -> None:
    simulation = consulting_simulation()
    (key,) = simulation.session.timers
    simulation.answer(c.DORA_LINE)
    before = len(simulation.events)
    decision = rules.signal(simulation.session, Elapsed(key, Instant(simulation.clock)), simulation.context())
    assert (decision.events, decision.effects, decision.ignored) == ([], [], ["Elapsed ring"])
    assert len(simulation.events) == before


# --- timers and questions that a rule starts


def routing_decision(node: Node) -> Decision:
    (session,) = node.switch.sessions.values()
    context = node.switch.context(node.directory.accounts[c.ACCOUNT], session)
    return Decision(session, context, Instant(node.clock))


async def test_timers_and_questions_are_in_the_stream_and_survive_a_restart() -> None:
    node = Node()
    node.arrive(c.TWICE)
    decision = routing_decision(node)
    decision.do(StartTimer("offer", 5))
    decision.do(StartTimer("wrap_up", 50))
    decision.do(StartTimer("offer", 30))
    decision.do(CancelTimer("nothing"))
    decision.do(Ask("where", Question("http", {"url": "https://example.com"})))
    node.switch.apply(decision)
    node.at(10).kill().restart()
    (session,) = node.switch.sessions.values()
    assert session.timers == {"offer": T0 + 30, "wrap_up": T0 + 50}
    assert session.questions == {}
    events = next(iter(node.reported.events.values()))
    (closed,) = [event for event in events if event.type is EventType.QUESTION_CLOSED]
    assert closed.data == {"key": "where", "why": RESTARTED}
    node.at(31).flow()
    assert session.timers == {"wrap_up": T0 + 50}
    decision = routing_decision(node)
    decision.do(CancelTimer("wrap_up"))
    node.switch.apply(decision)
    assert session.timers == {}


class ClockTimer:
    """A ``call_later`` whose timers a test fires."""

    def __init__(self) -> None:
        self.armed: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, function: Callable[[], None]) -> ClockTimer:
        self.armed.append((seconds, function))
        return self

    def cancel(self) -> None:
        self.armed.pop()


def test_one_clock_timer_is_armed_for_the_earliest_deadline() -> None:
    now, handled, clock_timer = 100.0, list[tuple[int, TimerInput]](), ClockTimer()
    timers = CallTimers(lambda call, given: handled.append((call, given)), lambda: now, clock_timer)
    timers.keep(1, {"a": Instant(110.0)})
    timers.keep(2, {"b": Instant(105.0)})
    timers.keep(3, {"c": Instant(130.0)})
    assert [seconds for seconds, _ in clock_timer.armed] == [5.0]
    timers.keep(2, {})
    assert [seconds for seconds, _ in clock_timer.armed] == [10.0]
    now = 111.0
    clock_timer.armed.pop()[1]()
    assert handled == [(1, Elapsed("a", Instant(111.0)))]
    assert [seconds for seconds, _ in clock_timer.armed] == [19.0]


def test_a_timer_that_another_one_restarts_does_not_elapse_by_its_old_deadline() -> None:
    now, handled, clock_timer = 100.0, list[str](), ClockTimer()

    def handle(call: int, given: TimerInput) -> None:
        handled.append(given.key)
        if given.key == "a":
            timers.keep(call, {"b": Instant(120.0), "d": Instant(105.0)})  # b restarted, c cancelled

    timers = CallTimers(handle, lambda: now, clock_timer)
    timers.keep(1, {"a": Instant(101.0), "b": Instant(102.0), "c": Instant(103.0), "d": Instant(105.0)})
    now = 110.0
    clock_timer.armed.pop()[1]()
    assert handled == ["a", "d"]
    now = 120.0
    timers.fire()
    assert handled == ["a", "d", "b"]


def test_a_timer_that_restarts_itself_at_once_does_not_stop_the_switch() -> None:
    now, handled, clock_timer = 100.0, list[str](), ClockTimer()

    def handle(call: int, given: TimerInput) -> None:
        handled.append(given.key)
        timers.keep(call, {"a": Instant(now)})

    timers = CallTimers(handle, lambda: now, clock_timer)
    timers.keep(1, {"a": Instant(99.0)})
    timers.fire()
    assert handled == ["a"]
    assert [seconds for seconds, _ in clock_timer.armed[-1:]] == [0.0]


async def answered(executor: Any, question: Question) -> TimerInput:
    """What comes back for a question."""
    came: asyncio.Future[TimerInput] = asyncio.get_running_loop().create_future()
    timers = CallTimers(lambda _call, given: came.set_result(given), lambda: 7.0)
    if executor is not None:
        timers.register("look_up", executor)
    timers.ask(c.ACCOUNT, 1, Ask("k", question))
    return await asyncio.wait_for(came, 30)


async def test_a_question_is_answered_or_fails() -> None:
    async def doubled(account_id: int, question: Question) -> dict[str, int]:
        assert account_id == c.ACCOUNT
        return {"twice": 2 * question.data["n"]}

    async def fails(_account_id: int, _question: Question) -> None:
        raise ValueError("no such row")

    async def never(_account_id: int, _question: Question) -> None:
        await asyncio.Event().wait()

    at = Instant(7.0)
    question = Question("look_up", {"n": 4})
    assert await answered(doubled, question) == QuestionAnswered("k", at, {"twice": 8})
    assert await answered(fails, question) == QuestionFailed("k", at, "ValueError: no such row")
    assert await answered(None, question) == QuestionFailed("k", at, NO_EXECUTOR)
    assert await answered(never, Question("look_up", seconds=0.01)) == QuestionFailed("k", at, TIMED_OUT)


async def test_a_change_is_made_though_the_caller_hangs_up_at_once() -> None:
    made, proceed = asyncio.Event(), asyncio.Event()

    async def change(_account_id: int, _question: Question) -> None:
        await proceed.wait()
        made.set()

    handled: list[TimerInput] = []
    timers = CallTimers(lambda _call, given: handled.append(given), lambda: 7.0)
    timers.register("change", change)
    timers.ask(c.ACCOUNT, 1, Ask("k", Question("change", is_change=True)))
    await asyncio.sleep(0)
    timers.forget(1)
    proceed.set()
    async with asyncio.timeout(PATIENCE):
        await made.wait()
    assert handled == []


async def test_the_answer_to_a_question_of_a_call_that_ended_is_void() -> None:
    ended = asyncio.Event()

    async def slow(_account_id: int, _question: Question) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    handled: list[TimerInput] = []
    timers = CallTimers(lambda _call, given: handled.append(given), lambda: 7.0)
    timers.register("look_up", slow)
    timers.ask(c.ACCOUNT, 1, Ask("k", Question("look_up")))
    await asyncio.sleep(0)
    timers.forget(1)
    await ended.wait()
    assert handled == []
