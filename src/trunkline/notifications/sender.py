"""One HTTP request to a receiver: signed, bounded in time and size, following no redirect."""

from __future__ import annotations

import hashlib
import hmac
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from trunkline import __version__
from trunkline.core.settings import NotificationSettings
from trunkline.outbound import Allowed, guarded_session

SIGNATURE_HEADER = "Trunkline-Signature"
"""``t=<Unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>" with the subscription's secret>``."""

_READ_LIMIT = 2048
"""Bytes read of an answer."""

_ABOUT_CONTENT = frozenset({400, 409, 413, 415, 422})
"""Answers that refuse this one delivery."""

_EXCERPT = 500
"""Characters of it kept in the log."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    url: str
    body: str
    """Sent with every method but GET."""
    content_type: str
    headers: Mapping[str, str]
    secret: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one attempt."""

    status_code: int | None
    error: str | None
    """None when delivered."""
    response_excerpt: str | None
    duration_ms: int
    endpoint_failed: bool
    """The endpoint itself failed (no connection, no response in time, not found, forbidden, 5xx, ...): it
    would treat any other delivery alike."""

    @property
    def delivered(self) -> bool:
        return self.error is None


def sign(secret: str, body: str, timestamp: int) -> str:
    """Value of the signature header."""
    digest = hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


class Sender:
    """Sends requests; keeps connections between them. Close it at the end.

    :param allowed: addresses that may be reached; default: what the settings of notifications allow.
    :param trusted_certificates: a PEM file of authorities that are trusted in addition to those of the system.
    """

    def __init__(
        self,
        settings: NotificationSettings,
        *,
        allowed: Allowed | None = None,
        total_timeout: float | None = None,
        trusted_certificates: Path | None = None,
    ) -> None:
        self._settings = settings
        self._allowed = allowed or Allowed(
            settings.allowed_private_networks, "notifications.allowed_private_networks"
        )
        self._total_timeout = settings.total_timeout if total_timeout is None else total_timeout
        self._trusted_certificates = trusted_certificates
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> Outcome:
        """One attempt. Never raises but for cancellation."""
        started = time.monotonic()
        status: int | None = None
        excerpt: str | None = None
        error: str | None = None
        try:
            status, excerpt = await self._exchange(request)
            error = None if 200 <= status < 300 else _refusal(status)
        except TimeoutError:
            error = f"No answer within {self._total_timeout:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            error = _describe(problem)
        return Outcome(
            status,
            error,
            excerpt,
            round((time.monotonic() - started) * 1000),
            endpoint_failed=error is not None and status not in _ABOUT_CONTENT,
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _exchange(self, request: Request) -> tuple[int, str]:
        url = URL(request.url, encoded=True)
        self._allowed.check_url(url)
        kwargs: dict[str, Any] = {}
        if request.method != "GET":
            kwargs["data"] = request.body.encode()
        async with self._open().request(
            request.method, url, headers=_headers(request), allow_redirects=False, **kwargs
        ) as response:
            raw = await _read_some(response)
            return response.status, raw.decode("utf-8", "replace").replace("\x00", "")[:_EXCERPT]

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = guarded_session(
                self._allowed,
                trust=self._trust(),
                timeout=aiohttp.ClientTimeout(
                    total=self._total_timeout, sock_connect=self._settings.connect_timeout
                ),
            )
        return self._session

    def _trust(self) -> ssl.SSLContext | None:
        if self._trusted_certificates is None:
            return None
        trust = ssl.create_default_context()
        trust.load_verify_locations(self._trusted_certificates)
        return trust


async def _read_some(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of an answer; a longer rest is not waited for."""
    raw = b""
    while len(raw) < _READ_LIMIT:
        chunk = await response.content.read(_READ_LIMIT - len(raw))
        if not chunk:
            return raw
        raw += chunk
    response.close()
    return raw


def _headers(request: Request) -> dict[str, str]:
    headers = {"User-Agent": f"Trunkline/{__version__}", "Accept": "*/*", **request.headers}
    if request.method != "GET":
        headers.setdefault("Content-Type", request.content_type)
    if request.secret is not None:
        body = "" if request.method == "GET" else request.body
        headers[SIGNATURE_HEADER] = sign(request.secret, body, int(time.time()))
    return headers


def _describe(problem: Exception) -> str:
    """The reason, not the client library's wrapping of it."""
    inner = problem.os_error if isinstance(problem, aiohttp.ClientConnectorError) else problem
    return f"{type(inner).__name__}: {inner}"[:300]


def _refusal(status: int) -> str:
    if 300 <= status < 400:
        return f"HTTP {status}: redirects are not followed; give the subscription the final address"
    return f"HTTP {status}"
