"""In-memory fakes of the services of the JSON-RPC APIs: accounts that keep their rules, a switch that notes
commands."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from trunkline.accounts.components import DEFAULT
from trunkline.accounts.model import Caller, CallerKind, Login, Points
from trunkline.accounts.permissions import Role
from trunkline.accounts.rate_limit import AdmittedCaller
from trunkline.apis.catalogue import SERVICE_SPECS
from trunkline.apis.jsonrpc import Api, Method, Services
from trunkline.apis.jsonrpc.dispatcher import Dispatcher
from trunkline.apis.jsonrpc.service_spec import ServiceSpec
from trunkline.apis.service.request_log import MemoryRequestLog
from trunkline.calls.command_names import CHECK
from trunkline.core.errors import (
    AuthenticationFailed,
    LimitExceeded,
    PermissionDenied,
    Refused,
    TrunklineError,
)
from trunkline.core.settings import Settings
from trunkline.db.pool import Database

ADDRESS = "127.0.0.1"
SETTINGS = Settings(data_dir=Path("/nonexistent"))
TOKEN = "good-token"
LOGIN = "dispatcher"
PASSWORD = "correct horse"

CALLER = Caller(
    account_id=1001,
    user_id=2001,
    login=LOGIN,
    employee_id=None,
    time_zone=ZoneInfo("Asia/Dubai"),
    locale="en",
    kind=CallerKind.KEY,
    role=Role.OWNER,
    permissions=frozenset(),
    components=DEFAULT,
    call_api_enabled=True,
    data_api_enabled=True,
    is_agent=False,
)


@dataclass
class MemoryAccounts:
    """One account (and an agent's client) with the rules of the real service, without its database."""

    callers: dict[str, Caller | TrunklineError] = field(default_factory=lambda: {TOKEN: CALLER})
    networks: dict[int, list[str]] = field(default_factory=lambda: {1001: ["127.0.0.0/8"]})
    clients: dict[int, Caller] = field(default_factory=dict)
    minute_limit: int = 100
    used: int = 0
    weights: dict[str, int] = field(default_factory=dict)
    tts_limit: int = 500
    sessions: set[str] = field(default_factory=set)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def authenticate(self, token: str, api: str) -> Caller:
        found = self.callers.get(token)
        if found is None:
            raise AuthenticationFailed("no such token", mnemonic="access_token_invalid")
        if isinstance(found, TrunklineError):
            raise found
        return found

    async def admit(self, token: str, api: str, method: str, weight: int, ip: str) -> AdmittedCaller:
        """Takes points of requests that a later stage may refuse, as the real service does."""
        caller = await self.authenticate(token, api)
        try:
            self.check_address(caller, ip)
            return AdmittedCaller(
                caller, await self.reserve_points(caller.account_id, api, self.weights.get(method, weight))
            )
        except TrunklineError:
            return AdmittedCaller(caller, None)

    async def login(
        self, login: str, password: str, api: str, address: str | None = None, *, code: str = ""
    ) -> Login:
        if (login, password) != (LOGIN, PASSWORD):
            raise AuthenticationFailed("login or password is wrong")
        token = f"session-{next(self._numbers)}"
        self.callers[token] = self.callers[TOKEN]
        self.sessions.add(token)
        caller = self.callers[TOKEN]
        assert isinstance(caller, Caller)
        return Login(token, datetime.now(UTC) + timedelta(hours=1), caller.account_id, caller.user_id)

    async def logout(self, token: str) -> None:
        self.callers.pop(token, None)
        self.sessions.discard(token)

    def check_address(self, caller: Caller, ip: str) -> None:
        allowed = [ip_network(text) for text in self.networks.get(caller.account_id, [])]
        address = ip_address(ip)
        if not any(address.version == n.version and address in n for n in allowed):
            raise PermissionDenied("not allowed", mnemonic="ip_not_whitelisted", params={"ip": ip})

    async def reserve_points(self, account_id: int, api: str, weight: int) -> Points:
        if self.used + weight > self.minute_limit:
            raise LimitExceeded(
                "too many requests",
                params={"limit_type": "minute", "limit_max_value": self.minute_limit},
            )
        self.used += weight
        await asyncio.sleep(0)
        return self._points()

    async def refund_points(
        self, account_id: int, api: str, weight: int, taken_at: float | None = None
    ) -> Points:
        await asyncio.sleep(0)
        self.used -= weight
        return self._points()

    async def points(self, account_id: int, api: str) -> Points:
        return self._points()

    def weight(self, caller: Caller, method: str) -> int | None:
        return self.weights.get(method)

    async def tts_message_max_length(self, account_id: int, api: str) -> int:
        return self.tts_limit

    async def acting_for(self, caller: Caller, user_id: int) -> Caller:
        if user_id not in self.clients:
            raise PermissionDenied("not a user of your clients", field="user_id", value=user_id)
        return self.clients[user_id]

    def _points(self) -> Points:
        return Points(
            10_000, 10_000 - self.used, 3600, self.minute_limit, self.minute_limit - self.used, 30, 0.0
        )

    def allow(self, **changes: Any) -> None:
        """Change what the usual token stands for."""
        caller = self.callers[TOKEN]
        assert isinstance(caller, Caller)
        self.callers[TOKEN] = replace(caller, **changes)

    def refuse(self, error: Refused) -> None:
        """Make the usual token fail."""
        self.callers[TOKEN] = error


@dataclass
class NotedSwitch:
    """Notes commands and gives prepared answers; an exception among them is raised."""

    answers: dict[str, Any] = field(default_factory=dict)
    commands: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    checks: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    """Questions whether a command would be refused; the answer to it is in ``answers``, too."""

    async def command(
        self, account_id: int, name: str, params: dict[str, Any], *, request_id: str = ""
    ) -> dict[str, Any]:
        (self.checks if name == CHECK else self.commands).append((account_id, name, params))
        answer = self.answers.get(name, {})
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    async def status(self) -> dict[str, Any]:
        answer = self.answers.get("status", {})
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    async def command_json(
        self, account_id: int, name: str, params: dict[str, Any], *, request_id: str = ""
    ) -> bytes:
        self.commands.append((account_id, name, params))
        answer = self.answers.get(name, [])
        if isinstance(answer, Exception):
            raise answer
        return orjson.dumps(answer)


@dataclass
class NotedVoice:
    """Notes what it is asked to say; an exception prepared is raised."""

    said: list[tuple[str, str]] = field(default_factory=list)
    fails: Exception | None = None

    async def file_of(self, text: str, language: str, *, account_id: int = 0) -> str:
        self.said.append((text, language))
        if self.fails is not None:
            raise self.fails
        return f"/media/{text.encode().hex()[:16]}"


@dataclass
class ApisOnFakes:
    """All APIs on fake services."""

    accounts: MemoryAccounts = field(default_factory=MemoryAccounts)
    switch: NotedSwitch = field(default_factory=NotedSwitch)
    request_log: MemoryRequestLog = field(default_factory=MemoryRequestLog)
    voice: NotedVoice = field(default_factory=NotedVoice)
    database: Database | None = None
    extra: Sequence[Method] = ()

    @property
    def services(self) -> Services:
        return Services(self.accounts, self.switch, SETTINGS, self.database, self.voice)

    def dispatcher(self, api: Api) -> Dispatcher:
        service_spec = next(s for s in SERVICE_SPECS if s.api is api)
        extra = [method for method in self.extra if method.api is api]
        if extra:
            service_spec = ServiceSpec(
                api, service_spec.version, service_spec.title, (*service_spec.methods, *extra)
            )
        return Dispatcher(service_spec, self.services, self.request_log)

    async def send(
        self, api: Api, body: bytes | Any, ip: str = ADDRESS, *, key: str | None = None
    ) -> dict[str, Any]:
        """The answer to a raw body, or to a message."""
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        answer: dict[str, Any] = orjson.loads(await self.dispatcher(api).answer(raw, ip, idempotency_key=key))
        return answer

    async def ask(
        self,
        api: Api,
        method: str,
        params: Any = None,
        *,
        token: str | None = TOKEN,
        key: str | None = None,
    ) -> dict[str, Any]:
        """The answer to a method; ``token=None`` sends none; ``key`` is the idempotency header."""
        sent = dict(params or {})
        if token is not None:
            sent["access_token"] = token
        message = {"jsonrpc": "2.0", "id": "req1", "method": method, "params": sent}
        return await self.send(api, message, key=key)


def fault(answer: dict[str, Any]) -> tuple[int, str, str]:
    """Code, mnemonic and text of the error in an answer."""
    error = answer["error"]
    return error["code"], error["data"]["mnemonic"], error["message"]


def mnemonic(answer: dict[str, Any]) -> str:
    """The mnemonic of the error; ``ok`` for a success."""
    return str(answer["error"]["data"]["mnemonic"]) if "error" in answer else "ok"
