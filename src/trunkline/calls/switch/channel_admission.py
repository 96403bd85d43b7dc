"""Admits legs: an account has a share of the channels, and its emergency calls beyond that a part of the reserve
(:mod:`trunkline.calls.flows.channel_quota`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from trunkline.calls.effects import ConnectTargets, Effect, OriginateLeg
from trunkline.calls.flows.channel_quota import UNLIMITED, free_channels, reserve_has_room, share
from trunkline.calls.flows.engine_connect import refuse_targets
from trunkline.calls.session import Session
from trunkline.calls.switch.presence import Presence
from trunkline.core.errors import LimitExceeded, NoChannelFree
from trunkline.core.log import get_logger
from trunkline.directory.model import Directory
from trunkline.routing.emergency import emergency_number
from trunkline.telephony.port import EndpointKind, Target

_log = get_logger("calls")


class ChannelAdmission:
    """Which legs may begin on this node.

    :param session_of: the live call with this id; None when there is none.
    :param channels_max: for how many channels there are media ports; 0 = not known.
    """

    def __init__(
        self,
        presence: Presence,
        directory: Callable[[], Directory],
        session_of: Callable[[int], Session | None],
        channels_max: int,
    ) -> None:
        self._presence = presence
        self._directory = directory
        self._session_of = session_of
        self._channels_max = channels_max
        self._of_reserve: dict[int, set[int]] = defaultdict(set)
        """By account: emergency calls that its share had no channels for; those that ended are removed with the next one."""

    def has_room_for_emergency(self, account_id: int, call_session_id: int | None = None) -> bool:
        """Whether the account may begin an emergency call, or this call may go on to the next leg of one."""
        calls = {one for one in self._of_reserve[account_id] if self._session_of(one) is not None}
        self._of_reserve[account_id] = calls
        if call_session_id in calls or self.has_room(account_id):
            return True
        needed = 2 if call_session_id is None else 1
        return reserve_has_room(len(calls), self._presence.all_channels(), self._channels_max, needed)

    def has_room(self, account_id: int) -> bool:
        """Whether the account may begin a call: media ports are shared by all accounts."""
        return self._free_channels(account_id) > 0

    def _free_channels(self, account_id: int, counted: int = 0) -> int:
        """How many channels the account may add.

        :param counted: of those to be added, how many are counted as in use already.
        """
        own, used = self._presence.channels_of(account_id), self._presence.all_channels()
        return free_channels(own - counted, used - counted, self._channels_max)

    def admitted(self, call_session_id: int, effect: Effect) -> Effect:
        """An effect without the targets for which the account has no channels left, or the effect as it is.

        All legs that a call adds pass here, for any requester; those to emergency numbers may use the reserve.

        :raises NoChannelFree: there is none left for the first target.
        """
        session = self._session_of(call_session_id)
        if session is None or not isinstance(effect, ConnectTargets | OriginateLeg):
            return effect
        account_id, is_call = session.account_id, isinstance(effect, OriginateLeg)
        targets = (
            [effect.originate.target] if isinstance(effect, OriginateLeg) else list(effect.connect.targets)
        )
        free = UNLIMITED
        own = self._free_channels(account_id, counted=1 if is_call else 0)
        if not any(self._is_emergency_target(account_id, target) for target in targets):
            free = own
        elif own < len(targets):
            if self.has_room_for_emergency(account_id, call_session_id):
                self._of_reserve[account_id].add(call_session_id)
            else:
                free = 0
        admitted, needed = 0, 0
        for target in targets:
            more = self._devices_of(target)
            if needed + more > free and (admitted or free == 0):
                break
            admitted, needed = admitted + 1, needed + more
        if admitted < len(targets):
            _log.warning(
                "targets_refused",
                reason="too_many_channels",
                account_id=account_id,
                call_session_id=call_session_id,
                refused=len(targets) - admitted,
                consequence="the phones that fit are called, the others are not",
                remedy="raise engine.max_channels and the range of sip.rtp_port_first to sip.rtp_port_last",
            )
        if isinstance(effect, ConnectTargets):
            refuse_targets(session, effect.channel, admitted)
        if admitted == 0:
            raise NoChannelFree("the account has too many channels in use for now")
        self._presence.reserve_channels(session, needed - 1 if is_call else needed)
        if isinstance(effect, OriginateLeg) or admitted == len(targets):
            return effect
        return replace(effect, connect=replace(effect.connect, targets=targets[:admitted]))

    def _devices_of(self, target: Target) -> int:
        """Channels that the engine opens for a target: one for each device of a line."""
        if target.endpoint.kind is not EndpointKind.LINE:
            return 1
        return max(1, len(self._presence.devices(target.endpoint.name)))

    def _is_emergency_target(self, account_id: int, target: Target) -> bool:
        account = self._directory().accounts.get(account_id)
        return (
            account is not None
            and target.endpoint.kind is EndpointKind.TRUNK
            and emergency_number(target.number or "", account.country) is not None
        )

    def may_add(self, account_id: int, target: Target) -> bool:
        """Whether a leg to this target may begin now."""
        if self._is_emergency_target(account_id, target):
            return self.has_room_for_emergency(account_id)
        return self.has_room(account_id)

    def too_many_channels(self, account_id: int) -> LimitExceeded:
        """The refusal of a command: how many channels the account may have now, the other accounts having theirs."""
        own, used = self._presence.channels_of(account_id), self._presence.all_channels()
        return LimitExceeded(
            "The account has too many channels in use for now; end some, or try again later",
            params={
                "limit_type": "concurrent channels",
                "limit_max_value": share(own, used, self._channels_max),
            },
        )
