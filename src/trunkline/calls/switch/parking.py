"""Codes of parking: the call to the code changes the call of a contact, which only the switch has both of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trunkline.calls import rules
from trunkline.calls.decision import Decision
from trunkline.calls.flows import parking, phone_transfer
from trunkline.calls.session import Leg, Session
from trunkline.calls.states import Parked
from trunkline.calls.switch.command_handler import CommandHandler
from trunkline.calls.timers import Question
from trunkline.core.clock import Instant
from trunkline.core.errors import NotFound

if TYPE_CHECKING:
    from trunkline.calls.switch.switch import Switch


class Parking:
    """Answers the questions of calls to the codes of parking, on the live calls of a switch."""

    def __init__(self, switch: Switch, commands: CommandHandler, clock: Callable[[], float]) -> None:
        self._switch = switch
        self._commands = commands
        self._clock = clock
        switch.timers.register(parking.PARK, self._park)
        switch.timers.register(parking.RETRIEVE, self._retrieve)

    async def _park(self, account_id: int, question: Question) -> dict[str, Any]:
        """Park the contact whom the line that dialled has on hold.

        :raises TrunklineError: it has none, or all slots are taken.
        """
        _, leg = self._dialled(account_id, question)
        session = self._served_by(account_id, leg)
        await self._commands.execute_one(session, "park_call", {})
        if not isinstance(session.state, Parked):
            raise NotFound("The contact hung up", mnemonic="call_session_not_found")
        return {"slot": session.state.slot}

    async def _retrieve(self, account_id: int, question: Question) -> dict[str, Any]:
        """Give the contact of a slot to the phone that dialled it.

        :raises NotFound: the slot is empty, or the phone has hung up.
        """
        dialled, leg = self._dialled(account_id, question)
        parked = self._switch.presence.parked(account_id).get(question.data["slot"], 0)
        session = self._switch.sessions.get(parked)
        of_contact = self._switch.context_of(account_id, session) if session is not None else None
        of_code = self._switch.context_of(account_id, dialled)
        if session is None or of_contact is None or of_code is None:
            raise NotFound("Nobody is parked in this slot", mnemonic="call_session_not_found")
        now = Instant(self._clock())
        taking = Decision(session, of_contact, now)
        parking.take(taking, leg)
        leaving = Decision(dialled, of_code, now)
        leaving.end_own_call(leg)
        rules.finish_when_empty(leaving)
        self._switch.apply(taking)
        self._switch.apply(leaving)
        return {}

    def _dialled(self, account_id: int, question: Question) -> tuple[Session, Leg]:
        """The call to the code, and the leg that dialled it."""
        session = self._switch.sessions.get(question.data["call_session_id"])
        leg = session.initiator if session is not None else None
        if session is None or leg is None or not leg.is_alive or session.account_id != account_id:
            raise NotFound("The phone has hung up", mnemonic="call_session_not_found")
        return session, leg

    def _served_by(self, account_id: int, leg: Leg) -> Session:
        """The newest call in which this line serves a contact."""
        found = [
            session
            for session in self._switch.sessions.values()
            if session.account_id == account_id
            and any(
                one.sip_line_id == leg.sip_line_id and phone_transfer.may_hand_over(session, one)
                for one in session.living
            )
        ]
        if leg.sip_line_id is None or not found:
            raise NotFound("This line has no contact on hold", mnemonic="call_session_not_found")
        return max(found, key=lambda session: session.talks[-1].started_at)
