"""Structured logging: one JSON object a line on standard error (or readable text on a terminal)."""

from __future__ import annotations

import logging
import sys
from typing import Any

import orjson
import structlog

_SECRET_KEYS = frozenset(
    {"password", "secret", "token", "access_token", "api_key", "authorization", "ha1", "key"}
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
    renderer: Any = _line if json else structlog.dev.ConsoleRenderer()
    factory: Any = (
        structlog.BytesLoggerFactory(sys.stderr.buffer) if json else structlog.PrintLoggerFactory(sys.stderr)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _mask,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger bound to the room's name."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger().bind(room=name)
    return logger
