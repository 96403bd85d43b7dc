"""Calls that are picked up: the phone that dialled the code goes on in the call that rang."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from trunkline.calls import rules
from trunkline.calls.decision import Decision
from trunkline.calls.effects import Effect, PickUp
from trunkline.calls.flows import pick_up
from trunkline.calls.session import Phase
from trunkline.telephony.port import Answered, Channel, Ended, Joined, Signal, TargetStarted

if TYPE_CHECKING:
    from trunkline.calls.switch.switch import Switch


class PickUps:
    """Moves the channels of phones that pick up calls, on the live calls of a switch."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._picking: dict[Channel, Channel] = {}
        """Channels that pick up a call, and the channel that rings for it."""

    def commanded(self, effects: Iterable[Effect]) -> None:
        """Effects that were decided on."""
        for effect in effects:
            if isinstance(effect, PickUp):
                self._picking[effect.channel] = effect.ringing

    def note(self, signal: Signal) -> None:
        """A phone that picks up a call has taken the place of the other, or has ended; other signals change nothing.

        Asterisk may report it as a target of the call that rings first, before the phones that rang end: as when one of them
        does not respond to the INVITE.
        """
        if self._picking and isinstance(signal, Answered | Joined | TargetStarted | Ended):
            ringing = self._picking.pop(signal.channel, None)
            if ringing is not None and not isinstance(signal, Ended):
                self._move(signal, ringing)

    def _move(self, signal: Answered | Joined | TargetStarted, ringing_channel: Channel) -> None:
        switch = self._switch
        session, other = switch.channels.get(signal.channel), switch.channels.get(ringing_channel)
        leg = session.leg_of(signal.channel) if session is not None else None
        ringing = other.leg_of(ringing_channel) if other is not None else None
        if session is None or other is None or leg is None or ringing is None or other.phase is Phase.ENDED:
            return
        of_other = switch.context_of(other.account_id, other)
        of_code = switch.context_of(session.account_id, session)
        if of_other is None or of_code is None:
            return
        taking = Decision(other, of_other, signal.at)
        pick_up.take(taking, ringing, leg)
        leaving = Decision(session, of_code, signal.at)
        leaving.end_own_call(leg)
        rules.finish_when_empty(leaving)
        switch.apply(taking)
        switch.apply(leaving)
