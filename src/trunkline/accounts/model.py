"""Public types of ``accounts``: callers, opened sessions, points, created accounts and keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from zoneinfo import ZoneInfo

from trunkline.accounts.permissions import Role, role_permits


class Api(StrEnum):
    """The APIs that have their own allow-list; all except the console also have points."""

    CALL_API = "call_api"
    DATA_API = "data_api"
    CALL_CENTER = "call_center"
    CONSOLE = "console"


METERED = (Api.CALL_API, Api.DATA_API, Api.CALL_CENTER)
"""The APIs that cost points."""


class Status(StrEnum):
    """Of an account or a user."""

    ACTIVE = "active"
    DISABLED = "disabled"


class CallerKind(StrEnum):
    """How a caller was authenticated."""

    KEY = "key"
    SESSION = "session"


class Action(StrEnum):
    """What a permission lets one do with a resource."""

    SELECT = "select"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of an API: a user of an account, by a key or a session.

    :ivar permissions: ``"resource:action"`` granted to this user in addition to those of the role (:mod:`.permissions`).
    :ivar components: what the account has switched on (wire names, see :mod:`.components`).
    :ivar is_agent: the account is a partner's, which may act for the users of its clients.
    :ivar geo_limit: countries (ISO 3166 alpha-2) that the user may come from; empty: all.
    :ivar cors_origins: origins of web pages that may read answers of the Call Center API; ``*`` = all.
    :ivar api: the API that is used (:class:`Api`); ``networks`` may use it, and ``weights`` are the account's own
        weights of its methods. One query returns all data of the account that a request needs.
    """

    account_id: int
    user_id: int
    login: str
    employee_id: int | None
    time_zone: ZoneInfo
    locale: str
    kind: CallerKind
    role: Role
    permissions: frozenset[str]
    components: frozenset[str]
    call_api_enabled: bool
    data_api_enabled: bool
    is_agent: bool
    call_center_enabled: bool = False
    geo_limit: frozenset[str] = frozenset()
    cors_origins: tuple[str, ...] = ()
    api: str = ""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    weights: Mapping[str, int] = field(default_factory=dict)

    def may(self, resource: str, action: str) -> bool:
        """Whether the user has the permission ``[resource: action]``."""
        return role_permits(self.role, resource, action) or f"{resource}:{action}" in self.permissions


@dataclass(frozen=True, slots=True)
class Login:
    """A session that was opened. Only the caller has the token: the database has its hash."""

    access_token: str = field(repr=False)
    expires_at: datetime
    account_id: int
    user_id: int


@dataclass(frozen=True, slots=True)
class Points:
    """Points of an account in one API at one moment.

    :ivar day_reset, minute_reset: whole seconds until all points are back (1 or more).
    :ivar at: the moment, Unix seconds.
    """

    day_limit: int
    day_remaining: int
    day_reset: int
    minute_limit: int
    minute_remaining: int
    minute_reset: int
    at: float


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; the only time that its token is seen."""

    key_id: int
    name: str
    token: str = field(repr=False)
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account just made, with its owner; the only time that password and keys are seen.

    :ivar keys: token by API.
    """

    account_id: int
    user_id: int
    login: str
    password: str = field(repr=False)
    keys: Mapping[str, str] = field(repr=False)
