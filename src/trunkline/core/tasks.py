"""Two kinds of background task, and what the failure of each means.

A *core task* does the work that a process exists for (a reader of events, a writer, a relay) and never returns by itself.
When it fails, the process cannot do its work: :class:`CoreTasks` ends the process, and the supervisor starts it again.
An *item task* works on one thing (one call, one delivery). Its failure is logged and concerns that thing only.

Every background task of a role is one or the other. A task that the function which starts it also awaits needs neither.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from trunkline.core.log import get_logger

if TYPE_CHECKING:
    import structlog

EXIT_CODE = 70
"""Exit code of a process that ends because a core task failed (``EX_SOFTWARE`` of sysexits.h)."""

SHUTDOWN_SECONDS = 15.0
"""Seconds that a process has to stop in order after a core task has failed; then it ends at once."""

_current: ContextVar[CoreTasks | None] = ContextVar("core_tasks", default=None)


def _log() -> structlog.typing.FilteringBoundLogger:
    # Not at import: the entry point imports this module before it configures the log.
    return get_logger("core")


class CoreTaskFailed(Exception):  # noqa: N818 - what happened, in the past tense, as the log has it
    """A core task of this process raised an exception, or returned although it works until the process stops."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"core task {name} failed: {reason}")
        self.name = name


class CoreTasks:
    """The core tasks of one process, as an async context manager around all that the process does.

    When one of them fails, the task that entered the block is cancelled, so that everything is closed in order, and the
    block raises :class:`CoreTaskFailed`. If closing takes longer than ``SHUTDOWN_SECONDS``, ``give_up`` is called.

    :param is_stopping: True once the process was asked to stop; a core task may return from then on.
    :param give_up: ends the process without closing anything.
    """

    def __init__(
        self,
        is_stopping: Callable[[], bool] = lambda: False,
        give_up: Callable[[], object] = lambda: os._exit(EXIT_CODE),
    ) -> None:
        self._is_stopping = is_stopping
        self._give_up = give_up
        self._owner: asyncio.Task[Any] | None = None
        self._token: Token[CoreTasks | None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._failure: CoreTaskFailed | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        self._owner = asyncio.current_task()
        self._token = _current.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        if self._token is not None:
            _current.reset(self._token)
        if self._deadline is not None:
            self._deadline.cancel()
        if self._failure is not None:
            if self._owner is not None:
                self._owner.uncancel()
            raise self._failure

    def fail(self, name: str, error: BaseException | None) -> None:
        """A core task has ended: end the process, once. ``error`` None: it returned."""
        if self._closed or self._failure is not None or (error is None and self._is_stopping()):
            if error is not None:
                _log().error(
                    "core_task_failed_while_stopping",
                    task=name,
                    consequence="the process ends as it was asked to; work of this task may be done again after its start",
                    remedy="report the traceback, if the cause is not in it (PostgreSQL, a full disk)",
                    exc_info=error,
                )
            return
        reason = repr(error) if error is not None else "it returned"
        self._failure = CoreTaskFailed(name, reason)
        self._failure.__cause__ = error
        _log().error(
            "core_task_failed",
            task=name,
            reason=reason,
            consequence="this process ends now, and the supervisor starts it again",
            remedy="report the traceback, if the cause is not in it (PostgreSQL, a full disk)",
            exc_info=error,
        )
        self._deadline = asyncio.get_running_loop().call_later(SHUTDOWN_SECONDS, self._give_up)
        if self._owner is not None:
            self._owner.cancel()


def core_task(work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
    """Start a core task of the present :class:`CoreTasks`; its owner cancels it when it closes.

    Outside of :class:`CoreTasks` (in tests and commands) a failure is only logged.
    """
    tasks = _current.get()

    def ended(task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if tasks is not None:
            tasks.fail(name, error)
        elif error is not None:
            _log().error(
                "core_task_failed",
                task=name,
                remedy="report the traceback, if the cause is not in it (PostgreSQL, a full disk)",
                exc_info=error,
            )

    task = asyncio.create_task(work, name=name)
    task.add_done_callback(ended)
    return task


def item_task(
    work: Coroutine[Any, Any, None], *, name: str, among: set[asyncio.Task[None]]
) -> asyncio.Task[None]:
    """Start a task about one thing; when it fails, that is logged.

    :param among: the owner's tasks: this one is added, and removed when it ends.
    """

    def ended(task: asyncio.Task[None]) -> None:
        among.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log().error(
                "item_task_failed",
                task=name,
                consequence="one call, delivery or request that this task worked on is not continued; all others are",
                remedy="report the traceback",
                exc_info=error,
            )

    task = asyncio.create_task(work, name=name)
    among.add(task)
    task.add_done_callback(ended)
    return task
