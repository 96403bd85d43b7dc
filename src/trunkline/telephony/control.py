"""Commands to Asterisk over ARI and AMI, their failures as the port's :class:`EngineError`."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from trunkline.core.log import get_logger
from trunkline.telephony.ami import AmiClient, AmiError, AmiMessage
from trunkline.telephony.ari import AriClient, AriError, segment
from trunkline.telephony.config import EnginePaths
from trunkline.telephony.port import Channel, EngineError
from trunkline.telephony.translate import Translator

_GONE = (404, 409, 412)


class Control:
    """What all commands stand on: both connections, and the ids that the house uses for channels."""

    def __init__(self, ari: AriClient, ami: AmiClient, paths: EnginePaths) -> None:
        self._ari = ari
        self._ami = ami
        self._paths = paths
        self._translator = Translator()
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = get_logger("telephony")

    def _real(self, channel: Channel) -> str:
        return self._translator.members(channel)[0]

    async def _on(
        self,
        channel: Channel,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None = None,
        body: Any = None,
    ) -> Any:
        return await self._command(method, f"/channels/{segment(self._real(channel))}{path}", params, body)

    async def _command(
        self, method: str, path: str, params: Mapping[str, str | int] | None = None, body: Any = None
    ) -> Any:
        try:
            return await self._ari.request(method, path, params, body)
        except AriError as error:
            raise EngineError(f"{method} {path}: {error}", gone=error.status in _GONE) from error

    async def _act(self, action: str, headers: Mapping[str, str | Sequence[str]]) -> AmiMessage:
        try:
            return await self._ami.action(action, headers)
        except AmiError as error:
            raise EngineError(f"{action}: {error}") from error

    async def _list(self, action: str, headers: Mapping[str, str | Sequence[str]]) -> list[AmiMessage]:
        try:
            return await self._ami.listing(action, headers)
        except AmiError as error:
            raise EngineError(f"{action}: {error}") from error

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._log.error("engine_task_failed", error=repr(error))
