"""Who is there and who is busy: registrations of lines, channels in use, idle times. In memory, of one switch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from trunkline.calls.context import RingingPhone, TrunkRegistration
from trunkline.calls.decision import Decision, is_own_channel
from trunkline.calls.flows.outgoing_limits import OutgoingUsage
from trunkline.calls.session import Leg, Role, Session
from trunkline.calls.states import Dialling, Forwarding, Parked
from trunkline.calls.switch.last_talks import LastTalks
from trunkline.events.catalogue import Event, EventType
from trunkline.telephony.port import Registered, Unregistered


class Presence:
    """Counts what the sessions of this switch use, and remembers which devices are registered."""

    def __init__(self) -> None:
        self._devices: dict[str, dict[str, Registered]] = defaultdict(dict)
        self._by_ip: dict[str, dict[tuple[str, str], Registered]] = defaultdict(dict)
        """The same devices by their address; the key is the line and the contact."""
        self._lines: dict[int, set[int]] = defaultdict(set)
        self._phones: dict[int, set[int]] = defaultdict(set)
        self._groups: dict[int, set[int]] = defaultdict(set)
        self._trunks: dict[int, int] = defaultdict(int)
        self._channels: dict[int, set[int]] = defaultdict(set)
        self._pending: dict[int, int] = {}
        """By session: channels that the engine was commanded to open and that are not legs yet."""
        self._pending_of: dict[int, int] = defaultdict(int)
        """The same by account."""
        self._outside: dict[tuple[int, str], set[int]] = defaultdict(set)
        self._numbers: dict[tuple[int, str], set[int]] = defaultdict(set)
        self._ringing: dict[int, dict[int, RingingPhone]] = defaultdict(dict)
        """By account and leg: phones that ring for a call which may be picked up."""
        self._parked: dict[int, dict[int, int]] = defaultdict(dict)
        """By account and slot: calls whose contact is parked there."""
        self._slots: dict[int, int] = {}
        """The same by call."""
        self.outgoing = OutgoingUsage()
        self.last_talks = LastTalks()
        self.trunk_registrations: dict[int, TrunkRegistration] = {}
        """At carriers, by trunk, as they were read last."""
        self.silent_trunks: dict[int, int] = {}
        """Trunks whose server did not respond to the last calls, with their number, since the start of the switch."""
        self._idle_since: dict[int, float] = {}
        self.applied = 0
        """Decisions that were counted."""
        self.registrations_known = False
        """False until the engine has reported all registrations once; until then no line counts as offline."""

    # --- registrations

    def register(self, registered: Registered) -> bool:
        """Keep a device; True when the line had none before."""
        devices = self._devices[registered.line]
        before = self.is_online(registered.line)
        known = devices.get(registered.contact_uri)
        if known is not None and registered.reachable is None:
            registered = _with_reachable(registered, known)
        if known is not None:
            self._forget_address(known)
        devices[registered.contact_uri] = registered
        self._by_ip[registered.ip][registered.line, registered.contact_uri] = registered
        return not before and self.is_online(registered.line)

    def unregister(self, unregistered: Unregistered) -> bool:
        """Remove a device; True when it was the line's last."""
        devices = self._devices.get(unregistered.line)
        known = devices.pop(unregistered.contact_uri, None) if devices else None
        if known is None:
            return False
        self._forget_address(known)
        return not self.is_online(unregistered.line)

    def _forget_address(self, device: Registered) -> None:
        at = self._by_ip[device.ip]
        at.pop((device.line, device.contact_uri), None)
        if not at:
            del self._by_ip[device.ip]

    def devices_at(self, ip: str) -> list[Registered]:
        """The devices of all lines that are registered from an address."""
        return list(self._by_ip[ip].values()) if ip in self._by_ip else []

    def devices(self, line: str) -> list[Registered]:
        return list(self._devices.get(line, {}).values())

    def all_devices(self) -> dict[str, list[Registered]]:
        return {line: list(devices.values()) for line, devices in self._devices.items() if devices}

    def is_online(self, line: str) -> bool:
        """Whether a device is registered that is not known to be unreachable."""
        return any(device.reachable is not False for device in self._devices.get(line, {}).values())

    # --- use

    def apply(self, decision: Decision) -> None:
        """Count the starts and ends in the events of a decision."""
        for event in decision.events:
            self.count(decision.session, event)
            self.outgoing.count(decision.session, event)
        self._note_parked(decision.session)
        self.outgoing.reserve(decision.session)
        self.applied += 1

    def restore(self, session: Session) -> None:
        """Count a session that was rebuilt from its events."""
        if session.virtual_number_id is not None:
            self._numbers[session.virtual_number_id, session.direction].add(session.call_session_id)
        self.outgoing.restore(session)
        self._note_parked(session)
        for leg in session.living:
            if leg.channel:
                self._occupy(session, leg)
                self._note_ringing(session, leg)

    def reserve_channels(self, session: Session, channels: int) -> None:
        """The engine is commanded to open so many channels for a session, instead of the pending ones.

        Each leg that begins is one of them. The rest (a line with several devices has one leg) is released when one is
        answered, when no called leg is left, or with the session.
        """
        self._pending_of[session.account_id] += channels - self._pending.pop(session.call_session_id, 0)
        if channels > 0:
            self._pending[session.call_session_id] = channels
        if not self._pending_of[session.account_id]:
            del self._pending_of[session.account_id]

    def _count_pending(self, session: Session, event: Event) -> None:
        pending = self._pending.get(session.call_session_id)
        if pending is None:
            return
        leg = session.legs.get(event.data.get("leg_id", 0))
        called = leg is not None and leg.direction == "out"
        if event.type is EventType.LEG_STARTED and called and event.data["channel"]:
            self.reserve_channels(session, pending - 1)
        elif event.type is EventType.SESSION_FINISHED or (called and event.type is EventType.LEG_ANSWERED):
            self.reserve_channels(session, 0)
        elif called and event.type is EventType.LEG_ENDED:
            others = (one for one in session.living if one is not leg and one.direction == "out")
            if not any(one.answered_at is None for one in others):
                self.reserve_channels(session, 0)

    def _occupy(self, session: Session, leg: Leg) -> None:
        self._channels[session.account_id].add(leg.leg_id)
        if leg.sip_line_id is not None:
            self._lines[leg.sip_line_id].add(session.call_session_id)
        if leg.phone_id:
            self._phones[leg.phone_id].add(session.call_session_id)
        if leg.group_id is not None:
            self._groups[leg.group_id].add(session.call_session_id)
        if leg.trunk_id is not None:
            self._trunks[leg.trunk_id] += 1
        if (outside := _outside(session, leg)) is not None:
            self._outside[outside].add(session.call_session_id)

    def _note_response(self, trunk_id: int, direction: str, ended: Mapping[str, object]) -> None:
        if ended.get("no_response"):
            self.silent_trunks[trunk_id] = self.silent_trunks.get(trunk_id, 0) + 1
        elif direction == "out" and not ended.get("too_short"):
            self.silent_trunks.pop(trunk_id, None)

    def count(self, session: Session, event: Event) -> None:
        self._count_pending(session, event)
        number = (session.virtual_number_id, session.direction)
        match event.type:
            case EventType.SESSION_STARTED if session.virtual_number_id is not None:
                self._numbers[session.virtual_number_id, session.direction].add(session.call_session_id)
            case EventType.SESSION_FINISHED if number[0] is not None:
                self._numbers[number[0], number[1]].discard(session.call_session_id)
            case EventType.LEG_STARTED if event.data["channel"]:
                leg = session.legs[event.data["leg_id"]]
                self._occupy(session, leg)
                self._note_ringing(session, leg)
            case EventType.LEG_ANSWERED:
                self._note_ringing(session, session.legs[event.data["leg_id"]])
            case EventType.LEG_ENDED:
                leg = session.legs[event.data["leg_id"]]
                if not leg.channel:
                    return
                self._note_ringing(session, leg)
                self._channels[session.account_id].discard(leg.leg_id)
                living = [one for one in session.living if one is not leg]
                if leg.sip_line_id is not None and all(one.sip_line_id != leg.sip_line_id for one in living):
                    self._lines[leg.sip_line_id].discard(session.call_session_id)
                if leg.phone_id and all(one.phone_id != leg.phone_id for one in living):
                    self._phones[leg.phone_id].discard(session.call_session_id)
                if leg.group_id is not None and all(one.group_id != leg.group_id for one in living):
                    self._groups[leg.group_id].discard(session.call_session_id)
                if leg.trunk_id is not None:
                    self._trunks[leg.trunk_id] -= 1
                    self._note_response(leg.trunk_id, leg.direction, event.data)
                outside = _outside(session, leg)
                if outside is not None and all(_outside(session, one) != outside for one in living):
                    self._outside[outside].discard(session.call_session_id)
                    if not self._outside[outside]:
                        del self._outside[outside]  # there is no end of numbers
            case EventType.TALK_STARTED if event.data.get("employee_id") is not None:
                if session.contact_phone_number is not None:
                    self.last_talks.note(
                        session.account_id,
                        session.contact_phone_number,
                        event.data["employee_id"],
                        event.at,
                    )
            case EventType.TALK_ENDED if event.data.get("employee_id") is not None:
                self._idle_since[event.data["employee_id"]] = event.at
            case _:
                pass

    def _note_ringing(self, session: Session, leg: Leg) -> None:
        """Keep a phone as long as it rings, called by the engine for one who waits."""
        phones = self._ringing[session.account_id]
        waits = isinstance(session.state, Forwarding | Dialling)
        rings = leg.direction == "out" and leg.is_alive and leg.answered_at is None
        if waits and rings and leg.sip_line_id is not None and not is_own_channel(leg.channel):
            phones[leg.leg_id] = RingingPhone(
                leg.channel,
                session.call_session_id,
                leg.employee_id,
                leg.group_id,
                session.initiator.employee_id if session.initiator is not None else None,
            )
        else:
            phones.pop(leg.leg_id, None)
        if not phones:
            del self._ringing[session.account_id]

    def ringing(self, account_id: int) -> list[RingingPhone]:
        """The phones of an account that ring for calls which may be picked up, the longest first."""
        return list(self._ringing.get(account_id, {}).values())

    def _note_parked(self, session: Session) -> None:
        slot = session.state.slot if isinstance(session.state, Parked) else None
        before = self._slots.get(session.call_session_id)
        if slot == before:
            return
        if before is not None:
            del self._slots[session.call_session_id]
            self._parked[session.account_id].pop(before, None)
            if not self._parked[session.account_id]:
                del self._parked[session.account_id]
        if slot is not None:
            self._slots[session.call_session_id] = slot
            self._parked[session.account_id][slot] = session.call_session_id

    def parked(self, account_id: int) -> Mapping[int, int]:
        """Parked contacts of an account: slot -> call."""
        return self._parked.get(account_id, {})

    def line_calls(self, sip_line_id: int, besides: Session | None = None) -> int:
        """Sessions that use a line; of ``besides``, whose decision is not counted yet, by its present legs."""
        others = self._lines.get(sip_line_id, set())
        if besides is None:
            return len(others)
        own = any(leg.sip_line_id == sip_line_id for leg in besides.living if leg.channel)
        return len(others - {besides.call_session_id}) + own

    def phone_calls(self, phone_id: int, besides: Session | None = None) -> int:
        """The same for an employee's phone."""
        others = self._phones.get(phone_id, set())
        if besides is None:
            return len(others)
        own = any(leg.phone_id == phone_id for leg in besides.living if leg.channel)
        return len(others - {besides.call_session_id}) + own

    def group_calls(self, group_id: int, besides: Session | None = None) -> int:
        """Other sessions than ``besides`` that ring or talk to somebody as a member of a group."""
        own = {besides.call_session_id} if besides is not None else set()
        return len(self._groups.get(group_id, set()) - own)

    def outside_calls(self, account_id: int, number: str, besides: Session | None = None) -> int:
        """Other sessions than ``besides`` in which an outside telephone serves or is called to."""
        own = {besides.call_session_id} if besides is not None else set()
        return len(self._outside.get((account_id, number), set()) - own)

    def channels_of(self, account_id: int) -> int:
        """Channels of an account: legs that have one, and those that the engine was commanded to open."""
        return len(self._channels.get(account_id, ())) + self._pending_of.get(account_id, 0)

    def all_channels(self) -> int:
        """Those of all accounts."""
        return sum(map(len, self._channels.values())) + sum(self._pending_of.values())

    def trunk_calls(self, account_id: int, trunk_id: int) -> int:
        """Calls over a trunk of the account, with those that are to begin."""
        to_begin = self.outgoing.reserved(account_id)
        return self._trunks.get(trunk_id, 0) + sum(one.trunk_id == trunk_id for one in to_begin)

    def number_calls(self, virtual_number_id: int, direction: str) -> int:
        return len(self._numbers.get((virtual_number_id, direction), ()))

    def idle_since(self, employee_id: int) -> float:
        return self._idle_since.get(employee_id, 0.0)


def _outside(session: Session, leg: Leg) -> tuple[int, str] | None:
    """The outside telephone, of no employee, that a leg occupies on our side."""
    if leg.role is not Role.OPERATOR or leg.trunk_id is None or leg.called_phone_number is None:
        return None
    return session.account_id, leg.called_phone_number


def _with_reachable(registered: Registered, known: Registered) -> Registered:
    """A refresh has no reachability: keep the result of the last probe."""
    return Registered(
        registered.at,
        registered.line,
        registered.contact_uri,
        registered.ip,
        registered.port,
        registered.transport,
        registered.user_agent,
        registered.expires_at,
        registered.round_trip_us if registered.round_trip_us is not None else known.round_trip_us,
        known.reachable,
    )
