"""Interactive call processing: another system decides what happens to a call. Pure.

The contact may enter a code first. The reply names return codes, which lead to branches of the operation, or a message and
numbers to call. Without a usable reply the call goes on with the operation's ``otherwise``. A restarted switch asks again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trunkline.calls.decision import Decision
from trunkline.calls.effects import StopMusic
from trunkline.calls.flows import engine_connect, external_question, inbound, playing
from trunkline.calls.flows.inputs import (
    COMMANDS,
    InputElapsed,
    JoinFailed,
    Key,
    LegAnswered,
    LegGone,
    LegUnreached,
    MessagePlayed,
    MessageRecorded,
    NotConnected,
    PartyTaken,
    QuestionReply,
    RingElapsed,
    ScenarioPlayed,
    TalkOver,
)
from trunkline.calls.flows.scenario_position import caller_of, position
from trunkline.calls.flows.table import Table, pairs, row
from trunkline.calls.states import (
    AFTER_OPERATION,
    AwaitingDecision,
    Finishing,
)
from trunkline.calls.timers import MENU_TIMER, StartTimer
from trunkline.directory.model import Operation
from trunkline.events.catalogue import DecisionOutcome, EventType
from trunkline.events.reasons import Reason
from trunkline.routing import interpreter
from trunkline.routing.branches import MAX_NESTED, ReturnPoint
from trunkline.routing.menus import TERMINATOR

DEFAULT_KEY_SECONDS = 3

NO_REPLY = "no_reply"
"""Why there is no usable reply: the question was given up, or a former switch had asked it."""

UNKNOWN_CODE = "unknown_code"
"""Why there is none: the operation has no branch for a return code."""

TOO_DEEP = "too_many_scenarios"
"""Why there is none: too many scenarios wait already for further codes to be followed."""


def prompt_played(decision: Decision, _given: ScenarioPlayed) -> None:
    """The prompt has been played to its end: the time for a code begins, or music while the other system is asked."""
    contact, operation = decision.session.contact, position(decision)[1]
    state = decision.session.state
    if contact is None or operation is None:
        return
    if not isinstance(state, AwaitingDecision):
        return
    if state.question:
        external_question.play_music(decision, contact, operation)
    elif not state.digits:
        inbound.await_key(decision)


def key_pressed(decision: Decision, flow_input: Key) -> None:
    """A key of the code: the last one, or ``#``, ends it."""
    session, state = decision.session, decision.session.state
    contact, operation = session.contact, position(decision)[1]
    if flow_input.leg is not contact or operation is None or not isinstance(state, AwaitingDecision):
        return
    if state.question:
        return
    playing.stop_playing(decision, contact)
    length = int(operation.settings.get("code_length") or 0)
    if flow_input.key == TERMINATOR or len(state.digits) >= length:
        external_question.ask(decision, contact, operation)
    else:
        decision.do(StartTimer(MENU_TIMER, operation.settings.get("key_seconds") or DEFAULT_KEY_SECONDS))


def input_elapsed(decision: Decision, _given: InputElapsed) -> None:
    """No further key came in time: what was pressed is the code."""
    contact, operation = decision.session.contact, position(decision)[1]
    if contact is not None and contact.is_alive and operation is not None:
        external_question.ask(decision, contact, operation)


def replied(decision: Decision, flow_input: QuestionReply) -> None:
    """The other system has answered, or not."""
    session = decision.session
    contact, operation = session.contact, position(decision)[1]
    is_present = isinstance(session.state, AwaitingDecision) and flow_input.key == session.state.question
    if not is_present or contact is None or not contact.is_alive:
        return
    if operation is None:
        inbound.refuse(decision, contact, Reason.INCORRECT_CONFIG)
        return
    playing.stop_playing(decision, contact)
    decision.do(StopMusic(contact.channel))
    reply: Mapping[str, Any] = (
        flow_input.value if isinstance(flow_input.value, Mapping) else {"failed": NO_REPLY}
    )
    codes: Sequence[str] = reply.get("codes", ())
    failed = reply.get("failed") or _obstacle(decision, operation, codes)
    if failed is not None:
        _received(decision, operation, DecisionOutcome.FAILED, {**reply, "failed": failed})
        _follow(decision, operation.settings.get("otherwise"))
    elif codes:
        _received(decision, operation, DecisionOutcome.CODES, reply)
        _follow_codes(decision, [operation.settings["codes"][code] for code in codes])
    else:
        _received(decision, operation, DecisionOutcome.INSTRUCTIONS, reply)
        inbound.follow_instruction(decision)


def _obstacle(decision: Decision, operation: Operation, codes: Sequence[str]) -> str | None:
    branches: Mapping[str, Any] = operation.settings.get("codes") or {}
    if any(code not in branches for code in codes):
        return UNKNOWN_CODE
    if len(decision.session.returns) + len(codes) - 1 > MAX_NESTED:
        return TOO_DEEP
    return None


def _received(
    decision: Decision, operation: Operation, outcome: DecisionOutcome, reply: Mapping[str, Any]
) -> None:
    state = decision.session.state
    decision.emit(
        EventType.DECISION_RECEIVED,
        **reply,
        operation_id=operation.operation_id,
        outcome=outcome.value,
        digits=state.digits.removesuffix(TERMINATOR) if isinstance(state, AwaitingDecision) else "",
    )


def _follow_codes(decision: Decision, keys: Sequence[str | None]) -> None:
    """The branch of the first code; when it has ended without hanging up, that of the next one."""
    scenario = position(decision)[0]
    if scenario is not None and len(keys) > 1:
        waiting = tuple(ReturnPoint(scenario_id, key) for scenario_id, key in decision.session.returns)
        further = tuple(ReturnPoint(scenario.scenario_id, key) for key in reversed(keys[1:]))
        decision.enter_scenario(scenario, (*waiting, *further))
    _follow(decision, keys[0])


def _follow(decision: Decision, key: str | None) -> None:
    scenario, contact = position(decision)[0], decision.session.contact
    if scenario is None:
        if contact is not None:
            inbound.refuse(decision, contact, Reason.INCORRECT_CONFIG)
        return
    inbound.perform(
        decision,
        interpreter.decide_at(decision.context.account, scenario, key, decision.context, caller_of(decision)),
    )


TABLE = Table(
    rows={
        (AwaitingDecision, ScenarioPlayed): row(prompt_played, AwaitingDecision),
        (AwaitingDecision, Key): row(key_pressed, AwaitingDecision),
        (AwaitingDecision, InputElapsed): row(input_elapsed, AwaitingDecision),
        (AwaitingDecision, QuestionReply): row(replied, *AFTER_OPERATION),
        (AwaitingDecision, NotConnected): row(inbound.not_connected, *AFTER_OPERATION),
        (AwaitingDecision, TalkOver): row(engine_connect.talk_over, Finishing),
        (AwaitingDecision, LegGone): row(engine_connect.party_gone, AwaitingDecision, Finishing),
    },
    refused=pairs((AwaitingDecision,), *COMMANDS),
    ignored=pairs((AwaitingDecision,), PartyTaken, MessagePlayed, RingElapsed, JoinFailed, MessageRecorded),
    expected=pairs((AwaitingDecision,), LegAnswered, LegUnreached),
)
"""Of a contact about whom another system decides."""
