"""Counts failed logins of SIP lines and makes the engine refuse what the rules ban.

Bans belong to the node. They are kept in a file of the data folder, so that they survive a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import orjson

from trunkline.calls.switch.login_bans import Ban, BanScope, LoginBans
from trunkline.calls.switch.login_guessing import GuessCounter, Guessing
from trunkline.calls.switch.presence import Presence
from trunkline.calls.switch.trunk_addresses import TrunkAddresses
from trunkline.core.clock import Instant, to_datetime
from trunkline.core.errors import EngineError
from trunkline.core.log import get_logger
from trunkline.core.log_limit import LogLimit
from trunkline.core.tasks import core_task, item_task
from trunkline.db.pool import Database
from trunkline.directory.model import Directory, Trunk
from trunkline.events.catalogue import EventType, line_stream
from trunkline.events.publisher import Alarm, EventPublisher, Publication, publishing
from trunkline.telephony.port import LineAccess, LoginFailed, RequestFlood

GATHER_SECONDS = 0.1
"""Bans within this time reach the engine as one change."""
EXPIRY_SECONDS = 30.0
TRUNKS_SECONDS = 5.0
"""After which the addresses of trunks are read again: host names may have others."""
TRUNKS_MAX = 400
"""Addresses and networks of trunks that may connect during a flood."""
REFUSED_NAME = "unknown name, or the line refuses this address (ban)"
"""Asterisk reports both in the same way: a banned address must not learn whether a name exists."""
NAME_LOOKUPS_MAX = 10
"""Concurrent look-ups of tried names; during a flood of requests the log has no name."""

TriedName = Callable[[LoginFailed], Awaitable[str]]
"""Looks up the name that a failed login tried; "" = not found."""

_log = get_logger("calls")


class BanEnforcer(Protocol):
    """What the guard needs of the engine."""

    async def restrict_logins(self, addresses: Iterable[str], lines: dict[str, LineAccess]) -> None:
        """Refuse all requests of these addresses, and at these lines what their access does not allow.

        :raises EngineError: not done.
        """


@dataclass(frozen=True, slots=True)
class BanSettings:
    """:ivar exempt: networks that are never banned.
    :ivar node: of the switch, for alarms."""

    is_on: bool = True
    exempt: Sequence[str] = ()
    node: int = 0


class LoginGuard:
    """Handles failed logins; an async context manager by :func:`guarding`.

    :param tried_name: for the log only.
    :param servers: the addresses that the host of a trunk has, as they are known.
    """

    def __init__(
        self,
        engine: BanEnforcer,
        db: Database,
        presence: Presence,
        directory: Callable[[], Directory],
        file: Path,
        settings: BanSettings = BanSettings(),
        clock: Callable[[], float] = time.time,
        tried_name: TriedName | None = None,
        servers: Callable[[Trunk], Iterable[str]] = lambda trunk: (trunk.host,),
    ) -> None:
        self._engine = engine
        self._servers = servers
        self._tried_name = tried_name
        self._lookups: set[asyncio.Task[None]] = set()
        self.publisher = EventPublisher(db, file=file.with_name(f"{file.stem}-events.jsonl"))
        """Writes the events of bans: PostgreSQL never delays a ban."""
        self._presence = presence
        self._directory = directory
        self._file = file
        self._settings = settings
        self._exempt = [ipaddress.ip_network(one) for one in settings.exempt]
        self._clock = clock
        self._bans = LoginBans()
        self._guesses = GuessCounter()
        self._guessed: list[Guessing] = []
        self._begun: list[Ban] = []
        self._log_limit: LogLimit[tuple[str, str]] = LogLimit()
        """By address of the sender and line."""
        self._trunks: tuple[Directory, float, TrunkAddresses] | None = None
        """The addresses of the trunks of the present directory, and when they were read."""
        self._changed = asyncio.Event()
        self._load()

    def handle(self, failed: LoginFailed) -> None:
        """Count a failed login."""
        self._log_failure(failed)
        if failed.line and failed.tried_password:
            guessing = self._guesses.failed(failed.line, failed.ip, failed.at)
            if guessing is not None:
                self._guessed.append(guessing)
                self._changed.set()
        if not self._settings.is_on or not _is_address(failed.ip) or self._is_exempt(failed.ip):
            return
        # A name that was refused by itself is a load, not a guess at the password of a line.
        line = failed.line if failed.tried_password else ""
        registered_at = [device.ip for device in self._presence.devices(line)] if line else []
        begun = self._bans.failed(
            line,
            failed.ip,
            failed.at,
            registered_at=registered_at,
            is_known_address=self._is_known(failed.ip),
            is_proven=failed.proven,
        )
        if begun:
            self._begun += begun
            self._changed.set()

    def handle_flood(self, flood: RequestFlood) -> None:
        """Ban a device that sends too many requests, although each has the right password."""
        if not self._settings.is_on or not _is_address(flood.ip) or self._is_exempt(flood.ip):
            return
        if begun := self._bans.flooded(flood.line, flood.ip, flood.at, flood.requests):
            self._begun += begun
            self._changed.set()

    def listed(self) -> list[dict[str, Any]]:
        """The bans in force, for people: times in ISO 8601, UTC."""
        self._expire()
        return [_shown(ban) for ban in sorted(self._bans.bans, key=lambda ban: ban.since)]

    NOTHING_KNOWN: ClassVar[dict[str, list[Any]]] = {
        "banned": [],
        "registered": [],
        "trunks": [],
        "configured": [],
    }

    def known_of(self, addresses: Iterable[str]) -> dict[str, list[Any]]:
        """What a limit on connections must know: the addresses that are banned as a whole; of them and of those given the
        address and port of each registered device, and which of them a trunk has; and the addresses and networks of all
        trunks, asked for or not."""
        banned = {ban.ip for ban in self._bans.bans if ban.scope is BanScope.ADDRESS}
        concerned = banned | {ip for ip in addresses if _is_address(ip)}
        registered = [
            [device.ip, device.port] for ip in sorted(concerned) for device in self._presence.devices_at(ip)
        ]
        trunks = self._trunk_addresses()
        return {
            "banned": sorted(banned),
            "registered": registered,
            "trunks": sorted(ip for ip in concerned if trunks.has(ip)),
            "configured": trunks.all(TRUNKS_MAX),
        }

    def lift(self, ip: str | None, line: str | None) -> list[dict[str, Any]]:
        """Lift bans of an address, a line, or both together; None for both: all. Returns the bans that were lifted."""
        lifted = self._bans.lift(ip, line)
        if lifted:
            _log.info("login_bans_lifted", bans=len(lifted), ip=ip, line=line)
            self._changed.set()
        return [_shown(ban) for ban in lifted]

    def is_banned(self, ip: str) -> bool:
        """Whether a ban of this address is in force, at one line or as a whole."""
        return self._bans.has(ip)

    @property
    def in_force(self) -> int:
        """How many bans there are."""
        return len(self._bans.bans)

    def status(self) -> dict[str, Any]:
        """For ``trunkline status``."""
        shown = self.listed()
        guessed = [_shown_guessing(one) for one in self._guesses.reported(Instant(self._clock()))]
        return {"in_force": len(shown), "newest": shown[-5:], "guessed_lines": guessed}

    async def run(self) -> None:
        """Apply bans in the engine, save them and queue their events, until cancelled."""
        self._changed.set()  # those of the last run
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self._seconds_to_next_end())
            await asyncio.sleep(GATHER_SECONDS)
            if self._expire():
                self._changed.set()
            if not self._changed.is_set():
                continue
            self._changed.clear()
            begun, self._begun = self._begun, []
            guessed, self._guessed = self._guessed, []
            for ban in begun:
                _log.warning(
                    "login_banned",
                    **_shown(ban),
                    consequence="requests of the address, line or both are refused until the time in `until`",
                    remedy="if it is a phone of yours, correct its password, or what makes it send so many requests, and "
                    f"lift the ban: {_lift(ban)}",
                )
                self._publish(ban)
            for guessing in guessed:
                self._publish_guessing(guessing)
            try:
                await self._enforce()
            except EngineError as error:
                _log.error(
                    "login_bans_not_enforced",
                    error=str(error),
                    consequence="Asterisk does not apply the newest bans; it is tried again in a second",
                    remedy="see logs/asterisk.log if this is repeated",
                )
                await asyncio.sleep(1.0)
                self._changed.set()
            await asyncio.to_thread(self._save)

    # ---

    async def _enforce(self) -> None:
        bans = self._bans.bans
        lines: dict[str, LineAccess] = {}
        for line in {ban.line for ban in bans if ban.line}:
            denied = (ban.ip for ban in bans if ban.line == line and ban.scope is BanScope.ADDRESS_AND_LINE)
            whole = next((ban for ban in bans if ban.line == line and ban.scope is BanScope.LINE), None)
            lines[line] = LineAccess(tuple(sorted(denied)), whole.allowed if whole is not None else None)
        addresses = sorted(ban.ip for ban in bans if ban.scope is BanScope.ADDRESS)
        await self._engine.restrict_logins(addresses, lines)

    def _publish(self, ban: Ban) -> None:
        """An event on the line's stream; of an address, on that of each account's line at which it was banned."""
        lines = {ban.line} if ban.line else {one.line for one in self._bans.bans if one.ip == ban.ip}
        published: set[int] = set()
        for login in sorted(lines):
            found = self._directory().line(login)
            if found is None or found[0].account_id in published:
                continue
            account, line = found
            published.add(account.account_id)
            data = {
                "sip_line_id": line.sip_line_id,
                "phone_number": line.phone_number,
                "scope": ban.scope.value,
                "ip": ban.ip or None,
                "until": float(ban.until),
                "failures": ban.failures,
            }
            self.publisher.put(
                Publication(
                    EventType.LOGIN_BANNED, ban.since, data, account.account_id, line_stream(line.sip_line_id)
                )
            )

    def _publish_guessing(self, guessing: Guessing) -> None:
        """A line of the log, an event of the line's account, and an alarm of the installation."""
        shown = _shown_guessing(guessing)
        _log.warning(
            "login_guessing", remedy="see the section on bans in docs/operations/security.md", **shown
        )
        found = self._directory().line(guessing.line)
        if found is None:
            return
        account, line = found
        addresses = ", ".join(f"{ip} ({failures})" for ip, failures in guessing.addresses)
        data = {
            "entity": "sip_line",
            "entity_id": line.sip_line_id,
            "entity_name": line.phone_number,
            "reason": f"{guessing.failures} wrong passwords in {guessing.seconds} s, from {addresses}",
            **{name: shown[name] for name in ("failures", "seconds", "addresses")},
        }
        alarm = Alarm(self._settings.node, "login_guessing", {"account_id": account.account_id, **shown})
        self.publisher.put(
            Publication(
                EventType.LOGIN_GUESSING,
                guessing.at,
                data,
                account.account_id,
                line_stream(line.sip_line_id),
                alarm=alarm,
            )
        )

    def _log_failure(self, failed: LoginFailed) -> None:
        """At most one line a minute for one address at one line: guesses must not fill the log.

        ``login_unknown`` is logged for a name that is not a line, for a line that refuses this address because of a ban, and
        for a request of an unlisted carrier.
        """
        count = self._log_limit.add((failed.ip, failed.line), failed.at)
        if not count:
            return
        if failed.tried_password and failed.line:
            _log.warning(
                "login_failed",
                line=failed.line,
                ip=failed.ip,
                reason=failed.reason,
                attempts=count,
                consequence="the request is refused; repeated failures lead to a ban",
            )
        else:
            look_up = self._tried_name
            if failed.name or look_up is None or len(self._lookups) >= NAME_LOOKUPS_MAX:
                _log_unknown(failed, failed.name or failed.line, count)
            else:
                item_task(_look_up_and_log(look_up, failed, count), name="tried-name", among=self._lookups)

    def _is_exempt(self, ip: str) -> bool:
        address = ipaddress.ip_address(ip)
        return any(address in network for network in self._exempt)

    def _is_known(self, ip: str) -> bool:
        """Whether a line is registered from this address, or a trunk has it. For each failed login: forged packets may come
        as fast as the network carries them."""
        return bool(self._presence.devices_at(ip)) or self._trunk_addresses().has(ip)

    def _trunk_addresses(self) -> TrunkAddresses:
        directory = self._directory()
        now = self._clock()
        if (
            self._trunks is None
            or self._trunks[0] is not directory
            or not 0 <= now - self._trunks[1] < TRUNKS_SECONDS
        ):
            self._trunks = directory, now, TrunkAddresses(directory, self._servers)
        return self._trunks[2]

    def _expire(self) -> bool:
        over = self._bans.expire(Instant(self._clock()))
        if over:
            self._changed.set()
        return bool(over)

    def _seconds_to_next_end(self) -> float:
        end = self._bans.next_end()
        return EXPIRY_SECONDS if end is None else max(0.05, min(EXPIRY_SECONDS, end - self._clock()))

    def _load(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            try:
                self._bans = LoginBans.from_json(orjson.loads(self._file.read_bytes()))
            except ValueError as error:
                _log.error(
                    "login_bans_not_read",
                    file=str(self._file),
                    error=str(error),
                    consequence="bans from before the start are forgotten",
                    remedy="check the disk; the file is written anew at the next ban",
                )

    def _save(self) -> None:
        partial = self._file.with_name(f".{self._file.name}.partial")
        try:
            partial.write_bytes(orjson.dumps(self._bans.to_json()))
            partial.replace(self._file)
        except OSError as error:
            _log.error(
                "login_bans_not_saved",
                file=str(self._file),
                error=str(error),
                consequence="bans are in force, and forgotten when the switch is restarted",
                remedy="check the disk and the permissions of the data folder",
            )


async def _look_up_and_log(look_up: TriedName, failed: LoginFailed, count: int) -> None:
    _log_unknown(failed, await look_up(failed), count)


def _log_unknown(failed: LoginFailed, name: str, count: int) -> None:
    reason = REFUSED_NAME if failed.tried_password else failed.reason
    _log.warning(
        "login_unknown",
        name=name,
        line=failed.line,
        ip=failed.ip,
        reason=reason,
        attempts=count,
        consequence="the request is refused",
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _lift(ban: Ban) -> str:
    """The command that lifts a ban."""
    scope = (f" --ip {ban.ip}" if ban.ip else "") + (f" --line {ban.line}" if ban.line else "")
    return f"trunkline ban lift{scope}"


def _shown(ban: Ban) -> dict[str, Any]:
    return {
        "scope": ban.scope.value,
        "ip": ban.ip or None,
        "line": ban.line or None,
        "since": to_datetime(ban.since).isoformat(timespec="seconds"),
        "until": to_datetime(ban.until).isoformat(timespec="seconds"),
        "failures": ban.failures,
    }


def _shown_guessing(guessing: Guessing) -> dict[str, Any]:
    return {
        "line": guessing.line,
        "failures": guessing.failures,
        "seconds": guessing.seconds,
        "addresses": [{"ip": ip, "failures": failures} for ip, failures in guessing.addresses],
    }


@contextlib.asynccontextmanager
async def guarding(guard: LoginGuard) -> AsyncIterator[None]:
    """Enforce bans and publish their events for the time of the block."""
    async with publishing(guard.publisher, "ban-events"):
        task = core_task(guard.run(), name="login-guard")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
