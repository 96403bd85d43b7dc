"""Controlled conversations: redirected into Stasis, bridged, held, recorded and supervised by the switch."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from trunkline.core.errors import ChannelGone, EffectTimedOut, EngineError, EngineUnavailable
from trunkline.telephony.ami import AmiClient
from trunkline.telephony.ari import AriClient, AriError, segment
from trunkline.telephony.ari_events import (
    MADE_BY_COMMAND,
    AriEvent,
    ChannelDestroyed,
    PlaybackFinished,
    StasisStart,
)
from trunkline.telephony.config import EnginePaths
from trunkline.telephony.config.dialplan import ALONE, CONTROLLED, KEPT_UNTIL, music_class
from trunkline.telephony.engine_commands import EngineCommands, failure_of
from trunkline.telephony.hold_music import HoldMusic
from trunkline.telephony.port import Bridge, Channel, Supervision

_EXISTS = 409
_KEY_MS = 100
_TAKE_SECONDS = 3.0
_ARRIVAL_SECONDS = 0.5
_TRANSFER_ANSWER_SECONDS = 0.2
_KEPT_SECONDS = 20.0
"""How long after the request of a phone a party is kept whose phone hangs up before the transfer is carried out."""
STASIS = "Stasis"
_SUPERVISED = "supervised-"
_PLAYED = "played-into-"
"""Channel that plays a file to a party while it talks; also the id of its playback."""
_MONITOR = "TL_MONITOR"
# "video_sfu" is the one type that always mixes, also with two parties: what a party gets comes from the mixer, never
# with the packet numbers of another party (decision 0034). No video is negotiated.
_TALK_BRIDGE = "mixing,video_sfu"
# Two parties, one of which has no packet numbers.
_SUPERVISION_BRIDGE = "mixing,proxy_media"
# Never into what comes *from* the target: Asterisk often plays that at a fraction of its speed (decision 0022).
_WHISPER = {Supervision.LISTEN: "none", Supervision.WHISPER: "out"}


class Conversations(EngineCommands):
    """The part of the engine for controlled channels."""

    def __init__(self, ari: AriClient, ami: AmiClient, paths: EnginePaths) -> None:
        super().__init__(ari, ami, paths)
        self._coming: dict[str, asyncio.Future[bool]] = {}
        self._supervised: dict[str, str] = {}
        """Supervisor and helper channel, to the bridge they hear each other in."""
        self._playing: dict[str, str] = {}
        """Party to the channel that plays a file to it."""
        self._hold_music = HoldMusic()
        self._settling_music: set[str] = set()

    def _note(self, event: AriEvent) -> None:
        """See an event before it is translated."""
        if (bridge := self._hold_music.note(event)) is not None and not bridge.startswith(_SUPERVISED):
            self._spawn(self._settle_music(bridge), "hold-music")
        match event:
            case StasisStart() if future := self._coming.get(event.channel.id):
                if not future.done():
                    future.set_result(True)
            case PlaybackFinished(id=play_id) if play_id.startswith(_PLAYED):
                self._spawn(self._end_played(play_id), "end-played-file")
            case ChannelDestroyed():
                if (future := self._coming.get(event.channel.id)) and not future.done():
                    future.set_result(False)
                if bridge := self._supervised.pop(event.channel.id, None):
                    self._spawn(self._end_supervision(bridge), "end-supervision")

    async def take_control(self, channels: Sequence[Channel], leaving: Channel | None = None) -> None:
        may_go = None if leaving is None else self._real(leaving)
        wanted = [
            real
            for real in map(self._real, channels)
            if await self._is_to_take(real, may_be_gone=real == may_go)
        ]
        if not wanted:
            return
        headers: dict[str, str] = {}
        for prefix, real in zip(("", "Extra"), wanted, strict=False):
            headers |= {
                f"{prefix}Channel": real,
                f"{prefix}Context": CONTROLLED,
                f"{prefix}Exten": "taken",
                f"{prefix}Priority": "1",
            }
        arrivals = [self._expect(real) for real in wanted[:2]]
        try:
            await self._act("Redirect", headers)
        except (EffectTimedOut, EngineUnavailable):
            # The response is lost; the action may have been carried out.
            if not await self._have_arrived(wanted[:2], arrivals):
                raise
        except EngineError as error:
            others = {real: one for real, one in zip(wanted, arrivals, strict=False) if real != may_go}
            if may_go not in wanted[:2]:
                self._expect_no_more(wanted)
                raise
            self._expect_no_more([may_go])
            # It is being hung up. Asterisk redirects none when it finds only one of two, and one when the other refuses.
            if isinstance(error, ChannelGone) or not await self._have_arrived(list(others), others.values()):
                self._expect_no_more(others)
                await self.take_control([one for one in channels if one != leaving])
                return
        else:
            await self._all_come(wanted[:2], arrivals, may_go)
        await self.take_control(channels[2:], leaving)

    async def _is_to_take(self, real: str, *, may_be_gone: bool) -> bool:
        try:
            return not await self._is_ours(real)
        except ChannelGone:
            if not may_be_gone:
                raise
            return False

    async def _is_ours(self, real: str) -> bool:
        channel = await self._command("GET", f"/channels/{segment(real)}")
        return bool(channel["dialplan"].get("app_name") == STASIS)

    def _expect(self, real: str) -> asyncio.Future[bool]:
        """A future that is set when a channel enters Stasis (True) or ends (False)."""
        return self._coming.setdefault(real, asyncio.get_running_loop().create_future())

    def _expect_no_more(self, reals: Iterable[str]) -> None:
        for real in reals:
            self._coming.pop(real, None)

    async def _all_come(
        self, reals: Sequence[str], arrivals: Iterable[asyncio.Future[bool]], may_go: str | None = None
    ) -> None:
        try:
            async with asyncio.timeout(_TAKE_SECONDS):
                have_come = await asyncio.gather(*arrivals)
        except TimeoutError:
            raise EffectTimedOut(f"channels {' and '.join(reals)} did not enter Stasis in time") from None
        finally:
            self._expect_no_more(reals)
        gone = [
            real for real, has_come in zip(reals, have_come, strict=True) if not has_come and real != may_go
        ]
        if gone:
            raise ChannelGone(f"channel {gone[0]} ended while it was redirected")

    async def _have_arrived(self, reals: Sequence[str], arrivals: Iterable[asyncio.Future[bool]]) -> bool:
        """Whether channels come under our control although their redirect failed."""
        try:
            async with asyncio.timeout(_ARRIVAL_SECONDS):
                return all(await asyncio.gather(*arrivals))
        except TimeoutError:
            return False
        finally:
            self._expect_no_more(reals)

    async def keep_when_left(self, channels: Sequence[Channel]) -> None:
        until = str(int(time.time() + _KEPT_SECONDS))
        await asyncio.gather(
            *(
                self._act("Setvar", {"Channel": self._real(one), "Variable": KEPT_UNTIL, "Value": until})
                for one in channels
            )
        )

    # --- bridges

    async def open_bridge(self, bridge: Bridge) -> None:
        await self._open_bridge(bridge, _TALK_BRIDGE)

    async def _open_bridge(self, bridge: Bridge, kind: str) -> None:
        path = f"/bridges/{segment(bridge)}"
        try:
            await self._ari.request("POST", path, {"type": kind})
        except AriError as error:
            if error.status != _EXISTS:
                raise failure_of(error, f"POST {path}") from error

    async def close_bridge(self, bridge: Bridge) -> None:
        await self._command("DELETE", f"/bridges/{segment(bridge)}")

    async def join(self, bridge: Bridge, channel: Channel, ends_with: Channel | None = None) -> None:
        await self.stop_music(channel)
        if ends_with is not None:
            self._spawn(
                self._end_with(self._real(ends_with), f"{ALONE},left,1({self._real(channel)})"), "talk-ends"
            )
        path = f"/bridges/{segment(bridge)}/addChannel"
        await self._command("POST", path, {"channel": self._real(channel)})

    async def _end_with(self, contact: str, handler: str) -> None:
        """What the hang-up of a contact does; empty: nothing. Runs concurrently: without it the talk ends with a switch."""
        name = "CHANNEL(hangup_handler_wipe)"
        try:
            await self._act("Setvar", {"Channel": contact, "Variable": name, "Value": handler})
        except EngineError as error:
            self._log.debug("end_with_contact_not_set", channel=contact, reason=str(error))

    async def leave(self, bridge: Bridge, channel: Channel) -> None:
        self._spawn(self._end_with(self._real(channel), ""), "talk-goes-on")
        path = f"/bridges/{segment(bridge)}/removeChannel"
        await self._command("POST", path, {"channel": self._real(channel)})

    # --- audio from and to a party

    async def start_music(self, channel: Channel, file: str | None = None) -> None:
        await self._on(channel, "POST", "/moh", {"mohClass": music_class(file)} if file else None)

    async def stop_music(self, channel: Channel) -> None:
        await self._on(channel, "DELETE", "/moh")

    async def _settle_music(self, bridge: str) -> None:
        """Start or stop the music of a bridge, one of whose parties holds or resumes the call by its phone."""
        if bridge in self._settling_music:
            return
        self._settling_music.add(bridge)
        try:
            while (plays := self._hold_music.change(bridge)) is not None:
                self._hold_music.changed(bridge, plays=plays)
                await self._command("POST" if plays else "DELETE", f"/bridges/{segment(bridge)}/moh")
        except EngineError as error:  # the bridge was closed meanwhile, or it had no music
            self._log.debug("hold_music_not_changed", bridge=bridge, reason=str(error))
        finally:
            self._settling_music.discard(bridge)

    async def send_keys(self, channel: Channel, keys: str) -> None:
        self._spawn(self._press(self._real(channel), keys), "send-keys")

    async def _press(self, real: str, keys: str) -> None:
        """Runs concurrently: later commands do not wait for the pauses. The channel stays where it is."""
        try:
            for pause, part in re.findall(r"(\.*)([^.]+)", keys):
                await asyncio.sleep(len(pause))
                if await self._is_ours(real):
                    # In order with its other commands: a key that is sent while the channel moves is repeated.
                    await self._command("POST", f"/channels/{segment(real)}/dtmf", {"dtmf": part})
                    continue
                for key in part:
                    await self._act("PlayDTMF", {"Channel": real, "Digit": key, "Duration": str(_KEY_MS)})
                    await asyncio.sleep(2 * _KEY_MS / 1000)
        except EngineError as error:
            self._log.info(
                "keys_not_sent", channel=real, reason=str(error)
            )  # the party has hung up meanwhile

    async def start_recording(self, channel: Channel, tag: str, part: int = 1) -> None:
        name = channel if part == 1 else f"{channel}.{part}"
        path = self._paths.spool / tag / f"{name}.sln"
        await self._act(
            "MixMonitor", {"Channel": self._real(channel), "Options": f"abr({path})i({_MONITOR})"}
        )

    async def stop_recording(self, channel: Channel) -> None:
        await self._act("StopMixMonitor", {"Channel": self._real(channel)})

    # --- transfers that a phone asks for

    async def answer_transfer(self, channel: Channel, *, is_done: bool) -> None:
        states = "channel_answered" if is_done else "channel_declined"
        await self._on(channel, "POST", "/transfer_progress", {"states": states})
        # The phone hangs up when it has this. A hang-up of ours at the same moment may meet its notification in Asterisk.
        await asyncio.sleep(_TRANSFER_ANSWER_SECONDS)

    # --- supervision

    async def supervise(self, supervisor: Channel, target: Channel, mode: Supervision) -> None:
        listener, listened = self._real(supervisor), self._real(target)
        helper = f"{_SUPERVISED}{listener}"
        params: Mapping[str, str | int] = {
            "app": self._ari.app,
            "appArgs": "helper",
            "spy": "both",
            "whisper": _WHISPER[mode],
        }
        if earlier := self._supervised.get(listener):
            self._supervised.pop(listener)
            self._supervised.pop(helper, None)
            await self._end_supervision(earlier)
        arrival = self._expect(helper)
        await self._command("POST", f"/channels/{segment(listened)}/snoop/{segment(helper)}", params)
        await self._all_come([helper], [arrival])
        bridge = Bridge(helper)
        self._supervised |= {listener: bridge, helper: bridge}
        await self._open_bridge(bridge, _SUPERVISION_BRIDGE)
        await self._command(
            "POST", f"/bridges/{segment(bridge)}/addChannel", {"channel": f"{helper},{listener}"}
        )

    async def _end_supervision(self, bridge: str) -> None:
        """The supervisor or the target left: the helper goes, too."""
        for path in (f"/channels/{segment(bridge)}", f"/bridges/{segment(bridge)}"):
            try:
                await self._command("DELETE", path)
            except EngineError as error:
                if not isinstance(error, ChannelGone):
                    raise

    # --- sound for one party of a talk

    async def play_into_talk(self, channel: Channel, file: str) -> None:
        party = self._real(channel)
        await self.stop_playing_into_talk(channel)
        helper = self._playing[party] = f"{_PLAYED}{party}-{uuid.uuid4().hex[:12]}"
        params: Mapping[str, str | int] = {
            "app": self._ari.app,
            "appArgs": "helper",
            "spy": "none",
            "whisper": "out",
        }
        arrival = self._expect(helper)
        await self._command("POST", f"/channels/{segment(party)}/snoop/{segment(helper)}", params)
        await self._all_come([helper], [arrival])
        play = f"/channels/{segment(helper)}/play/{segment(helper)}"
        await self._command("POST", play, {"media": f"sound:{file}"})

    async def stop_playing_into_talk(self, channel: Channel) -> None:
        party = self._real(channel)
        if (known := self._playing.pop(party, None)) is not None:
            await self._end_helper(known)
            return
        # It may be one of a switch that ran before.
        for one in await self._command("GET", "/channels"):
            if one["id"].startswith(f"{_PLAYED}{party}-"):
                await self._end_helper(one["id"])

    async def _end_played(self, helper: str) -> None:
        """The file is over."""
        self._playing = {party: one for party, one in self._playing.items() if one != helper}
        await self._end_helper(helper)

    async def _end_helper(self, helper: str) -> None:
        with contextlib.suppress(ChannelGone):
            await self._command("DELETE", f"/channels/{segment(helper)}")

    async def _close_left_over(self, bridges: Sequence[Mapping[str, Any]], parties: Collection[str]) -> None:
        """End supervisions that lost a side while no switch ran, and restore the others.

        :param parties: all channels of participants.
        """
        self._hold_music.adopt(
            {
                one["id"]: [channel for channel in one["channels"] if channel in parties]
                for one in bridges
                if one.get("bridge_class") == MADE_BY_COMMAND
            }
        )
        for bridge in bridges:
            name: str = bridge["id"]
            if not name.startswith(_SUPERVISED) or name in self._supervised:
                continue
            if len(bridge["channels"]) < 2:
                await self._end_supervision(name)
            else:
                self._supervised |= dict.fromkeys(bridge["channels"], name)
