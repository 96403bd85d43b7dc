"""Live calls whose channels are gone, or answered, although no signal reported it: signals of Asterisk were lost.

Asterisk may stop sending events of channels while its connections and heartbeats work. Without this check such a call would
live for ever, and its end would be missing in the reports; or it would count as not answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set

from trunkline.calls.session import LegState, Session
from trunkline.core.clock import Instant
from trunkline.telephony.port import Channel

PERIOD_SECONDS = 5.0
"""Between two checks. A channel that is missing in two of them is gone: the signal of its end takes milliseconds. So does
that of an answer."""
YOUNG_SECONDS = 5.0
"""A leg that began so short before a listing may not have its channel yet."""


class LostSignals:
    """Compares live calls with listings of channels.

    :param has_pending: whether commands of a call are not carried out yet: its channels may not exist yet.
    """

    def __init__(self, has_pending: Callable[[Session], bool]) -> None:
        self._has_pending = has_pending
        self._missing: frozenset[Channel] = frozenset()
        self._lost: dict[int, Set[Channel]] = {}
        """The channels that were missing twice, by call, of the last check."""
        self._recovered: dict[int, Set[Channel]] = {}
        """Of these calls, when a recovery was asked for the last time."""
        self._answered: Set[Channel] = frozenset()
        """Channels that were answered in the last listing, without a signal."""
        self._answers_found: Set[Channel] = frozenset()
        """Those of them that were in two listings: a recovery is asked for once."""

    def without_effect(self, lost: Iterable[Session]) -> list[Session]:
        """Those of the lost calls of whose missing channels one was missing before the last recovery, too: another one
        would not correct them either."""
        again = [
            session
            for session in lost
            if self._lost.get(session.call_session_id, set())
            & self._recovered.get(session.call_session_id, set())
        ]
        if self._lost:  # a first check after a recovery finds none
            self._recovered = self._lost
        return again

    def forget(self) -> None:
        """Signals may be late now: the next check is a first one."""
        self._missing = self._answered = frozenset()

    def check(
        self, sessions: Iterable[Session], there: Mapping[Channel, bool], listed_at: Instant
    ) -> list[Session]:
        """The calls with a channel that was missing, or answered without a signal, in the last listing, too.

        :param there: all channels of the engine, and whether they are answered.
        :param listed_at: just before they were listed.
        """
        missing: set[Channel] = set()
        answered: set[Channel] = set()
        found: set[Channel] = set()
        lost: list[Session] = []
        self._lost = {}
        for session in sessions:
            if self._has_pending(session):
                continue
            unresolved = {one.leg_id for one in session.unresolved}  # their end was reported
            gone = {
                leg.channel
                for leg in session.living
                if leg.channel
                and leg.channel not in there
                and leg.leg_id not in unresolved
                and leg.started_at < listed_at - YOUNG_SECONDS
            }
            missing |= gone
            unreported = {
                leg.channel for leg in session.living if leg.state is LegState.DIAL and there.get(leg.channel)
            }
            answered |= unreported
            again = unreported & self._answered
            found |= again
            if twice := gone & self._missing:
                self._lost[session.call_session_id] = twice
            if twice or again - self._answers_found:
                lost.append(session)
        self._missing, self._answered = frozenset(missing), answered
        self._answers_found = found | (self._answers_found & answered)
        return lost
