"""The settings of an instance in the words of Asterisk's configuration: used where processes are composed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from trunkline.core.engine_values import (
    BadEngineValue,
    CallerNumber,
    EmergencyRouteName,
    MediaPath,
    WatchersName,
)
from trunkline.core.errors import ConfigurationError
from trunkline.core.log import get_logger
from trunkline.core.settings import Settings
from trunkline.directory import model as directory_model
from trunkline.directory.model import LineStatus, SipLine, Trunk
from trunkline.directory.trunks.identification import Identification
from trunkline.routing.emergency import emergency_caller, emergency_numbers, emergency_trunks
from trunkline.runtime import asterisk_correction, certificates, secrets
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.telephony.config import (
    DefaultRoute,
    EmergencyRoute,
    EndpointSet,
    EngineConfig,
    EngineSecrets,
    LineConfig,
    NumberFormat,
    SiteConfig,
    TrunkConfig,
    TrunkMode,
    TrunkTransport,
    WatchedExtension,
    base_files,
    directory_files,
    trunk_endpoint,
    write_files,
)

_T = TypeVar("_T")
_log = get_logger("engine")


def engine_config(settings: Settings, install: AsteriskInstall) -> EngineConfig:
    """The configuration of Asterisk for these settings; the instance's secrets must exist.

    :raises ConfigurationError: Asterisk cannot use files in one of the folders.
    """
    for name, folder in (("media_dir", settings.media_dir), ("spool_dir", settings.spool_dir)):
        if not MediaPath.is_good(str(folder.absolute())):
            raise ConfigurationError(
                f"{name}: Asterisk cannot use files in {folder}; choose a folder whose path has only letters, digits,"
                " spaces and . _ ~ + @ = -"
            )
    own = secrets.load(settings)
    logins = EngineSecrets(own.ari.user, own.ari.password, own.ami.user, own.ami.password)
    config = EngineConfig.of(settings, logins, install.modules_dir, install.data_dir)
    # Without the corrections, a phone could end Asterisk or take over a call of any account (decision 0043).
    may_transfer = config.transfers and asterisk_correction.are_transfers_corrected(install.modules_dir)
    return replace(config, transfers=may_transfer)


def configure(settings: Settings, install: AsteriskInstall) -> Path:
    """Write what Asterisk needs to start; returns the path of its ``asterisk.conf``.

    Lines and trunks are the switch's to write; those of the last run stay, so that phones can register before
    the switch is up.
    """
    if settings.sip.transfers and not asterisk_correction.are_transfers_corrected(install.modules_dir):
        _log.warning(
            "transfers_not_possible",
            consequence="transfers by phones are refused",
            remedy="use the fetched Asterisk on amd64, or set sip.transfers to false",
        )
    config = engine_config(settings, install)
    config.paths.create()
    try:
        certificates.publish(settings)
    except ConfigurationError as error:
        if not settings.engine_certificate.exists():
            raise
        _log.error(
            "certificate_not_usable",
            error=str(error),
            consequence="the former certificate is used",
            remedy="replace the certificate and its key with a matching pair in PEM",
        )
    write_files(config.paths.etc, base_files(config))
    nothing_yet = directory_files(config, EndpointSet())
    absent = {name: text for name, text in nothing_yet.items() if not (config.paths.etc / name).exists()}
    write_files(config.paths.etc, absent)
    return config.paths.conf


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row of an account that cannot be part of the engine's configuration, and so is left out of it.

    :ivar entity: ``sip_line``, ``trunk``, ``site``, ``virtual_number`` (its route while no switch is connected) or
        ``media_file``.
    :ivar name: of the row, as shown to the account.
    """

    account_id: int
    entity: str
    id: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """The engine's configuration of one account, and its rows that are left out."""

    directory: EndpointSet
    refused: tuple[RefusedRow, ...] = ()


def account_config(account: directory_model.Account, identification: Identification) -> AccountConfig:
    """Lines, trunks, default lines and music of one account, in the types of the engine's configuration.

    Never raises for a value: a row that cannot be configured is left out.

    :param identification: which addresses identify which trunk, and to which its requests are sent; a trunk has no other.
    """
    rows = _Rows(account.account_id)
    # Locked accounts and lines, too: their phones must be able to call an emergency number. The switch refuses
    # their other calls.
    routes = _EmergencyRoutes(account)
    lines = rows.made(
        "sip_line",
        (
            (one.sip_line_id, one.phone_number, partial(_line, one, routes.of(one), account.account_id))
            for one in account.lines.values()
        ),
    )
    trunks = rows.made(
        "trunk",
        (
            (one.trunk_id, one.name, partial(_trunk, one, identification))
            for one in account.trunks.values()
            if one.is_active and one.trunk_id not in identification.unusable
        ),
    )
    rows.refused += _refused_addresses(account, identification)
    music = rows.made(
        "media_file",
        ((one.media_file_id, one.name, partial(MediaPath, str(one.path))) for one in account.media.values()),
    )
    sites = rows.made(
        "site",
        (
            (one.site_id, one.domain_name, partial(SiteConfig.of, one.site_id, one.ha1_md5, one.ha1_sha256))
            for one in account.sites.values()
            if one.phone_scenario_id is not None and one.ha1_md5 and account.is_active
        ),
    )
    defaults = []
    for number in account.numbers.values():
        line = account.lines.get(number.default_sip_line_id or 0)
        if account.is_active and line is not None and line.status is LineStatus.ACTIVE:
            endpoints = _endpoints_of(account, number, identification)
            make = partial(DefaultRoute.of, number.phone_number, line.phone_number, endpoints)
            defaults += rows.made("virtual_number", [(number.virtual_number_id, number.phone_number, make)])
    held = account.system_media("hold_music")
    hold_music = next((path for path in music if held is not None and path == str(held.path)), None)
    directory = EndpointSet(
        lines,
        trunks,
        defaults,
        sorted(set(music)),
        hold_music,
        emergency=routes.all,
        watched=_watched(account),
        sites=sites,
    )
    return AccountConfig(directory, tuple(rows.refused))


def _watched(account: directory_model.Account) -> list[WatchedExtension]:
    """Extensions of employees with lines. One that cannot be watched is left out: it can be called nevertheless."""
    found = []
    for employee in account.employees.values():
        lines = [account.lines.get(phone.sip_line_id or 0) for phone in employee.phones if phone.is_active]
        logins = [line.phone_number for line in lines if line is not None]
        if employee.extension and logins:
            with suppress(BadEngineValue):
                found.append(WatchedExtension.of(account.account_id, employee.extension, logins))
    return found


def _refused_addresses(
    account: directory_model.Account, identification: Identification
) -> Iterable[RefusedRow]:
    for trunk_id, reason in identification.unresolved.items():
        if trunk_id in account.trunks:
            trunk = account.trunks[trunk_id]
            yield RefusedRow(account.account_id, "trunk", trunk_id, trunk.name, reason)
    for one in identification.refused:
        if one.account_id == account.account_id:
            yield RefusedRow(account.account_id, "trunk", one.trunk_id, one.trunk_name, one.text)


def accounts_concerned(
    directory: directory_model.Directory, before: Identification, after: Identification
) -> set[int]:
    """Accounts whose part of the engine's configuration a change of the identification may change."""
    trunks = before.unusable ^ after.unusable
    trunks |= {one.trunk_id for one in {*before.refused} ^ {*after.refused}}
    trunks |= _differing(before.addresses, after.addresses) | _differing(before.servers, after.servers)
    trunks |= _differing(before.unresolved, after.unresolved)
    for leader in before.sharing.keys() | after.sharing.keys():
        old, new = before.sharing.get(leader, frozenset()), after.sharing.get(leader, frozenset())
        if old != new:
            trunks |= old | new
    return {
        account.account_id
        for account in directory.accounts.values()
        if trunks and not trunks.isdisjoint({*account.trunks, *account.carriers})
    }


def _differing(before: Mapping[int, object], after: Mapping[int, object]) -> set[int]:
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


class _Rows:
    """Makes the rows of an account and collects those that cannot be made."""

    def __init__(self, account_id: int) -> None:
        self._account_id = account_id
        self.refused: list[RefusedRow] = []

    def made(self, entity: str, rows: Iterable[tuple[int, str, Callable[[], _T]]]) -> list[_T]:
        found: list[_T] = []
        for id_, name, make in rows:
            try:
                found.append(make())
            except ValueError as error:
                self.refused.append(RefusedRow(self._account_id, entity, id_, name, str(error)))
        return found


class _EmergencyRoutes:
    """Emergency routes of an account: lines with the same trunks and caller ids share one."""

    def __init__(self, account: directory_model.Account) -> None:
        self._account = account
        self._made: dict[tuple[tuple[str, str], ...], EmergencyRoute] = {}

    def of(self, line: SipLine) -> EmergencyRouteName | None:
        """Name of the route of a line; None when the account has no trunk."""
        account, own = self._account, self._account.numbers.get(line.virtual_number_id or 0)
        trunks = emergency_trunks(account, own)
        ways = tuple((trunk_endpoint(trunk.trunk_id), self._caller(trunk, own)) for trunk in trunks)
        if not ways:
            return None
        if ways not in self._made:
            name = f"{account.account_id}~{len(self._made)}"
            self._made[ways] = EmergencyRoute.of(name, emergency_numbers(account.country), ways)
        return self._made[ways].name

    @property
    def all(self) -> list[EmergencyRoute]:
        """Those that lines use."""
        return list(self._made.values())

    def _caller(self, trunk: Trunk, own: directory_model.VirtualNumber | None) -> str:
        found = emergency_caller(self._account, trunk, own)
        number = self._account.caller_id(found.phone_number if found is not None else None) or ""
        plus = (
            _NUMBER_FORMATS[trunk.number_format] is NumberFormat.PLUS and number.isdigit() and len(number) > 6
        )
        return str(CallerNumber.cleaned(f"+{number}" if plus else number))


def _line(line: SipLine, emergency: EmergencyRouteName | None, account_id: int) -> LineConfig:
    return LineConfig.of(
        line.phone_number,
        line.ha1_md5,
        line.ha1_sha256,
        phones=not line.browsers_only,
        srtp_required=line.srtp is directory_model.Srtp.REQUIRED,
        emergency=emergency,
        watchers=WatchersName(str(account_id)),
    )


def _endpoints_of(
    account: directory_model.Account, number: directory_model.VirtualNumber, identification: Identification
) -> tuple[str, ...]:
    """Endpoints by which calls to the number may come: those of its account's trunks, and those of the addresses that
    they share with trunks of others."""
    if not number.is_verified:  # only registrations of its account bring it calls
        registered = (
            one for one in account.trunks.values() if one.mode is directory_model.TrunkMode.REGISTER
        )
        return tuple(sorted(trunk_endpoint(one.trunk_id) for one in registered))
    own = {*account.trunks, *([number.carrier_trunk_id] if number.carrier_trunk_id is not None else [])}
    by_address = (leader for leader, members in identification.sharing.items() if members & own)
    return tuple(
        sorted(
            {trunk_endpoint(one) for one in own}
            | {trunk_endpoint(one, by_address=True) for one in by_address}
        )
    )


def _trunk(trunk: Trunk, identification: Identification) -> TrunkConfig:
    return TrunkConfig.of(
        id=str(trunk.trunk_id),
        mode=TrunkMode(trunk.mode.value),
        host=trunk.host,
        port=trunk.port,
        transport=TrunkTransport(trunk.transport.value),
        username=trunk.username or "",
        password=trunk.password or "",
        addresses=identification.addresses.get(trunk.trunk_id, ()),
        codecs=trunk.codecs,
        number_format=_NUMBER_FORMATS[trunk.number_format],
        max_channels=trunk.max_channels,
        server=identification.servers.get(trunk.trunk_id, ""),
    )


_NUMBER_FORMATS = {
    directory_model.NumberFormat.E164: NumberFormat.PLAIN,
    directory_model.NumberFormat.PLUS_E164: NumberFormat.PLUS,
}
