"""An account with all of this, and the accounts together, with the indexes a call needs first."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TypeVar
from zoneinfo import ZoneInfo

from trunkline.directory.model.content import Contact, ContactGroup, MediaFile, MediaKind, Tag
from trunkline.directory.model.lines import SipLine, Trunk
from trunkline.directory.model.numbers import NumberStatus, VirtualNumber
from trunkline.directory.model.people import Employee, Group
from trunkline.directory.model.queues import AgentProfile, CallQueue
from trunkline.directory.model.scenarios import Scenario, Schedule, TalkOption
from trunkline.directory.model.sites import Site

GREETING = "greeting_"
"""How the keys of media files begin that are greetings of mailboxes; the extension follows."""


@dataclass(frozen=True, slots=True)
class OutgoingLimits:
    """Limits of outside calls. None: the setting of the installation (``limits.*``), 0: no limit.

    :ivar money_per_day: in the account's currency.
    """

    calls_per_minute: int | None = None
    concurrent_calls: int | None = None
    money_per_day: float | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """The data of one account for call rules."""

    account_id: int
    name: str
    time_zone: ZoneInfo
    locale: str
    country: str
    """ISO 3166 alpha-2: how local numbers are read."""
    is_active: bool
    components: frozenset[str]
    security: Mapping[str, bool]
    """Whether calls may go to ``mobile``, ``national``, ``international`` and ``premium`` numbers. See :meth:`may_call`."""
    tts_message_max_length: int
    """Characters."""
    employees: Mapping[int, Employee] = field(default_factory=dict)
    lines: Mapping[int, SipLine] = field(default_factory=dict)
    trunks: Mapping[int, Trunk] = field(default_factory=dict)
    carriers: Mapping[int, Trunk] = field(default_factory=dict)
    """Trunks of other accounts that serve numbers of this one; without their passwords."""
    numbers: Mapping[int, VirtualNumber] = field(default_factory=dict)
    scenarios: Mapping[int, Scenario] = field(default_factory=dict)
    schedules: Mapping[int, Schedule] = field(default_factory=dict)
    groups: Mapping[int, Group] = field(default_factory=dict)
    media: Mapping[int, MediaFile] = field(default_factory=dict)
    """The account's own and the system set."""
    tags: Mapping[int, Tag] = field(default_factory=dict)
    contacts_by_phone: Mapping[str, Contact] = field(default_factory=dict)
    blacklist: Set[str] = frozenset()
    contact_groups: Mapping[int, ContactGroup] = field(default_factory=dict)
    queues: Mapping[int, CallQueue] = field(default_factory=dict)
    agents: Mapping[int, AgentProfile] = field(default_factory=dict)
    """By id of the employee: those who take calls of queues."""
    talk_options: Mapping[str, TalkOption] = field(default_factory=dict)
    """By button."""
    allowed_addresses: tuple[str, ...] = ()
    """Addresses and networks that the administrator allows to its trunks, although they are private or used elsewhere."""
    default_virtual_number_id: int | None = None
    """As chosen; :attr:`default_number` also answers when none was."""
    outgoing_limits: Mapping[int, OutgoingLimits] = field(default_factory=dict)
    """By id of the line; 0 = the account's own."""

    sites: Mapping[int, Site] = field(default_factory=dict)
    """Websites whose visitors may ask for calls."""

    _numbers_by_phone: Mapping[str, VirtualNumber] = field(init=False, repr=False, compare=False)
    _lines_by_login: Mapping[str, SipLine] = field(init=False, repr=False, compare=False)
    _employees_by_extension: Mapping[str, Employee] = field(init=False, repr=False, compare=False)
    _groups_by_extension: Mapping[str, Group] = field(init=False, repr=False, compare=False)
    _queues_by_extension: Mapping[str, CallQueue] = field(init=False, repr=False, compare=False)
    _employees_by_line: Mapping[int, Employee] = field(init=False, repr=False, compare=False)
    _system_media: Mapping[str, MediaFile] = field(init=False, repr=False, compare=False)
    _greetings: Mapping[str, MediaFile] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = object.__setattr__  # the dataclass is frozen; its indexes are made once, here
        index(self, "_numbers_by_phone", {n.phone_number: n for n in self.numbers.values()})
        index(self, "_lines_by_login", {line.phone_number: line for line in self.lines.values()})
        index(
            self, "_employees_by_extension", {e.extension: e for e in self.employees.values() if e.extension}
        )
        index(self, "_groups_by_extension", {g.extension: g for g in self.groups.values() if g.extension})
        index(self, "_queues_by_extension", {q.extension: q for q in self.queues.values() if q.extension})
        index(self, "_employees_by_line", self._line_owners())
        system = {m.key: m for m in self.media.values() if m.kind is MediaKind.SYSTEM}
        index(self, "_system_media", system)
        greetings = (
            m for m in self.media.values() if m.kind is not MediaKind.SYSTEM and m.key.startswith(GREETING)
        )
        index(self, "_greetings", {m.key.removeprefix(GREETING): m for m in greetings})

    def _line_owners(self) -> dict[int, Employee]:
        """Phones name the lines their employee answers; a line that itself names an employee belongs to that employee."""
        owners = {
            phone.sip_line_id: employee
            for employee in reversed(list(self.employees.values()))
            for phone in employee.phones
            if phone.sip_line_id is not None
        }
        for line in self.lines.values():
            if line.employee_id is not None and line.employee_id in self.employees:
                owners[line.sip_line_id] = self.employees[line.employee_id]
        return owners

    def is_open(self, schedule_id: int | None, local: datetime) -> bool:
        """Whether a schedule is open at this local time. Without a schedule, or after it was deleted: always."""
        schedule = self.schedules.get(schedule_id) if schedule_id is not None else None
        return schedule is None or schedule.is_open(local)

    def opens_at(self, schedule_id: int | None, local: datetime, *, days: int) -> datetime | None:
        """When :meth:`is_open` holds for the first time from this time on; None: not within so many days."""
        schedule = self.schedules.get(schedule_id) if schedule_id is not None else None
        return local if schedule is None else schedule.opens_at(local, days=days)

    def with_numbers(
        self, contacts: Mapping[str, Contact | None], blacklisted: Mapping[str, bool]
    ) -> Account:
        """The account with other facts of some telephone numbers; what is made of the rest stays as it is.

        :param contacts: by number; None: it has no contact any more.
        """
        changed = copy.copy(self)
        put = object.__setattr__
        gone = {number for number, contact in contacts.items() if contact is None}
        kept = {**self.contacts_by_phone, **{n: c for n, c in contacts.items() if c is not None}}
        for number in gone:
            kept.pop(number, None)
        put(changed, "contacts_by_phone", kept)
        refused = set(self.blacklist)
        refused |= {number for number, is_refused in blacklisted.items() if is_refused}
        refused -= {number for number, is_refused in blacklisted.items() if not is_refused}
        put(changed, "blacklist", frozenset(refused))
        return changed

    def number_by_phone(self, phone: str) -> VirtualNumber | None:
        return self._numbers_by_phone.get(phone)

    @property
    def default_number(self) -> VirtualNumber | None:
        """The number of calls that name none: the chosen one, else the active and verified one with the lowest
        id."""
        chosen = self.numbers.get(self.default_virtual_number_id or 0)
        if chosen is not None and chosen.is_verified and chosen.status is NumberStatus.ACTIVE:
            return chosen
        active = (
            number
            for number in self.numbers.values()
            if number.is_verified and number.status is NumberStatus.ACTIVE
        )
        return min(active, key=lambda number: number.virtual_number_id, default=None)

    def caller_id(self, phone: str | None) -> str | None:
        """The caller id of an outgoing call that should show ``phone``: never a number that is not verified. None = none."""
        number = self.number_by_phone(phone) if phone else None
        if number is None or number.is_verified:
            return phone
        return self.default_number.phone_number if self.default_number is not None else None

    def trunk_for(self, number: VirtualNumber | None) -> Trunk | None:
        """The trunk by which calls with this caller id leave: the number's own, else its carrier's, else the account's first
        active one."""
        if number is not None and number.trunk_id is not None:
            trunk = self.trunks.get(number.trunk_id)
            return trunk if trunk is not None and trunk.is_active else None
        if number is not None and number.carrier_trunk_id is not None:
            carrier = self.carriers.get(number.carrier_trunk_id)
            return carrier if carrier is not None and carrier.is_active else None
        return next((trunk for trunk in self.trunks.values() if trunk.is_active), None)

    def line_by_login(self, login: str) -> SipLine | None:
        return self._lines_by_login.get(login)

    def employee_by_extension(self, extension: str) -> Employee | None:
        return self._employees_by_extension.get(extension)

    def extension_begins_with(self, digits: str) -> bool:
        """Whether an extension has more digits than these and begins with them."""
        return any(
            len(one) > len(digits) and one.startswith(digits)
            for extensions in (
                self._employees_by_extension,
                self._groups_by_extension,
                self._queues_by_extension,
            )
            for one in extensions
        )

    def group_by_extension(self, extension: str) -> Group | None:
        return self._groups_by_extension.get(extension)

    def queue_by_extension(self, extension: str) -> CallQueue | None:
        return self._queues_by_extension.get(extension)

    def employee_of_line(self, sip_line_id: int) -> Employee | None:
        """The employee of this line, if there is one."""
        return self._employees_by_line.get(sip_line_id)

    def system_media(self, mnemonic: str) -> MediaFile | None:
        """A file of the shared set, e.g. ``dialing_music``."""
        return self._system_media.get(mnemonic)

    def greeting(self, extension: str) -> MediaFile | None:
        """The greeting of the mailbox of the employee or group with this extension."""
        return self._greetings.get(extension)

    def may_call(self, direction: str) -> bool:
        """Whether calls may go in this direction; international and premium ones only when allowed on purpose."""
        return self.security.get(direction, direction not in ("international", "premium"))

    def local(self, moment: datetime) -> datetime:
        """An aware moment as wall-clock time of the account's zone."""
        return moment.astimezone(self.time_zone)


@dataclass(frozen=True, slots=True)
class Directory:
    """All accounts of the installation, with the indexes a call needs first."""

    accounts: Mapping[int, Account] = field(default_factory=dict)

    _numbers: Mapping[str, tuple[Account, VirtualNumber]] = field(init=False, repr=False, compare=False)
    _lines: Mapping[str, tuple[Account, SipLine]] = field(init=False, repr=False, compare=False)
    _trunks: Mapping[int, tuple[Account, Trunk]] = field(init=False, repr=False, compare=False)
    _sites: Mapping[int, tuple[Account, Site]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = object.__setattr__
        accounts = self.accounts.values()
        index(self, "accounts", MappingProxyType(dict(self.accounts)))
        index(
            self,
            "_numbers",
            {n.phone_number: (a, n) for a in accounts for n in _verified_numbers(a)},
        )
        index(self, "_lines", {line.phone_number: (a, line) for a in accounts for line in a.lines.values()})
        index(self, "_trunks", {t.trunk_id: (a, t) for a in accounts for t in a.trunks.values()})
        index(self, "_sites", {s.site_id: (a, s) for a in accounts for s in a.sites.values()})

    def with_accounts(self, changed: Mapping[int, Account], gone: Iterable[int] = ()) -> Directory:
        """With some accounts in place of those of the same id, and without some; the indexes of the others are kept."""
        made = copy.copy(self)
        put = object.__setattr__
        accounts = dict(self.accounts)
        numbers, lines, trunks = dict(self._numbers), dict(self._lines), dict(self._trunks)
        sites = dict(self._sites)
        for account_id in [*gone, *changed]:
            old = accounts.pop(account_id, None)
            if old is None:
                continue
            _drop(numbers, account_id, (n.phone_number for n in old.numbers.values()))
            _drop(lines, account_id, (line.phone_number for line in old.lines.values()))
            _drop(trunks, account_id, (t.trunk_id for t in old.trunks.values()))
            _drop(sites, account_id, (s.site_id for s in old.sites.values()))
        for account_id, new in changed.items():
            accounts[account_id] = new
            numbers |= {n.phone_number: (new, n) for n in _verified_numbers(new)}
            lines |= {line.phone_number: (new, line) for line in new.lines.values()}
            trunks |= {t.trunk_id: (new, t) for t in new.trunks.values()}
            sites |= {s.site_id: (new, s) for s in new.sites.values()}
        put(made, "accounts", MappingProxyType(accounts))
        put(made, "_numbers", numbers)
        put(made, "_lines", lines)
        put(made, "_trunks", trunks)
        put(made, "_sites", sites)
        return made

    def number(self, phone: str) -> tuple[Account, VirtualNumber] | None:
        """The account for which this number (E.164 digits) is verified, and the number."""
        return self._numbers.get(phone)

    def line(self, login: str) -> tuple[Account, SipLine] | None:
        """Whose line logs in with this name."""
        return self._lines.get(login)

    def site(self, site_id: int) -> tuple[Account, Site] | None:
        """The website with this id, whose visitors may ask for calls."""
        return self._sites.get(site_id)

    def trunk(self, trunk_id: int) -> tuple[Account, Trunk] | None:
        return self._trunks.get(trunk_id)


_K = TypeVar("_K")
_T = TypeVar("_T")


def _verified_numbers(account: Account) -> Iterator[VirtualNumber]:
    """Numbers whose calls belong to the account; a claim brings it no calls of others."""
    return (number for number in account.numbers.values() if number.is_verified)


def _drop(index: dict[_K, tuple[Account, _T]], account_id: int, keys: Iterable[_K]) -> None:
    """Remove the entries of the account."""
    for key in keys:
        if key in index and index[key][0].account_id == account_id:
            del index[key]
