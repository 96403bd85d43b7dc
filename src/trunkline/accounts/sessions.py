"""Log-in sessions for one API: one hour from the log-in, in the console twelve, unless the user has another time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from trunkline.accounts import login_failures, login_throttle, passwords, tokens
from trunkline.accounts.access import check_account
from trunkline.accounts.model import Api, Login, Status
from trunkline.accounts.networks import network_of
from trunkline.accounts.second_factor import SecondFactors
from trunkline.core.clock import to_datetime
from trunkline.core.concurrency_limit import ConcurrencyLimit
from trunkline.core.errors import AuthenticationFailed, LimitExceeded
from trunkline.core.failures import FORGOTTEN_AFTER
from trunkline.core.log import get_logger
from trunkline.core.storable_text import storable
from trunkline.db.pool import Database, Row

LIFETIME = timedelta(hours=1)

CONSOLE_LIFETIME = timedelta(hours=12)
"""A working day: people sign in to the console once."""

_KEPT_AFTER_END = timedelta(days=1)
"""So long an ended session's token is answered with "expired" in place of "invalid"."""

_HASHING_AT_ONCE = 2
"""Passwords checked concurrently in a process: each takes 64 MiB; it also bounds parallel guessing."""

_WAITING_MAX = 16
"""Log-ins of one address that wait."""

_WAIT_MAX = 20.0
"""Seconds that a log-in waits."""

_REFUSED_SECONDS = 60.0
"""For which an address comes after others, once a log-in from it was refused."""

_REMEMBERED_MAX = 10_000
"""Addresses that are remembered for it, and of log-ins that were right; the oldest are forgotten first."""

_WRONG = "login or password is wrong"
_WRONG_WITH_CODE = "login, password or code is wrong"
"""The same whether the user has codes or not, so that nobody finds out which part is right."""

_log = get_logger("accounts")


class Sessions:
    """Opens and closes sessions.

    A password takes a tenth of a second of a processor. Addresses take turns: those from which somebody has logged in
    come before the others, those whose log-ins were refused a short time ago after them. So guesses, from however many
    addresses, do not keep others from logging in.
    """

    def __init__(self, db: Database, second_factors: SecondFactors | None = None) -> None:
        """:param second_factors: None: users who have one cannot log in by password."""
        self._db = db
        self._second_factors = second_factors
        self._refused: dict[Hashable, float] = {}
        self._known: dict[Hashable, float] = {}
        """From where somebody has logged in since the process started."""
        self._now = 0.0
        self._hashing = ConcurrencyLimit(
            "log-ins",
            total=_HASHING_AT_ONCE,
            per_account=_HASHING_AT_ONCE,
            queue=_WAITING_MAX,
            wait=_WAIT_MAX,
            rank=self._rank,
        )

    async def open(
        self, login: str, password: str, api: str, address: str | None, now: float, code: str = ""
    ) -> Login:
        """See :meth:`trunkline.accounts.service.Accounts.login`."""
        login = storable(login).strip()
        network = network_of(address or "")
        subject = login_throttle.subject(login, network)
        async with self._place(network, now):
            await login_failures.check_wait(self._db, subject, now)
            row = await self._find(login)
            stored = row["password_hash"] if row is not None else None
            fits = await passwords.fits(password, stored)
            has_codes = fits and row is not None and row["has_second_factor"]
            if has_codes and row is not None:
                # Codes are entered in the console only; elsewhere such a user needs a key.
                fits = api == Api.CONSOLE and await self._code_fits(row, code, now)
            if row is None or stored is None or not fits or row["user_status"] != Status.ACTIVE:
                _remember(self._refused, network, now)
                await login_failures.note(self._db, subject, now)
                _log.warning(
                    "login_refused",
                    login=login[:200],
                    address=address,
                    api=api,
                    has_codes=has_codes,
                    consequence="the login is refused; many failures delay the next attempts from this address",
                )
                raise AuthenticationFailed(_WRONG_WITH_CODE if api == Api.CONSOLE else _WRONG)
            new_hash = await passwords.hash_of(password) if passwords.needs_rehash(stored) else None
        _remember(self._known, network, now)
        check_account(row)
        return await self._open(row, api, subject, new_hash, to_datetime(now))

    async def _code_fits(self, row: Row, code: str, now: float) -> bool:
        if self._second_factors is None:
            return False
        return await self._second_factors.fits(row["account_id"], row["user_id"], code, now)

    @asynccontextmanager
    async def _place(self, network: str, now: float) -> AsyncIterator[None]:
        """:raises LimitExceeded: too many log-ins of the network wait, or others took too long."""
        self._now = now
        place = self._hashing.place(network)
        try:
            await place.__aenter__()
        except LimitExceeded as error:
            text = "too many log-ins wait to be checked; send fewer, and try again in some seconds"
            raise LimitExceeded(text, params=error.params) from None
        try:
            yield
        finally:
            await place.__aexit__(None, None, None)

    def _rank(self, network: Hashable) -> int:
        if network in self._known:
            return 0
        at = self._refused.get(network)
        return 2 if at is not None and self._now < at + _REFUSED_SECONDS else 1

    async def close(self, token: str) -> None:
        """End the session with that token; a key or an unknown token is left as it is."""
        await self._db.execute("delete from login_sessions where token_hash = %s", (tokens.hash_of(token),))

    async def prune(self, now: float) -> None:
        """Delete sessions that ended long ago, and old failures to log in."""
        moment = to_datetime(now)
        async with self._db.connection() as connection:
            await connection.execute(
                "delete from login_sessions where expires_at < %s", (moment - _KEPT_AFTER_END,)
            )
            await connection.execute(
                "delete from login_failures where last_failed_at < %s",
                (moment - timedelta(seconds=FORGOTTEN_AFTER),),
            )

    async def _find(self, login: str) -> Row | None:
        return await self._db.fetch_one(
            """
            select u.account_id, u.user_id, u.password_hash, coalesce(u.session_ttl, d.session_ttl) as session_ttl,
                   u.status as user_status, a.status as account_status,
                   exists (select from second_factors f where f.account_id = u.account_id and f.user_id = u.user_id
                       and f.confirmed_at is not null) as has_second_factor
            from users u join accounts a using (account_id) left join agent_defaults d using (account_id)
            where lower(u.login) = lower(%s)
            """,
            (login,),
        )

    async def _open(self, row: Row, api: str, subject: str, new_hash: str | None, now: datetime) -> Login:
        usual = CONSOLE_LIFETIME if api == Api.CONSOLE else LIFETIME
        lifetime = usual if row["session_ttl"] is None else timedelta(seconds=row["session_ttl"])
        token, expires_at = tokens.new_token(), now + lifetime
        who = (row["account_id"], row["user_id"])
        async with self._db.connection() as connection:
            await connection.execute(
                "insert into login_sessions (account_id, user_id, api, token_hash, expires_at, created_at)"
                " values (%s, %s, %s, %s, %s, %s)",
                (*who, api, tokens.hash_of(token), expires_at, now),
            )
            await connection.execute("delete from login_failures where subject = %s", (subject,))
            await connection.execute(
                "update users set last_login_at = %s where account_id = %s and user_id = %s", (now, *who)
            )
            if new_hash is not None:
                await connection.execute(
                    "update users set password_hash = %s where account_id = %s and user_id = %s",
                    (new_hash, *who),
                )
        return Login(token, expires_at, *who)


def _remember(addresses: dict[Hashable, float], network: str, now: float) -> None:
    addresses.pop(network, None)
    addresses[network] = now
    if len(addresses) > _REMEMBERED_MAX:
        del addresses[next(iter(addresses))]
