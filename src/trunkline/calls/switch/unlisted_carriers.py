"""Requests from the server of a trunk that identify no trunk: calls of this carrier do not come.

A carrier at which a trunk registers must call the registered contact with its parameters (``line=``). One that calls the
number instead is challenged like anybody else, gives up, and Asterisk writes nothing. An address never identifies a trunk by
itself; the owner must list it. So such requests are only reported, with the remedy.

A carrier may also call from addresses that the host of its trunk does not have. Such requests look like those of anybody on
the Internet, so they are only counted for each address, with few lines of the log.
"""

from __future__ import annotations

import ipaddress
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from trunkline.core.clock import Instant, to_datetime
from trunkline.core.log import get_logger
from trunkline.directory.model import Account, Directory, Trunk
from trunkline.telephony.port import Unidentified

LOG_SECONDS = 600.0
"""Requests of one trunk's server are logged at most so often."""
SHOWN_SECONDS = 86_400.0
"""For how long the last one is shown in the status."""
INDEX_SECONDS = 5.0
"""After which the addresses of trunks are read again."""
SENDERS_MAX = 500
"""Addresses of no trunk that are counted: so many of one request, and so many of several. Beyond, those that were not seen
for longest are forgotten. A carrier calls again; a scanner, or one that forges addresses, sends one request from each."""
SENDERS_SHOWN = 20
SENDER_LINES = 20
"""Addresses of no trunk that are logged within :data:`LOG_SECONDS`."""
TRUNKS_MAX = 1_000
"""Trunks that are counted; further ones are in the log only."""

_log = get_logger("calls")


@dataclass(slots=True)
class _Counted:
    ip: str
    requests: int = 0
    last: float = 0.0
    logged_at: float = float("-inf")


class UnlistedCarriers:
    """Counts and logs such requests since the start of the switch.

    :param servers: the addresses that the host of a trunk has, as they are known.
    :param is_of_phones: whether an address is one of phones: its requests are no unknown carrier's.
    """

    def __init__(
        self,
        directory: Callable[[], Directory],
        servers: Callable[[Trunk], Iterable[str]],
        clock: Callable[[], float] = time.time,
        is_of_phones: Callable[[str], bool] = lambda _ip: False,
    ) -> None:
        self._is_of_phones = is_of_phones
        self._directory = directory
        self._servers = servers
        self._clock = clock
        self._counts: dict[int, _Counted] = {}
        self._seen_once: dict[str, _Counted] = {}
        self._seen_again: dict[str, _Counted] = {}
        """The one that was seen last is the last."""
        self._lines: deque[float] = deque(maxlen=SENDER_LINES)
        """Times of the last lines of the log about them."""
        self._by_address: dict[str, list[int]] = {}
        self._indexed_at = float("-inf")

    def handle(self, request: Unidentified) -> None:
        """Count a request that was challenged because nobody is known by it."""
        trunks = self._trunks_at(request.ip)
        if not trunks and request.ip not in self._by_address:
            self._count_sender(request)
        for account, trunk in trunks:
            counted = self._counts.get(trunk.trunk_id)
            if counted is None:
                if len(self._counts) >= TRUNKS_MAX:
                    continue
                counted = self._counts[trunk.trunk_id] = _Counted(request.ip)
            counted.ip, counted.last = request.ip, request.at
            counted.requests += 1
            if request.at - counted.logged_at < LOG_SECONDS:
                continue
            counted.logged_at = request.at
            _log.warning(
                "trunk_request_not_identified",
                account_id=account.account_id,
                trunk_id=trunk.trunk_id,
                trunk=trunk.name,
                ip=request.ip,
                requests=counted.requests,
                reason="SIP 401: without the parameter line of the registered contact, and from no listed address",
                remedy=remedy(request.ip),
            )

    def status(self) -> list[dict[str, Any]]:
        """For ``trunkline status``: the trunks that still do not list the address, with the last request of each."""
        shown = []
        for trunk_id, one in self._counts.items():
            owner = self._directory().trunk(trunk_id)
            if owner is None or _is_listed(owner[1], one.ip) or self._clock() - one.last > SHOWN_SECONDS:
                continue
            account, trunk = owner
            shown.append(
                {
                    "account_id": account.account_id,
                    "account_name": account.name,
                    "trunk_id": trunk_id,
                    "trunk_name": trunk.name,
                    "ip": one.ip,
                    "requests": one.requests,
                    "last": to_datetime(Instant(one.last)).isoformat(timespec="seconds"),
                }
            )
        return shown

    def unknown_senders(self) -> list[dict[str, Any]]:
        """For ``trunkline status``: addresses of no trunk, with requests within a day: those with several first,
        then those seen last."""
        shown: list[dict[str, Any]] = []
        for one in itertools.chain(reversed(self._seen_again.values()), reversed(self._seen_once.values())):
            if self._clock() - one.last <= SHOWN_SECONDS and len(shown) < SENDERS_SHOWN:
                last = to_datetime(Instant(one.last)).isoformat(timespec="seconds")
                shown.append({"ip": one.ip, "requests": one.requests, "last": last})
        return shown

    def _count_sender(self, request: Unidentified) -> None:
        if self._is_of_phones(request.ip):
            return
        counted = self._seen_again.pop(request.ip, None) or self._seen_once.pop(request.ip, None)
        seen = self._seen_again if counted else self._seen_once
        counted = counted or _Counted(request.ip)
        if len(seen) >= SENDERS_MAX:
            del seen[next(iter(seen))]
        seen[request.ip] = counted
        counted.requests += 1
        counted.last = request.at
        if request.at - counted.logged_at < LOG_SECONDS:
            return
        if len(self._lines) == SENDER_LINES and request.at - self._lines[0] < LOG_SECONDS:
            return
        self._lines.append(request.at)
        counted.logged_at = request.at
        inactive = self._inactive_trunk_at(request.ip)
        if inactive is not None:
            account, trunk = inactive
            _log.info(
                "trunk_inactive",
                account_id=account.account_id,
                trunk_id=trunk.trunk_id,
                trunk=trunk.name,
                ip=request.ip,
                requests=counted.requests,
                reason="SIP 401: the trunk with this address is switched off",
                remedy="if its calls are wanted, switch the trunk on: active: true",
            )
            return
        _log.info(
            "sip_sender_unknown",
            ip=request.ip,
            requests=counted.requests,
            reason="SIP 401: it names no line that Asterisk has, and no trunk has this address",
            remedy=f"if it is a carrier of yours, add it to the trunk: addresses: [{request.ip}]; if it is a phone, check"
            " its login; else nothing",
        )

    def _inactive_trunk_at(self, ip: str) -> tuple[Account, Trunk] | None:
        """One that is switched off and has or lists the address. Only for what is logged: it examines all trunks."""
        for account in self._directory().accounts.values():
            for trunk in account.trunks.values():
                if not trunk.is_active and (_is_listed(trunk, ip) or ip in self._servers(trunk)):
                    return account, trunk
        return None

    def _trunks_at(self, ip: str) -> list[tuple[Account, Trunk]]:
        """Anybody may send such requests at any rate, so the trunks are not searched for each."""
        if self._clock() - self._indexed_at >= INDEX_SECONDS:
            self._indexed_at = self._clock()
            self._by_address = {}
            for account in self._directory().accounts.values():
                for trunk in account.trunks.values():
                    for address in self._servers(trunk) if trunk.is_active else ():
                        self._by_address.setdefault(address, []).append(trunk.trunk_id)
        found = map(self._directory().trunk, self._by_address.get(ip, ()))
        return [owner for owner in found if owner is not None and not _is_listed(owner[1], ip)]


def remedy(ip: str) -> str:
    """What the owner of the trunk does about it."""
    return f"if these are calls of this carrier, add it to the trunk: addresses: [{ip}]"


def _is_listed(trunk: Trunk, ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    return any(address in ipaddress.ip_network(one) for one in trunk.addresses)
