"""Limits on the number and the cost of outgoing calls of an account and of a line. Pure, in memory.

A stolen password or an error in a client is expensive within minutes. Outgoing calls are the legs over a trunk, however
they were dialled; those of a line belong to sessions that this line began. Emergency calls are counted, never refused.

A call counts from the decision to place it: it is granted within this decision (:class:`Granted`), and reserved until the
engine reports its channel (:meth:`OutgoingUsage.reserve`). So calls that begin together count as if they began in turn.

What a call costs counts here from its answer until its end is stored; from then on the sums that are read from the database
have it, charged or not (:mod:`trunkline.billing.spending`).
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from trunkline.calls.session import EngineConnect, Leg, Phase, Session
from trunkline.core.clock import Instant
from trunkline.directory.model import Account, Directory, OutgoingLimits
from trunkline.events.catalogue import Event, EventType
from trunkline.events.reasons import Reason

MINUTE = 60.0
_WINDOWS = {"calls_per_minute": MINUTE, "concurrent_calls": MINUTE, "money_per_day": 3600.0}


class LimitKind(StrEnum):
    CALLS_PER_MINUTE = "calls_per_minute"
    CONCURRENT_CALLS = "concurrent_calls"
    MONEY_PER_DAY = "money_per_day"

    @property
    def reason(self) -> Reason:
        if self is LimitKind.MONEY_PER_DAY:
            return Reason.LIMIT_EXCEEDED
        return Reason.MAX_OUT_CALL_REACHED


@dataclass(frozen=True, slots=True)
class LimitReached:
    """A call that was refused.

    :ivar sip_line_id: of the line whose limit it is; None = the account's.
    """

    account_id: int
    sip_line_id: int | None
    kind: LimitKind
    limit: float
    at: Instant


Spent = Callable[[int, int | None, list[tuple[str, int]]], float]
"""Money of today in the account's currency: account, line (None = all), and calls whose end is not stored yet, each a number
and its seconds. 0 where nothing has a price. From memory."""

DAY = 86400.0
"""Seconds after the end of a call from which it is of no day whose money is limited: its end could not be stored."""

Who = tuple[int, int | None]
"""Account and line; None = the whole account."""

CallKey = tuple[int, int]
"""Account and call session."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A call that a decision places, and that is not counted yet."""

    trunk_id: int
    sip_line_id: int | None
    number: str


@dataclass(slots=True)
class _Reserved:
    """Calls that the engine was commanded to place for a session, and whose channels it has not reported yet.

    :ivar answered: legs of the session that were answered before; when another one is, the rest is not placed any more.
    """

    connect: EngineConnect
    answered: frozenset[int]
    calls: list[Granted]


@dataclass(slots=True)
class _Answered:
    number: str
    answered_at: float
    ended_at: float | None = None

    def seconds(self, now: float) -> int:
        """How long it was; of a call in progress at least the first minute."""
        if self.ended_at is None:
            return max(int(MINUTE), int(now - self.answered_at))
        return max(1, int(self.ended_at - self.answered_at))


class OutgoingUsage:
    """Counts the outgoing calls of one switch."""

    def __init__(self) -> None:
        self.account_limits = OutgoingLimits()
        """Of accounts that have none of their own; None in a field = no limit."""
        self.line_limits = OutgoingLimits()
        self.spent: Spent = lambda _account, _line, _calls: 0.0
        self.reached: deque[LimitReached] = deque(maxlen=1000)
        """To be published; the first of each window."""
        self._begun: dict[Who, deque[float]] = defaultdict(deque)
        self._living: dict[Who, dict[int, str]] = defaultdict(dict)
        """Numbers by leg."""
        self._reserved: dict[int, _Reserved] = {}
        """By session."""
        self._reserved_of: dict[int, set[int]] = defaultdict(set)
        """Sessions with reserved calls by account."""
        self._answered: dict[Who, dict[int, _Answered]] = defaultdict(dict)
        """By leg: the answered calls whose session is not over, or its end not stored."""
        self._answered_of: dict[CallKey, list[tuple[Who, int]]] = defaultdict(list)
        """Keys of ``_answered`` by session."""
        self._over: dict[CallKey, Instant] = {}
        """Sessions of ``_answered_of`` that are over, and since when; the oldest first."""
        self._noticed_at: dict[tuple[Who, LimitKind], float] = {}

    # --- counting

    def restore(self, session: Session) -> None:
        """Count the calls of a session that was rebuilt from its events: the living ones, and all of the last minute.

        Calls of sessions that have ended are not known any more; what they cost is read from the database. Calls that were
        reserved are not known either: the engine opens their channels milliseconds after it has the command, so a switch
        that starts finds them as channels; what was not commanded is decided again.
        """
        for leg in session.legs.values():
            if not leg.is_over_trunk:
                continue
            for who in _of(session, leg):
                insort(self._begun[who], leg.started_at)
                if leg.is_alive:
                    self._living[who][leg.leg_id] = leg.called_phone_number or ""
                if leg.answered_at is not None:
                    self._note_answer(session, who, leg, leg.answered_at, leg.ended_at)

    def count(self, session: Session, event: Event) -> None:
        if event.type is EventType.SESSION_FINISHED:
            self._session_over(session, event.at)
            return
        if event.type not in (EventType.LEG_STARTED, EventType.LEG_ANSWERED, EventType.LEG_ENDED):
            return
        leg = session.legs[event.data["leg_id"]]
        if not leg.is_over_trunk:
            return
        for who in _of(session, leg):
            if event.type is EventType.LEG_STARTED:
                self._living[who][leg.leg_id] = leg.called_phone_number or ""
                self._begun[who].append(event.at)
            elif event.type is EventType.LEG_ANSWERED:
                self._note_answer(session, who, leg, event.at, None)
            else:
                self._living[who].pop(leg.leg_id, None)
                if not self._living[who]:
                    del self._living[who]
                if (answered := self._answered.get(who, {}).get(leg.leg_id)) is not None:
                    answered.ended_at = event.at

    def _note_answer(
        self, session: Session, who: Who, leg: Leg, answered_at: Instant, ended_at: Instant | None
    ) -> None:
        self._answered[who][leg.leg_id] = _Answered(leg.called_phone_number or "", answered_at, ended_at)
        self._answered_of[session.account_id, session.call_session_id].append((who, leg.leg_id))

    def _session_over(self, session: Session, at: Instant) -> None:
        call = (session.account_id, session.call_session_id)
        if call in self._answered_of:
            self._over[call] = at
        old = [one for one, ended_at in self._over.items() if at - ended_at > DAY]
        self.stored(old)

    def over(self) -> list[CallKey]:
        """Calls that are over and still counted here: whether their end is stored is to be read."""
        return list(self._over)

    def stored(self, calls: Iterable[CallKey]) -> None:
        """The ends of these calls are stored, and the sums that :attr:`spent` returns from now on include them."""
        for call in calls:
            self._over.pop(call, None)
            for who, leg_id in self._answered_of.pop(call, ()):
                self._answered[who].pop(leg_id, None)
                if not self._answered[who]:
                    del self._answered[who]

    def reserve(self, session: Session) -> None:
        """Reserve the calls of a session that are to begin, instead of those that were: after each of its decisions.

        A call is released when its channel is reported (it counts as a leg then) or refused, when another one is answered,
        when the engine is done with it, and with the session.
        """
        connect, session_id = session.connect, session.call_session_id
        known = self._reserved.pop(session_id, None)
        self._reserved_of[session.account_id].discard(session_id)
        if connect is not None and not connect.is_over and session.phase is not Phase.ENDED:
            answered = frozenset(leg.leg_id for leg in session.living if leg.answered_at is not None)
            before = known.answered if known is not None and known.connect is connect else answered
            calls = [
                Granted(
                    target.leg["trunk_id"],
                    session.limited_line(target.leg.get("limited_line_id")),
                    target.leg.get("called_phone_number") or "",
                )
                for target in connect.targets
                if target.leg.get("trunk_id") is not None
                and not (target.appeared or target.has_no_channel or answered - before)
            ]
            if calls:
                self._reserved[session_id] = _Reserved(connect, before, calls)
                self._reserved_of[session.account_id].add(session_id)
        if not self._reserved_of[session.account_id]:
            del self._reserved_of[session.account_id]

    def reserved(self, account_id: int) -> list[Granted]:
        """Calls of the account that are to begin."""
        return [call for one in self._reserved_of.get(account_id, ()) for call in self._reserved[one].calls]

    # --- asking

    def obstacle(
        self,
        account: Account,
        sip_line_id: int | None,
        number: str,
        now: Instant,
        granted: Sequence[Granted] = (),
    ) -> LimitReached | None:
        """The limit that forbids one more call; None = it may be placed.

        :param granted: calls that the same decision places already.
        """
        to_begin = [*self.reserved(account.account_id), *granted]
        numbers = [one.number for one in to_begin]
        whole = (account.account_id, None)
        found = self._check(whole, self.limits_of(account, None), numbers, number, now)
        if found is None and sip_line_id is not None:
            limits = self.limits_of(account, sip_line_id)
            numbers = [one.number for one in to_begin if one.sip_line_id == sip_line_id]
            found = self._check((account.account_id, sip_line_id), limits, numbers, number, now)
        if found is not None:
            self._notice(found)
        return found

    def limits_of(self, account: Account, sip_line_id: int | None) -> OutgoingLimits:
        """The limits in force: the account's or line's own, else the installation's."""
        own = account.outgoing_limits.get(sip_line_id or 0, OutgoingLimits())
        usual = self.account_limits if sip_line_id is None else self.line_limits
        return OutgoingLimits(
            usual.calls_per_minute if own.calls_per_minute is None else own.calls_per_minute,
            usual.concurrent_calls if own.concurrent_calls is None else own.concurrent_calls,
            usual.money_per_day if own.money_per_day is None else own.money_per_day,
        )

    def limited_by_money(self, directory: Directory) -> list[int]:
        """Accounts that have a limit of money, of their own or of a line."""
        usual = self.account_limits.money_per_day or self.line_limits.money_per_day
        return [
            account.account_id
            for account in directory.accounts.values()
            if usual or any(one.money_per_day for one in account.outgoing_limits.values())
        ]

    def _check(
        self, who: Who, limits: OutgoingLimits, to_begin: list[str], number: str, now: Instant
    ) -> LimitReached | None:
        account_id, line = who
        living = len(self._living.get(who, ())) + len(to_begin)
        if limits.concurrent_calls and living >= limits.concurrent_calls:
            return LimitReached(account_id, line, LimitKind.CONCURRENT_CALLS, limits.concurrent_calls, now)
        begun = self._in_last_minute(who, now) + len(to_begin)
        if limits.calls_per_minute and begun >= limits.calls_per_minute:
            return LimitReached(account_id, line, LimitKind.CALLS_PER_MINUTE, limits.calls_per_minute, now)
        if limits.money_per_day:
            unanswered = [*self._unanswered(who), *to_begin, number]
            calls = [*self._answered_calls(who, now), *((one, int(MINUTE)) for one in unanswered)]
            if self.spent(account_id, line, calls) <= limits.money_per_day:
                return None
            return LimitReached(account_id, line, LimitKind.MONEY_PER_DAY, limits.money_per_day, now)
        return None

    def _answered_calls(self, who: Who, now: Instant) -> list[tuple[str, int]]:
        return [(one.number, one.seconds(now)) for one in self._answered.get(who, {}).values()]

    def _unanswered(self, who: Who) -> list[str]:
        answered = self._answered.get(who, {})
        return [number for leg_id, number in self._living.get(who, {}).items() if leg_id not in answered]

    def _in_last_minute(self, who: Who, now: Instant) -> int:
        begun = self._begun.get(who)
        if begun is None:
            return 0
        while begun and begun[0] <= now - MINUTE:
            begun.popleft()
        if not begun:
            del self._begun[who]
        return len(begun)

    def _notice(self, found: LimitReached) -> None:
        """Report a limit once per window, so that refused calls do not cause as many events."""
        key = ((found.account_id, found.sip_line_id), found.kind)
        if found.at - self._noticed_at.get(key, 0.0) < _WINDOWS[found.kind]:
            return
        self._noticed_at[key] = found.at
        self.reached.append(found)


def _of(session: Session, leg: Leg) -> tuple[Who, ...]:
    """The keys that a call counts for: the account, and the line that forwards the call or began it."""
    line = session.limited_line(leg.limited_line_id)
    account = (session.account_id, None)
    return (account,) if line is None else (account, (session.account_id, line))
