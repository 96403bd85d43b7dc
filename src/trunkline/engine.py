"""The settings of an instance in the words of Asterisk's configuration: used where processes are composed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trunkline.core.errors import ConfigurationError
from trunkline.core.log import get_logger
from trunkline.core.settings import Settings
from trunkline.directory import model as directory_model
from trunkline.directory.model import LineStatus, SipLine, Trunk
from trunkline.directory.trunks.identification import Identification
from trunkline.runtime import certificates, secrets
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.telephony.config import (
    DefaultRoute,
    Directory,
    EngineConfig,
    EngineSecrets,
    LineConfig,
    NumberFormat,
    TrunkConfig,
    TrunkMode,
    TrunkTransport,
    base_files,
    directory_files,
    trunk_endpoint,
    write_files,
)

_log = get_logger("engine")


def engine_config(settings: Settings, install: AsteriskInstall) -> EngineConfig:
    """What Asterisk is to be, by these settings; the instance's secrets must have been made."""
    own = secrets.load(settings)
    logins = EngineSecrets(own.ari.user, own.ari.password, own.ami.user, own.ami.password)
    return EngineConfig.of(settings, logins, install.modules_dir, install.data_dir)


def configure(settings: Settings, install: AsteriskInstall) -> Path:
    """Write what Asterisk needs to start; returns the path of its ``asterisk.conf``.

    Lines and trunks are the switch's to write; those of the last run stay, so that phones can register before
    the switch is up.
    """
    config = engine_config(settings, install)
    config.paths.create()
    try:
        certificates.publish(settings)
    except ConfigurationError as error:
        if not settings.engine_certificate.exists():
            raise
        _log.error("certificate_not_usable", error=str(error))
    write_files(config.paths.etc, base_files(config))
    nothing_yet = directory_files(config, Directory())
    absent = {name: text for name, text in nothing_yet.items() if not (config.paths.etc / name).exists()}
    write_files(config.paths.etc, absent)
    return config.paths.conf


def engine_directory(directory: directory_model.Directory, identification: Identification) -> Directory:
    """Lines, trunks, default lines and music of all accounts, as the engine knows them.

    :param identification: which addresses identify which trunk; a trunk has no other.
    """
    lines: list[LineConfig] = []
    trunks: list[TrunkConfig] = []
    defaults: list[DefaultRoute] = []
    music: set[str] = set()
    for account in directory.accounts.values():
        # Locked accounts and lines, too: their phones must be able to call an emergency number. The switch refuses
        # their other calls.
        lines += [_line(line) for line in account.lines.values()]
        trunks += [
            _trunk(trunk, identification.addresses.get(trunk.trunk_id, ()))
            for trunk in account.trunks.values()
            if trunk.is_active and trunk.trunk_id not in identification.unusable
        ]
        for number in account.numbers.values():
            default = account.lines.get(number.default_sip_line_id or 0)
            if account.is_active and default is not None and default.status is LineStatus.ACTIVE:
                endpoints = _endpoints_of(account, number, identification)
                defaults.append(DefaultRoute(number.phone_number, default.phone_number, endpoints))
        music |= {str(media.path) for media in account.media.values()}
    return Directory(lines, trunks, defaults, sorted(music))


def _line(line: SipLine) -> LineConfig:
    return LineConfig(line.phone_number, line.ha1_md5, line.ha1_sha256)


def _endpoints_of(
    account: directory_model.Account, number: directory_model.VirtualNumber, identification: Identification
) -> tuple[str, ...]:
    """Endpoints by which calls to the number may come: those of its account's trunks, and those of the addresses that
    they share with trunks of others."""
    own = {*account.trunks, *([number.carrier_trunk_id] if number.carrier_trunk_id is not None else [])}
    by_address = (leader for leader, members in identification.sharing.items() if members & own)
    return tuple(
        sorted(
            {trunk_endpoint(one) for one in own}
            | {trunk_endpoint(one, by_address=True) for one in by_address}
        )
    )


def _trunk(trunk: Trunk, addresses: Sequence[str]) -> TrunkConfig:
    return TrunkConfig(
        id=str(trunk.trunk_id),
        mode=TrunkMode(trunk.mode.value),
        host=trunk.host,
        port=trunk.port,
        transport=TrunkTransport(trunk.transport.value),
        username=trunk.username or "",
        password=trunk.password or "",
        addresses=addresses,
        codecs=trunk.codecs,
        number_format=_NUMBER_FORMATS[trunk.number_format],
        max_calls=trunk.max_channels,
    )


_NUMBER_FORMATS = {
    directory_model.NumberFormat.E164: NumberFormat.PLAIN,
    directory_model.NumberFormat.PLUS_E164: NumberFormat.PLUS,
}
