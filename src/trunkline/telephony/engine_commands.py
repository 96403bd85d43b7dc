"""Commands to Asterisk over ARI and AMI, their failures as the kinds of :class:`~trunkline.core.errors.EngineError`."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from trunkline.core.errors import ChannelGone, EffectRefused, EffectTimedOut, EngineError, EngineUnavailable
from trunkline.core.log import get_logger
from trunkline.core.tasks import item_task
from trunkline.telephony.ami import AmiClient, AmiError, AmiMessage, AmiNotConnected, AmiTimeout
from trunkline.telephony.ari import AriClient, AriError, segment
from trunkline.telephony.config import EnginePaths
from trunkline.telephony.port import Channel
from trunkline.telephony.translate import Translator

_AMI_UP_TIMEOUT_SECONDS = 3.0
"""Seconds that an action waits for a manager interface that is being reconnected: as long as a new call waits for Asterisk,
and half of what a command may take."""
_GONE = (404, 409, 412)
_GONE_IN_AMI = (
    "No such channel",
    "Channel does not exist",
    "ExtraChannel does not exist",
    "Channel not found",
)
"""AMI's message for a channel that has ended; there is no code."""


class EngineCommands:
    """The base of all commands: both connections, and the ids that the switch uses for channels."""

    def __init__(self, ari: AriClient, ami: AmiClient, paths: EnginePaths) -> None:
        self._ari = ari
        self._ami = ami
        self._paths = paths
        self._translator = Translator(recordings_dir=paths.voicemail)
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
        timeout: float | None = None,
    ) -> Any:
        path = f"/channels/{segment(self._real(channel))}{path}"
        return await self._command(method, path, params, body, timeout)

    async def _command(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None = None,
        body: Any = None,
        timeout: float | None = None,
    ) -> Any:
        try:
            return await self._ari.request(method, path, params, body, timeout)
        except AriError as error:
            failure = failure_of(error, f"{method} {path}")
            if isinstance(failure, EngineUnavailable) and self._ari.is_up:
                # It may have been carried out: after the reconnect the recovery compares, and repeats it if necessary.
                self._ari.reconnect(str(failure))
            raise failure from error

    async def _act(self, action: str, headers: Mapping[str, str | Sequence[str]]) -> AmiMessage:
        for is_last in (False, True):
            try:
                if not self._ami.is_up:  # a connection that just broke is back in a moment
                    await self._ami.wait_up(_AMI_UP_TIMEOUT_SECONDS)
                return await self._ami.action(action, headers)
            except TimeoutError as error:
                raise EngineUnavailable(f"{action}: the manager interface is not connected") from error
            except AmiError as error:
                if is_last or not isinstance(error, AmiNotConnected) or error.sent:
                    raise failure_of(error, action) from error
        raise AssertionError("the last attempt returns or raises")

    async def _list(self, action: str, headers: Mapping[str, str | Sequence[str]]) -> list[AmiMessage]:
        try:
            return await self._ami.listing(action, headers)
        except AmiError as error:
            raise failure_of(error, action) from error

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Start a background task for one item."""
        item_task(work, name=name, among=self._tasks)


def failure_of(error: AriError | AmiError, command: str) -> EngineError:
    """Which of the kinds of failure an error of a connection is.

    :param command: what was asked for; for the message.
    """
    text = f"{command}: {error}"
    match error:
        case AriError(status=0, timed_out=True) | AmiTimeout():
            return EffectTimedOut(text)
        case AriError(status=0 | 503) | AmiNotConnected():
            return EngineUnavailable(text)
        case AriError() if error.status in _GONE:
            return ChannelGone(text)
        case AmiError() if any(word in str(error) for word in _GONE_IN_AMI):
            return ChannelGone(text)
    return EffectRefused(text)
