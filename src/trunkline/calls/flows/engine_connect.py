"""What the engine rings and connects by itself, after one command: its targets, and how the connect ends. Pure.

Scenarios, calls of a phone and plain calls of the API give the engine a channel and the targets to ring
(:func:`~trunkline.calls.flows.dialing.dial`). The functions here write what becomes of the targets; the rules at the end
are in the tables of these flows.
"""

from __future__ import annotations

from trunkline.calls.decision import Decision, is_own_channel
from trunkline.calls.effects import Hangup
from trunkline.calls.finish_reasons import (
    Side,
    cause_for_result,
    reason_hung_up,
    reason_media_lost,
    reason_unanswered,
)
from trunkline.calls.flows import dialing
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
from trunkline.calls.flows.table import Table, pairs, row
from trunkline.calls.session import Leg, PendingTarget, Role, Session, UnresolvedLeg, anchor
from trunkline.calls.states import Controlled, EngineTalk, EngineTalkEnded, Finished, Finishing
from trunkline.core.hangup_causes import (
    CARRIER_REFUSALS,
    INTERWORKING,
    NO_ROUTE,
    NORMAL_CLEARING,
    SUBSCRIBER_ABSENT,
    SWITCH_CONGESTION,
)
from trunkline.events.reasons import Reason
from trunkline.telephony.port import Channel, ConnectFinished, ConnectResult, Ended, TargetStarted

_NORMAL_CAUSES = frozenset({0, NORMAL_CLEARING, INTERWORKING})
"""Causes that do not distinguish an elapsed ring time, a caller who hung up and a call answered by another target."""


# --- facts ------------------------------------------------------------------------------------------------


def target_started(decision: Decision, signal: TargetStarted) -> None:
    """The engine rings one of its targets."""
    session = decision.session
    pending = session.connect.targets if session.connect is not None else []
    if session.connect is not None:
        session.connect.is_confirmed = True
    if session.leg_of(signal.channel) is not None:
        return
    fitting = [e for e in pending if e.endpoint == signal.endpoint and _same_number(e.number, signal.number)]
    # Two may be called by one number, with extensions of their own; a line may have several devices.
    target = next((e for e in fitting if not e.appeared), fitting[0] if fitting else None)
    if target is not None:
        target.appeared = True
    data = dict(target.leg) if target is not None else dialing.unexpected(decision, signal)
    decision.start_leg(signal.channel, data)


def _same_number(wanted: str | None, dialled: str | None) -> bool:
    return (wanted or "").lstrip("+") == (dialled or "").lstrip("+")


def refuse_targets(session: Session, channel: Channel, admitted: int = 0) -> None:
    """The account has no channels for the targets of this channel after the first ``admitted``: that is why they are not
    reached."""
    connect = session.connect
    if connect is not None and connect.channel == channel:
        for target in connect.targets[admitted:]:
            target.has_no_channel = True


def target_answered(decision: Decision) -> None:
    """One target has answered: the others are not needed any more."""
    connect = decision.session.connect
    end_unresolved(decision, Reason.ANOTHER_OPERATOR_ANSWER)
    if connect is not None:
        _report_unmade(decision, connect.targets, SUBSCRIBER_ABSENT)


def finished(decision: Decision, signal: ConnectFinished) -> bool:
    """The connect is over and its channel came back: close what is left of its targets. False: an old or a late signal."""
    session = decision.session
    if session.connecting_channel != signal.channel or signal.at <= session.connect_finished_at:
        return False
    session.connect_finished_at = signal.at
    targets = session.connect.targets if session.connect is not None else []
    session.connect = None
    leg = session.leg_of(signal.channel)
    if leg is None or not leg.is_alive:
        return False
    is_talked = signal.result is ConnectResult.ANSWERED
    end_unresolved(decision, Reason.ANOTHER_OPERATOR_ANSWER if is_talked else None)
    unreachable = signal.result is ConnectResult.UNREACHABLE
    _report_unmade(decision, targets, signal.cause if unreachable and signal.cause else SUBSCRIBER_ABSENT)
    if not is_talked and session.ending is None:
        _close_undone(decision, signal)
    return True


def _report_unmade(decision: Decision, targets: list[PendingTarget], cause: int) -> None:
    """Targets of which the engine could not even make a channel: no registered device, no way to the trunk, or the account
    had no channel left."""
    for one in targets:
        if one.appeared:
            continue
        one.appeared = True
        leg = decision.start_leg(Channel(""), dict(one.leg))
        if one.has_no_channel:
            decision.end_leg(leg, Reason.NO_RESOURCES, SWITCH_CONGESTION)
        elif cause == NO_ROUTE and leg.sip_line_id is not None:
            # No device to dial. A phone that was dialled and refuses the call with this cause is another case.
            decision.end_leg(leg, why_unanswered(leg, SUBSCRIBER_ABSENT), SUBSCRIBER_ABSENT)
        else:
            decision.end_leg(leg, why_unanswered(leg, cause), cause)


def _close_undone(decision: Decision, signal: ConnectFinished) -> None:
    """Targets the engine has given up but whose end it has not reported yet: their reasons follow from the result."""
    cause = cause_for_result(signal.result, signal.cause)
    for leg in decision.session.living:
        ours = is_own_channel(leg.channel)  # a coach, say: the engine did not call it for this
        if not ours and leg.channel != signal.channel and leg.answered_at is None and leg.direction == "out":
            decision.end_leg(leg, why_unanswered(leg, cause), cause)


def target_ended(decision: Decision, leg: Leg, signal: Ended) -> None:
    """A target was not answered. With a cause of ``_NORMAL_CAUSES`` the reason follows from the next signal."""
    session = decision.session
    if signal.cause in _NORMAL_CAUSES and not signal.by_party:
        session.unresolved.append(UnresolvedLeg(leg.leg_id, signal.at, signal.cause))
    else:
        decision.end_leg(leg, why_unanswered(leg, signal.cause), signal.cause)


def another_answered(session: Session, leg: Leg) -> bool:
    """Whether somebody else who was called for the same place in the call has picked up."""
    return any(
        one.answered_at is not None and one.direction == "out" and one.side is leg.side
        for one in session.living
        if one is not leg and one.role is not Role.COACH
    )


def is_unresolved(session: Session, leg: Leg) -> bool:
    return any(one.leg_id == leg.leg_id for one in session.unresolved)


def end_unresolved(decision: Decision, reason: Reason | None) -> None:
    """Close the unresolved legs; None = the ring time was over."""
    session = decision.session
    for one in session.unresolved:
        leg = session.legs[one.leg_id]
        if leg.is_alive:
            decision.end_leg(leg, reason or why_unanswered(leg, 0), one.cause, at=one.at)
    session.unresolved = []


def why_unanswered(leg: Leg, cause: int) -> Reason:
    """Why a called party was not reached. An employee called by a colleague counts as an operator, though it is on the
    contact's side.

    Asterisk has one cause for a party that declines and for a carrier that does not accept our login or forbids the call,
    and carriers that use Asterisk have one SIP status for both: a party rings first.
    """
    side = Side.CONTACT if leg.role is Role.CONTACT else Side.OPERATOR
    if leg.trunk_id is not None and not leg.rang and leg.sip_code in CARRIER_REFUSALS:
        return reason_media_lost(side)
    return reason_unanswered(side, cause, is_line=leg.sip_line_id is not None)


def being_connected(session: Session) -> Channel | None:
    """The channel that the engine is connecting, as far as the events say: somebody is called for it."""
    leg = anchor(session)
    if leg is None or not leg.is_alive or isinstance(session.state, Controlled | Finishing):
        return None
    called = any(
        one.direction == "out" and not is_own_channel(one.channel) and one.departure is None
        for one in session.living
        if one is not leg
    )
    return leg.channel if called else None


# --- rules ------------------------------------------------------------------------------------------------


def party_gone(decision: Decision, flow_input: LegGone) -> None:
    """A party has left: the call ends with the one whose channel the engine was given.

    The engine keeps the other party of a talk for a moment, because a phone may ask for a transfer and leave.
    """
    session, leg = decision.session, flow_input.leg
    needed = anchor(session)
    if leg.channel == session.connecting_channel or leg is needed:
        engine_clears = leg.channel == session.connecting_channel
        session.end_connect()
        end_unresolved(decision, flow_input.reason)
        decision.end_session(
            Reason.DISCONNECT_BEFORE_CALL_PROCESSING if flow_input.is_early else flow_input.reason
        )
        for one in session.living:
            # Whom a trunk called is hung up by the engine: a carrier asks for no transfer.
            if not engine_clears or (one.answered_at is not None and leg.trunk_id is None):
                decision.do(Hangup(one.channel, NORMAL_CLEARING))
    elif not session.living:
        decision.end_session(flow_input.reason)
    elif needed is not None and _is_alone(session, needed, leg):
        decision.do(Hangup(needed.channel, NORMAL_CLEARING))


def _is_alone(session: Session, needed: Leg, gone: Leg) -> bool:
    """Whether the party that the engine connected has hung up, so that the engine's channel is alone."""
    return (
        needed.channel == session.connecting_channel
        and gone.answered_at is not None
        and gone.departure is None
        and not another_answered(session, gone)
    )


def reason_talk_over(session: Session, side: Side) -> Reason:
    """Why a talk ended that ended on this side: its party hung up, or nothing was received from it any more."""
    gone = any(
        leg.side is side and leg.finish_reason is reason_media_lost(side) for leg in session.legs.values()
    )
    return reason_media_lost(side) if gone and session.talks else reason_hung_up(side)


def talk_over(decision: Decision, flow_input: TalkOver | NotConnected) -> None:
    """They talked, and the other party hung up."""
    legs = decision.session.legs.values()
    other = next((one for one in legs if one.side is not flow_input.leg.side and one.is_talked), None)
    decision.end_session(
        reason_talk_over(decision.session, other.side if other is not None else flow_input.leg.side)
    )
    decision.do(Hangup(flow_input.leg.channel))


def hang_up_rest(decision: Decision, flow_input: LegGone) -> None:
    """A party of a call that is being hung up is gone."""
    session = decision.session
    if flow_input.leg.channel == session.connecting_channel:
        session.end_connect()
        end_unresolved(decision, flow_input.reason)
    else:
        hang_up_all(decision, NORMAL_CLEARING)


def hang_up_returned(decision: Decision, flow_input: TalkOver | NotConnected) -> None:
    """A channel came back from the engine while the call is being hung up."""
    decision.do(Hangup(flow_input.leg.channel))


def hang_up_all(decision: Decision, cause: int) -> None:
    for leg in decision.session.living:
        decision.do(Hangup(leg.channel, cause))


_TALKS = (EngineTalk, EngineTalkEnded)

TABLE = Table(
    rows={
        (EngineTalk, LegGone): row(party_gone, EngineTalk, EngineTalkEnded, Finishing),
        (EngineTalkEnded, LegGone): row(party_gone, EngineTalkEnded, Finishing),
        **{
            (state, flow_input): row(talk_over, Finishing)
            for state in _TALKS
            for flow_input in (TalkOver, NotConnected)
        },
        (Finishing, LegGone): row(hang_up_rest, Finishing),
        (Finishing, TalkOver): row(hang_up_returned, Finishing),
        (Finishing, NotConnected): row(hang_up_returned, Finishing),
    },
    refused=pairs((Finishing, Finished), *COMMANDS),
    ignored=pairs(
        _TALKS,
        ScenarioPlayed,
        MessagePlayed,
        MessageRecorded,
        RingElapsed,
        JoinFailed,
        InputElapsed,
        QuestionReply,
    )
    | pairs((Finished,), LegGone, TalkOver, NotConnected),
    expected=pairs((*_TALKS, Finishing, Finished), LegAnswered, LegUnreached, Key)
    | pairs(
        (Finishing, Finished),
        PartyTaken,
        ScenarioPlayed,
        MessagePlayed,
        MessageRecorded,
        RingElapsed,
        JoinFailed,
        InputElapsed,
        QuestionReply,
    ),
)
"""Of a talk that the engine connected (its commands are in the table of consultation), and of the end of every call."""
