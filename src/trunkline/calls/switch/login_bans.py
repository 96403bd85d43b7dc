"""Which addresses may no longer try passwords of SIP lines, and for how long. Pure: times are Unix seconds.

Three scopes, from the narrowest:

- ``address_and_line``: one address at one line. A phone with an old password does not block other phones in its office.
- ``address``: all lines, after one address was banned at many lines: it tries a few passwords at each.
- ``line``: all addresses but those where the line is registered, after many addresses tried it.

An address where the line is registered may fail more often, and is banned for shorter times. The source address of a UDP
packet can be forged (``is_proven`` is False): such failures never ban an address as a whole when a line is registered from
it or a trunk sends calls from it, and never ban an address at a line that is registered from it. So an attacker cannot ban a
registered phone, an office or a carrier by forged packets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from trunkline.core.clock import Instant
from trunkline.core.failures import failures_at


class BanScope(StrEnum):
    ADDRESS_AND_LINE = "address_and_line"
    ADDRESS = "address"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class Ban:
    """A ban in force.

    :ivar ip, line: "" = all of them, by the scope.
    :ivar allowed: of the scope ``line``: addresses that are not banned.
    :ivar failures: counted up to the ban.
    """

    scope: BanScope
    ip: str
    line: str
    since: Instant
    until: Instant
    failures: int
    allowed: tuple[str, ...] = ()


FAILURES = 10
"""Failures of one address at one line until it is banned there."""
FAILURES_REGISTERED = 30
"""The same where the line is registered from that address: another device there has an old password."""
FAILURES_AGAIN = 3
"""After a ban that still counts."""
LINES = 5
"""Lines at which an address must be banned until it is banned as a whole."""
LINES_REGISTERED = 20
"""The same for an address from which any line is registered."""
LINE_ADDRESSES = 10
"""Addresses that must have failed at a line before all but its registered addresses are refused."""
LINE_FAILURES = 50
"""Failures at a line, from :data:`LINE_ADDRESSES` addresses or more, before all but its registered addresses are refused."""
FLOOD, FLOOD_SECONDS = 300, 60.0
"""Failures without a line, within so many seconds, until an address without registration or trunk is banned as a whole."""

STEPS = (60.0, 300.0, 1800.0, 7200.0, 86_400.0)
"""Seconds of the first ban, the second, and so on; the last for all that follow."""
STEPS_REGISTERED = (30.0, 60.0)
STEPS_LINE = (300.0, 1800.0, 3600.0)
REMEMBERED = 86_400.0
"""Seconds after the end of a ban during which the next one is longer."""
COUNTERS_MAX = 20_000
"""Counters that are kept; the oldest are dropped first."""


@dataclass(slots=True)
class _Counter:
    """Failures of one address at one line, of one address, or at one line."""

    failures: int = 0
    last_at: float = 0.0
    bans: int = 0
    ban_ended: float = 0.0
    burst_since: float = 0.0
    addresses: set[str] = field(default_factory=set)


Key = tuple[BanScope, str, str]


class LoginBans:
    """Counts failures and keeps the bans in force."""

    def __init__(self) -> None:
        self._counters: dict[Key, _Counter] = {}
        self._bans: dict[Key, Ban] = {}
        self._addresses: frozenset[str] | None = None
        """Of the bans; None: not known since a ban began or ended."""

    @property
    def bans(self) -> list[Ban]:
        return list(self._bans.values())

    def has(self, ip: str) -> bool:
        """Whether this address is banned, at one line or as a whole."""
        if self._addresses is None:
            self._addresses = frozenset(ban.ip for ban in self._bans.values())
        return ip in self._addresses

    def failed(
        self,
        line: str,
        ip: str,
        at: Instant,
        *,
        registered_at: Iterable[str],
        is_known_address: bool,
        is_proven: bool = True,
    ) -> list[Ban]:
        """Count a failure; the bans that begin with it.

        :param line: "" for a line that does not exist, or that already refuses this address.
        :param registered_at: addresses where the line is registered now.
        :param is_known_address: a line is registered from this address, or it is a trunk's.
        :param is_proven: the source address cannot be forged.
        """
        if not line:
            return [] if is_known_address else self._flooded(ip, at)
        registered = tuple(sorted(set(registered_at)))
        if ip in registered and not is_proven:
            return []
        pair = self._count((BanScope.ADDRESS_AND_LINE, ip, line), at)
        begun: list[Ban] = []
        limit = FAILURES_REGISTERED if ip in registered else FAILURES
        if pair.failures >= (FAILURES_AGAIN if self._remembers(pair, at) and ip not in registered else limit):
            steps = STEPS_REGISTERED if ip in registered else STEPS
            begun += self._ban((BanScope.ADDRESS_AND_LINE, ip, line), at, steps)
            if is_proven or not is_known_address:
                begun += self._ban_address(ip, at, is_known_address)
        if registered and ip not in registered:
            target = self._count((BanScope.LINE, "", line), at)
            target.addresses.add(ip)
            if len(target.addresses) >= LINE_ADDRESSES and target.failures >= LINE_FAILURES:
                begun += self._ban((BanScope.LINE, "", line), at, STEPS_LINE, registered)
                target.addresses.clear()
        return begun

    def flooded(self, line: str, ip: str, at: Instant, requests: int) -> list[Ban]:
        """A device sent far more requests with the password of its line than a phone does; the bans that begin with it.

        It has the password, so the address is not forged and the ban is as long as for one without registration.
        """
        key = BanScope.ADDRESS_AND_LINE, ip, line
        self._count(key, at).failures = requests
        return self._ban(key, at, STEPS)

    def expire(self, now: Instant) -> list[Ban]:
        """Lift the bans that are over; returns them."""
        over = [ban for ban in self._bans.values() if ban.until <= now]
        for ban in over:
            self._lift(ban)
        for key in [key for key, one in self._counters.items() if not self._is_needed(one, key, now)]:
            del self._counters[key]
        return over

    def next_end(self) -> Instant | None:
        """When the first ban in force ends."""
        return min((ban.until for ban in self._bans.values()), default=None)

    def lift(self, ip: str | None, line: str | None) -> list[Ban]:
        """Lift the bans and drop the counters of an address, a line, or both together (None = any); returns the bans."""

        def concerns(key: Key) -> bool:
            return (ip is None or key[1] == ip) and (line is None or key[2] == line)

        lifted = [ban for key, ban in self._bans.items() if concerns(key)]
        self._bans = {key: ban for key, ban in self._bans.items() if not concerns(key)}
        self._addresses = None
        self._counters = {key: place for key, place in self._counters.items() if not concerns(key)}
        return lifted

    # --- across restarts

    def to_json(self) -> dict[str, Any]:
        return {"bans": [{**asdict(ban), "count": self._counters[_key(ban)].bans} for ban in self.bans]}

    @classmethod
    def from_json(cls, kept: Any) -> Self:
        """:raises ValueError: not written by :meth:`to_json`."""
        made = cls()
        try:
            for one in kept["bans"]:
                values = dict(one)
                count = int(values.pop("count"))
                ban = Ban(**{**values, "scope": BanScope(one["scope"]), "allowed": tuple(one["allowed"])})
                made._bans[_key(ban)] = ban
                made._counters[_key(ban)] = _Counter(bans=count, ban_ended=ban.until, last_at=ban.since)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a list of bans: {error}") from error
        return made

    # ---

    def _flooded(self, ip: str, at: Instant) -> list[Ban]:
        """Count a wrong password for a name that is not a line, or for a line that refuses the address. A password of a line
        cannot be guessed in this way, but many such requests are a load: then the address is banned as a whole."""
        place = self._count((BanScope.ADDRESS, ip, ""), at)
        if at - place.burst_since > FLOOD_SECONDS:
            place.burst_since, place.failures = at, 1
        return self._ban((BanScope.ADDRESS, ip, ""), at, STEPS) if place.failures >= FLOOD else []

    def _ban_address(self, ip: str, at: Instant, is_known: bool) -> list[Ban]:
        banned_at = sum(
            one.ip == ip and one.scope is BanScope.ADDRESS_AND_LINE for one in self._bans.values()
        )
        if banned_at < (LINES_REGISTERED if is_known else LINES):
            return []
        self._count((BanScope.ADDRESS, ip, ""), at)
        return self._ban((BanScope.ADDRESS, ip, ""), at, STEPS_REGISTERED if is_known else STEPS)

    def _ban(
        self, key: Key, at: Instant, steps: tuple[float, ...], allowed: tuple[str, ...] = ()
    ) -> list[Ban]:
        if key in self._bans:
            return []
        place = self._counters[key]
        level = place.bans if self._remembers(place, at) else 0
        until = Instant(at + steps[min(level, len(steps) - 1)])
        ban = Ban(key[0], key[1], key[2], at, until, place.failures, allowed)
        self._bans[key] = ban
        self._addresses = None
        place.bans, place.ban_ended, place.failures = level + 1, until, 0
        return [ban]

    def _lift(self, ban: Ban) -> None:
        self._bans.pop(_key(ban), None)
        self._addresses = None

    def _count(self, key: Key, at: Instant) -> _Counter:
        place = self._counters.pop(key, None) or _Counter()
        self._counters[key] = place  # the newest last
        place.failures = failures_at(place.failures, place.last_at, at) + 1
        if place.failures == 1:
            place.addresses.clear()
        place.last_at = at
        while len(self._counters) > COUNTERS_MAX:
            oldest = next(iter(self._counters))
            if oldest in self._bans:
                self._counters[oldest] = self._counters.pop(oldest)
                break
            del self._counters[oldest]
        return place

    def _remembers(self, place: _Counter, at: float) -> bool:
        return place.bans > 0 and at - place.ban_ended < REMEMBERED

    def _is_needed(self, place: _Counter, key: Key, now: float) -> bool:
        return key in self._bans or self._remembers(place, now) or failures_at(1, place.last_at, now) > 0


def _key(ban: Ban) -> Key:
    return ban.scope, ban.ip, ban.line
