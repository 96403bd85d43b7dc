"""Calls to leads on the fake engine: the reserved agent, the time to connect one, and who gets which agent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.calls import company as c
from tests.calls.queue_node import QUEUE, QueueNode, with_queue
from trunkline.calls.decision import DETECTION_MARGIN_SECONDS
from trunkline.calls.switch.dialer import Dialer, LiveAttempt, LiveCampaign
from trunkline.calls.switch.dialer_facts import result_of
from trunkline.core.clock import Instant
from trunkline.dialer.abandonment import Counts
from trunkline.dialer.campaign_store import Campaign
from trunkline.dialer.campaigns import CampaignState
from trunkline.dialer.leads import LeadPool
from trunkline.dialer.outcomes import HOUR, DialOutcome
from trunkline.dialer.settings import CampaignSettings, Mode
from trunkline.directory.model import AgentProfile
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.queues import inputs as i
from trunkline.queues.overview import Activity, activity_of
from trunkline.queues.states import AgentState
from trunkline.telephony.answering_machines import MOST_SECONDS
from trunkline.telephony.port import Detection, Ended

LEAD, OTHER = "971500000041", "971500000042"
SETTINGS = CampaignSettings(mode=Mode.PREDICTIVE)


class DialingNode(QueueNode):
    """A node with one campaign whose attempts are given by the test; nothing is stored."""

    def campaign(self) -> LiveCampaign:
        one = Campaign(
            c.ACCOUNT, 1, "Spring", CampaignState.RUNNING, QUEUE, None, None, SETTINGS, "Asia/Dubai"
        )
        self.dialer = self.switch.dialer = Dialer(self.switch, None, lambda: self.clock)  # type: ignore[arg-type]
        self.live = LiveCampaign(one, LeadPool(SETTINGS))
        self.dialer._campaigns[c.ACCOUNT, 1] = self.live
        return self.live

    async def lead(
        self, number: str, *, reserves: bool = True, scenario: int | None = None, **more: Any
    ) -> int:
        """Call a lead; the id of the call."""
        call = self.switch.next_id()
        if reserves:
            self.owner.give(i.ReserveAgent(QUEUE, call))
        attempt = LiveAttempt(call, c.ACCOUNT, 1, number, call, Instant(self.clock), is_started=True)
        self.dialer._calls[call] = self.live.calls[call] = attempt
        params: dict[str, Any] = {
            "contact": number, "queue_id": QUEUE, "ring_seconds": 20, "connect_seconds": 2.0,
            "abandoned_scenario_id": scenario, "lead_id": number, "dial_campaign_id": 1, **more,
        }  # fmt: skip
        await self.switch.commands.start_lead_call(c.ACCOUNT, call, params)
        await self.settle()
        return call

    async def until(self, seconds: float) -> None:
        self.clock += seconds
        await self.settle()

    def outcome(self, attempt: int) -> DialOutcome:
        return self.dialer._ended[attempt][1].outcome


async def node(*agents: int) -> DialingNode:
    made = DialingNode(with_queue(*agents, settings={"ring_timeout": 20}))
    await made.begin()
    for one in agents:
        await made.status(one)
    made.campaign()
    return made


async def test_a_lead_who_answers_talks_with_the_reserved_agent() -> None:
    one = await node(c.BORIS)
    call = await one.lead(LEAD)
    assert one.rings() == [LEAD]
    await one.answers(LEAD)
    assert one.rings() == [c.BORIS_LINE]
    await one.until(1)
    await one.answers(c.BORIS_LINE)
    await one.until(60)
    assert one.owner.state.agents[c.BORIS].state is AgentState.IN_CALL, (
        "the time to connect has no meaning now"
    )
    await one.hangs_up(one.phone(LEAD))
    assert one.outcome(call) is DialOutcome.ANSWERED
    assert one.owner.state.agents[c.BORIS].state is AgentState.WAITING
    assert one.owner.state.queues[QUEUE].served == {}, "a lead is no caller"


async def test_an_agent_of_a_preview_wraps_up_after_the_talk() -> None:
    account = with_queue(c.BORIS, settings={"ring_timeout": 20})
    one = DialingNode(replace(account, agents={c.BORIS: AgentProfile(c.BORIS, settings={"wrap_up_time": 5})}))
    await one.begin()
    await one.status(c.BORIS)
    one.campaign()
    call = await one.lead(LEAD, preview_employee_id=c.BORIS)
    assert one.rings() == [c.BORIS_LINE]
    await one.answers(c.BORIS_LINE)
    lead = next(chan.channel for chan in one.engine.channels.values() if chan.number == LEAD)
    one.engine.answer(lead)
    await one.settle()
    await one.until(30)
    agent = one.owner.state.agents[c.BORIS]
    assert activity_of(agent, Instant(one.clock)).activity is Activity.TALKING
    await one.hangs_up(lead)
    assert one.outcome(call) is DialOutcome.ANSWERED
    agent = one.owner.state.agents[c.BORIS]
    assert (agent.state, agent.calls_answered) == (AgentState.WAITING, 1)
    assert round(agent.talk_time) == 30
    assert activity_of(agent, Instant(one.clock)).activity is Activity.WRAP_UP


async def test_a_lead_with_whom_nobody_is_connected_in_two_seconds_is_abandoned() -> None:
    one = await node(c.BORIS)
    call = await one.lead(LEAD)
    await one.answers(LEAD)
    await one.until(1.9)
    assert one.rings() == [c.BORIS_LINE]
    await one.until(0.2)
    assert one.engine.channels == {}, "the phone of the agent does not ring on"
    assert one.outcome(call) is DialOutcome.ABANDONED
    assert one.owner.state.agents[c.BORIS].state is AgentState.WAITING


async def test_a_lead_who_hangs_up_before_is_not_abandoned() -> None:
    one = await node(c.BORIS)
    call = await one.lead(LEAD)
    await one.answers(LEAD)
    await one.until(1)
    await one.hangs_up(one.phone(LEAD))
    assert one.outcome(call) is DialOutcome.HUNG_UP
    assert one.owner.state.agents[c.BORIS].state is AgentState.WAITING


async def test_the_time_to_connect_goes_on_after_a_restart() -> None:
    one = await node(c.BORIS)
    call = await one.lead(LEAD)
    await one.answers(LEAD)
    await one.kill_and_restart()
    await one.until(2.1)
    one.switch.resume_timers()
    await one.settle()
    assert one.engine.channels == {}
    left = [event for event in one.reported.events[call] if event.type is EventType.QUEUE_LEFT]
    assert [event.data["reason"] for event in left] == ["not_in_time"]


async def test_variables_of_a_lead_are_in_its_call_and_in_that_of_the_next_switch() -> None:
    from trunkline.calls.evolution import replay
    from trunkline.calls.live_view import agent_call, call_in_progress

    variables = {"plan": "gold", "debt": {"amount": 120}, "x&y=1#": "\r\nHost: other"}
    one = await node(c.BORIS)
    call = await one.lead(LEAD, lead_name="Ida", ext_api_vars=variables, dial_campaign_id=1)
    await one.answers(LEAD)
    before = agent_call(one.switch.sessions[call])
    assert (before["lead_id"], before["lead_name"], before["campaign_id"]) == (LEAD, "Ida", 1)
    assert before["ext_api_vars"] == variables
    await one.kill_and_restart()
    after = one.switch.sessions[call]
    assert agent_call(after) == before
    assert call_in_progress(after)["lead"] == {"name": "Ida", "tags": None, "ext_api_vars": variables}
    stored = replay(one.reported.events[call])
    assert stored is not None
    assert (stored.lead, stored.dial_campaign_id) == (after.lead, 1)


MACHINE = Detection(is_machine=True, cause="LONGGREETING-1500-1500")
PERSON = Detection(is_machine=False, cause="HUMAN-800-800", silence_seconds=0.8)


async def test_a_lead_whose_machine_answers_is_connected_with_nobody() -> None:
    one = await node(c.BORIS)
    call = await one.lead(LEAD, detects_machine=True)
    picked_up_at = Instant(one.clock)
    await one.until(3)
    await one.answers(LEAD, MACHINE, picked_up_at)
    assert one.engine.channels == {}, "no agent is called, and the machine is hung up"
    result = one.dialer._ended[call][1]
    assert (result.outcome, result.answered_at) == (DialOutcome.MACHINE, picked_up_at)
    assert one.owner.state.agents[c.BORIS].state is AgentState.WAITING
    assert one.live.abandonment.counts(HOUR, Instant(one.clock)) == Counts(0, 0), "no person answered"
    [answered] = [event for event in one.reported.events[call] if event.type is EventType.LEG_ANSWERED]
    assert (answered.at, answered.data["detection"]["cause"]) == (picked_up_at, MACHINE.cause)
    assert one.finished()[-1]["finish_reason"] == Reason.NO_SUCCESS_CALLER_CALL


async def test_the_time_to_connect_a_person_begins_when_the_greeting_is_over() -> None:
    """3 s from the answer to the verdict, of which the last 0.8 s are silence: 1.2 s are left."""
    one = await node(c.BORIS)
    call = await one.lead(LEAD, detects_machine=True)
    picked_up_at = Instant(one.clock)
    await one.until(3)
    await one.answers(LEAD, PERSON, picked_up_at)
    await one.until(1.1)
    assert one.rings() == [c.BORIS_LINE]
    await one.until(0.2)
    assert one.engine.channels == {}
    assert one.outcome(call) is DialOutcome.ABANDONED


async def test_a_person_who_hangs_up_in_time_after_a_long_greeting_is_not_abandoned() -> None:
    one = await node(c.BORIS)
    call = await one.lead(LEAD, detects_machine=True)
    picked_up_at = Instant(one.clock)
    await one.until(3)
    phone = await one.answers(LEAD, PERSON, picked_up_at)
    await one.until(1)
    await one.hangs_up(phone)
    assert one.outcome(call) is DialOutcome.HUNG_UP


async def test_who_hangs_up_while_it_is_found_out_who_answers_is_not_abandoned() -> None:
    one = await node(c.BORIS)
    call = await one.lead(LEAD, detects_machine=True)
    phone, picked_up_at = one.phone(LEAD), Instant(one.clock)
    await one.until(3)
    one.engine.channels.pop(phone)
    one.switch.handle(Ended(phone, Instant(one.clock), 16, by_party=True, answered_at_phone=picked_up_at))
    await one.settle()
    assert one.outcome(call) is DialOutcome.HUNG_UP


async def test_a_detection_is_not_cut_by_the_ring_time() -> None:
    """The engine ends the ringing after it, and the switch, which does not see the answer yet, later."""
    assert DETECTION_MARGIN_SECONDS > MOST_SECONDS
    one = await node(c.BORIS)
    call = await one.lead(LEAD, detects_machine=True)
    await one.until(21)
    assert one.rings() == [LEAD]
    await one.until(10)
    assert one.engine.channels == {}
    assert one.outcome(call) is DialOutcome.NO_ANSWER


async def test_an_unanswered_lead_frees_the_agent_and_has_the_cause() -> None:
    one = await node(c.BORIS)
    for cause, outcome in (
        (17, DialOutcome.BUSY),
        (1, DialOutcome.INVALID),
        (21, DialOutcome.REJECTED),
        (34, DialOutcome.FAILED),
    ):
        call = await one.lead(LEAD)
        assert one.owner.state.agents[c.BORIS].state is AgentState.RESERVED
        one.engine.refuse(one.phone(LEAD), cause)
        await one.settle()
        assert one.outcome(call) is outcome
        assert one.owner.state.agents[c.BORIS].state is AgentState.WAITING


async def test_who_answers_first_gets_the_agent_of_a_call_that_rings() -> None:
    """Predictive: two leads ring for one agent, who is reserved for the first; the second answers."""
    one = await node(c.BORIS)
    first = await one.lead(LEAD)
    await one.lead(OTHER, reserves=False)
    await one.answers(OTHER)
    assert one.rings() == sorted([c.BORIS_LINE, LEAD])
    await one.answers(c.BORIS_LINE)
    assert one.owner.state.agents[c.BORIS].state is AgentState.IN_CALL
    await one.answers(LEAD)
    await one.until(2.1)
    assert one.outcome(first) is DialOutcome.ABANDONED


async def test_the_result_from_stored_events_is_that_of_the_live_call() -> None:
    from trunkline.calls.evolution import replay

    one = await node(c.BORIS)
    call = await one.lead(LEAD)
    await one.answers(LEAD)
    await one.answers(c.BORIS_LINE)
    await one.until(5)
    await one.hangs_up(one.phone(LEAD))
    session = replay(one.reported.events[call])
    assert session is not None
    assert result_of(session, SETTINGS) == one.dialer._ended[call][1]


async def test_a_lead_whose_call_asterisk_did_not_carry_out_was_interrupted() -> None:
    """Nobody declined: the cause is that of the failure, and the lead is called again soon."""
    from trunkline.calls.effects import OriginateLeg
    from trunkline.core.errors import EngineUnavailable

    one = await node(c.BORIS)
    call = await one.lead(LEAD)
    [session] = one.switch.sessions.values()
    [effect] = [each for each in one.engine.done if isinstance(each, OriginateLeg)]
    one.switch.effect_failed(call, effect, EngineUnavailable("no connection"))
    await one.settle()
    assert session.ending is not None
    assert one.outcome(call) is DialOutcome.INTERRUPTED
