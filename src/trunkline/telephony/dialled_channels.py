"""Channels that the switch dials: created, dialled, and sent to the dialplan when they are answered.

Asterisk's own originate follows a redirect (302) of the called phone to any extension, trunk or technology. A channel that
is created and then dialled ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from trunkline.core.errors import ChannelGone, EngineError
from trunkline.core.hangup_causes import ANSWERED_ELSEWHERE
from trunkline.core.log import get_logger
from trunkline.telephony.ari import segment
from trunkline.telephony.ari_events import ChannelSnapshot, parse_channel
from trunkline.telephony.config.dialplan import APP, ORIGINATED
from trunkline.telephony.config.pjsip import CONTEXT
from trunkline.telephony.port import Channel, Originate
from trunkline.telephony.translate import CREATED, Translator, device_id

ALIAS = "CHANNEL(userfield)"
"""Variable of a device's channel: the channel of its group."""
DIALLED = "TL_DIALLED"
"""Set for channels that we dial. Until they are answered and admitted, they are where Asterisk created them."""
UP, RINGING, _DOWN = "Up", "Ringing", "Down"
_CREATED_SECONDS = 10.0
"""How long a created channel may take to enter Stasis."""
_CREATED_EVENT_SECONDS = 0.5
"""After this time Asterisk is asked whether a created channel is in Stasis; usually its event is there in milliseconds."""
_ANSWER_CHECK_SECONDS = (0.1, 0.4, 1.5, 5.0)
"""Times after a dial, each after the one before, at which Asterisk is asked whether the channel is answered."""

_log = get_logger("telephony")


class DialledChannels:
    """Dials devices, one channel each, and ends those that lost: another device of the line answered first.

    :param command: a request to ARI: method, path, parameters, body.
    :param spawn: starts a background task: its work and name.
    """

    def __init__(
        self,
        translator: Translator,
        command: Callable[..., Awaitable[Any]],
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
    ) -> None:
        self._translator = translator
        self._command = command
        self._spawn = spawn
        self._created: dict[str, asyncio.Event] = {}
        """Channels that are being created and dialled; set when they are in Stasis: before, they cannot be dialled."""

    async def originate(
        self, originate: Originate, names: Sequence[str], variables: Mapping[str, str]
    ) -> None:
        """Dial these devices of one target; the first to answer continues as the channel of the request.

        :param names: of the devices, as Asterisk dials them.
        :param variables: of each channel.
        """
        if len(names) == 1:
            await self._originate(originate, names[0], str(originate.channel), variables)
            return
        members = {device_id(originate.channel, number): name for number, name in enumerate(names, 1)}
        self._translator.add_group(originate.channel, members)
        outcomes = await asyncio.gather(
            *(self._originate(originate, name, real, variables) for real, name in members.items()),
            return_exceptions=True,
        )
        failures = [
            (real, outcome)
            for real, outcome in zip(members, outcomes, strict=True)
            if isinstance(outcome, BaseException)
        ]
        for real, _ in failures:
            self._translator.drop_member(real)
        if len(failures) == len(outcomes):
            raise failures[0][1]

    async def _originate(
        self, originate: Originate, name: str, real: str, variables: Mapping[str, str]
    ) -> None:
        own = {DIALLED: "1", **variables}
        if real != originate.channel:
            own[ALIAS] = str(originate.channel)
        params: dict[str, str | int] = {
            "endpoint": name,
            "app": APP,
            "appArgs": CREATED,
            "channelId": real,
        }
        self._created[real] = asyncio.Event()
        try:
            await self._command("POST", "/channels/create", params, {"variables": own})
            await self._dial(real, originate.ring_seconds)
        finally:
            del self._created[real]

    def entered_stasis(self, real: str) -> None:
        """A created channel is in Stasis."""
        if entered := self._created.get(real):
            entered.set()

    async def _dial(self, real: str, ring_seconds: int) -> None:
        """Dial a created channel as soon as it is in Stasis. Its event may be lost, so Asterisk is asked, too."""
        path = f"/channels/{segment(real)}"
        deadline = time.monotonic() + _CREATED_SECONDS
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CREATED_EVENT_SECONDS):
                    await self._created[real].wait()
            try:
                await self._command("POST", f"{path}/dial", {"timeout": ring_seconds})
                self._spawn(self._find_lost_answer(real), "find-lost-answer")
                return
            except EngineError as error:
                if (
                    isinstance(error, ChannelGone)
                    and "not in Stasis" in str(error)
                    and time.monotonic() < deadline
                ):
                    continue
                with contextlib.suppress(EngineError):
                    await self._command("DELETE", path)
                raise

    async def _find_lost_answer(self, real: str) -> None:
        """Admit a dialled channel whose answer Asterisk did not report.

        Asterisk reports an answer from the bridge in which it dials. A phone or carrier that answers within a millisecond
        may do so before the channel is in this bridge: the channel is up then, and no event says so.
        """
        for seconds in _ANSWER_CHECK_SECONDS:
            await asyncio.sleep(seconds)
            if real in self._translator.admitted:
                return
            try:
                found = parse_channel(await self._command("GET", f"/channels/{segment(real)}"))
            except ChannelGone:
                return
            except EngineError:  # Asterisk is slow, or connects again: then the survey admits it, too
                continue
            if found.context != CONTEXT:
                return
            if found.state == UP and real not in self._translator.admitted:
                _log.info("answer_not_reported", channel=real)
                self._translator.admit(real)
                self.process_pending()
                return

    def process_pending(self) -> None:
        """Admit answered channels, and hang up devices that lost."""
        while self._translator.to_admit:
            self._spawn(self._admit(self._translator.to_admit.pop()), "admit-channel")
        while self._translator.to_hang_up:
            self._spawn(self._drop(self._translator.to_hang_up.pop()), "drop-device")

    async def _admit(self, real: str) -> None:
        """Send a dialled channel that was answered to the dialplan, from where it enters as every other."""
        place: dict[str, str | int] = {"context": ORIGINATED, "extension": "answered", "priority": 1}
        try:
            await self._command("POST", f"/channels/{segment(real)}/continue", place)
        except ChannelGone:
            pass
        except EngineError:
            # It may be carried out still: the place of the channel shows that. Without a reconnect there is no survey.
            self._translator.admitted.discard(real)
            self._spawn(self._find_lost_answer(real), "find-lost-answer")

    async def _drop(self, real: str) -> None:
        """End a device that rang for nothing: its phone shows "answered elsewhere"."""
        with contextlib.suppress(EngineError):
            await self._command("DELETE", f"/channels/{segment(real)}", {"reason_code": ANSWERED_ELSEWHERE})

    # --- after a reconnect

    def resume(
        self,
        channels: Sequence[tuple[ChannelSnapshot, Mapping[str, Any]]],
        details: Mapping[str, Mapping[str, str]],
    ) -> list[tuple[ChannelSnapshot, Mapping[str, Any]]]:
        """Channels that we dial: those whose answer was missed go on, and those that were never dialled end.

        :param details: by channel, its variables.
        :returns: the channels. To the switch, those are not controlled yet, although Asterisk has them in Stasis.
        """
        found: list[tuple[ChannelSnapshot, Mapping[str, Any]]] = []
        for one, data in channels:
            if details.get(one.id, {}).get(DIALLED) != "1" or one.context != CONTEXT:
                found.append((one, data))
                continue
            found.append((replace(one, app=""), data))
            if one.state == UP:
                self._translator.admit(one.id)
            elif one.state == _DOWN and one.id not in self._created:
                self._spawn(self._drop(one.id), "drop-undialled")
        return found


def device_groups(
    channels: Sequence[tuple[ChannelSnapshot, Mapping[str, Any]]], details: Mapping[str, Mapping[str, str]]
) -> dict[Channel, list[ChannelSnapshot]]:
    """The devices of a line that were called together, by the channel that the switch knows them as."""
    groups: dict[Channel, list[ChannelSnapshot]] = {}
    for one, _ in channels:
        if alias := details.get(one.id, {}).get(ALIAS):
            groups.setdefault(Channel(alias), []).append(one)
    return groups


def device_shown(
    public: Channel, devices: Sequence[ChannelSnapshot], winning: Mapping[Channel, str]
) -> str | None:
    """The device that represents its group: the one that answered, else one that rings."""
    if public in winning:
        return winning[public]
    return max(devices, key=lambda one: one.state == RINGING).id
