"""What agents and administrators set: status, state, wrap-up; and calls of agents that are no queue calls (3.2 to 3.5,
5.6, 7.5).
"""

from __future__ import annotations

from trunkline.core.errors import InvalidInput, InvalidState
from trunkline.events.catalogue import EventType
from trunkline.queues import callbacks, offers
from trunkline.queues.callers import after
from trunkline.queues.decision import QueueDecision
from trunkline.queues.inputs import AgentCallEnded, AgentCallStarted, SetState, SetStatus, SetWrapUp
from trunkline.queues.settings import check_seconds
from trunkline.queues.states import AgentState, AgentStatus


def set_status(decision: QueueDecision, given: SetStatus) -> None:
    """Change the status. Any but Available cancels an offer in progress; a call goes on (3.5). Setting the present one
    changes nothing, except the reason of a break.

    :raises NotFound: there is no such agent.
    :raises InvalidState: the end of a break of an agent who is logged out.
    """
    agent = decision.state.agent(given.agent_id)
    if given.ends_break and agent.status is AgentStatus.LOGGED_OUT:
        raise InvalidState(
            "The agent is logged out: check in first.", field="status", value=given.status.value
        )
    if given.ends_break and agent.status is not AgentStatus.ON_BREAK:
        return
    is_same = agent.status is given.status
    if is_same and (given.status is not AgentStatus.ON_BREAK or given.reason == agent.status_reason):
        return
    decision.emit_for_agent(
        agent,
        EventType.AGENT_STATUS_CHANGED,
        status=given.status.value,
        reason=given.reason,
        previous=agent.status.value,
    )
    if given.status is not AgentStatus.AVAILABLE and not is_same:
        offers.cancel_of_agent(decision, agent)
        callbacks.withdraw_agent(decision, agent)


def set_state(decision: QueueDecision, given: SetState) -> None:
    """Park or release an agent (3.3). Parking during an offer or a queue call applies when that has ended.

    :raises NotFound: there is no such agent.
    :raises InvalidInput: only Waiting and Idle can be set.
    :raises InvalidState: Waiting is refused during an offer or a queue call.
    """
    agent = decision.state.agent(given.agent_id)
    if given.state not in (AgentState.WAITING, AgentState.IDLE):
        raise InvalidInput("Only Waiting and Idle can be set", field="state", value=given.state.value)
    if agent.state.is_engaged:
        if given.state is AgentState.WAITING:
            raise InvalidState(
                "The agent is ringing or in a queue call", field="agent_id", value=given.agent_id
            )
        if not agent.parks_afterwards:
            _change_state(decision, given, afterwards=True)
    elif agent.state is not given.state:
        _change_state(decision, given, afterwards=False)


def _change_state(decision: QueueDecision, given: SetState, *, afterwards: bool) -> None:
    decision.emit_for_agent(
        given.agent_id, EventType.AGENT_STATE_CHANGED, state=given.state.value, afterwards=afterwards
    )


def set_wrap_up(decision: QueueDecision, given: SetWrapUp) -> None:
    """Set the end of wrap-up, at any time; 0 ends it at once (7.5).

    :raises NotFound: there is no such agent.
    :raises InvalidInput: not 0 to 86400 whole seconds.
    """
    agent = decision.state.agent(given.agent_id)
    seconds = agent.settings.wrap_up_time if given.seconds is None else given.seconds
    check_seconds("seconds", seconds)
    decision.emit_for_agent(agent, EventType.AGENT_WRAP_UP_SET, until=after(decision.now, seconds))


def call_started(decision: QueueDecision, given: AgentCallStarted) -> None:
    """A tracked call that is no queue call (5.6).

    :raises NotFound: there is no such agent.
    """
    agent = decision.state.agent(given.agent_id)
    if given.call not in agent.external_calls:
        decision.emit_for_agent(agent, EventType.AGENT_CALL_STARTED, call=given.call)


def call_ended(decision: QueueDecision, given: AgentCallEnded) -> bool:
    """It has ended. False: it was not there."""
    agent = decision.state.agents.get(given.agent_id)
    if agent is None or given.call not in agent.external_calls:
        return False
    decision.emit_for_agent(agent, EventType.AGENT_CALL_ENDED, call=given.call)
    return True
