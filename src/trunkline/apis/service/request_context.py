"""What a handler gets (:class:`RequestContext`) and gives back (:class:`Result`), and the services it may use.

The services are protocols: the accounts service and the client of the switches implement them, tests have
fakes that keep everything in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

from trunkline.apis.service.workloads import Workload, limits_of
from trunkline.core.concurrency_limit import ConcurrencyLimit
from trunkline.core.settings import Settings

if TYPE_CHECKING:
    from trunkline.db.pool import Database


class Api(StrEnum):
    """The APIs of JSON-RPC; the value is the name in the database and in ``trunkline contract``."""

    CALL = "call_api"
    DATA = "data_api"


class CallerLike(Protocol):
    """The caller, as returned by the accounts service (``trunkline.accounts.Caller``)."""

    @property
    def account_id(self) -> int: ...
    @property
    def user_id(self) -> int: ...
    @property
    def login(self) -> str: ...
    @property
    def employee_id(self) -> int | None: ...
    @property
    def time_zone(self) -> ZoneInfo: ...
    @property
    def locale(self) -> str: ...
    @property
    def components(self) -> frozenset[str]: ...
    @property
    def call_api_enabled(self) -> bool: ...
    @property
    def data_api_enabled(self) -> bool: ...
    @property
    def is_agent(self) -> bool: ...
    @property
    def call_center_enabled(self) -> bool: ...
    @property
    def geo_limit(self) -> frozenset[str]: ...
    @property
    def cors_origins(self) -> tuple[str, ...]: ...

    def may(self, resource: str, action: str) -> bool: ...


class LoginLike(Protocol):
    """A session that was opened (``trunkline.accounts.Login``)."""

    @property
    def access_token(self) -> str: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def account_id(self) -> int: ...


class PointsLike(Protocol):
    """Points of an account: limits and what is left; resets in seconds, ``at`` Unix seconds."""

    @property
    def day_limit(self) -> int: ...
    @property
    def day_remaining(self) -> int: ...
    @property
    def day_reset(self) -> int: ...
    @property
    def minute_limit(self) -> int: ...
    @property
    def minute_remaining(self) -> int: ...
    @property
    def minute_reset(self) -> int: ...
    @property
    def at(self) -> float: ...


class AdmissionLike(Protocol):
    """The caller and the points taken, None when none were (``trunkline.accounts.rate_limit.AdmittedCaller``)."""

    @property
    def caller(self) -> CallerLike: ...
    @property
    def points(self) -> PointsLike | None: ...


class AccountsPort(Protocol):
    """The part of the accounts service that the APIs use; errors are those of
    :mod:`trunkline.core.errors`."""

    async def authenticate(self, token: str, api: str) -> CallerLike: ...
    async def admit(self, token: str, api: str, method: str, weight: int, ip: str) -> AdmissionLike: ...
    async def login(
        self, login: str, password: str, api: str, address: str | None = None, *, code: str = ""
    ) -> LoginLike: ...
    async def logout(self, token: str) -> None: ...
    def check_address(self, caller: Any, ip: str) -> None: ...
    async def reserve_points(self, account_id: int, api: str, weight: int) -> PointsLike: ...
    async def refund_points(
        self, account_id: int, api: str, weight: int, taken_at: float | None = None
    ) -> PointsLike: ...
    async def points(self, account_id: int, api: str) -> PointsLike: ...
    def weight(self, caller: Any, method: str) -> int | None: ...
    async def tts_message_max_length(self, account_id: int, api: str) -> int: ...
    async def acting_for(self, caller: Any, user_id: int) -> CallerLike: ...


class SwitchPort(Protocol):
    """The way to the switches (``trunkline.calls.switch.rpc_client.SwitchClient``)."""

    async def command(
        self, account_id: int, name: str, params: dict[str, Any], *, request_id: str = ""
    ) -> dict[str, Any]: ...

    async def status(self) -> dict[str, Any]:
        """Of this node's switch and its engine, for all accounts: see ``trunkline status --json``."""
        ...

    async def command_json(
        self, account_id: int, name: str, params: dict[str, Any], *, request_id: str
    ) -> bytes:
        """As ``command``; the result as JSON, for answers that are large and passed on as they are."""
        ...


class VoicePort(Protocol):
    """Synthesizes texts for callers (``trunkline.directory.media.spoken.SpokenTexts``)."""

    async def file_of(self, text: str, language: str, *, account_id: int) -> str:
        """The sound file of a text: an absolute path without its extension.

        :param account_id: the requesting account; accounts are served in turn.
        :raises InvalidInput: it cannot be synthesized.
        :raises LimitExceeded: the account has too many texts waiting.
        :raises Unavailable: the synthesiser does not answer.
        """
        ...


class CipherPort(Protocol):
    """Keeps secrets that must be read again (``trunkline.accounts.secrets.Cipher``)."""

    def encrypt(self, plain: str, /) -> bytes: ...

    def decrypt(self, token: bytes, /) -> str: ...


@dataclass(frozen=True)
class Services:
    """What handlers work with. ``database``, ``voice`` and ``cipher`` are None only in tests without them.

    :ivar report_database: connections that only reports use; None: they use the shared ones.
    :ivar upload_database: connections that only uploads use; None: they use the shared ones.
    """

    accounts: AccountsPort
    switch: SwitchPort
    settings: Settings
    database: Database | None = None
    voice: VoicePort | None = None
    cipher: CipherPort | None = None
    report_database: Database | None = None
    upload_database: Database | None = None

    @cached_property
    def limits(self) -> Mapping[Workload, ConcurrencyLimit]:
        """How many requests of each class an account may have under way."""
        return limits_of(self.settings.web)

    @cached_property
    def _by_workload(self) -> Mapping[Workload, Services]:
        own = {Workload.REPORT: self.report_database, Workload.UPLOAD: self.upload_database}
        return {
            workload: self if database is None else replace(self, database=database)
            for workload in Workload
            for database in (own.get(workload),)
        }

    def for_account(self, account_id: int, *, with_clients: bool = False) -> Services:
        """These services with the database restricted to the rows of an account; see :meth:`Database.for_account`."""
        if self.database is None:
            return self
        return replace(self, database=self.database.for_account(account_id, with_clients=with_clients))

    def serving(self, workload: Workload) -> Services:
        """These services on the connections of that class of requests."""
        return self._by_workload[workload]

    @property
    def secrets(self) -> CipherPort:
        """Encrypts and decrypts secrets; handlers that store passwords of carriers use this."""
        if self.cipher is None:
            raise RuntimeError("these services were composed without a cipher")
        return self.cipher

    @property
    def speaker(self) -> VoicePort:
        """The voice; handlers that play messages use this."""
        if self.voice is None:
            raise RuntimeError("these services were composed without a voice")
        return self.voice

    @property
    def db(self) -> Database:
        """The database; handlers of reading methods use this."""
        if self.database is None:
            raise RuntimeError("these services were composed without a database")
        return self.database


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a method without ``access_token`` was called by. ``token`` is revoked when the request fails
    later."""

    caller: CallerLike
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class RequestContext:
    """A request that was checked, and what its handler needs.

    :param method: its name.
    :param request_id: the id that the client gave it.
    :param api_request_id: its number in the request log.
    :param caller: whose rights and data it works with (for an agent acting for a client: the client's user).
    :param client_ip: the address it came from.
    :param token: the access token it came with (only ``logout.user`` needs it).
    :param idempotency_key: of the request's header, for methods that take one.
    :param identity: what the log-in of the method found, for methods that have it.
    :param country: of its address, ISO 3166 alpha-2; empty: not known.
    """

    api: str
    method: str
    request_id: str | int | float
    api_request_id: int
    caller: CallerLike
    client_ip: str
    token: str
    services: Services
    identity: Identity | None = None
    idempotency_key: str | None = None
    country: str = ""

    @property
    def account_id(self) -> int:
        return self.caller.account_id


@dataclass(frozen=True, slots=True)
class Result:
    """What a handler answers.

    :param data: a dict (object envelopes), a list of dicts (array envelopes), or ``Chunks`` with that JSON
        already made (large reports); None for an empty object.
    :param total_items: rows that match in all; only get methods.
    :param metadata: further members of ``result.metadata``.
    """

    data: Any = None
    total_items: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
