"""What the rules of a call may ask: free lines, registrations, schedules, as of now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from trunkline.core.clock import Instant
from trunkline.directory.model import Account, Trunk
from trunkline.events.reasons import Reason
from trunkline.routing.ringing import Availability
from trunkline.telephony.port import Channel


@dataclass(frozen=True, slots=True)
class RingingPhone:
    """A phone that the engine rings for somebody whom it will connect.

    :ivar channel: of the phone.
    :ivar group_id: as a member of which group it rings.
    :ivar caller_employee_id: who calls, of a call between colleagues.
    """

    channel: Channel
    call_session_id: int
    employee_id: int | None
    group_id: int | None
    caller_employee_id: int | None = None


@dataclass(frozen=True, slots=True)
class TrunkRegistration:
    """State of a trunk's registration at its carrier.

    :ivar state: ``registered``, ``refused``, ``unreachable`` or ``waiting``.
    :ivar reason: of the last failed attempt; "" = none.
    """

    state: str
    reason: str = ""


class CallContext(Availability, Protocol):
    """One moment, seen from one account. All answers come from memory."""

    @property
    def now(self) -> Instant: ...

    @property
    def account(self) -> Account: ...

    @property
    def recording_obstacle(self) -> str | None:
        """Why the account's calls are not recorded now, of :mod:`trunkline.core.not_recorded`; None = they are."""

    def next_id(self) -> int:
        """A fresh id for a leg."""

    def trunk_obstacle(self, trunk: Trunk) -> Reason | None:
        """Why this trunk cannot take one more call; None = it can."""

    def trunk_registration(self, trunk_id: int) -> TrunkRegistration | None:
        """State of its registration, as it was read in the last seconds; None = not known, or it does not register."""

    def limit_obstacle(self, sip_line_id: int | None, number: str) -> Reason | None:
        """Why no more outside calls may be placed: limits of the account, and of the line that dials (if one does)."""

    def grant(self, trunk: Trunk, sip_line_id: int | None, number: str) -> None:
        """A call that this decision places: it counts from now on for the limits of trunk, account and line."""

    def ringing(self) -> Sequence[RingingPhone]:
        """Phones of the account's lines that ring for calls which may be picked up, the longest first."""

    def parked(self) -> Mapping[int, int]:
        """Parked contacts of the account: slot -> call."""

    @property
    def parking_seconds(self) -> int:
        """After which the phone that parked a contact rings."""

    def line_channels(self, sip_line_id: int) -> int:
        """Living sessions that use a SIP line, this call not counted."""

    def number_calls(self, virtual_number_id: int, direction: str) -> int:
        """Living sessions on a virtual number, in or out."""

    def media_path(self, media_file_id: int) -> str | None:
        """Where the engine finds a media file (without extension); None = no such file."""

    def system_media_path(self, mnemonic: str) -> str | None:
        """The same for a file of the system set."""
