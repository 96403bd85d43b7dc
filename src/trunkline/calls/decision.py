"""One decision of the rules: an input, its events, and its effects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

from trunkline.calls.context import CallContext
from trunkline.calls.effects import Effect, Hangup, OriginateLeg, SendKeys
from trunkline.calls.evolution import begin, evolve
from trunkline.calls.finish_reasons import Side, is_cut_short, is_unresponsive
from trunkline.calls.session import Leg, Role, Session
from trunkline.calls.timers import Ask, CancelTimer, StartTimer
from trunkline.core.clock import Instant
from trunkline.core.engine_values import CallTag, EndpointName
from trunkline.core.hangup_causes import NORMAL_CLEARING
from trunkline.core.phone import split_number
from trunkline.directory.model import Employee, Operation, OperationKind, Phone, Scenario, TrunkMode
from trunkline.events.catalogue import Event, EventType, call_stream
from trunkline.events.reasons import Reason
from trunkline.routing.branches import ReturnPoint
from trunkline.routing.decisions import Chosen, ScenarioEntered, Skipped, Step
from trunkline.telephony.port import Channel, Detection, Endpoint, EndpointKind, Originate, Target


class QueueFact(StrEnum):
    """Something happened to a contact who waits in a queue, and is no event of the call."""

    PLAYED = "played"
    """What was played to the contact has been played to its end."""
    NO_ANNOUNCEMENT = "no_announcement"
    """The announcement cannot be played."""
    NO_MUSIC = "no_music"
    """The hold music cannot be played."""


OWN_CHANNEL = "leg-"
"""How ids of the channels begin that the switch originates."""

RING_MARGIN_SECONDS = 10
"""How much longer than the leg's ring timer the engine lets a party ring, for the time when no switch runs."""


DETECTION_MARGIN_SECONDS = 10
"""How much longer than the ring time the leg's ring timer is when it is to be found out who answers: the time for that, of
which the switch sees nothing, and some more."""


def is_own_channel(channel: Channel) -> bool:
    """Whether a channel was originated by a switch."""
    return channel.startswith(OWN_CHANNEL)


class Decision:
    """Collects what follows from one input. Every event is applied at once, so rules always see the present."""

    def __init__(self, session: Session, context: CallContext, at: Instant) -> None:
        self.session = session
        self.context = context
        self.at = at
        self.events: list[Event] = []
        self.effects: list[Effect] = []
        self.questions: list[Ask] = []
        self.queue_facts: list[QueueFact] = []
        """What the queues of the account must know beside the events."""
        self.applied: list[tuple[type, type]] = []
        """State and input of each row of a transition table that was applied."""
        self.ignored: list[str] = []
        """Inputs that had no meaning in the state of the call: they changed nothing, and are counted."""
        self.failure: Exception | None = None
        """What went wrong in the rules, when something did: the call is being ended for it."""

    @classmethod
    def open(
        cls, account_id: int, call_session_id: int, context: CallContext, at: Instant, data: dict[str, Any]
    ) -> Decision:
        """Begin a session with its SESSION_STARTED."""
        event = Event(account_id, call_stream(call_session_id), 1, EventType.SESSION_STARTED, at, data)
        decision = cls(begin(event), context, at)
        decision.events.append(event)
        return decision

    def emit(self, type_: EventType, *, at: Instant | None = None, **data: Any) -> None:
        event = Event(
            self.session.account_id,
            call_stream(self.session.call_session_id),
            self.session.seq + 1,
            type_,
            self.at if at is None else at,
            data,
        )
        before = self.session.seq
        try:
            evolve(self.session, event)
        except Exception:
            self.session.seq = before  # a missed event leaves no gap in the event log
            raise
        self.events.append(event)

    def do(self, effect: Effect | StartTimer | CancelTimer | Ask) -> None:
        """Add an effect. Timers and questions are events too; cancelling a timer that is not open does nothing."""
        match effect:
            case StartTimer(key, seconds):
                self.emit(EventType.TIMER_STARTED, key=key, due=self.at + seconds)
            case CancelTimer(key):
                if key in self.session.timers:
                    self.emit(EventType.TIMER_CANCELLED, key=key)
            case Ask(key, question):
                self.emit(EventType.QUESTION_ASKED, key=key, kind=question.kind)
                self.questions.append(effect)
            case _:
                self.effects.append(effect)

    # --- legs

    def start_leg(self, channel: Channel, data: dict[str, Any], *, at: Instant | None = None) -> Leg:
        leg_id = self.context.next_id()
        self.emit(EventType.LEG_STARTED, at=at, leg_id=leg_id, channel=channel, **data)
        return self.session.legs[leg_id]

    def originate_leg(
        self,
        target: Target,
        data: dict[str, Any],
        ring_seconds: int,
        *,
        auto_answer: bool = False,
        detects_machine: bool = False,
    ) -> Leg:
        """Call a party: its channel is controlled by the switch, and rings for so many seconds."""
        channel = Channel(f"{OWN_CHANNEL}{self.context.next_id()}")
        # Of the two limits of the ringing, the later one only ends what the other one should have ended. A detection is
        # no ringing, and the switch has not got the answer yet: then that of the engine comes first.
        ours, of_engine = ring_seconds, ring_seconds + RING_MARGIN_SECONDS
        if detects_machine:
            ours, of_engine = ring_seconds + DETECTION_MARGIN_SECONDS, ring_seconds
        leg = self.start_leg(channel, {**data, "ring_seconds": ours})
        tag = CallTag(str(self.session.call_session_id))
        self.do(OriginateLeg(Originate(channel, target, of_engine, tag, auto_answer, detects_machine)))
        return leg

    def answer_leg(self, leg: Leg, *, at: Instant | None = None, detection: Detection | None = None) -> None:
        self.emit(
            EventType.LEG_ANSWERED,
            at=at,
            leg_id=leg.leg_id,
            role=leg.role,
            employee_id=leg.employee_id,
            employee_full_name=leg.employee_full_name,
            is_first_answer=self._ends_waiting(leg),
            **({} if detection is None else {"detection": self._detection_data(detection)}),
        )
        if leg.keys is not None and leg.direction == "out":
            self.do(SendKeys(leg.channel, leg.keys))

    def _detection_data(self, detection: Detection) -> dict[str, Any]:
        return {
            "is_machine": detection.is_machine,
            "cause": detection.cause,
            "greeted_at": self.at - detection.silence_seconds,
        }

    def end_leg(
        self, leg: Leg, reason: Reason, cause: int, *, at: Instant | None = None, is_silent: bool = False
    ) -> None:
        """Close a leg that is gone, and the talk it was in.

        :param is_silent: it was answered, and no sound arrived from it.
        """
        moment = self.at if at is None else at
        for talk in [t for t in self.session.talks if t.ended_at is None]:
            if talk.has(leg):
                self.end_talk(talk.leg_id, at=moment)
        self.emit(
            EventType.LEG_ENDED,
            at=moment,
            leg_id=leg.leg_id,
            role=leg.role,
            finish_reason=reason,
            release_cause_code=cause,
            is_failed=leg.answered_at is None,
            employee_id=leg.employee_id,
            **self._trunk_facts(leg, cause, moment),
            **({"no_sound": self._device(leg)} if is_silent else {}),
        )

    def _device(self, leg: Leg) -> dict[str, Any]:
        """Kind and name of the line or trunk of a leg, as it is called now."""
        if leg.sip_line_id is not None and leg.trunk_id is None:
            line = self.context.account.lines.get(leg.sip_line_id)
            return {"kind": "line", "name": None if line is None else line.phone_number}
        # The trunk of another account is not described.
        trunk = self.context.account.trunks.get(leg.trunk_id or 0)
        return {"kind": "trunk", "name": None if trunk is None else trunk.name}

    def _trunk_facts(self, leg: Leg, cause: int, at: Instant) -> dict[str, Any]:
        """What explains later why a call over a trunk was not connected: trunk and registration change after the call."""
        if leg.direction != "out" or leg.trunk_id is None or leg.answered_at is not None:
            return {}
        facts = _response(leg, cause, at)
        if leg.sip_code and not is_cut_short(cause) and not leg.rang:
            facts["sip_code"] = leg.sip_code
        trunk = self.context.account.trunks.get(leg.trunk_id)  # the trunk of another account is not described
        if trunk is not None:
            facts["trunk"] = {"name": trunk.name, "mode": trunk.mode}
            registration = self.context.trunk_registration(leg.trunk_id)
            if trunk.mode is TrunkMode.REGISTER and registration is not None:
                facts["trunk"] |= {"state": registration.state, "reason": registration.reason}
        return facts

    def end_talk(self, leg_id: int, *, at: Instant | None = None) -> None:
        leg = self.session.legs[leg_id]
        talk = self.session.open_talk(leg_id)
        moment = self.at if at is None else at
        if talk is not None:
            moment = max(moment, talk.started_at)  # the engine reports two channels in any order
        self.emit(EventType.TALK_ENDED, at=moment, leg_id=leg_id, employee_id=leg.employee_id)

    def record_skipped(self, skipped: Skipped, calling: str | None = None) -> None:
        """Record an attempt that was not made as a leg of no length, so that reports have the reason.

        :param calling: the number that the phone would have shown; None: that of the contact.
        """
        data = self._skipped_leg(skipped)
        if calling is not None:
            data["calling_phone_number"] = calling
        if skipped.group is not None:
            data |= {"group_id": skipped.group.group_id, "group_name": skipped.group.name}
        if skipped.operation is not None:
            data |= {
                "operation_id": skipped.operation.operation_id,
                "operation_name": skipped.operation.name,
            }
        leg = self.start_leg(Channel(""), data)
        self.end_leg(leg, skipped.reason, 0)

    def _skipped_leg(self, skipped: Skipped) -> dict[str, Any]:
        if skipped.employee is not None:
            return self.employee_leg(skipped.employee, skipped.phone)
        return {
            "role": Role.OPERATOR,
            "side": Side.OPERATOR,
            "direction": "out",
            "calling_phone_number": self.session.virtual_phone_number,
            "called_phone_number": split_number(skipped.number or "").number,
            **self.present_operation(),
        }

    def employee_leg(
        self, employee: Employee, phone: Phone | None, *, side: Side = Side.OPERATOR
    ) -> dict[str, Any]:
        """Data of a leg towards an employee's phone."""
        number = None
        if phone is not None:
            line = (
                self.context.account.lines.get(phone.sip_line_id) if phone.sip_line_id is not None else None
            )
            number = line.phone_number if line is not None else phone.external_number
        return {
            "role": Role.EMPLOYEE,
            "side": side,
            "direction": "out",
            "calling_phone_number": self.session.contact_phone_number,
            "called_phone_number": split_number(number).number if number is not None else None,
            "employee_id": employee.employee_id,
            "employee_full_name": employee.full_name,
            "employee_phone_number": number,
            "phone_id": phone.phone_id if phone is not None else None,
            "sip_line_id": phone.sip_line_id if phone is not None else None,
            **self.present_operation(),
        }

    def present_operation(self) -> dict[str, Any]:
        """Data of a leg: of which operation it is part."""
        operation = self.session.operations[-1] if self.session.operations else None
        return {
            "operation_id": operation["id"] if operation else None,
            "operation_name": operation["name"] if operation else None,
        }

    # --- session

    def enter(self, steps: Iterable[Step]) -> None:
        """Operations and scenarios that the call passed."""
        for step in steps:
            if isinstance(step, ScenarioEntered):
                self.enter_scenario(step.scenario, step.returns)
            else:
                self._enter_operation(step)

    def enter_scenario(
        self, scenario: Scenario, returns: Sequence[ReturnPoint] = (), *, takes_over: bool = False
    ) -> None:
        """The call goes on in a scenario.

        :param returns: the scenarios that wait for it, the outermost first.
        :param takes_over: it takes the contact from an operator.
        """
        more: dict[str, Any] = {"takes_over": True} if takes_over else {}
        if returns:
            more["returns"] = [[point.scenario_id, point.key] for point in returns]
        self.emit(
            EventType.SCENARIO_ENTERED,
            scenario_id=scenario.scenario_id,
            scenario_name=scenario.name,
            **more,
        )

    def choose(self, operation: Operation, chosen: Chosen) -> None:
        """The call chose whom an operation calls."""
        more: dict[str, Any] = {"number": chosen.number} if chosen.number is not None else {}
        if self.session.instruction is not None:
            more["phones_left"] = list(chosen.phones_left)
        self.emit(
            EventType.TARGET_CHOSEN,
            operation_id=operation.operation_id,
            employee_id=chosen.employee_id,
            group_id=chosen.group_id,
            **more,
        )

    def _enter_operation(self, operation: Operation) -> None:
        self.emit(
            EventType.OPERATION_ENTERED,
            operation_id=operation.operation_id,
            operation_name=operation.name,
            key=operation.key,
            kind=operation.kind,
        )
        if operation.kind is OperationKind.TAG:
            self._tag(operation.settings["tag_ids"])
        elif operation.kind is OperationKind.NOTIFICATION:
            self.emit(
                EventType.SCENARIO_NOTIFICATION,
                operation_id=operation.operation_id,
                operation_name=operation.name,
                message=operation.settings.get("message") or "",
                emails=list(operation.settings.get("emails") or ()),
            )

    def _tag(self, tag_ids: Iterable[int]) -> None:
        """Tags of a scenario: those that exist and that the call does not have yet."""
        present = {tag["tag_id"] for tag in self.session.tags}
        for tag in (self.context.account.tags.get(tag_id) for tag_id in tag_ids):
            if tag is not None and tag.tag_id not in present:
                self.emit(
                    EventType.TAG_SET,
                    tag_id=tag.tag_id,
                    tag_name=tag.name,
                    user_id=None,
                    user_login=None,
                    employee_id=None,
                    employee_full_name=None,
                )

    def end_session(self, reason: Reason, *, at: Instant | None = None, by_command: bool = False) -> None:
        """Decide why the session ends; the first decision stays.

        :param by_command: no party hung up.
        """
        if self.session.ending is None:
            how = {"by_command": True} if by_command else {}
            self.emit(EventType.SESSION_ENDING, at=at, finish_reason=reason, **how)

    def hang_up_served(self, leg: Leg) -> None:
        """A phone that called a code, a slot or a mailbox was served: end its call."""
        self.end_session(Reason.SUCCESS_FINISH)
        self.do(Hangup(leg.channel))

    def end_own_call(self, leg: Leg) -> None:
        """A phone that called a code or a slot continues in another call, with the channel of this leg: end its own."""
        self.end_session(Reason.SUCCESS_FINISH)
        self.end_leg(leg, Reason.SUCCESS_FINISH, NORMAL_CLEARING)

    def trunk_endpoint(self, trunk_id: int) -> Endpoint:
        return Endpoint(EndpointKind.TRUNK, EndpointName(f"trunk-{trunk_id}"))

    def _ends_waiting(self, leg: Leg) -> bool:
        """Waiting ends when the first employee answers; on a call out of a line, when the called party does."""
        session = self.session
        if session.first_answer_at is not None:
            return False
        initiator = session.initiator
        if initiator is not None and initiator.is_operator_side and initiator.direction == "in":
            return leg is not initiator
        return leg.is_operator_side


def _response(leg: Leg, cause: int, at: Instant) -> dict[str, Any]:
    """Whether the server of a trunk has responded, as data of LEG_ENDED; nothing when it refused the call at once."""
    if leg.rang:
        return {"rang": True}
    if is_unresponsive(cause, at - leg.started_at):
        return {"no_response": True}
    return {"too_short": True} if is_cut_short(cause) else {}
