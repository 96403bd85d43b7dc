"""Limits on the number and the cost of outgoing calls of an account and of a line. Pure, in memory.

A stolen password or an error in a client is expensive within minutes. Outgoing calls are the legs over a trunk, however
they were dialled; those of a line belong to sessions that this line began. Emergency calls are counted, never refused.

A call counts from the decision to place it: it is granted within this decision (:class:`Granted`), and reserved until the
engine reports its channel (:meth:`OutgoingUsage.reserve`). So calls that begin together count as if they began in turn.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
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
"""Money of today in the account's currency: account, line (None = all), and calls that are not charged yet, each a number
and its seconds. 0 where nothing has a price. From memory."""

CHARGED_AFTER = 30.0
"""Seconds after the end of a call from which its charge counts as written."""

Who = tuple[int, int | None]
"""Account and line; None = the whole account."""


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
class _Uncharged:
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
        self._uncharged: dict[Who, dict[int, _Uncharged]] = defaultdict(dict)
        self._ended: deque[tuple[float, Who, int]] = deque()
        """Uncharged legs that have ended, and when."""
        self._noticed_at: dict[tuple[Who, LimitKind], float] = {}

    # --- counting

    def restore(self, session: Session) -> None:
        """Count the calls of a session that was rebuilt from its events: the living ones, and all of the last minute.

        Calls of sessions that have ended are not known any more. Nor are calls that were reserved: the engine opens their
        channels milliseconds after it has the command, so a switch that starts finds them as channels; what was not
        commanded is decided again.
        """
        for leg in session.legs.values():
            if _leaves(leg):
                for who in _of(session, leg):
                    insort(self._begun[who], leg.started_at)
        for leg in session.living:
            if _leaves(leg):
                for who in _of(session, leg):
                    self._living[who][leg.leg_id] = leg.called_phone_number or ""
                    if leg.answered_at is not None:
                        number = leg.called_phone_number or ""
                        self._uncharged[who][leg.leg_id] = _Uncharged(number, leg.answered_at)

    def count(self, session: Session, event: Event) -> None:
        if event.type not in (EventType.LEG_STARTED, EventType.LEG_ANSWERED, EventType.LEG_ENDED):
            return
        leg = session.legs[event.data["leg_id"]]
        if not _leaves(leg):
            return
        for who in _of(session, leg):
            if event.type is EventType.LEG_STARTED:
                self._living[who][leg.leg_id] = leg.called_phone_number or ""
                self._begun[who].append(event.at)
            elif event.type is EventType.LEG_ANSWERED:
                number = leg.called_phone_number or ""
                self._uncharged[who][leg.leg_id] = _Uncharged(number, event.at)
            else:
                self._living[who].pop(leg.leg_id, None)
                if not self._living[who]:
                    del self._living[who]
                if (open_one := self._uncharged[who].get(leg.leg_id)) is not None:
                    open_one.ended_at = event.at
                    self._ended.append((event.at, who, leg.leg_id))
        self._forget_charged(event.at)

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
                    _line_of(session, target.leg.get("limited_line_id")),
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
            calls = [*self._calls_not_charged(who, now), *((one, int(MINUTE)) for one in unanswered)]
            if self.spent(account_id, line, calls) <= limits.money_per_day:
                return None
            return LimitReached(account_id, line, LimitKind.MONEY_PER_DAY, limits.money_per_day, now)
        return None

    def _calls_not_charged(self, who: Who, now: Instant) -> list[tuple[str, int]]:
        self._forget_charged(now)
        return [(one.number, one.seconds(now)) for one in self._uncharged.get(who, {}).values()]

    def _forget_charged(self, now: float) -> None:
        while self._ended and now - self._ended[0][0] > CHARGED_AFTER:
            _, who, leg_id = self._ended.popleft()
            self._uncharged[who].pop(leg_id, None)
            if not self._uncharged[who]:
                del self._uncharged[who]

    def _unanswered(self, who: Who) -> list[str]:
        answered = self._uncharged.get(who, {})
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


def _leaves(leg: Leg) -> bool:
    """Whether a leg is an outgoing call over a trunk."""
    return leg.trunk_id is not None and leg.direction == "out" and bool(leg.channel)


def _of(session: Session, leg: Leg) -> tuple[Who, ...]:
    """The keys that a call counts for: the account, and the line that forwards the call or began it."""
    line = _line_of(session, leg.limited_line_id)
    account = (session.account_id, None)
    return (account,) if line is None else (account, (session.account_id, line))


def _line_of(session: Session, limited_line_id: int | None) -> int | None:
    """The line that forwards a call, or began its session."""
    if limited_line_id is not None:
        return limited_line_id
    first = session.initiator
    return first.sip_line_id if first is not None and first.direction == "in" else None
