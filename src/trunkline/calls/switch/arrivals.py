"""Calls that come to the switch: each finds its account, is refused or begun.

Whose call an arrival is follows from the directory in memory: the account, and the line or the virtual number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trunkline.calls.decision import Decision
from trunkline.calls.effects import ConnectTargets, OriginateLeg
from trunkline.calls.flows import inbound, outbound, site_calls
from trunkline.calls.flows.site_calls import BrowserCall
from trunkline.calls.records.event_writer import EventWriter
from trunkline.calls.session import Session
from trunkline.calls.states import Dialling, Incoming
from trunkline.calls.switch.browser_tickets import BrowserTickets
from trunkline.calls.switch.channel_admission import ChannelAdmission
from trunkline.calls.switch.executor import EffectExecutor
from trunkline.calls.switch.live_context import LiveContext
from trunkline.core import metrics
from trunkline.core.disk import DiskLevel
from trunkline.core.log import get_logger
from trunkline.directory.model import Account, Directory, SipLine, Site
from trunkline.directory.trunks.call_owner import CallOwner, called_number, owner_of_call
from trunkline.routing.emergency import emergency_number
from trunkline.telephony.port import Arrived, EndpointKind

if TYPE_CHECKING:
    from trunkline.calls.switch.switch import Switch

_log = get_logger("calls")

_REMEDIES = {
    "no_account": "no account with this trunk has the called number verified, or the engine has an old directory: see"
    " `trunkline numbers claims`",
    "no_ticket": "no action is needed for single ones: a page of a website called too late, or the switch was restarted;"
    " many from one address are somebody who tries: see `trunkline ban`",
    "event_buffer_full": "PostgreSQL has stored no events for too long: see `trunkline status` and the log of postgres",
    "disk_full": "free space on the disk of the data folder: see `trunkline status`",
    "too_many_channels": "the account has its share of the channels: raise engine.max_channels and the range of"
    " sip.rtp_port_first to sip.rtp_port_last, or wait until calls end",
}
"""By the reason of a refusal."""


@dataclass(frozen=True, slots=True)
class FromLine:
    """A call from one of the account's lines."""

    account: Account
    line: SipLine


@dataclass(frozen=True, slots=True)
class FromSite:
    """A call of a browser, of a visitor of one of the account's websites."""

    account: Account
    site: Site


Origin = FromLine | FromSite | CallOwner


def origin_of(directory: Directory, arrived: Arrived, sharing: Mapping[int, frozenset[int]]) -> Origin | None:
    """Whose call this is. None: no account.

    :param sharing: for each trunk, the trunks that have the same address.
    """
    if arrived.endpoint.kind is EndpointKind.LINE:
        found = directory.line(arrived.endpoint.name)
        return FromLine(*found) if found is not None else None
    if arrived.endpoint.kind is EndpointKind.SITE:
        site = directory.site(int(arrived.endpoint.name.removeprefix("site-")))
        return FromSite(*site) if site is not None else None
    trunk_id, by_address = arrived.endpoint.trunk_id, arrived.endpoint.is_known_by_address
    same_address = sharing.get(trunk_id, frozenset({trunk_id})) if by_address else None
    return owner_of_call(directory, trunk_id, arrived.called, same_address)


def open_call(
    origin: Origin,
    arrived: Arrived,
    context: LiveContext,
    call_session_id: int,
    browser_call: BrowserCall | None = None,
) -> Decision:
    """Begin the call and decide what happens with it.

    :param browser_call: of a call of a browser.
    """
    match origin:
        case FromSite(_, site):
            return site_calls.open_browser_call(arrived, site, browser_call, context, call_session_id)
        case FromLine(_, line):
            return outbound.open_call(arrived, line, context, call_session_id)
        case CallOwner(_, number, trunk_id):
            return inbound.open_call(arrived, number, trunk_id, context, call_session_id)


def record_call(origin: Origin, arrived: Arrived, context: LiveContext, call_session_id: int) -> Decision:
    """Write the beginning of a call that continues without the switch; decides nothing."""
    match origin:
        case FromSite(_, site):
            return site_calls.record_call(arrived, site, None, context, call_session_id)
        case FromLine(_, line):
            return outbound.record_call(arrived, line, context, call_session_id)
        case CallOwner(_, number, trunk_id):
            return inbound.record_call(arrived, number, trunk_id, context, call_session_id)


def is_emergency(origin: Origin | None, arrived: Arrived) -> bool:
    """Whether a line of an account calls an emergency number."""
    return (
        isinstance(origin, FromLine) and emergency_number(arrived.called, origin.account.country) is not None
    )


class Arrivals:
    """Begins the calls of a switch.

    :param sharing: for each trunk, the trunks that have the same address.
    """

    def __init__(
        self,
        switch: Switch,
        *,
        directory: Callable[[], Directory],
        sharing: Callable[[], Mapping[int, frozenset[int]]],
        writer: EventWriter,
        executor: EffectExecutor,
        admission: ChannelAdmission,
        disk: Callable[[], DiskLevel],
        clock: Callable[[], float],
    ) -> None:
        self._switch = switch
        self._directory = directory
        self._sharing = sharing
        self._writer = writer
        self._executor = executor
        self._admission = admission
        self._disk = disk
        self._clock = clock
        self.tickets = BrowserTickets(clock)
        """Of calls of browsers."""
        self._setups: dict[int, float] = {}
        """By session: when a call arrived that rings a phone at once, until it does."""
        self._opened: set[int] = set()
        """Live calls whose arrival this process handled."""

    def arrived(self, arrived: Arrived) -> None:
        waiting = self._switch.channels.get(arrived.channel)
        if waiting is not None:
            self._arrived_after_recovery(waiting, arrived)
            return
        if arrived.channel in self._switch.past_channels:
            self._switch.refuse_channel(arrived.channel)  # refused before, or recovery has closed its call
            return
        try:
            origin = self.origin_of(self._directory(), arrived)
            refused = self._why_refused(origin, arrived)
            if origin is None or refused is not None:
                self._log_refusal(arrived, origin, refused or "no_account")
                self._switch.refuse_channel(arrived.channel)
                return
            call_session_id = self._switch.id_of(arrived.channel) or self._switch.next_id()
            context = self._switch.context(origin.account)
            browser_call = self._redeem_ticket(origin, arrived)
            decision = open_call(origin, arrived, context, call_session_id, browser_call)
        except Exception:
            self._switch.refuse_channel(arrived.channel)  # an internal error, without effect on the call
            raise
        self._opened.add(decision.session.call_session_id)
        if any(isinstance(effect, ConnectTargets | OriginateLeg) for effect in decision.effects):
            self._setups[decision.session.call_session_id] = arrived.at
        self._switch.apply(decision)

    def _why_refused(self, origin: Origin | None, arrived: Arrived) -> str | None:
        """Why no call can be taken now. An emergency call needs media ports and nothing else."""
        if origin is not None and is_emergency(origin, arrived):
            has_room = self._admission.has_room_for_emergency(origin.account.account_id)
            return None if has_room else "too_many_channels"
        if isinstance(origin, FromSite) and not self.tickets.is_valid(
            arrived.called, origin.account.account_id, origin.site.site_id
        ):
            return "no_ticket"
        if self._writer.full:
            return "event_buffer_full"
        if self._disk() >= DiskLevel.NO_CALLS:
            return "disk_full"
        if origin is not None and not self._admission.has_room(origin.account.account_id):
            return "too_many_channels"
        return None

    def _redeem_ticket(self, origin: Origin, arrived: Arrived) -> BrowserCall | None:
        if not isinstance(origin, FromSite):
            return None
        return self.tickets.redeem(arrived.called, origin.account.account_id, origin.site.site_id)

    def _log_refusal(self, arrived: Arrived, origin: Origin | None, reason: str) -> None:
        metrics.CALLS_REFUSED.labels(reason).inc()
        is_alarm = reason in ("event_buffer_full", "disk_full")
        (_log.error if is_alarm else _log.warning)(
            "call_refused",
            reason=reason,
            account_id=origin.account.account_id if origin is not None else None,
            channel=arrived.channel,
            endpoint=arrived.endpoint.name,
            called=arrived.called,
            remedy=_REMEDIES[reason],
        )

    def _arrived_after_recovery(self, session: Session, arrived: Arrived) -> None:
        """A call that waited in the engine while no switch was there, and whose session recovery began."""
        caller, context = session.initiator, self._switch.context_of(session.account_id, session)
        if context is None or caller is None or not self.may_begin(session):
            return
        session.connect = None  # not a real connect: the engine had no target to dial
        decision = Decision(session, context, arrived.at)
        if isinstance(session.state, Dialling):
            outbound.resume(decision, caller)
        else:
            inbound.decide_arrival(decision, called_number(context.account, arrived.called))
        self._switch.apply(decision)

    def may_begin(self, session: Session) -> bool:
        """Whether recovery began the session of a call that waits in the engine, and nothing has been decided for it.

        A former switch may have answered the caller of a scenario, and was killed before that was stored.
        """
        caller = session.initiator
        return (
            isinstance(session.state, Incoming | Dialling)
            and caller is not None
            and caller.is_alive
            and (caller.answered_at is None or isinstance(session.state, Incoming))
            and len(session.legs) == 1
            and session.call_session_id not in self._opened
        )

    def origin_of(self, directory: Directory, arrived: Arrived) -> Origin | None:
        """Whose call this is; None: no account."""
        return origin_of(directory, arrived, self._sharing())

    def call_of(self, arrived: Arrived) -> tuple[int, int] | None:
        """Account and id of the call that came in on this channel; None when it has no account, or no id follows."""
        call_session_id = self._switch.id_of(arrived.channel)
        if call_session_id is None:
            return None
        origin = self.origin_of(self._directory(), arrived)
        return (origin.account.account_id, call_session_id) if origin is not None else None

    def ring_commanded(self, call_session_id: int) -> None:
        """A phone of the call rings: measure the time since its arrival."""
        arrived_at = self._setups.pop(call_session_id, None)
        if arrived_at is not None:
            metrics.SETUP.observe(max(0.0, self._clock() - arrived_at))

    def forget(self, call_session_id: int) -> None:
        """The call has ended."""
        self._opened.discard(call_session_id)
        self._setups.pop(call_session_id, None)
