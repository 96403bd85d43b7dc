"""Ends channels of participants that no call contains, such as one that is left over from an error.

Such a channel would occupy a media port, and a phone or a carrier's line, for ever, and no limit and no report counts it.
Not ended are: channels of live calls, those that the dialplan connects without a switch (emergency calls, calls to the
default line of a number) and those that a ``Dial()`` has called, which end with their caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from trunkline.calls.switch.switch import Switch
from trunkline.core import metrics
from trunkline.core.clock import Instant
from trunkline.core.errors import EngineError
from trunkline.core.log import get_logger
from trunkline.telephony.port import Channel, Participant

PERIOD_SECONDS = 15.0
"""Between two listings."""
UNKNOWN_SECONDS = 60.0
"""A channel must be without a call for so long, in all listings: the switch opens a call within milliseconds, and a call
that is over hangs up its channels."""

_log = get_logger("calls")


class UnknownChannels:
    """Since when each channel is without a call."""

    def __init__(self, seconds: float = UNKNOWN_SECONDS) -> None:
        self._seconds = seconds
        self._since: dict[Channel, Instant] = {}

    def forget(self) -> None:
        """The state of calls is not certain now: begin again."""
        self._since.clear()

    def check(
        self, participants: Iterable[Participant], is_known: Callable[[Participant], bool], at: Instant
    ) -> list[Participant]:
        """The channels to end.

        :param at: of the listing; channels without a call are counted from the first listing that has them.
        """
        unknown = [one for one in participants if not one.by_dialplan and not is_known(one)]
        self._since = {one.channel: self._since.get(one.channel, at) for one in unknown}
        return [one for one in unknown if at - self._since[one.channel] >= self._seconds]


class ChannelLister(Protocol):
    """What the check needs of the engine."""

    async def participants(self) -> Sequence[Participant]:
        """:raises EngineError: the engine does not respond."""

    async def hangup(self, channel: Channel) -> None:
        """:raises EngineError: not done."""


async def end_unknown(
    engine: ChannelLister, switch: Switch, unknown: UnknownChannels, clock: Callable[[], float]
) -> list[Channel]:
    """One check; the channels that were ended.

    :raises EngineError: the engine did not list its channels.
    """
    found = await engine.participants()
    # After the listing: a call that has begun meanwhile is known.
    tags = {str(call_session_id) for call_session_id in switch.sessions}
    due = unknown.check(
        found, lambda one: one.channel in switch.channels or one.tag in tags, Instant(clock())
    )
    ended: list[Channel] = []
    for one in due:
        try:
            await engine.hangup(one.channel)
        except EngineError as error:
            _log.warning(
                "unknown_channel_not_ended",
                channel=one.channel,
                error=str(error),
                consequence="it is hung up at the next check, if no call has it then",
            )
            continue
        ended.append(one.channel)
        switch.unknown_channels += 1
        metrics.UNKNOWN_CHANNELS.inc()
        _log.warning(
            "unknown_channel_ended",
            channel=one.channel,
            endpoint=one.endpoint,
            created_at=float(one.created_at),
            reason="no call contained this channel",
            remedy="report this line if it is frequent",
        )
    return ended


async def run_unknown_channels(
    engine: ChannelLister,
    switch: Switch,
    is_certain: Callable[[], bool],
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Check periodically, until cancelled.

    :param is_certain: whether the switch has handled all signals: it is connected and not recovering.
    """
    unknown = UnknownChannels()
    while True:
        await sleep(PERIOD_SECONDS)
        if not is_certain():
            unknown.forget()
            continue
        try:
            await end_unknown(engine, switch, unknown, clock)
        except EngineError as error:
            _log.debug("unknown_channels_not_searched", error=str(error))
            unknown.forget()
