"""Menus of a scenario: keys of the caller, time between them, repeats, and where each leads. Pure.

The prompt may be interrupted by a key. After it, and after each key, a timer waits for the next one. The keys so far are in
the state of the call, so a restarted switch repeats the menu from its prompt.
"""

from __future__ import annotations

from trunkline.calls.decision import Decision
from trunkline.calls.flows import engine_connect, inbound, playing
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
from trunkline.calls.session import Leg
from trunkline.calls.states import (
    AFTER_OPERATION,
    Finishing,
    InMenu,
)
from trunkline.calls.timers import MENU_TIMER, CancelTimer, StartTimer
from trunkline.directory.model import Operation
from trunkline.events.catalogue import EventType, MenuOutcome
from trunkline.events.reasons import Reason
from trunkline.routing import interpreter, menus
from trunkline.routing.menus import ExtensionDialled, Invalid, MoreAwaited, Picked

DEFAULT_TIMEOUT_SECONDS = 5
DEFAULT_KEY_SECONDS = 3
DEFAULT_REPEATS = 3


def prompt_played(decision: Decision, _given: ScenarioPlayed) -> None:
    """The prompt, or what is said about a wrong key, has been played to its end."""
    state = decision.session.state
    if isinstance(state, InMenu) and not state.digits:
        inbound.await_key(decision)


def key_pressed(decision: Decision, flow_input: Key) -> None:
    """A key: it may complete an input."""
    session, state = decision.session, decision.session.state
    contact, operation = session.contact, position(decision)[1]
    if flow_input.leg is not contact or operation is None or not isinstance(state, InMenu):
        return
    playing.stop_playing(decision, contact)
    _read(decision, operation, state.digits, is_over=False)


def input_elapsed(decision: Decision, _given: InputElapsed) -> None:
    """No key came in time."""
    state = decision.session.state
    operation = position(decision)[1]
    if operation is None or not isinstance(state, InMenu):
        inbound.try_others(decision)
    elif state.digits:
        _read(decision, operation, state.digits, is_over=True)
    else:
        _failed(decision, operation, MenuOutcome.TIMEOUT)


def _read(decision: Decision, operation: Operation, digits: str, *, is_over: bool) -> None:
    found = menus.meaning(
        decision.context.account, operation.kind, operation.settings, digits, is_over=is_over
    )
    match found:
        case MoreAwaited():
            seconds = operation.settings.get("key_seconds") or DEFAULT_KEY_SECONDS
            decision.do(StartTimer(MENU_TIMER, seconds))
        case Picked(key, collected, is_collected):
            outcome = MenuOutcome.COLLECTED if is_collected else MenuOutcome.KEY
            _decided(decision, operation, outcome, collected)
            _follow(decision, operation, key)
        case ExtensionDialled(chosen, extension):
            _decided(decision, operation, MenuOutcome.EXTENSION, extension)
            decision.choose(operation, chosen)
            inbound.try_others(decision)
        case Invalid(wrong):
            _failed(decision, operation, MenuOutcome.INVALID, wrong)


def _failed(decision: Decision, operation: Operation, outcome: MenuOutcome, digits: str = "") -> None:
    """No key, or one that means nothing: play the prompt again, or take the branch for it."""
    session, state = decision.session, decision.session.state
    contact = session.contact
    if contact is None or not contact.is_alive or not isinstance(state, InMenu):
        return
    if state.round < (operation.settings.get("repeats") or DEFAULT_REPEATS):
        decision.emit(
            EventType.MENU_REPEATED,
            operation_id=operation.operation_id,
            round=state.round + 1,
            outcome=outcome.value,
            digits=digits,
        )
        _prompt_again(decision, contact, operation, outcome)
        return
    _decided(decision, operation, outcome, digits)
    _follow(decision, operation, operation.settings.get(outcome.value))


def _prompt_again(decision: Decision, contact: Leg, operation: Operation, outcome: MenuOutcome) -> None:
    said: tuple[str, ...] = ()
    if outcome is MenuOutcome.INVALID:
        said = playing.media_files(decision, tuple(operation.settings.get("invalid_media_file_ids") or ()))
        standard = decision.context.system_media_path("invalid_choice")
        said = said or ((standard,) if standard is not None else ())
    prompt = playing.media_files(decision, tuple(operation.settings.get("media_file_ids") or ()))
    inbound.ask(decision, contact, (*said, *prompt))


def _decided(decision: Decision, operation: Operation, outcome: MenuOutcome, digits: str) -> None:
    decision.do(CancelTimer(MENU_TIMER))
    decision.emit(
        EventType.MENU_DECIDED, operation_id=operation.operation_id, outcome=outcome.value, digits=digits
    )


def _follow(decision: Decision, operation: Operation, key: str | None) -> None:
    scenario, _ = position(decision)
    contact = decision.session.contact
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
        (InMenu, ScenarioPlayed): row(prompt_played, InMenu),
        (InMenu, Key): row(key_pressed, *AFTER_OPERATION),
        (InMenu, InputElapsed): row(input_elapsed, *AFTER_OPERATION),
        (InMenu, NotConnected): row(inbound.not_connected, *AFTER_OPERATION),
        (InMenu, TalkOver): row(engine_connect.talk_over, Finishing),
        (InMenu, LegGone): row(engine_connect.party_gone, InMenu, Finishing),
    },
    refused=pairs((InMenu,), *COMMANDS),
    ignored=pairs(
        (InMenu,), PartyTaken, MessagePlayed, RingElapsed, JoinFailed, MessageRecorded, QuestionReply
    ),
    expected=pairs((InMenu,), LegAnswered, LegUnreached),
)
"""Of a caller in a menu."""
