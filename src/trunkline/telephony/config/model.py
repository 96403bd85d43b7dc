"""What the configuration of Asterisk is made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from trunkline.core.settings import Settings

_PLAIN = re.compile(r"[A-Za-z0-9._:+@/*-]*\Z")


@dataclass(frozen=True)
class EnginePaths:
    """Folders of one Asterisk. ``modules`` and ``data`` belong to the installation and are only read.

    :ivar root: everything Asterisk writes is below, except recordings.
    :ivar spool: raw audio of live calls, ``<tag>/<channel>.sln``.
    """

    root: Path
    spool: Path
    modules: Path
    data: Path

    @property
    def etc(self) -> Path:
        return self.root / "etc"

    @property
    def conf(self) -> Path:
        """The file to start Asterisk with: ``asterisk -f -C <conf>``."""
        return self.etc / "asterisk.conf"

    @property
    def voicemail(self) -> Path:
        """Where ARI puts what it records."""
        return self.root / "spool" / "recording"

    @property
    def journal(self) -> Path:
        """The call journal that Asterisk appends to."""
        return self.root / "log" / "cel-custom" / "journal.csv"

    def create(self) -> None:
        for name in ("etc", "lib", "db", "keys/keys", "run", "log/cel-custom", "spool/recording"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.spool.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class EnginePorts:
    """A port of 0 turns a SIP transport off. ARI and AMI are bound to loopback."""

    ari: int
    ami: int
    udp: int
    tcp: int
    tls: int
    wss: int
    rtp_first: int
    rtp_last: int


@dataclass(frozen=True)
class EngineSecrets:
    """Logins of the two control interfaces."""

    ari_user: str
    ari_password: str = field(repr=False)
    ami_user: str
    ami_secret: str = field(repr=False)


@dataclass(frozen=True)
class EngineConfig:
    """What needs a restart of Asterisk when it changes.

    :ivar certificate, key: PEM files, or one with both; may be replaced under the same name and reloaded.
    :ivar external_address: what phones outside ``local_networks`` see.
    :ivar away_wait: seconds that a new call hears ring-back while nobody controls it.
    :ivar expiry_min, expiry_max: bounds of a registration, seconds.
    :ivar max_calls: 0 = no limit.
    :ivar digests: algorithms of the challenges phones get (``MD5``, ``SHA-256``), the preferred first.
    """

    paths: EnginePaths
    ports: EnginePorts
    secrets: EngineSecrets
    certificate: Path
    key: Path
    bind: str = "0.0.0.0"
    external_address: str | None = None
    local_networks: Sequence[str] = ()
    away_wait: int = 20
    expiry_min: int = 30
    expiry_max: int = 3600
    max_calls: int = 0
    digests: Sequence[str] = ("MD5",)
    journal: bool = True

    @classmethod
    def of(cls, settings: Settings, secrets: EngineSecrets, modules: Path, data: Path) -> EngineConfig:
        """From the instance's settings, its engine logins, and where the installation is."""
        sip, engine = settings.sip, settings.engine
        return cls(
            paths=EnginePaths(settings.asterisk_dir, settings.spool_dir, modules, data),
            ports=EnginePorts(
                ari=engine.ari_port,
                ami=engine.ami_port,
                udp=sip.udp_port,
                tcp=sip.tcp_port,
                tls=sip.tls_port,
                wss=sip.wss_port,
                rtp_first=sip.rtp_port_first,
                rtp_last=sip.rtp_port_last,
            ),
            secrets=secrets,
            certificate=settings.engine_certificate,
            key=settings.engine_certificate,
            bind=sip.bind,
            external_address=sip.external_address,
            local_networks=tuple(sip.local_networks),
            away_wait=settings.switch.away_wait,
            expiry_min=sip.registration_expiry_min,
            expiry_max=sip.registration_expiry_max,
            max_calls=engine.max_calls,
            digests=tuple(sip.digest_algorithms),
        )


@dataclass(frozen=True)
class LineConfig:
    """A SIP line. Phones register and call as ``login``, browsers as ``web-<login>`` with the same auth user.

    :ivar ha1_md5, ha1_sha256: hex digests of ``login:trunkline:password``; "" leaves an algorithm out.
    :ivar max_contacts: devices registered at once.
    """

    login: str
    ha1_md5: str = field(repr=False)
    ha1_sha256: str = field(default="", repr=False)
    may_register: bool = True
    max_contacts: int = 10
    browser: bool = True

    def __post_init__(self) -> None:
        if not self.login.isascii() or not self.login.isdigit():
            raise ValueError(f"the login of a line is made of digits, not {self.login!r}")
        _check_plain(self.ha1_md5, self.ha1_sha256)


TRUNK_PREFIX = "trunk-"
BY_ADDRESS = "-ip"
"""Ends the name of an endpoint whose calls only their address identifies."""


def trunk_endpoint(trunk_id: int | str, *, by_address: bool = False) -> str:
    """Name of the engine's endpoint of a trunk. Calls to the carrier, and calls in that its registration identifies, are
    its own; calls in that an address identifies may be those of any trunk with that address."""
    return f"{TRUNK_PREFIX}{trunk_id}{BY_ADDRESS if by_address else ''}"


class TrunkMode(StrEnum):
    ADDRESS = "address"
    """The carrier is known by where its calls come from."""
    REGISTER = "register"
    """We register at the carrier."""


class TrunkTransport(StrEnum):
    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class NumberFormat(StrEnum):
    """How numbers are written towards the carrier."""

    PLUS = "plus"
    PLAIN = "plain"


@dataclass(frozen=True)
class TrunkConfig:
    """A carrier.

    :ivar id: unique among trunks.
    :ivar addresses: addresses or networks that identify its calls; ``host`` does not count. No two trunks may have the
        same: the engine takes the first it finds.
    :ivar codecs: in order of preference.
    """

    id: str
    mode: TrunkMode
    host: str
    port: int = 5060
    transport: TrunkTransport = TrunkTransport.UDP
    username: str = ""
    password: str = field(default="", repr=False)
    addresses: Sequence[str] = ()
    codecs: Sequence[str] = ("alaw", "ulaw", "g722")
    number_format: NumberFormat = NumberFormat.PLUS
    max_calls: int = 0

    @property
    def name(self) -> str:
        return trunk_endpoint(self.id)

    @property
    def address_name(self) -> str:
        """The endpoint of calls that only their address identifies."""
        return trunk_endpoint(self.id, by_address=True)

    def __post_init__(self) -> None:
        _check_plain(self.id, self.host, self.username, *self.addresses, *self.codecs)
        if re.search(r"[\r\n;\\]", self.password):
            raise ValueError(
                f"the password of trunk {self.id} has a character that cannot be configured: ; or \\"
            )


@dataclass(frozen=True)
class DefaultRoute:
    """Which line rings when a call to ``number`` comes by one of ``endpoints`` while nobody controls the engine."""

    number: str
    line: str
    endpoints: Sequence[str]

    def __post_init__(self) -> None:
        if not self.number.isdigit() or not self.line.isdigit():
            raise ValueError(f"a default route takes digits, not {self.number!r} and {self.line!r}")
        _check_plain(*self.endpoints)


@dataclass(frozen=True)
class Directory:
    """What changes while calls go on.

    :ivar music: media files (paths without extension) that may be played instead of ring-back or on hold.
    :ivar hold_music: the one played when no other is named; None = silence.
    """

    lines: Sequence[LineConfig] = ()
    trunks: Sequence[TrunkConfig] = ()
    defaults: Sequence[DefaultRoute] = ()
    music: Sequence[str] = ()
    hold_music: str | None = None


def _check_plain(*values: str) -> None:
    for value in values:
        if not _PLAIN.match(value):
            raise ValueError(f"{value!r} has a character that cannot stand in the engine's configuration")
