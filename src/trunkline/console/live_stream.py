"""Server-sent events of an open page: its live part, each time it has changed.

A stream ends after a while, so that the session and its permissions are checked again. Pages with the same values share
their text: 300 wall-boards cost one filled template.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from trunkline.console.languages import translatable
from trunkline.console.live_source import LiveSource
from trunkline.console.page_request import PageRequest
from trunkline.core.errors import LimitExceeded

STREAM_SECONDS = 30.0
"""After which a stream ends, about: the page connects again, and its session and permissions are checked."""

STREAMS_MAX = 1000
"""Open streams of one account in one process."""

RETRY_MS = 2000
"""Milliseconds after which a page connects again when the connection was lost."""

AGAIN_MS = 100
"""The same after an end that was planned."""

IDLE_SECONDS = 10.0
"""After which a stream without changes sends an empty line, so that a lost connection is noticed."""

_CACHED = 1000

_ = translatable

Values = Mapping[str, Any]

_streams: Counter[int] = Counter()
_rendered: OrderedDict[tuple[Any, ...], tuple[Values, str]] = OrderedDict()


async def send_changes(
    page_request: PageRequest,
    template: str,
    sources: Sequence[LiveSource[Any]],
    values: Callable[[], Awaitable[Values]],
    *,
    key: tuple[Any, ...] = (),
    idle: float = IDLE_SECONDS,
) -> web.StreamResponse:
    """The response: events ``part`` with the filled template, the first one at once.

    :param sources: whose changes are waited for.
    :param values: of the template; equal ones are sent once.
    :param idle: seconds after which the values are looked at without a change of the sources.
    :param key: of pages that share their text when their values are equal; empty: none.
    :raises LimitExceeded: the account has too many open pages.
    """
    account_id = page_request.account_id

    def fill(found: Values) -> str:
        if not key:
            return page_request.part(template, is_stream=True, **found)
        full = (template, account_id, page_request.language.code, page_request.zone.key, *key)
        return shared(full, found, lambda: page_request.part(template, is_stream=True, **found))

    return await stream(
        page_request.request, account_id, page_request.renderer.headers, page_request.services.switch, sources, values, fill,
        page_request.renderer.version, idle,
    )  # fmt: skip


def shared(key: tuple[Any, ...], values: Values, fill: Callable[[], str]) -> str:
    """The text of these values, filled once."""
    found = _rendered.get(key)
    if found is None or found[0] != values:
        found = _rendered[key] = (values, fill())
        while len(_rendered) > _CACHED:
            _rendered.popitem(last=False)
    _rendered.move_to_end(key)
    return found[1]


async def stream(
    request: web.Request,
    account_id: int,
    headers: Mapping[str, str],
    switch: Any,
    sources: Sequence[LiveSource[Any]],
    values: Callable[[], Awaitable[Values]],
    fill: Callable[[Values], str],
    version: str,
    idle: float = IDLE_SECONDS,
) -> web.StreamResponse:
    """As :func:`send_changes`, for pages with or without somebody who is signed in."""
    if _streams[account_id] >= STREAMS_MAX:
        raise LimitExceeded(_("Too many pages are open."))
    response = web.StreamResponse(
        headers={**headers, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    _streams[account_id] += 1
    try:
        with contextlib.ExitStack() as watched:
            for source in sources:
                watched.enter_context(source.watching(account_id, switch))
            await response.prepare(request)
            await response.write(f"retry: {RETRY_MS}\nevent: page\ndata: {version}\n\n".encode())
            sent: Values | None = None
            end = time.monotonic() + STREAM_SECONDS * random.uniform(0.8, 1.2)
            while (left := end - time.monotonic()) > 0:
                changes = [source.change(account_id) for source in sources]
                found = await values()
                if found != sent:
                    sent = found
                    await response.write(event("part", fill(found)))
                done, _open = await asyncio.wait(
                    changes, timeout=min(left, idle), return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    await response.write(b":\n\n")
            await response.write(f"retry: {AGAIN_MS}\n\n".encode())
            await response.write_eof()
    except ConnectionError:
        pass  # the page was closed
    finally:
        _streams[account_id] -= 1
    return response


def event(name: str, text: str) -> bytes:
    """A server-sent event."""
    lines = "".join(f"data: {line}\n" for line in text.splitlines())
    return f"event: {name}\n{lines}\n".encode()
