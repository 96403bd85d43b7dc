"""Accounts for the APIs: callers, their addresses, remaining points. Administration is separate
(:mod:`trunkline.accounts.administration`)."""

from __future__ import annotations

import time
from collections.abc import Callable

from trunkline.accounts import access, networks
from trunkline.accounts.metering import Metering
from trunkline.accounts.model import Caller, Login, Points
from trunkline.accounts.rate_limit import AdmittedCaller, admit
from trunkline.accounts.second_factor import CipherLike, SecondFactors
from trunkline.accounts.sessions import Sessions
from trunkline.core.clock import to_datetime
from trunkline.core.errors import PermissionDenied
from trunkline.db.pool import Database


class Accounts:
    """Nothing is cached between calls, so changes are in force at once in all processes.

    All methods raise :class:`~trunkline.core.errors.DatabaseUnavailable` while the server is unavailable. ``api`` is
    one of :class:`~trunkline.accounts.model.Api`.

    :param clock: Unix seconds; injectable for tests.
    :param cipher: of the secrets of second factors; None: users who have one cannot log in by password.
    """

    def __init__(
        self, db: Database, clock: Callable[[], float] = time.time, cipher: CipherLike | None = None
    ) -> None:
        self._db = db
        self._clock = clock
        self._sessions = Sessions(db, None if cipher is None else SecondFactors(db, cipher))
        self._metering = Metering(db)

    async def authenticate(self, token: str, api: str) -> Caller:
        """Who holds a token (a key, or a session of this API). Whether the user may use the API at all is for
        the endpoint to report after it has checked the address.

        :raises AuthenticationFailed: ``access_token_invalid``, ``access_token_expired``,
            ``access_token_blocked``.
        :raises PermissionDenied: ``account_inactive``.
        """
        return await access.find_caller(self._db, token, api, to_datetime(self._clock()))

    async def admit(self, token: str, api: str, method: str, weight: int, ip: str) -> AdmittedCaller:
        """As :meth:`authenticate`, and takes the points of a request if the account's data permit it, by one
        question. The address must still be checked; points of a request that is refused must be given back; where
        none were taken, :meth:`reserve_points` is to be asked.

        :param weight: of the method, unless the account has another weight for it.
        """
        return await admit(self._db, token, api, method, weight, ip, self._clock())

    async def acting_for(self, caller: Caller, user_id: int) -> Caller:
        """The client's user in whose name an agent asks. The client's allow-list must then hold the agent's
        address: check it with the returned caller's account.

        :raises PermissionDenied: ``forbidden`` (field ``user_id``), ``account_inactive``.
        """
        return await access.find_client_user(self._db, caller, user_id)

    async def login(
        self, login: str, password: str, api: str, address: str | None = None, *, code: str = ""
    ) -> Login:
        """Open a session.

        :param address: of the client, if known: failures are counted by login and address, so that guessing
            from elsewhere does not keep the honest user out.
        :param code: of the user's app, for the console; a user without a second factor needs none.
        :raises AuthenticationFailed: ``auth_error``: wrong login or password, or too many failures before.
        :raises PermissionDenied: ``account_inactive``.
        """
        return await self._sessions.open(login, password, api, address, self._clock(), code)

    async def logout(self, token: str) -> None:
        """End a session. Keys are not ended by this."""
        await self._sessions.close(token)

    def check_address(self, caller: Caller, ip: str) -> None:
        """Whether an address may use the caller's API of its account; nothing may by default.

        :raises PermissionDenied: ``ip_not_whitelisted`` with params ``ip``.
        """
        address = networks.parse_address(ip)
        if address is None or not networks.admits(caller.networks, address):
            shown = str(address) if address is not None else ip
            raise PermissionDenied(
                f"{shown} is not on the allow-list; see `trunkline allow add`",
                mnemonic="ip_not_whitelisted",
                params={"ip": shown},
            )

    async def reserve_points(self, account_id: int, api: str, weight: int) -> Points:
        """Take a method's weight from the day's and the minute's points, from both or from none.

        :raises LimitExceeded: ``limit_exceeded`` with params ``limit_type`` (``day``, ``minute``) and
            ``limit_max_value``.
        """
        return await self._metering.take(account_id, api, weight, self._clock())

    async def refund_points(
        self, account_id: int, api: str, weight: int, taken_at: float | None = None
    ) -> Points:
        """Give points back after a request that failed.

        :param taken_at: :attr:`Points.at` of the reservation; points of a minute that is over are not given
            to the next. Default: now.
        """
        now = self._clock()
        return await self._metering.give_back(
            account_id, api, weight, now if taken_at is None else taken_at, now
        )

    async def points(self, account_id: int, api: str) -> Points:
        """Limits and what is left of them."""
        return await self._metering.read(account_id, api, self._clock())

    def weight(self, caller: Caller, method: str) -> int | None:
        """The account's own weight of a method in points; None = the method's usual one."""
        return caller.weights.get(method)

    async def tts_message_max_length(self, account_id: int, api: str) -> int:
        """Maximum characters of one text message of this API; 0 for an account without limits."""
        row = await self._db.fetch_one(
            "select tts_message_max_length from account_limits where account_id = %s and api = %s",
            (account_id, api),
        )
        return int(row["tts_message_max_length"]) if row is not None else 0

    async def prune(self) -> None:
        """Delete sessions that ended a day ago and old failures; the worker does so about once an hour."""
        await self._sessions.prune(self._clock())
