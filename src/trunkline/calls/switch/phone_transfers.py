"""Transfers that a phone asks for (REFER): blind to a number, or attended, connecting the parties of its two calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from trunkline.calls.decision import Decision
from trunkline.calls.flows import consultation, phone_transfer
from trunkline.calls.session import Leg, Session
from trunkline.calls.switch.command_handler import CommandHandler
from trunkline.calls.switch.executor import EffectExecutor
from trunkline.core.clock import Instant
from trunkline.core.errors import EngineError, InvalidState, NotFound, TrunklineError
from trunkline.core.log import get_logger
from trunkline.core.tasks import item_task
from trunkline.telephony.port import Channel, TransferAsked

if TYPE_CHECKING:
    from trunkline.calls.switch.switch import Switch

_log = get_logger("calls")


class PhoneTransfers:
    """Carries out the transfers of phones on the live calls of a switch."""

    def __init__(
        self, switch: Switch, commands: CommandHandler, executor: EffectExecutor, clock: Callable[[], float]
    ) -> None:
        self._switch = switch
        self._commands = commands
        self._executor = executor
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: dict[int, list[Session]] = {}
        """By the call on which a transfer was asked for that this process carries out or will: the calls of the phone."""

    def asked(self, session: Session, asked: TransferAsked) -> None:
        """A phone asks to be replaced in its talk: it gets a response, whatever becomes of it."""
        leg = session.leg_of(asked.channel)
        context = self._switch.context_of(session.account_id, session)
        if leg is None or context is None:
            return
        held = self._hold_back(session, leg, asked)
        decision = Decision(session, context, Instant(self._clock()))
        phone_transfer.note(decision, leg, asked.to, asked.other)
        self._switch.apply(decision)
        self._perform(session, leg, asked, held)

    def hold_back(self) -> None:
        """Before a recovery: the phones whose transfers a former process has not carried out may have hung up meanwhile."""
        for session in list(self._switch.sessions.values()):
            leg = _asking(session)
            if leg is None or session.call_session_id in self._held:
                continue
            self._held[session.call_session_id] = held = self._hold_back(session, leg, _request(session, leg))
            for one in held:
                one.taking_control = True  # a party that comes under control is needed for the transfer

    def resume(self) -> None:
        """After a recovery: carry out the transfers of :meth:`hold_back`."""
        for call_session_id, held in list(self._held.items()):
            if not any(one.taking_control for one in held):
                continue  # under way in this process
            for one in held:
                one.taking_control = False
            session = self._switch.sessions.get(call_session_id)
            leg = _asking(session) if session is not None else None
            if session is None or leg is None:
                del self._held[call_session_id]
                for one in held:
                    self._switch.handle_held_back(one)
                continue
            _log.info(
                "transfer_resumed",
                account_id=session.account_id,
                call_session_id=call_session_id,
                leg_id=leg.leg_id,
            )
            self._perform(session, leg, _request(session, leg), held)

    def _perform(self, session: Session, leg: Leg, asked: TransferAsked, held: list[Session]) -> None:
        self._held[session.call_session_id] = held

        async def perform() -> None:
            try:
                # The party that stays is kept by Asterisk until a switch comes, whatever becomes of this one.
                left = [
                    phone_transfer.other_party(one, own) for one, own in self._calls_of(session, leg, asked)
                ]
                await self._executor.keep_when_left([one.channel for one in left if one is not None])
                if asked.to is not None:
                    params = {"leg_id": leg.leg_id, "to": asked.to}
                    await self._commands.execute_one(session, "transfer_by_phone", params)
                else:
                    await self._replace(session, leg, asked.other)
            except TrunklineError as error:
                _log.info(
                    "transfer_refused",
                    account_id=session.account_id,
                    call_session_id=session.call_session_id,
                    leg_id=leg.leg_id,
                    mnemonic=error.mnemonic,
                    error=error.message,
                    consequence="the talk goes on; it ends when one of its parties has hung up",
                )
                context = self._switch.context_of(session.account_id, session)
                if context is not None and leg.is_alive:
                    decision = Decision(session, context, Instant(self._clock()))
                    phone_transfer.refuse(decision, leg)
                    self._switch.apply(decision)
            finally:
                self._held.pop(session.call_session_id, None)
                for one in held:
                    self._switch.handle_held_back(one)

        item_task(perform(), name="phone-transfer", among=self._tasks)

    def _calls_of(self, session: Session, leg: Leg, asked: TransferAsked) -> list[tuple[Session, Leg]]:
        """The talks of the phone which the transfer concerns, and its leg in each."""
        calls = [(session, leg)]
        if asked.other is not None and (other := self._switch.channels.get(asked.other)) is not None:
            own = other.leg_of(asked.other)
            is_of_account = other.account_id == session.account_id
            if own is not None and is_of_account and own.sip_line_id == leg.sip_line_id:
                calls.append((other, own))
        return calls

    def _hold_back(self, session: Session, leg: Leg, asked: TransferAsked) -> list[Session]:
        """The phone may hang up each of its calls from now on: its end is handled after the transfer.

        :returns: the calls for which this is so.
        """
        held = []
        for one, leaving in self._calls_of(session, leg, asked):
            if (
                one.leaving is None
                and not one.taking_control
                and phone_transfer.other_party(one, leaving) is not None
            ):
                one.leaving = leaving.channel
                held.append(one)
        return held

    async def _replace(self, session: Session, leg: Leg, other_channel: Channel | None) -> None:
        """An attended transfer: the parties of two calls of one phone are connected with each other.

        :raises TrunklineError: the other call is not one of the same line, or one of the two is no talk.
        """
        other = self._switch.channels.get(other_channel) if other_channel is not None else None
        other_leg = other.leg_of(other_channel) if other is not None and other_channel is not None else None
        if (
            other is None
            or other_leg is None
            or other is session
            or other.account_id != session.account_id
            or leg.sip_line_id is None
            or other_leg.sip_line_id != leg.sip_line_id
        ):
            raise NotFound("This line has no such call", mnemonic="call_session_not_found")
        pairs = [(session, leg, other, other_leg), (other, other_leg, session, leg)]
        pairs.sort(key=lambda one: one[0].started_at)
        found = next(
            (
                one
                for one in pairs
                if phone_transfer.may_hand_over(one[0], one[1]) and phone_transfer.other_party(one[2], one[3])
            ),
            None,
        )
        if found is None:
            raise InvalidState("These two calls cannot be connected now")
        first, own, second, own_in_second = found
        if first.taking_control or second.taking_control:
            raise InvalidState("Another command on this call is being carried out")
        # From here on the phone may hang up each of its calls at any moment.
        for one, leaves in ((first, own), (second, own_in_second)):
            one.taking_control, one.leaving = True, leaves.channel
        try:
            await self._connect(first, own, second, own_in_second, leg)
        except TrunklineError:
            for one in (first, second):
                self._switch.rejoin(one)
            raise
        finally:
            for one in (first, second):
                self._switch.handle_held_back(one)

    async def _connect(
        self, first: Session, own: Leg, second: Session, own_in_second: Leg, asked_on: Leg
    ) -> None:
        """Take control of both talks, then give the contact of the first to the other party of the second."""
        try:
            for one in (first, second):
                parties = tuple(party.channel for party in consultation.talking(one))
                await self._executor.take_control(parties, one.leaving)
        except EngineError as error:
            raise self._commands.not_carried_out(first, error) from error
        finally:
            first.taking_control = second.taking_control = False
        remote = phone_transfer.other_party(second, own_in_second)
        contexts = (
            self._switch.context_of(first.account_id, first),
            self._switch.context_of(second.account_id, second),
        )
        if (
            remote is None
            or contexts[0] is None
            or contexts[1] is None
            or not phone_transfer.may_hand_over(first, own)
        ):
            raise InvalidState("A party of these calls hung up")
        now = Instant(self._clock())
        taking = Decision(first, contexts[0], now)
        phone_transfer.take_over(taking, own, remote, asked_on, own_in_second)
        giving = Decision(second, contexts[1], now)
        phone_transfer.give_away(giving, own_in_second, remote)
        self._switch.apply(taking)
        self._switch.apply(giving)


def _asking(session: Session) -> Leg | None:
    """The leg of the phone whose transfer is not decided yet."""
    if session.asked_transfer is None or session.ending is not None:
        return None
    leg = session.legs.get(session.asked_transfer["leg_id"])
    return leg if leg is not None and leg.is_alive else None


def _request(session: Session, leg: Leg) -> TransferAsked:
    """What the phone asked for."""
    asked = session.asked_transfer or {}
    other = asked.get("other")
    return TransferAsked(
        leg.channel, session.last_at, asked.get("to"), None if other is None else Channel(other)
    )
