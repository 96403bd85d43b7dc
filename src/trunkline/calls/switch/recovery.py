"""Recovery of the live calls of a node, after the switch started or its connection to the engine was lost.

1. Read the open streams of the node: the calls as far as their events are written.
2. Read the engine's survey: the channels that exist now, and the signals in its CEL log since the stored position or the
   last event of a call that expects a signal (:func:`log_start`).
3. Apply the missed signals by the same rules as live signals. A signal that was handled before has no effect.
4. End the legs whose channels do not exist any more. When the Asterisk that carried them does not run any more (a power cut,
   a restored backup), the last moment at which it is known to have run is their end, and not the moment of the recovery.
5. Continue the calls whose channels exist, then begin those that came in meanwhile and wait. The channels of calls that
   have ended are not counted any more then.

A call is found by its id, which follows from its first channel (:func:`trunkline.core.ids.id_of_channel`): the CEL log, the
listing of channels and the signal of the arrival are of one call, whichever comes first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from trunkline.calls import rules
from trunkline.calls.decision import Decision, is_own_channel
from trunkline.calls.evolution import replay
from trunkline.calls.flows import (
    click_to_call,
    consultation,
    employee_settings,
    engine_connect,
    inbound,
    mailbox,
    outbound,
    parking,
    queueing,
    voice_message,
)
from trunkline.calls.flows.recording import message_id
from trunkline.calls.session import NEVER, Leg, LegState, Phase, Session, anchor
from trunkline.calls.states import (
    ChangingSetting,
    ClickToCall,
    Controlled,
    DialledParking,
    Dialling,
    EngineTalk,
    EngineTalkEnded,
    Finishing,
    InMailbox,
    InQueue,
    InScenario,
    Parked,
)
from trunkline.calls.switch.arrivals import record_call
from trunkline.calls.switch.switch import Switch
from trunkline.core.clock import Instant
from trunkline.core.hangup_causes import NETWORK_OUT_OF_ORDER, NORMAL_CLEARING
from trunkline.core.ids import number_of_channel
from trunkline.core.log import get_logger
from trunkline.db.pool import Database
from trunkline.directory.model import Directory
from trunkline.events import store
from trunkline.events.catalogue import Event, call_stream
from trunkline.events.reasons import Reason
from trunkline.telephony.port import (
    Answered,
    Arrived,
    Channel,
    ConnectFinished,
    ConnectResult,
    Ended,
    EndpointKind,
    Joined,
    Left,
    SeenChannel,
    SeenRecording,
    Signal,
    Survey,
    TargetStarted,
)

_SAME_MOMENT = 0.0015
"""Seconds. The engine's events have milliseconds, its CEL log microseconds: equal facts differ by less."""

_STOPPING_SECONDS = 2.0
"""Within which an Asterisk that is stopped ends all its channels."""

POSITION_MARGIN = 5.0
"""The CEL log is read from this many seconds before the position, because a signal may arrive later than its line in the
log. A signal that was handled before causes no event when it is replayed."""

NEW_SECONDS = 2.0
"""A channel that the CEL log does not have yet is not older, and its own signals come."""

_log = get_logger("calls")


async def open_sessions(db: Database, node: int) -> list[tuple[Session, list[Event]]]:
    """The sessions of this node whose end is not written, with their stored events."""
    async with db.connection() as connection:
        calls = await store.open_calls(connection, node)
        stored = await store.events_of_calls(connection, calls)
    sessions: list[tuple[Session, list[Event]]] = []
    for account_id, call_session_id in calls:
        events = stored[call_stream(call_session_id)]
        session = restored(events)
        if session is None:
            _log.error(
                "stream_without_beginning",
                account_id=account_id,
                call_session_id=call_session_id,
                consequence="the call is not continued; its row stays open",
                remedy="check whether rows of events were deleted manually; else report this line",
            )
            continue
        sessions.append((session, events))
    return sessions


def restored(events: Sequence[Event]) -> Session | None:
    """The session that these events make; None when the first of them is missing."""
    session = replay(events)
    if session is not None:
        # The recording option given to the engine is not an event: it follows from the employees of the talk.
        session.record_wanted = session.record_wanted or not session.talks
    return session


async def ended_channels(db: Database, switch: Switch, logged: Iterable[Signal]) -> list[Channel]:
    """First channels of calls that a former switch followed to their end: their streams are closed.

    :param logged: signals of the CEL log.
    """
    channels = {one.channel: one for one in logged if isinstance(one, Arrived)}
    calls = {
        channel: call
        for channel, arrived in channels.items()
        if channel not in switch.channels and (call := switch.arrivals.call_of(arrived)) is not None
    }
    async with db.connection() as connection:
        known = await store.known_calls(connection, calls.values())
    return [channel for channel, call in calls.items() if call in known]


def log_start(sessions: Collection[Session], position: Instant) -> Instant:
    """From when the CEL log is read for these open calls.

    When Asterisk is busy, it reports a new call at once and what happens to the others many seconds later, or never. The
    position then is later than signals that were not handled. So a call that is not in a talk, which expects a signal, is
    read from its last event; one that calls somebody from the beginning of that, because a signal of another leg may have
    come before an earlier one of it. For a talk see :func:`start_of_ends`.
    """
    waiting = [session.signalled_at for session in sessions if not _is_in_talk(session)]
    dialling = [since for session in sessions if (since := _dialling_since(session)) is not None]
    return min([Instant(position - POSITION_MARGIN), *waiting, *dialling])


def _dialling_since(session: Session) -> Instant | None:
    """When the call began to call the oldest of those who have not answered; None: it calls nobody."""
    return min(
        (one.started_at for one in session.living if one.state is LegState.DIAL and one.direction == "out"),
        default=None,
    )


def start_of_ends(switch: Switch, survey: Survey) -> Instant | None:
    """From when the CEL log must be read to find the ends of channels that are gone and whose end is not in the survey."""
    known = {one.channel for one in survey.channels}
    known |= {one.channel for one in survey.missed if isinstance(one, Ended)}
    return min(
        (
            session.signalled_at
            for session in switch.sessions.values()
            if any(leg.channel and leg.channel not in known for leg in session.living)
        ),
        default=None,
    )


def _is_in_talk(session: Session) -> bool:
    living = session.living
    return bool(living) and all(leg.state is LegState.TALK for leg in living)


def has_unlogged_end(switch: Switch, survey: Survey) -> bool:
    """Whether a channel is gone and its end is not in the CEL log yet: it may be written soon."""
    there = {one.channel for one in survey.channels}
    began = {one.channel for one in survey.missed if isinstance(one, Arrived | TargetStarted)}
    ended = {one.channel for one in survey.missed if isinstance(one, Ended)}
    living = {leg.channel for session in switch.sessions.values() for leg in session.living if leg.channel}
    return bool((living | began) - there - ended)


_DISORDER = 8
"""Two channels that are made at the same moment may have their numbers in the other order."""


class Recovery:
    """Brings a switch in line with the engine.

    :param alive_until: last moment at which a switch of this node was connected to the engine; None = not known.
    """

    def __init__(
        self, switch: Switch, directory: Directory, survey: Survey, alive_until: Instant | None = None
    ) -> None:
        self._switch = switch
        self._directory = directory
        self._survey = survey
        self._alive_until = alive_until
        self._logged_at = sorted(one.at for one in survey.missed)
        self._engine_starts = engine_starts(
            [
                *(leg.channel for session in switch.sessions.values() for leg in session.legs.values()),
                *(one.channel for one in survey.missed if isinstance(one, Arrived)),
            ],
            survey.engine_started_at,
        )
        self._hung_up = {one.channel for one in survey.missed if isinstance(one, Ended) and one.by_party}
        """Channels whose party ended the call, by the log."""
        self._ended_with_engine: set[int] = set()
        """Calls that ended because their Asterisk did."""
        self._waiting: list[SeenChannel] = []
        """First channels of calls of which nothing has been decided, in Stasis."""
        self._commanded: set[Channel] = set()
        """Channels that the rules have given a command in this recovery."""
        self._pending: set[int] = set()
        """Calls with effects from before this recovery that are not carried out yet."""
        self._logged = {getattr(signal, "channel", None) for signal in survey.missed}
        """Channels of which the CEL log has a signal that the switch did not get."""
        self._replayed: set[tuple[type[Signal], Channel, int]] = set()
        """Replayed signals of the log, with their milliseconds: the connection has them, too, and they count once."""
        self._published_until: dict[int, Instant] = {}
        """By call, the time of its last stored event that followed from a signal: older signals of the log are in it."""
        self._first_talk_since: dict[int, Instant] = {}
        """By call without a talk: since when it calls somebody. Signals from then on are not in its events."""
        self._seen = {one.channel: one for one in survey.channels}
        """The channels that exist now."""
        self._answered_at = {one.channel: one.at for one in survey.missed if isinstance(one, Answered)}
        """When a channel answered, by the log."""
        self._adopted_calls: set[int] = set()
        """Calls of which no event is stored."""

    def run(self) -> None:
        """Do the steps of the module. An error in one call is logged and does not stop the recovery of the others."""
        self._switch.commanded = self._commanded
        self._switch.timers.hold()
        self._switch.hold_back_transfers()
        try:
            self._run()
        finally:
            self._switch.commanded = None
            self._switch.resume_transfers()
            self._switch.resume_timers()

    def _run(self) -> None:
        before = set(self._switch.sessions)
        self._pending = {
            key for key, one in self._switch.sessions.items() if self._switch.has_pending_effects(one)
        }
        self._published_until = {key: session.signalled_at for key, session in self._switch.sessions.items()}
        self._first_talk_since = {
            key: since
            for key, session in self._switch.sessions.items()
            if not session.talks and (since := _dialling_since(session)) is not None
        }
        for session in self._switch.sessions.values():
            recording = self._recording_of(session)
            if recording is not None:
                voice_message.note_recording(session, recording, self._survey.at)
        for signal in self._survey.missed:
            self._catch_up(signal)
        for one in self._survey.channels:
            self._adopt_unknown(one)
        for session in list(self._switch.sessions.values()):
            # The channels of a call whose start is not stored yet are made afterwards.
            if not self._switch.commands.is_unplaced(session):
                self._compare_session(session)
        for one in self._waiting:
            self._begin_waiting(one)
        _log.info(
            "recovered",
            known_sessions=len(before),
            living_sessions=len(self._switch.sessions),
            channels=len(self._seen),
            missed_signals=len(self._survey.missed),
        )

    def catch_up_ended(self, logged: Sequence[Signal]) -> int:
        """Make the calls that ended in the dialplan while Asterisk did not offer new calls: no signal of them came.

        Calls that the switch has or had stay as they are.

        :param logged: signals of the CEL log, with those of that time.
        :returns: how many calls were made.
        """
        ended = {one.channel for one in logged if isinstance(one, Ended)}
        known = self._switch.channels.keys() | self._switch.past_channels.keys()
        missed = {one.channel for one in logged if isinstance(one, Arrived)} & ended - known
        concerned = set(missed)
        for signal in logged:
            if isinstance(signal, TargetStarted) and signal.dialling in concerned:
                concerned.add(signal.channel)
            if getattr(signal, "channel", None) in concerned:
                self._catch_up(signal)
        return len(missed)

    def was_replayed(self, signal: Signal) -> bool:
        """Whether a signal that waited during the recovery was replayed from the CEL log; it must not be published twice."""
        if not isinstance(signal, Joined | Left):
            return False
        at = _ms(signal.at)
        return any((type(signal), signal.channel, at + step) in self._replayed for step in (-2, -1, 0, 1, 2))

    def _recording_of(self, session: Session) -> SeenRecording | None:
        """The recording of the voice mail that the contact of a call leaves."""
        return self._survey.recordings.get(message_id(session) or "")

    # --- what happened meanwhile

    def _catch_up(self, signal: Signal) -> None:
        if isinstance(signal, Arrived):
            if (
                signal.channel not in self._switch.channels
                and signal.channel not in self._switch.past_channels
            ):
                self._arrived_meanwhile(signal)
            return
        channel = getattr(signal, "channel", None)
        if isinstance(signal, Answered):
            if self._waits_in_dialplan(signal.channel):
                return
            if self._answered_and_left(signal):
                self._note_answer(signal)
                return
        anchor = signal.dialling if isinstance(signal, TargetStarted) else channel
        session = self._switch.channels.get(anchor) if anchor is not None else None
        if session is None:
            return
        # Who talked with whom may be known already; all else makes no event if it is.
        if isinstance(signal, Joined | Left) and self._is_written(session, signal):
            leg = session.leg_of(signal.channel)
            if leg is not None:
                leg.bridge = signal.bridge if isinstance(signal, Joined) else None
            return
        if (
            isinstance(signal, TargetStarted)
            and session.connecting_channel is None
            and not session.leg_of(signal.channel)
        ):
            session.restore_connect(signal.dialling)  # a known target may have ended, as found by the restore
        if isinstance(signal, Ended):
            self._restore_message(session, signal.at)
        if isinstance(signal, Ended) and self._was_stopped(session, signal.at):
            self._end_with_engine(session, signal.at)
        if isinstance(signal, Ended) and session.call_session_id in self._ended_with_engine:
            signal = replace(signal, cause=NETWORK_OUT_OF_ORDER)
        if isinstance(signal, Joined) and session.call_session_id in self._adopted_calls:
            session.is_without_switch = not signal.by_switch
        if isinstance(signal, Joined | Left):
            self._replayed.add((type(signal), signal.channel, _ms(signal.at)))
        self._switch.handle(signal)

    def _is_written(self, session: Session, signal: Joined | Left) -> bool:
        """Whether the events of a call have what a channel's joining or leaving caused.

        The order of the events is that of the signals, so all before the last event is written. In its millisecond the
        talks decide: an answer may be written and the talk, which began at once, not. The end of a leg ends its talk
        too, so a channel that left in that millisecond needs no such care.
        """
        first = self._first_talk_since.get(session.call_session_id)
        if first is not None and signal.at >= first:
            return False
        written = self._published_until.get(session.call_session_id, NEVER)
        if isinstance(signal, Left) or signal.at < written - _SAME_MOMENT:
            return signal.at <= written + _SAME_MOMENT
        if signal.at > written + _SAME_MOMENT:
            return False
        leg = session.leg_of(signal.channel)
        return any(
            abs(talk.started_at - signal.at) <= _SAME_MOMENT
            for talk in session.talks
            if leg is None or talk.has(leg)
        )

    def _waits_in_dialplan(self, channel: Channel) -> bool:
        """Whether a channel that we originated has answered and waits in the dialplan: its answer comes when it arrives."""
        seen = self._seen.get(channel)
        return is_own_channel(channel) and seen is not None and not seen.controlled and seen.bridge is None

    def _answered_and_left(self, signal: Answered) -> bool:
        """Whether a channel that we originated answered and is gone: it hung up, or waited too long for a switch."""
        return (
            is_own_channel(signal.channel)
            and signal.channel not in self._seen
            and signal.at <= self._survey.at
        )

    def _note_answer(self, signal: Answered) -> None:
        """Write the answer without its consequences: there is no channel to connect."""
        session = self._switch.channels.get(signal.channel)
        leg = session.leg_of(signal.channel) if session is not None else None
        account = self._directory.accounts.get(session.account_id) if session is not None else None
        if session is None or leg is None or account is None or leg.state is not LegState.DIAL:
            return
        decision = Decision(session, self._switch.context(account, session), signal.at)
        decision.answer_leg(leg)
        self._switch.apply(decision)

    def _arrived_meanwhile(self, arrived: Arrived) -> None:
        seen = self._seen.get(arrived.channel)
        if seen is not None and seen.controlled:
            return  # it is in Stasis and waits for the switch: _adopt_unknown begins it
        self._begin(arrived, seen)

    def _begin(self, arrived: Arrived, seen: SeenChannel | None) -> None:
        """A session for a call that went its way without us (to the default line, or by a lost decision)."""
        decision = self._adopted(arrived, seen)
        if decision is not None:
            # The presence of audio shows whether the lost decision was to record.
            decision.session.record_wanted = True
            decision.session.is_without_switch = seen is not None and not seen.tag
            self._adopted_calls.add(decision.session.call_session_id)
            self._switch.apply(decision)

    def _note_of(self, call_session_id: int) -> tuple[str, SeenRecording] | None:
        """The last voice mail recording of a call, when it has a note."""
        mark = f"{call_session_id}-"
        noted = [
            (one.ended_at is None, one.ended_at or 0.0, name)
            for name, one in self._survey.recordings.items()
            if one.note and name.startswith(mark)
        ]
        return (name := max(noted)[2], self._survey.recordings[name]) if noted else None

    def _restore_message(self, session: Session, until: Instant) -> None:
        """The voice mail of a call of which no event is stored."""
        noted = self._note_of(session.call_session_id)
        account = self._directory.accounts.get(session.account_id)
        if session.call_session_id not in self._adopted_calls or noted is None or account is None:
            return
        self._adopted_calls.discard(session.call_session_id)
        decision = Decision(session, self._switch.context(account, session), until)
        voice_message.restore_message(decision, *noted, until)
        self._switch.apply(decision)

    def _adopted(self, arrived: Arrived, seen: SeenChannel | None) -> Decision | None:
        switch = self._switch
        identifier = switch.id_of(arrived.channel)
        if identifier is None:
            tag = _tag(seen)
            identifier = tag if tag is not None and tag not in switch.sessions else switch.next_id()
        origin = switch.arrivals.origin_of(self._directory, arrived)
        if origin is None:
            return None
        return record_call(origin, arrived, switch.context(origin.account), identifier)

    # --- what ended with the engine

    def _is_of_former_engine(self, session: Session) -> bool:
        """Whether the Asterisk that carried this call does not run any more: the present one is younger than the call."""
        started_at = self._survey.engine_started_at
        return started_at is not None and session.started_at < started_at

    def _was_stopped(self, session: Session, at: Instant) -> bool:
        """Whether a call ended because its Asterisk was stopped, as it is when the supervisor is killed: the CEL log has
        ends, and none of them by a party. Parties that ring are also given up after a time, so their ends must be among the
        last of this Asterisk.

        :param at: when a channel of the call ended.
        """
        if not self._is_of_former_engine(session):
            return False
        if any(leg.channel in self._hung_up for leg in session.legs.values()):
            return False
        return bool(session.talks) or at >= self._end_of_former(session) - _STOPPING_SECONDS

    def _end_of_former(self, session: Session) -> Instant:
        """The last moment at which a call of a former engine is known to have been up.

        The engine may have been killed several times since: what the log has of a later one says nothing of the call.
        """
        next_start = next((at for at in self._engine_starts if at > session.started_at), None)
        if next_start is None:
            return session.last_at
        before = bisect_left(self._logged_at, next_start)
        logged = self._logged_at[before - 1] if before else NEVER
        return max(session.last_at, logged, min(self._alive_until or NEVER, next_start))

    def _end_with_engine(self, session: Session, at: Instant) -> None:
        account = self._directory.accounts.get(session.account_id)
        if account is None or session.ending is not None:
            return
        decision = Decision(session, self._switch.context(account, session), at)
        decision.end_session(Reason.INTERNAL_ERROR)
        self._switch.apply(decision)
        self._ended_with_engine.add(session.call_session_id)
        _log.warning(
            "call_ended_with_engine",
            call_session_id=session.call_session_id,
            account_id=session.account_id,
            ended_at=at,
            consequence="the call is closed at this time with the reason internal_error",
        )

    # --- what lives

    def _adopt_unknown(self, seen: SeenChannel) -> None:
        switch = self._switch
        if seen.channel in switch.channels:
            return
        if seen.channel in switch.past_channels:
            if seen.controlled:
                switch.refuse_channel(seen.channel)  # Asterisk did not get its hang-up
            return
        if is_own_channel(seen.channel):
            switch.refuse_channel(seen.channel)  # of a request that was lost before it was answered
            return
        is_new = seen.created_at > self._survey.at - NEW_SECONDS
        if is_new and seen.channel not in self._logged and not seen.tag:
            return
        arrived = self._arrival(seen)
        if seen.linked == seen.channel:
            identifier = switch.id_of(seen.channel)
            if seen.controlled and identifier is not None and self._note_of(identifier) is not None:
                self._begin(arrived, seen)
                session = switch.channels.get(seen.channel)
                if session is not None:
                    self._handle_answer(seen)
                    self._restore_message(session, self._survey.at)
            elif seen.controlled:
                self._waiting.append(seen)
            else:
                self._begin(arrived, seen)
            return
        # A target the engine dialled while no switch was connected.
        anchor = switch.channels.get(Channel(seen.linked))
        if anchor is not None:
            number = seen.called if seen.endpoint.kind is EndpointKind.TRUNK else None
            switch.handle(
                TargetStarted(seen.channel, seen.created_at, Channel(seen.linked), seen.endpoint, number)
            )

    def _begin_waiting(self, seen: SeenChannel) -> None:
        """The survey is older than the effects that are carried out here, so the call is not settled by it."""
        self._switch.handle(self._arrival(seen))
        self._handle_answer(seen)

    def _handle_answer(self, seen: SeenChannel) -> None:
        """A call of which no event is stored was answered by the former switch: that is charged, and not reported again."""
        if seen.answered:
            self._switch.handle(Answered(seen.channel, self._answered_at.get(seen.channel, self._survey.at)))

    def _arrival(self, seen: SeenChannel) -> Arrived:
        """The signal of an arrival that is found by the listing."""
        return Arrived(
            seen.channel,
            self._survey.at,
            seen.endpoint,
            seen.called,
            seen.calling_number,
            "",
            seen.created_at,
        )

    def _compare_session(self, session: Session) -> None:
        """Bring one session to what its channels are now."""
        switch = self._switch
        at = self._survey.at
        is_of_former = self._is_of_former_engine(session)
        for leg in list(session.living):
            seen = self._seen.get(leg.channel)
            if seen is None and is_of_former:
                end = self._end_of_former(session)
                self._end_with_engine(session, end)
                switch.handle(Ended(leg.channel, end, cause=NETWORK_OUT_OF_ORDER, by_party=False))
                continue
            if seen is None and self._was_never_called(session, leg):
                continue
            if seen is None:
                if leg.started_at < at:  # one that began after the listing is not in it
                    switch.handle(Ended(leg.channel, at, cause=0, by_party=False))
                continue
            if seen.answered and leg.state is LegState.DIAL and not self._waits_in_dialplan(leg.channel):
                answered_at = self._answered_at.get(leg.channel)
                switch.handle(Answered(leg.channel, at, answered_at, seen.detection))
        for leg in list(session.living):
            seen = self._seen.get(leg.channel)
            if seen is None:
                continue
            if seen.bridge is not None:
                switch.handle(Joined(leg.channel, at, seen.bridge))
            elif leg.state is LegState.TALK:
                leg.bridge = None
        self._resume(session)

    def _was_never_called(self, session: Session, leg: Leg) -> bool:
        """Whether the former switch decided to call a party and was killed before its command reached the engine: it is
        called now, however long ago that was, because the contact still waits for it."""
        account = self._directory.accounts.get(session.account_id)
        is_lost = (
            is_own_channel(leg.channel)
            and leg.state is LegState.DIAL
            and leg.ringing_at is None
            and leg.channel not in self._logged
            and session.call_session_id not in self._pending
            and session.contact is not None
            and session.contact.channel in self._seen
        )
        if account is None or not is_lost:
            return False
        decision = Decision(session, self._switch.context(account, session), self._survey.at)
        if not consultation.call_third_again(decision, leg):
            return False
        self._switch.apply(decision)
        return True

    def _resume(self, session: Session) -> None:
        """Continue a call from its present state."""
        if session.phase is Phase.ENDED:
            return
        found = self._directory.accounts.get(session.account_id)
        if not session.living and found is not None:
            # All its legs are gone and only the last word is missing.
            at = self._end_of_former(session) if self._is_of_former_engine(session) else self._survey.at
            decision = Decision(session, self._switch.context(found, session), at)
            if session.legs:
                rules.finish_when_empty(decision)
            else:
                rules.end_without_channels(decision)
            self._switch.apply(decision)
            return
        if found is None:
            return
        decision = Decision(session, self._switch.context(found, session), self._survey.at)
        if isinstance(session.state, Finishing):
            engine_connect.hang_up_all(decision, NORMAL_CLEARING)
        elif isinstance(session.state, Controlled):
            controlled = frozenset(one.channel for one in self._survey.channels if one.controlled)
            consultation.resume(decision, controlled)
        elif isinstance(session.state, Parked):
            parking.resume(
                decision, frozenset(one.channel for one in self._survey.channels if one.controlled)
            )
        else:
            self._resume_with_engine(session, decision)
        self._switch.apply(decision)

    def _resume_with_engine(self, session: Session, decision: Decision) -> None:
        """Go on with a call that the switch does not control."""
        leg = anchor(session)
        seen = self._seen.get(leg.channel) if leg is not None else None
        if leg is None or seen is None or not leg.is_alive:
            return
        if leg.channel in self._commanded or session.call_session_id in self._pending:
            # The rules have gone on with it, and the survey is older than that. An effect that then fails because the
            # connection broke is followed by another recovery.
            return
        if seen.controlled and self._switch.arrivals.may_begin(session):
            # An earlier recovery found it waiting in the dialplan, and the signal of its arrival was lost.
            self._switch.handle(self._arrival(seen))
            return
        connect = session.connect
        if connect is not None and connect.channel == leg.channel and not connect.is_confirmed:
            connect.is_confirmed = True
            if seen.controlled:
                session.connect = None  # Asterisk did not get the connect: it is repeated below
        has_talked = isinstance(session.state, EngineTalk | EngineTalkEnded)
        if not seen.controlled:
            if leg.answered_at is not None or leg.direction == "in":
                session.restore_connect(leg.channel)
                # Not what was recorded before somebody switched it off.
                still_wanted = session.recorded or not session.talks
                session.record_wanted = session.record_wanted and still_wanted
        elif has_talked or session.connecting_channel == leg.channel:
            # The connect has finished, and the signal with its result was lost.
            session.restore_connect(leg.channel)
            result = ConnectResult.ANSWERED if has_talked else ConnectResult.NO_ANSWER
            self._switch.handle(ConnectFinished(leg.channel, self._survey.at, result, 0))
        elif isinstance(session.state, InMailbox):
            mailbox.resume(decision, leg)
        elif isinstance(session.state, ChangingSetting):
            employee_settings.resume(decision, leg)
        elif isinstance(session.state, DialledParking):
            parking.resume_dialled(decision, leg)
        elif isinstance(session.state, InQueue):
            queueing.resume(decision)
        elif isinstance(session.state, InScenario):
            inbound.resume(decision, self._recording_of(session))
        elif isinstance(session.state, ClickToCall):
            click_to_call.resume(decision, leg)
        elif isinstance(session.state, Dialling):
            outbound.resume(decision, leg)


def engine_starts(channels: Iterable[Channel], last: Instant | None) -> list[Instant]:
    """When runs of Asterisk began after the first of these channels, in order, as far as the channels show: each run numbers
    its channels from 0. Of a run that made no channel of its own, nothing is known.

    :param last: when the present one began; None: not known.
    """
    starts: list[Instant] = []
    second = number = -1
    numbers: set[int] = set()
    """Of the present run, which has each once."""
    for made in sorted({one for one in map(number_of_channel, channels) if one is not None}):
        is_lower = made[1] == 0 < number or made[1] < number - _DISORDER
        if made[0] > second >= 0 and (is_lower or made[1] in numbers):
            starts.append(Instant(float(made[0])))
            number = made[1]
            numbers.clear()
        numbers.add(made[1])
        second, number = made[0], max(number, made[1])
    if last is not None:
        starts = [*(one for one in starts if one < last), last]
    return starts


def _ms(at: Instant) -> int:
    return round(at * 1000)


def _tag(seen: SeenChannel | None) -> int | None:
    return int(seen.tag) if seen is not None and seen.tag.isdigit() else None
