"""A contact who waits in a queue, and the agents who are called for it. Pure.

:mod:`trunkline.queues` decides who waits, who is called and who is connected, for all calls of an account. The functions
here carry out its effects on one call; what happens in the call goes back to it by the events of the call
(:mod:`trunkline.calls.switch.queue_facts`).

An offer is one leg for each phone of the agent, with the id of the offer. Until contact and agent are in one bridge, the
call stays :class:`~trunkline.calls.states.InQueue`: an agent who hangs up before leaves the contact in its place.
"""

from __future__ import annotations

from typing import Any

from trunkline.calls.decision import Decision, QueueFact
from trunkline.calls.effects import Hangup, Leave, Music, StopMusic
from trunkline.calls.flows import consultation, dialing, engine_connect, inbound, playing
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
from trunkline.calls.session import Leg, Session
from trunkline.calls.states import (
    BetweenOperations,
    Finishing,
    Forwarding,
    Greeting,
    InMenu,
    InQueue,
    LeavingMessage,
)
from trunkline.calls.timers import CONNECT_TIMER, StartTimer
from trunkline.core.hangup_causes import (
    ANSWERED_ELSEWHERE,
    NO_ANSWER,
    NORMAL_CLEARING,
    SUBSCRIBER_ABSENT,
    USER_BUSY,
)
from trunkline.directory.model import Employee, EmployeeStatus
from trunkline.directory.model.queues import scenario_of_queue
from trunkline.directory.queues import exits
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.routing import interpreter
from trunkline.routing.branches import ReturnPoint
from trunkline.routing.decisions import Candidate

WITHOUT_RULES_MARGIN_SECONDS = 5
"""How much longer than its offer a phone rings, for the time when no process runs the queues."""

NOT_IN_TIME = "not_in_time"
"""Reason of ``queue_left``: no agent was connected with a lead in time."""

CONNECTING_SECONDS = 1.0
"""How long a connection that is being made may take beyond that."""

HOLD_MUSIC = "hold_music"
"""Mnemonic of the system media file."""


def is_waiting(session: Session) -> bool:
    """Whether the contact waits in a queue."""
    contact = session.contact
    return isinstance(session.state, InQueue) and contact is not None and contact.is_alive


def offer_legs(session: Session, offer_id: int) -> list[Leg]:
    """The living legs of an offer."""
    return [leg for leg in session.living if leg.offer_id == offer_id]


def answered_leg(session: Session, offer_id: int) -> Leg | None:
    """The living leg of an offer that answered first: only that one is connected with the contact."""
    legs = [leg for leg in offer_legs(session, offer_id) if leg.answered_at is not None]
    return min(legs, key=lambda leg: leg.answer_order, default=None)


# --- effects of the rules of queues ------------------------------------------------------------------------


def offer(
    decision: Decision, offer_id: int, agent_id: int, ring_seconds: int, *, auto_answer: bool
) -> int | None:
    """Call the free phones of an agent together. None: they are called; else the Q.850 cause why none is.

    ``NORMAL_CLEARING``: the contact does not wait any more.
    """
    session, context = decision.session, decision.context
    if not is_waiting(session):
        return NORMAL_CLEARING
    employee = context.account.employees.get(agent_id)
    if employee is None or not employee.is_active:
        return SUBSCRIBER_ABSENT
    if employee.status == EmployeeStatus.DO_NOT_DISTURB:
        return USER_BUSY
    candidates, is_busy = _free_phones(decision, employee)
    shown, name = _shown(decision)
    dial_targets = dialing.candidate_dial_targets(decision, candidates, shown, name)
    for target, data in dial_targets:
        decision.originate_leg(
            target,
            {**data, "offer_id": offer_id},
            ring_seconds + WITHOUT_RULES_MARGIN_SECONDS,
            auto_answer=auto_answer,
        )
    if dial_targets:
        return None
    return USER_BUSY if is_busy else SUBSCRIBER_ABSENT


def _free_phones(decision: Decision, employee: Employee) -> tuple[list[Candidate], bool]:
    """The phones that can ring, and whether another one is in use."""
    found: list[Candidate] = []
    is_busy = False
    for phone in employee.phones:
        if not phone.is_active:
            continue
        obstacle = decision.context.phone_obstacle(phone)
        if obstacle is None:
            found.append(Candidate(employee, phone))
        is_busy = is_busy or obstacle is Reason.OPERATOR_CHANNELS_BUSY
    return found, is_busy


def _shown(decision: Decision) -> tuple[str, str]:
    """Number and name that the agent's phone shows."""
    session, contact = decision.session, decision.session.contact
    if contact is not None and contact.is_operator_side:  # a colleague
        employee = decision.context.account.employees.get(contact.employee_id or 0)
        if employee is not None:
            return employee.extension or contact.calling_phone_number or "", employee.full_name
        return contact.calling_phone_number or "", ""
    _, operation = position(decision)
    shown = session.contact_phone_number or ""
    if operation is not None:
        shown = inbound.shown_number(session, operation)
    return shown, session.contact_full_name or ""


def withdraw(decision: Decision, offer_id: int, *, is_answered_elsewhere: bool) -> None:
    """Hang up the legs of an offer."""
    cause = ANSWERED_ELSEWHERE if is_answered_elsewhere else NO_ANSWER
    for leg in offer_legs(decision.session, offer_id):
        decision.do(Hangup(leg.channel, cause if leg.answered_at is None else NORMAL_CLEARING))


def connect(decision: Decision, offer_id: int, pre_bridge_announce: int | None) -> None:
    """Connect the contact with the agent who has answered, after the announcement to the agent, if there is one."""
    session = decision.session
    agent = answered_leg(session, offer_id)
    if agent is None or not is_waiting(session):
        return
    session.connecting_offer = offer_id
    said = playing.media_files(decision, (pre_bridge_announce,) if pre_bridge_announce is not None else ())
    if said:
        consultation.say(decision, agent, said, then_music=False)
    else:
        _join(decision, agent)


def leave(
    decision: Decision, reason: str, key: str | None, destination: str | None, *, is_callback: bool = False
) -> None:
    """The contact goes on without an agent: in the branch of its operation, else at the exit of the queue.

    :param destination: of the queue's own settings (:mod:`trunkline.directory.queues.exits`).
    :param is_callback: it keeps its place and will be called back.
    """
    session, contact = decision.session, decision.session.contact
    if not is_waiting(session) or contact is None or not isinstance(session.state, InQueue):
        return
    queue_id = session.state.queue_id
    consultation.stop_playback(decision, contact)
    decision.do(StopMusic(contact.channel))
    session.connecting_offer = None
    more: dict[str, Any] = {"is_callback": True} if is_callback else {}
    decision.emit(EventType.QUEUE_LEFT, queue_id=queue_id, reason=reason, key=key, **more)
    scenario, operation = position(decision)
    account, context = decision.context.account, decision.context
    if scenario is None or operation is None:
        inbound.refuse(decision, contact, Reason.INCORRECT_CONFIG)
        return
    settings = operation.settings
    branch = settings.get("next")
    if reason == "exit_key":
        branch = (settings.get("exits") or {}).get(key)
    elif reason == "no_agent_timeout":
        branch = settings.get("no_agents") or branch
    own = account.scenarios.get(scenario_of_queue(queue_id))
    if branch is None and destination and own is not None and own is not scenario:
        name = key if reason == "exit_key" else exits.TIMEOUT
        if (there := own.operation(f"exit_{name}")) is not None:
            returns = [ReturnPoint(scenario_id, at) for scenario_id, at in session.returns]
            decision.enter_scenario(own, (*returns, ReturnPoint(scenario.scenario_id, settings.get("next"))))
            scenario, branch = own, there.key
    inbound.perform(decision, interpreter.decide_at(account, scenario, branch, context, caller_of(decision)))


def play_music(decision: Decision, media_file_id: int | None) -> None:
    """Play the music of the queue, else the hold music."""
    contact = decision.session.contact
    if not is_waiting(decision.session) or contact is None:
        return
    own = decision.context.media_path(media_file_id) if media_file_id is not None else None
    if media_file_id is not None and own is None:
        decision.queue_facts.append(QueueFact.NO_MUSIC)
    decision.do(Music(contact.channel, own or decision.context.system_media_path(HOLD_MUSIC)))


def announce(
    decision: Decision, media_file_id: int | None, position: int | None = None, minutes: int | None = None
) -> None:
    """Play a file to the contact in place of the music, then say the position in the queue and the expected wait."""
    contact = decision.session.contact
    if not is_waiting(decision.session) or contact is None or decision.session.connecting_offer is not None:
        return
    files = playing.media_files(decision, (media_file_id,) if media_file_id is not None else ())
    said = files + _number(decision, "queue_position", position) + _number(decision, "queue_wait", minutes)
    if not said:
        decision.queue_facts.append(QueueFact.NO_ANNOUNCEMENT)
        return
    consultation.stop_playback(decision, contact)
    consultation.say(decision, contact, said)


def _number(decision: Decision, key: str, number: int | None) -> tuple[str, ...]:
    """Files that say a number after a sentence; none when it is None or a file is missing."""
    if number is None:
        return ()
    paths = [
        decision.context.system_media_path(name) for name in (key, *(f"digit_{one}" for one in str(number)))
    ]
    return tuple(path for path in paths if path is not None) if None not in paths else ()


# --- what happens in the call ------------------------------------------------------------------------------


def agent_answered(decision: Decision, flow_input: LegAnswered) -> None:
    """A phone of an agent has answered: the agent's others stop ringing. The rules of queues decide what follows.

    Two phones may answer at once: then the first answer counts, and the second phone is hung up.
    """
    leg = flow_input.leg
    if leg.offer_id is None:
        return
    if answered_leg(decision.session, leg.offer_id) is not leg:
        decision.do(Hangup(leg.channel, ANSWERED_ELSEWHERE))
        return
    for other in offer_legs(decision.session, leg.offer_id):
        if other is not leg:
            decision.do(Hangup(other.channel, ANSWERED_ELSEWHERE))


def message_played(decision: Decision, flow_input: MessagePlayed) -> None:
    """The contact hears music again; an agent who has heard the announcement is connected."""
    session, leg = decision.session, flow_input.leg
    if leg is session.contact:
        decision.queue_facts.append(QueueFact.PLAYED)
        _music_again(decision)
    elif leg.offer_id is not None and leg.offer_id == session.connecting_offer:
        _join(decision, leg)


def party_gone(decision: Decision, flow_input: LegGone) -> None:
    """The call ends with the contact. An agent who leaves before the connection leaves the contact waiting."""
    session, leg = decision.session, flow_input.leg
    if leg is session.contact or not is_waiting(session):
        hung_up = flow_input.reason is Reason.CALLER_DISCONNECTS
        decision.end_session(Reason.ABANDONED_IN_QUEUE if hung_up else flow_input.reason)
        engine_connect.hang_up_all(decision, NORMAL_CLEARING)
    elif leg.offer_id is not None and leg.offer_id == session.connecting_offer:
        connected = answered_leg(session, leg.offer_id)
        is_second = connected is not None and connected.answer_order < leg.answer_order
        if not is_second:
            _wait_again(decision)


def join_failed(decision: Decision, flow_input: JoinFailed) -> None:
    """The agent is hung up; the contact waits again."""
    offer_id = decision.session.connecting_offer
    if offer_id is not None:
        _wait_again(decision)
        for leg in offer_legs(decision.session, offer_id):
            decision.do(Hangup(leg.channel))


def not_in_time(decision: Decision, _given: InputElapsed) -> None:
    """No agent was connected with a lead in the time that the law permits: the lead hears the message of the campaign."""
    session, contact = decision.session, decision.session.contact
    if not is_waiting(session) or contact is None or not isinstance(session.state, InQueue):
        return
    if session.connecting_offer is not None:
        decision.do(StartTimer(CONNECT_TIMER, CONNECTING_SECONDS))
        return
    consultation.stop_playback(decision, contact)
    decision.do(StopMusic(contact.channel))
    decision.emit(EventType.QUEUE_LEFT, queue_id=session.state.queue_id, reason=NOT_IN_TIME, key=None)
    account, context = decision.context.account, decision.context
    scenario = account.scenarios.get(session.abandoned_scenario_id or 0)
    if scenario is None:
        inbound.refuse(decision, contact, Reason.NO_OPERATORS_AVAILABLE)
        return
    decision.enter_scenario(scenario)
    inbound.perform(decision, interpreter.decide_first(account, scenario, context, caller_of(decision)))


def resume(decision: Decision) -> None:
    """After a restart of the switch: the contact hears music, unless it is being connected."""
    contact = decision.session.contact
    if (
        contact is not None
        and contact.bridge is None
        and contact.leg_id not in decision.session.plays.values()
    ):
        _music_again(decision)


def _join(decision: Decision, agent: Leg) -> None:
    session, contact = decision.session, decision.session.contact
    if contact is None:
        return
    session.record_wanted = True  # the settings decide when the talk begins
    consultation.stop_playback(decision, contact)
    for leg in (agent, contact):
        decision.do(consultation.into_talk(session, leg))


def is_recorded(decision: Decision) -> bool:
    """Whether the contact waits in a queue that records its talks, whatever the settings of the employees say."""
    state = decision.session.state
    queue = decision.context.account.queues.get(state.queue_id) if isinstance(state, InQueue) else None
    return queue is not None and queue.is_recorded


def _wait_again(decision: Decision) -> None:
    """The connection did not come about."""
    session, contact = decision.session, decision.session.contact
    session.connecting_offer = None
    if contact is not None:
        if contact.bridge == consultation.talk_bridge(session):
            decision.do(Leave(contact.channel, consultation.talk_bridge(session)))
            contact.bridge = None
        _music_again(decision)


def _music_again(decision: Decision) -> None:
    state = decision.session.state
    queue = decision.context.account.queues.get(state.queue_id) if isinstance(state, InQueue) else None
    play_music(decision, queue.settings.get("moh_id") if queue is not None else None)


TABLE = Table(
    rows={
        (InQueue, LegAnswered): row(agent_answered, InQueue),
        (InQueue, MessagePlayed): row(message_played, InQueue),
        (InQueue, RingElapsed): row(consultation.stop_ringing, InQueue),
        (InQueue, JoinFailed): row(join_failed, InQueue),
        (InQueue, LegGone): row(party_gone, InQueue, Finishing),
        (InQueue, InputElapsed): row(
            not_in_time,
            InQueue,
            BetweenOperations,
            Greeting,
            InMenu,
            Forwarding,
            LeavingMessage,
            Finishing,
        ),
    },
    refused=pairs((InQueue,), *COMMANDS),
    ignored=pairs(
        (InQueue,),
        PartyTaken,
        ScenarioPlayed,
        MessageRecorded,
        QuestionReply,
        NotConnected,
        TalkOver,
    ),
    expected=pairs((InQueue,), LegUnreached, Key),
)
"""Of a contact who waits in a queue. The rules of queues decide about all else."""
