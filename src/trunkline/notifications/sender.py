"""One HTTP request to a receiver: signed, bounded in time and size, following no redirect."""

from __future__ import annotations

import binascii
import contextlib
import hashlib
import hmac
import ssl
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from trunkline import __version__
from trunkline.core.settings import NotificationSettings
from trunkline.core.storable_text import storable
from trunkline.outbound import Allowed, guarded_session

SIGNATURE_HEADER = "Trunkline-Signature"
"""``t=<Unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>" with the subscription's secret>``; a further ``v1`` of the secret
before, while that is in use."""

STANDARD_PREFIX = "whsec_"
"""Begins a secret of Standard Webhooks, which is base64; any other secret is taken as it is."""

RETRY_AFTER_MAX = 86_400.0
"""Seconds of a ``Retry-After`` that are honoured."""

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
    secrets: tuple[str, ...] = ()
    """Each signs the request, the present one first; none: it is not signed."""
    message_id: str = ""
    """The same for each attempt."""


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """The result of one attempt."""

    status_code: int | None
    error: str | None
    """None when delivered."""
    response_excerpt: str | None
    duration_ms: int
    endpoint_failed: bool
    """The endpoint itself failed (no connection, no response in time, not found, forbidden, 5xx, ...): it
    would treat any other delivery alike."""
    retry_after: float = 0.0
    """Seconds for which the endpoint asks for no further request."""
    is_gone: bool = False
    """It answered 410: it will never accept anything again."""

    @property
    def delivered(self) -> bool:
        return self.error is None


def sign(secrets: Sequence[str], body: str, timestamp: int) -> str:
    """Value of the signature header."""
    signed = f"{timestamp}.{body}".encode()
    digests = (hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets)
    return f"t={timestamp}" + "".join(f",v1={digest}" for digest in digests)


def sign_standard(secrets: Sequence[str], message_id: str, body: str, timestamp: int) -> str:
    """Value of ``webhook-signature`` of Standard Webhooks."""
    signed = f"{message_id}.{timestamp}.{body}".encode()
    digests = (hmac.digest(standard_key(secret), signed, "sha256") for secret in secrets)
    return " ".join(f"v1,{b64encode(digest).decode()}" for digest in digests)


def standard_key(secret: str) -> bytes:
    """The key of a secret by Standard Webhooks."""
    if secret.startswith(STANDARD_PREFIX):
        with contextlib.suppress(binascii.Error):
            return b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
    return secret.encode()


def retry_after(value: str | None, now: float) -> float:
    """Seconds of a ``Retry-After``, which are a number or a date; 0 for any other text.

    :param now: Unix seconds.
    """
    if value is None:
        return 0.0
    text = value.strip()
    if text.isascii() and text.isdecimal():
        seconds = float(text[:9])
    else:
        try:
            moment = parsedate_to_datetime(text)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), RETRY_AFTER_MAX)


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

    async def send(self, request: Request) -> SendOutcome:
        """One attempt. Never raises but for cancellation."""
        started = time.monotonic()
        status: int | None = None
        wait = 0.0
        excerpt: str | None = None
        error: str | None = None
        try:
            status, excerpt, later = await self._exchange(request)
            wait = retry_after(later, time.time())
            error = None if 200 <= status < 300 else _refusal(status)
        except TimeoutError:
            error = f"No answer within {self._total_timeout:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            error = _describe(problem)
        return SendOutcome(
            status,
            error,
            excerpt,
            round((time.monotonic() - started) * 1000),
            endpoint_failed=error is not None and status not in _ABOUT_CONTENT,
            retry_after=wait if error is not None else 0.0,
            is_gone=status == 410,
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _exchange(self, request: Request) -> tuple[int, str, str | None]:
        """Status, beginning of the body, and ``Retry-After`` of the response."""
        url = URL(request.url, encoded=True)
        self._allowed.check_url(url)
        kwargs: dict[str, Any] = {}
        if request.method != "GET":
            kwargs["data"] = request.body.encode()
        async with self._open().request(
            request.method, url, headers=_headers(request), allow_redirects=False, **kwargs
        ) as response:
            raw = await _read_some(response)
            if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
                raw = b""  # the request asks for no compression
            text = storable(raw.decode("utf-8", "replace"))[:_EXCERPT]
            return response.status, text, response.headers.get("Retry-After")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = guarded_session(
                self._allowed,
                trust=self._trust(),
                timeout=aiohttp.ClientTimeout(
                    total=self._total_timeout, sock_connect=self._settings.connect_timeout
                ),
                auto_decompress=False,
                read_bufsize=_READ_LIMIT,
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
    headers = {name: value for name, value in headers.items() if name.lower() != "accept-encoding"}
    headers["Accept-Encoding"] = "identity"
    if request.method != "GET":
        headers.setdefault("Content-Type", request.content_type)
    if request.message_id:
        now, body = int(time.time()), "" if request.method == "GET" else request.body
        headers |= {"webhook-id": request.message_id, "webhook-timestamp": str(now)}
        if request.secrets:
            headers[SIGNATURE_HEADER] = sign(request.secrets, body, now)
            headers["webhook-signature"] = sign_standard(request.secrets, request.message_id, body, now)
    return headers


def _describe(problem: Exception) -> str:
    """The reason, not the client library's wrapping of it."""
    inner = problem.os_error if isinstance(problem, aiohttp.ClientConnectorError) else problem
    return f"{type(inner).__name__}: {inner}"[:300]


def _refusal(status: int) -> str:
    if 300 <= status < 400:
        return f"HTTP {status}: redirects are not followed; give the subscription the final address"
    return f"HTTP {status}"
