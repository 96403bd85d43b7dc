"""The rules' view of the moment, from the switch's memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from trunkline.calls.context import RingingPhone, TrunkRegistration
from trunkline.calls.flows.outgoing_limits import Granted
from trunkline.calls.session import Session
from trunkline.calls.switch.presence import Presence
from trunkline.core.clock import Instant, to_datetime
from trunkline.core.ids import IdGenerator
from trunkline.directory.model import (
    Account,
    Group,
    Phone,
    Trunk,
)
from trunkline.events.reasons import Reason
from trunkline.routing.refusals import line_obstacle

PARKING_SECONDS = 120
"""As in the settings."""


class LiveContext:
    """Implements :class:`trunkline.calls.context.CallContext`."""

    def __init__(
        self,
        account: Account,
        presence: Presence,
        ids: IdGenerator,
        now: Instant,
        session: Session | None = None,
        *,
        recording_obstacle: str | None = None,
        parking_seconds: int = PARKING_SECONDS,
    ) -> None:
        """``session``: the call that is decided; None: it has not begun."""
        self.recording_obstacle = recording_obstacle
        self.parking_seconds = parking_seconds
        self._session = session
        self.account = account
        self._presence = presence
        self.next_id = ids.next
        self.now = now
        self._granted: list[Granted] = []
        self._granted_at = presence.applied

    @property
    def local_time(self) -> datetime:
        return to_datetime(self.now).astimezone(self.account.time_zone)

    def phone_obstacle(self, phone: Phone) -> Reason | None:
        if phone.sip_line_id is not None:
            obstacle = line_obstacle(self.account, phone.sip_line_id)
            if obstacle is not None:
                return obstacle
            line = self.account.lines[phone.sip_line_id]
            if self._presence.registrations_known and not self._presence.is_online(line.phone_number):
                return Reason.SIP_OFFLINE
            if self._presence.line_calls(line.sip_line_id, self._session) >= line.channels_count:
                return Reason.OPERATOR_CHANNELS_BUSY
        if (
            phone.phone_id
            and self._presence.phone_calls(phone.phone_id, self._session) >= phone.channels_count
        ):
            return Reason.OPERATOR_CHANNELS_BUSY
        return None

    def group_obstacle(self, group: Group) -> Reason | None:
        limit = group.channels_count
        if limit is not None and self._presence.group_calls(group.group_id, self._session) >= limit:
            return Reason.OPERATOR_CHANNELS_BUSY
        return None

    def number_obstacle(self, number: str, channels: int | None) -> Reason | None:
        account_id = self.account.account_id
        if (
            channels is not None
            and self._presence.outside_calls(account_id, number, self._session) >= channels
        ):
            return Reason.OPERATOR_CHANNELS_BUSY
        return None

    def idle_since(self, employee_id: int) -> float:
        return self._presence.idle_since(employee_id)

    def last_employee(self, phone_number: str) -> int | None:
        return self._presence.last_talks.employee(self.account.account_id, phone_number, self.now)

    def trunk_registration(self, trunk_id: int) -> TrunkRegistration | None:
        return self._presence.trunk_registrations.get(trunk_id)

    def trunk_obstacle(self, trunk: Trunk) -> Reason | None:
        if not trunk.is_active:
            return Reason.SIP_TRUNK_IS_LOCKED
        if trunk.max_channels:
            calls = self._presence.trunk_calls(self.account.account_id, trunk.trunk_id)
            if (
                calls + sum(one.trunk_id == trunk.trunk_id for one in self._not_counted())
                >= trunk.max_channels
            ):
                return Reason.NO_RESOURCES
        return None

    def limit_obstacle(self, sip_line_id: int | None, number: str) -> Reason | None:
        usage, granted = self._presence.outgoing, self._not_counted()
        reached = usage.obstacle(self.account, sip_line_id, number, self.now, granted)
        return reached.kind.reason if reached is not None else None

    def grant(self, trunk: Trunk, sip_line_id: int | None, number: str) -> None:
        self._not_counted().append(Granted(trunk.trunk_id, sip_line_id, number))

    def _not_counted(self) -> list[Granted]:
        """Calls that were granted since the last decision was counted: those of the present decision."""
        if self._granted_at != self._presence.applied:
            self._granted, self._granted_at = [], self._presence.applied
        return self._granted

    def ringing(self) -> Sequence[RingingPhone]:
        return self._presence.ringing(self.account.account_id)

    def parked(self) -> Mapping[int, int]:
        return self._presence.parked(self.account.account_id)

    def line_channels(self, sip_line_id: int) -> int:
        return self._presence.line_calls(sip_line_id)

    def number_calls(self, virtual_number_id: int, direction: str) -> int:
        return self._presence.number_calls(virtual_number_id, direction)

    def media_path(self, media_file_id: int) -> str | None:
        media = self.account.media.get(media_file_id)
        return str(media.path) if media is not None else None

    def system_media_path(self, mnemonic: str) -> str | None:
        media = self.account.system_media(mnemonic)
        return str(media.path) if media is not None else None
