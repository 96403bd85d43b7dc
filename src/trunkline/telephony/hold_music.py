"""Which bridges of the switch play the hold music: those of two parties, one of which holds the call by its phone.

In a bridge of its own, Asterisk passes the hold on to the other party, which gets the music. A bridge that mixes does not,
so the switch plays the music in it. The party that holds does not listen. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trunkline.telephony.ari_events import (
    AriEvent,
    ChannelDestroyed,
    ChannelEnteredBridge,
    ChannelHold,
    ChannelLeftBridge,
    ChannelUnhold,
)
from trunkline.telephony.names import endpoint_of_channel

_PARTIES = 2


class HoldMusic:
    """Members of the switch's bridges, and the channels whose phone holds."""

    def __init__(self) -> None:
        self._bridge_of: dict[str, str] = {}
        self._holding: set[str] = set()
        self._playing: set[str] = set()

    def note(self, event: AriEvent) -> str | None:
        """Take an event into account.

        :returns: the bridge whose music it may change.
        """
        match event:
            case ChannelHold():
                self._holding.add(event.channel.id)
            case ChannelUnhold():
                self._holding.discard(event.channel.id)
                if (bridge := self._bridge_of.get(event.channel.id)) is not None:
                    self._playing.add(bridge)  # it may have been started before a restart of the switch
            case ChannelEnteredBridge() if (
                event.is_ours and endpoint_of_channel(event.channel.name) is not None
            ):
                self._bridge_of[event.channel.id] = event.bridge
            case ChannelLeftBridge() | ChannelDestroyed():
                if isinstance(event, ChannelDestroyed):
                    self._holding.discard(event.channel.id)
                left = self._bridge_of.pop(event.channel.id, None)
                if left is not None and left not in self._bridge_of.values():
                    self._playing.discard(left)  # the bridge is empty: the next to enter starts afresh
                    return None
                return left
            case _:
                return None
        return self._bridge_of.get(event.channel.id)

    def adopt(self, members: Mapping[str, Iterable[str]]) -> None:
        """The bridges as they are found after a reconnect, and the parties in each."""
        self._bridge_of = {channel: bridge for bridge, channels in members.items() for channel in channels}
        self._holding &= set(self._bridge_of)
        self._playing &= set(members)

    def change(self, bridge: str) -> bool | None:
        """Whether the music of a bridge is to be started (True) or stopped (False); None = it is as it should be."""
        members = [channel for channel, one in self._bridge_of.items() if one == bridge]
        wanted = len(members) == _PARTIES and not self._holding.isdisjoint(members)
        return None if wanted == (bridge in self._playing) else wanted

    def changed(self, bridge: str, *, plays: bool) -> None:
        """The music of a bridge was started or stopped."""
        if plays:
            self._playing.add(bridge)
        else:
            self._playing.discard(bridge)
