"""Structured logging: one JSON object a line on standard error (or readable text on a terminal)."""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any, BinaryIO

import orjson


@contextmanager
def _hidden(library: str) -> Iterator[None]:
    """An import of this library fails in the block, unless it is loaded already."""
    is_hidden = library not in sys.modules
    if is_hidden:
        sys.modules[library] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if is_hidden:
            del sys.modules[library]


# structlog loads rich where it is installed, as with the tools of developers: 50 ms of processor time of each process, for
# tracebacks that are formatted otherwise here.
with _hidden("rich"):
    import structlog

_SECRET_KEYS = frozenset(
    {"password", "secret", "token", "access_token", "api_key", "authorization", "ha1", "key"}
)

GATHER_SECONDS = 0.05
"""How long a line may wait for others, so that a stream of them costs few writes; an error goes out at once, with all
that came before it. A killed process loses at most the lines of this period."""


class _Gathered:
    """Where JSON lines go: out together a moment later while an event loop runs, else at once. Also for threads."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lines: list[bytes] = []
        self._lock = threading.Lock()
        self._due = False
        atexit.register(self.flush)

    def write(self, line: bytes) -> None:
        with self._lock:
            self._lines += (line, b"\n")
        if self._due:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        self._due = True
        loop.call_later(GATHER_SECONDS, self.flush)

    def flush(self) -> None:
        with self._lock:
            self._due = False
            lines, self._lines = self._lines, []
            if lines:
                self._stream.write(b"".join(lines))
                self._stream.flush()


class _JsonLogger:
    """The logger that receives the finished lines from structlog."""

    def __init__(self, out: _Gathered) -> None:
        self.debug = self.info = self.warning = out.write
        self._out = out

    def error(self, line: bytes) -> None:
        self._out.write(line)
        self._out.flush()

    critical = error


class FastLogger:
    """Writes lines at level info like a logger's, at a fifth of its cost: for the log lines of each step of a call.

    Made by :func:`get_fast_logger`. Masks nothing: only for fields that hold no secret.
    """

    out: _Gathered | None = None
    """None: as the loggers do."""
    role = ""

    def __init__(self, package: str) -> None:
        self._package = package
        self._logger = get_logger(package)

    def info(self, event: str, **fields: Any) -> None:
        if FastLogger.out is None:
            self._logger.info(event, **fields)
            return
        line = {
            "package": self._package,
            **fields,
            "event": event,
            "role": FastLogger.role,
            "level": "info",
            "timestamp": datetime.now(UTC),
        }
        FastLogger.out.write(
            orjson.dumps(line, default=repr, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)
        )


def _mask(_logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for key in event:
        if key.lower() in _SECRET_KEYS and event[key] is not None:
            event[key] = "***"
    return event


def _line(_logger: Any, _name: str, event: structlog.typing.EventDict) -> bytes:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS)


def configure(role: str, *, json: bool = True, level: str = "info") -> None:
    """Set up logging of a process. ``role`` (switch, web, worker, ...) is on every line; secrets are masked."""
    number = getattr(logging, level.upper())
    renderer: Any = _line if json else structlog.dev.ConsoleRenderer()
    out = _Gathered(sys.stderr.buffer) if json else None
    factory: Any = (
        (lambda *_: _JsonLogger(out)) if out is not None else structlog.PrintLoggerFactory(sys.stderr)
    )
    FastLogger.role = role
    FastLogger.out = out if number <= logging.INFO else None
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _mask,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role)
    # Without a handler, libraries write bare text and tracebacks, which are no lines of a log in JSON.
    root = logging.getLogger()
    root.handlers = [one for one in root.handlers if not isinstance(one, _LibraryHandler)]
    root.addHandler(_LibraryHandler(logging.WARNING))


class _LibraryHandler(logging.Handler):
    """Writes what libraries log by the standard module as lines of this process's log."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            get_logger(record.name).log(
                record.levelno,
                "library_message",
                message=record.getMessage(),
                exc_info=record.exc_info or None,
            )
        except Exception:
            self.handleError(record)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger bound to the package's name; one that is made before :func:`configure` has its settings from then on."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(package=name)
    return logger if not structlog.is_configured() else logger.bind()


def bound(**fields: Any) -> AbstractContextManager[None]:
    """A context in which each log line of the task, and of the tasks that it starts, has these fields."""
    return structlog.contextvars.bound_contextvars(**fields)


def bind(**fields: Any) -> None:
    """Set fields of the surrounding :func:`bound`, whose end resets them."""
    structlog.contextvars.bind_contextvars(**fields)


def get_fast_logger(name: str) -> FastLogger:
    """See :class:`FastLogger`; ``name`` as for :func:`get_logger`."""
    return FastLogger(name)
