"""What the configuration of Asterisk is made of."""

from __future__ import annotations

import hashlib
import wave
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from trunkline.core.engine_values import (
    BadEngineValue,
    CallerNumber,
    Codec,
    EmergencyRouteName,
    EndpointName,
    Ha1,
    HostAddress,
    IpNetwork,
    MediaPath,
    PhoneDigits,
    Port,
    ServerIp,
    SipLogin,
    SipSecret,
    SipUser,
    SiteId,
    TrunkId,
    WatchersName,
    is_address,
)
from trunkline.core.settings import Settings
from trunkline.telephony.port import LineAccess


@dataclass(frozen=True)
class EnginePaths:
    """Folders of one Asterisk. ``modules`` and ``data`` are parts of the installation and are only read.

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
    def cel_log(self) -> Path:
        """The CEL log that Asterisk appends to."""
        return self.root / "log" / "cel-custom" / "journal.csv"

    def create(self) -> None:
        for name in ("etc", "lib", "db", "keys/keys", "run", "log/cel-custom", "spool/recording"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.spool.mkdir(parents=True, exist_ok=True)
        if not self.silence.exists():
            with wave.open(str(self.silence), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes(bytes(2 * 8000))

    @property
    def silence(self) -> Path:
        """A second of silence: what is played when there is no music."""
        return self.root / "lib" / "silence.wav"


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

    @property
    def ami_failures_user(self) -> str:
        """For the events of failed logins."""
        return f"{self.ami_user}-failures"


@dataclass(frozen=True)
class EngineConfig:
    """What needs a restart of Asterisk when it changes.

    :ivar certificate, key: PEM files, or one with both; may be replaced under the same name and reloaded.
    :ivar external_address: what phones outside ``local_networks`` see.
    :ivar away_wait: seconds for which a new call gets ring-back while no switch controls it.
    :ivar expiry_min, expiry_max: bounds of a registration, seconds.
    :ivar max_channels: channels at most, except those of emergency calls; 0 = Asterisk has no limit of its own.
    :ivar transfers: whether REFER of lines is reported to the switch.
    :ivar busy_lamps: whether phones may watch the extensions of their account.
    :ivar media_timeout, media_timeout_hold: seconds without RTP and RTCP of a party until its channel ends; 0 = never.
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
    max_channels: int = 0
    digests: Sequence[str] = ("MD5",)
    cel_log: bool = True
    transfers: bool = False
    busy_lamps: bool = False
    media_timeout: int = 0
    media_timeout_hold: int = 0

    @property
    def bind_host(self) -> str:
        """``bind`` as it is written before a port."""
        return f"[{self.bind}]" if ":" in self.bind else self.bind

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
            max_channels=engine.max_channels,
            digests=tuple(sip.digest_algorithms),
            transfers=sip.transfers,
            busy_lamps=sip.busy_lamps,
            media_timeout=sip.media_timeout,
            media_timeout_hold=sip.media_timeout_hold,
        )


@dataclass(frozen=True)
class LineConfig:
    """A SIP line. Phones register and call as ``login``, browsers as ``web-<login>`` with the same auth user.

    :ivar ha1_md5, ha1_sha256: hex digests of ``login:trunkline:password``; "" leaves an algorithm out.
    :ivar max_contacts: devices registered at once.
    :ivar browser, phones: whether browsers, and phones, may use it.
    :ivar access: from where it may be used.
    :ivar srtp_required: its phones are called with RTP/SAVP, and must offer it; browsers always have DTLS.
    :ivar emergency: how its calls to emergency numbers leave while no switch controls the engine; None = not at all.
    :ivar watchers: the account whose extensions its phones may watch (busy lamps); None = none.
    """

    login: SipLogin
    ha1_md5: Ha1 = field(repr=False)
    ha1_sha256: Ha1 = field(default=Ha1(""), repr=False)
    may_register: bool = True
    max_contacts: int = 10
    browser: bool = True
    phones: bool = True
    srtp_required: bool = False
    access: LineAccess = LineAccess()  # noqa: RUF009 - immutable
    emergency: EmergencyRouteName | None = None
    watchers: WatchersName | None = None

    def __post_init__(self) -> None:
        _require(SipLogin, self.login)
        _require(Ha1, self.ha1_md5, self.ha1_sha256)
        if self.emergency is not None:
            _require(EmergencyRouteName, self.emergency)
        if self.watchers is not None:
            _require(WatchersName, self.watchers)

    @classmethod
    def of(cls, login: str, ha1_md5: str, ha1_sha256: str = "", **other: Any) -> Self:
        """From plain texts.

        :raises BadEngineValue: one of them cannot be configured.
        """
        return cls(SipLogin(login), Ha1(ha1_md5), Ha1(ha1_sha256), **other)


TRUNK_PREFIX = "trunk-"
BY_ADDRESS = "-ip"
"""Ends the name of an endpoint whose calls only their address identifies."""


def trunk_endpoint(trunk_id: int | str, *, by_address: bool = False) -> str:
    """Name of the engine's endpoint of a trunk. Calls to the carrier, and calls in that its registration identifies, are
    its own; calls in that an address identifies may be those of any trunk with that address."""
    return f"{TRUNK_PREFIX}{trunk_id}{BY_ADDRESS if by_address else ''}"


SITE_PREFIX = "site-"


@dataclass(frozen=True)
class SiteConfig:
    """The visitors of a website, who call from browsers. They cannot register, so they are never called.

    :ivar ha1_md5, ha1_sha256: hex digests of ``site-<id>:trunkline:password``.
    """

    id: SiteId
    ha1_md5: Ha1 = field(repr=False)
    ha1_sha256: Ha1 = field(repr=False)

    def __post_init__(self) -> None:
        _require(SiteId, self.id)
        _require(Ha1, self.ha1_md5, self.ha1_sha256)

    @property
    def name(self) -> str:
        """Of the endpoint, and the user that authenticates."""
        return f"{SITE_PREFIX}{self.id}"

    @classmethod
    def of(cls, site_id: int, ha1_md5: str, ha1_sha256: str) -> Self:
        """From plain texts.

        :raises BadEngineValue: one of them cannot be configured.
        """
        return cls(SiteId(str(site_id)), Ha1(ha1_md5), Ha1(ha1_sha256))


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
    :ivar server: where requests go when ``host`` is a name. Asterisk never resolves the name: its look-ups are one after
        another, for all trunks, and their answers are not checked. None: of a trunk by name, Asterisk only has the
        addresses of its calls.
    """

    id: TrunkId
    mode: TrunkMode
    host: HostAddress
    port: Port = Port(5060)  # noqa: RUF009 - immutable
    transport: TrunkTransport = TrunkTransport.UDP
    username: SipUser | None = None
    password: SipSecret = field(default=SipSecret(""), repr=False)
    addresses: Sequence[IpNetwork] = ()
    codecs: Sequence[Codec] = (Codec("alaw"), Codec("ulaw"), Codec("g722"))
    number_format: NumberFormat = NumberFormat.PLUS
    max_channels: int = 0
    server: ServerIp | None = None

    def __post_init__(self) -> None:
        _require(TrunkId, self.id)
        _require(HostAddress, self.host)
        if self.server is not None:
            _require(ServerIp, self.server)
        _require(Port, self.port)
        _require(SipSecret, self.password)
        _require(IpNetwork, *self.addresses)
        _require(Codec, *self.codecs)
        if self.username is not None:
            _require(SipUser, self.username)
        elif self.mode is TrunkMode.REGISTER:
            raise BadEngineValue("a trunk that registers needs a login")

    @classmethod
    def of(
        cls,
        id: str,
        mode: TrunkMode,
        host: str,
        port: int = 5060,
        transport: TrunkTransport = TrunkTransport.UDP,
        username: str = "",
        password: str = "",
        addresses: Iterable[str] = (),
        codecs: Iterable[str] = ("alaw", "ulaw", "g722"),
        number_format: NumberFormat = NumberFormat.PLUS,
        max_channels: int = 0,
        server: str = "",
    ) -> Self:
        """From plain texts; a ``username`` or ``server`` of "" = none.

        :raises BadEngineValue: one of them cannot be configured.
        """
        return cls(
            TrunkId(id),
            mode,
            HostAddress(host),
            Port(port),
            transport,
            SipUser(username) if username else None,
            SipSecret(password),
            tuple(IpNetwork(one) for one in addresses),
            tuple(Codec(one) for one in codecs),
            number_format,
            max_channels,
            ServerIp(server) if server else None,
        )

    @property
    def name(self) -> str:
        return trunk_endpoint(self.id)

    @property
    def is_reachable(self) -> bool:
        """Whether Asterisk can send requests to it without resolving a name."""
        return self.server is not None or is_address(self.host)

    @property
    def auth_name(self) -> str:
        """Of the object with the credentials: another one for other credentials.

        Asterisk registers anew when the registration itself differs, not when an object that it names does, and would keep
        the outcome of the old password.
        """
        credentials = f"{self.username}\0{self.password}"
        return f"{self.name}-{hashlib.sha256(credentials.encode()).hexdigest()[:6]}"

    @property
    def address_name(self) -> str:
        """The endpoint of calls that only their address identifies."""
        return trunk_endpoint(self.id, by_address=True)


@dataclass(frozen=True)
class DefaultRoute:
    """Which line rings when a call to ``number`` comes in on one of ``endpoints`` while no switch controls the engine."""

    number: PhoneDigits
    line: SipLogin
    endpoints: Sequence[EndpointName]

    def __post_init__(self) -> None:
        _require(PhoneDigits, self.number)
        _require(SipLogin, self.line)
        _require(EndpointName, *self.endpoints)

    @classmethod
    def of(cls, number: str, line: str, endpoints: Iterable[str]) -> Self:
        """From plain texts.

        :raises BadEngineValue: one of them cannot be configured.
        """
        return cls(PhoneDigits(number), SipLogin(line), tuple(EndpointName(one) for one in endpoints))


@dataclass(frozen=True)
class WatchedExtension:
    """An extension whose state phones of the same account may watch: whether one of its lines rings or talks."""

    watchers: WatchersName
    extension: PhoneDigits
    lines: Sequence[SipLogin]

    def __post_init__(self) -> None:
        _require(WatchersName, self.watchers)
        _require(PhoneDigits, self.extension)
        _require(SipLogin, *self.lines)

    @classmethod
    def of(cls, account_id: int, extension: str, lines: Iterable[str]) -> Self:
        """From plain texts.

        :raises BadEngineValue: one of them cannot be configured.
        """
        return cls(
            WatchersName(str(account_id)), PhoneDigits(extension), tuple(SipLogin(one) for one in lines)
        )


@dataclass(frozen=True)
class EmergencyRoute:
    """How calls of lines to emergency numbers leave while no switch controls the engine. No setting and no limit applies.

    :ivar numbers: the emergency numbers.
    :ivar ways: endpoint of a trunk and the caller's number that it is given ("" = none), the preferred first.
    """

    name: EmergencyRouteName
    numbers: Sequence[PhoneDigits]
    ways: Sequence[tuple[EndpointName, CallerNumber]]

    def __post_init__(self) -> None:
        _require(EmergencyRouteName, self.name)
        _require(PhoneDigits, *self.numbers)
        for endpoint, caller in self.ways:
            _require(EndpointName, endpoint)
            _require(CallerNumber, caller)

    @classmethod
    def of(cls, name: str, numbers: Iterable[str], ways: Iterable[tuple[str, str]]) -> Self:
        """From plain texts.

        :raises BadEngineValue: one of them cannot be configured.
        """
        return cls(
            EmergencyRouteName(name),
            tuple(PhoneDigits(one) for one in sorted(numbers)),
            tuple((EndpointName(endpoint), CallerNumber(caller)) for endpoint, caller in ways),
        )


@dataclass(frozen=True)
class EndpointSet:
    """The part that changes during calls.

    :ivar music: media files (paths without extension) that may be played instead of ring-back or on hold.
    :ivar hold_music: the one played when no other is named; None = silence.
    """

    lines: Sequence[LineConfig] = ()
    trunks: Sequence[TrunkConfig] = ()
    defaults: Sequence[DefaultRoute] = ()
    music: Sequence[MediaPath] = ()
    hold_music: MediaPath | None = None
    emergency: Sequence[EmergencyRoute] = ()
    watched: Sequence[WatchedExtension] = ()
    sites: Sequence[SiteConfig] = ()

    def __post_init__(self) -> None:
        _require(MediaPath, *self.music, *([self.hold_music] if self.hold_music else []))


def _require(kind: type, *values: object) -> None:
    """:raises TypeError: a value that was not checked: it is of another type."""
    for value in values:
        if not isinstance(value, kind):
            raise TypeError(f"{kind.__name__} expected, not {type(value).__name__}")
