"""Settings of an instance: environment variables ``TRUNKLINE_*`` over a TOML file over the defaults below.

The file is ``$TRUNKLINE_CONFIG``, else ``trunkline.toml`` in the working folder when it exists. Nested names
use two underscores in the environment: ``TRUNKLINE_SIP__UDP_PORT=5070``. Two instances side by side need
different ``data_dir`` and ports, nothing else.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from trunkline.core.errors import ConfigurationError
from trunkline.core.setting_types import (
    ArchiveUrl,
    BindAddress,
    DatabaseUrl,
    ExternalAddress,
    HeaderName,
    Host,
    Network,
    Origin,
    WebUrl,
)

PortNumber = Annotated[int, Field(ge=0, le=65535)]


class _Group(BaseModel):
    """An unknown name is refused, as at the top of the file."""

    model_config = ConfigDict(extra="forbid")


MEDIA_PORTS_MIN = 40
"""Ports of RTP and RTCP of ten calls. With fewer, calls are refused that nobody would expect to be too many."""


class SipSettings(_Group):
    """Where phones and trunks reach us. A port of 0 turns that transport off."""

    bind: BindAddress = "0.0.0.0"
    udp_port: PortNumber = 5060
    tcp_port: PortNumber = 5060
    tls_port: PortNumber = 9061
    wss_port: PortNumber = 8089
    external_address: ExternalAddress | None = None
    """IPv4 address that phones outside the local network see, when this machine is behind NAT. No host name: Asterisk
    resolves none (decision 0046), and an address that changes during a call would end its sound."""
    local_networks: list[Network] = Field(
        default_factory=lambda: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8"]
    )
    rtp_port_first: PortNumber = 20000
    rtp_port_last: PortNumber = 24999
    registration_expiry_min: int = 30
    """Seconds."""
    registration_expiry_max: int = 3600
    """Seconds."""
    login_bans: bool = True
    """Refuse addresses that guess passwords of lines, for a time that grows."""
    login_ban_exempt: list[Network] = Field(default_factory=list)
    """Networks that are never banned."""
    password_strength_min: float = Field(default=12.0, ge=0, le=30)
    """Decimal logarithm of the guesses that a SIP password chosen by a person must withstand, estimated. Less than 12 allows
    weak passwords, 0 each; guesses from an address where the line is registered are not banned over UDP."""

    transfers: bool = True
    """Whether phones may transfer calls themselves (REFER): with the fetched Asterisk, whose module is corrected (decision
    0043)."""

    busy_lamps: bool = False
    """Whether phones may watch the extensions of their account (busy lamps). Asterisk does not limit how many subscriptions
    a phone has, so this is for installations whose phones are trusted."""

    media_timeout: int = Field(default=120, ge=0, le=86_400)
    """Seconds without RTP and RTCP of a phone or carrier in an answered call, after which its leg ends; 0 = never."""
    media_timeout_hold: int = Field(default=3600, ge=0, le=86_400)
    """The same for a party that has put the call on hold (``sendonly``, ``inactive``); 0 = never."""

    tls_connections_per_address: int = Field(default=500, ge=0)
    """Connections from one address to the TLS and WSS ports; 0 = no limit."""
    tcp_connections_per_address: int = Field(default=500, ge=0)
    """Connections from one address to the TCP port; 0 = no limit."""
    connections: int = Field(default=900, ge=100, le=4500)
    """Connections to the TCP and TLS ports of all addresses. The fetched Asterisk has 1024 handles for them, for connections
    to carriers and for UDP; another build can have 5000."""

    @model_validator(mode="after")
    def _media_ports(self) -> Self:
        first, last = self.rtp_port_first, self.rtp_port_last
        if last - first + 1 < MEDIA_PORTS_MIN:
            raise ValueError(
                f"rtp_port_first {first} to rtp_port_last {last} must be at least {MEDIA_PORTS_MIN} ports: each channel"
                " takes two, and a call has two channels"
            )
        if first <= self.udp_port <= last:
            raise ValueError(f"udp_port {self.udp_port} is one of the media ports {first} to {last}")
        return self

    digest_algorithms: list[Literal["MD5", "SHA-256"]] = Field(default=["MD5"], min_length=1)
    """What phones may log in with, the preferred first. Many phones (and programs: SIPp 3.6, baresip 1.0) do not
    log in where both SHA-256 and MD5 are offered."""


class EngineSettings(_Group):
    """How our processes reach Asterisk; loopback only."""

    asterisk: str = "auto"
    """``auto``: an installed Asterisk 20 or newer, else the private copy; ``private``; or the path of a program."""
    asterisk_mirror: ArchiveUrl | None = None
    """URL of the Debian archive from which the private copy is fetched; default: the mirrors of this machine, then
    snapshot.debian.org."""
    ari_port: PortNumber = 8088
    ami_port: PortNumber = 5038
    ari_connect_port: PortNumber | None = None
    """Port on which the switch connects to ARI, when a relay is between them; default ``ari_port``."""
    ami_connect_port: PortNumber | None = None
    max_channels: int = Field(default=0, ge=0, validation_alias=AliasChoices("max_channels", "max_calls"))
    """Channels of the node at most, except those of emergency calls; 0 = as many as there are media ports. The former name
    ``max_calls`` is accepted."""


class WebSettings(_Group):
    """HTTP and HTTPS for API clients and browsers. A port of 0 disables it."""

    http_bind: BindAddress = "127.0.0.1"
    http_port: PortNumber = 8080
    https_bind: BindAddress = "0.0.0.0"
    https_port: PortNumber = 8443
    public_url: WebUrl | None = None
    """How clients reach us from outside (for links in recordings); default from the request."""
    trusted_proxies: list[Network] = Field(default_factory=list)
    """Networks whose ``X-Forwarded-For`` header is trusted."""
    country_header: HeaderName | None = None
    """Header in which a trusted proxy names the country of a client (ISO 3166 alpha-2), such as ``CF-IPCountry``; for
    ``geo_limit`` of users of the Call Center API."""
    asset_registry: WebUrl | None = None
    """URL of the npm registry from which scripts of pages are fetched; default: the public one."""
    cors_origins: list[Origin] = Field(default_factory=list)
    """Origins such as ``https://crm.example`` whose pages may call the APIs from a browser; ``*`` = all."""
    request_log_days: int = Field(default=90, ge=1)
    """Days for which the report of API requests is kept."""
    body_max: int = 1_048_576
    """Bytes of the largest request body of the JSON-RPC APIs."""
    body_timeout: float = Field(default=30.0, gt=0)
    """Seconds within which the body of a request must arrive."""
    head_timeout: float = Field(default=10.0, gt=0)
    """Seconds within which the head of a request must arrive."""
    handshake_timeout: float = Field(default=10.0, gt=0)
    """Seconds for a TLS handshake."""
    connections: int = Field(default=4096, ge=1)
    """Concurrent connections of clients, in one process."""
    connections_per_address: int = Field(default=256, ge=1)
    """The same from one address; those of ``trusted_proxies`` have no such limit."""
    command_connections: int = Field(default=10, ge=2)
    """Connections to the database for commands, changes and authentication."""
    report_connections: int = Field(default=8, ge=1)
    """Connections to the database that only reports use."""
    upload_connections: int = Field(default=4, ge=1)
    """Connections to the database that only uploads use."""
    changes_per_account: int = Field(default=3, ge=1)
    """Changes of one account under way concurrently, in one process."""
    reports_per_account: int = Field(default=3, ge=1)
    """Reports of one account under way concurrently, in one process."""
    uploads_per_account: int = Field(default=2, ge=1)
    """Uploads of one account under way concurrently, in one process."""
    queued_per_account: int = Field(default=32, ge=0)
    """Requests of one account and class that may wait."""
    queue_wait: float = Field(default=5.0, gt=0)
    """Seconds that a request waits for others of its account."""


class SwitchSettings(_Group):
    node: int = Field(default=0, ge=0, le=62)
    """63 is the node of uploaded calls, which no switch carried."""
    control_port: PortNumber = 8070
    """HTTP for commands from web."""
    control_bind: BindAddress = "127.0.0.1"
    """IP address on which the switch accepts commands. Commands are not encrypted: use another address than loopback only
    within a private network."""
    control_address: Host | None = None
    """Address or host name by which other processes reach the switch, which they read from the lease of its node; None =
    ``control_bind``. Required when ``control_bind`` means all addresses of the machine."""
    away_wait: int = 20
    """Seconds for which a new call gets ring-back while the switch does not run."""
    parking_seconds: int = Field(default=120, ge=10, le=3600)
    """After so many seconds without somebody who takes a parked contact, the phone that parked it rings."""
    event_buffer_max: int = 100_000
    """Events kept in memory while PostgreSQL is unavailable."""

    @model_validator(mode="after")
    def _reachable(self) -> SwitchSettings:
        if ip_address(self.control_bind).is_unspecified and self.control_address is None:
            raise ValueError(
                f"control_bind {self.control_bind} stands for all addresses of this machine; set control_address to the"
                " one by which the web processes reach the switch (127.0.0.1 when all are on this machine)"
            )
        return self

    @property
    def control_url(self) -> str:
        """URL on which the switch accepts commands; kept in the lease of its node."""
        host = self.control_address or self.control_bind
        return f"http://{f'[{host}]' if ':' in host else host}:{self.control_port}"


class NumberSettings(_Group):
    """Verification of numbers by accounts."""

    verification_account: int | None = None
    """Account of the administrator whose default number and trunk are used for the calls that verify numbers; without one,
    clients cannot request such calls."""


class MetricsSettings(_Group):
    """Metrics and health of each role over HTTP. A port of 0 disables it."""

    bind: BindAddress = "127.0.0.1"
    """IP address; another one than loopback requires ``token``."""
    switch_port: PortNumber = 9161
    web_port: PortNumber = 9162
    worker_port: PortNumber = 9163
    token: SecretStr | None = None
    """Required from clients as ``Authorization: Bearer ...``."""

    @model_validator(mode="after")
    def _protected(self) -> MetricsSettings:
        if not ip_address(self.bind).is_loopback and (
            self.token is None or len(self.token.get_secret_value()) < 16
        ):
            raise ValueError(
                f"metrics.bind {self.bind} can be reached from other machines; set metrics.token"
                " (16 characters or more)"
            )
        return self

    def port_of(self, role: str) -> int:
        """The port of a role; 0 = none."""
        return {"switch": self.switch_port, "web": self.web_port, "worker": self.worker_port}[role]


class LimitSettings(_Group):
    """Limits on outgoing calls of an account and a line, unless they have limits of their own
    (``trunkline account calls``), and on what an account keeps. 0 = no limit. Emergency calls are not limited."""

    account_calls_per_minute: int = Field(default=300, ge=0)
    account_concurrent_calls: int = Field(default=100, ge=0)
    account_money_per_day: float = Field(default=0.0, ge=0)
    """In the account's currency, by its tariff."""
    line_calls_per_minute: int = Field(default=30, ge=0)
    line_concurrent_calls: int = Field(default=10, ge=0)
    line_money_per_day: float = Field(default=0.0, ge=0)
    account_leads: int = Field(default=1_000_000, ge=0)
    """Leads in the phone lists of an account."""
    account_leads_bytes: int = Field(default=1_073_741_824, ge=0)
    """Bytes of these leads."""
    account_uploads_bytes: int = Field(default=21_474_836_480, ge=0)
    """Bytes of the stored recordings of an account's uploaded calls."""
    account_uploads_bytes_per_day: int = Field(default=5_368_709_120, ge=0)
    """Bytes of these recordings that are stored on one day (UTC)."""
    account_recordings_bytes: int | None = Field(default=None, ge=0)
    """Bytes of the recordings and voice messages of an account's own calls; none = half of the disk that they are on, while
    there are other accounts."""
    account_notifications: int = Field(default=200, ge=0)
    """Subscriptions of an account that its users make."""


class RecordingSettings(_Group):
    sample_rate: int = 8000
    mp3_bit_rate: int = 32_000


class DiskSettings(_Group):
    """What happens when the disk of the data folder fills up. Bytes that are free."""

    alarm_free: int = Field(default=2_147_483_648, ge=0)
    """Below it, an alarm is in the log, in ``trunkline status`` and in ``installation_events``."""
    recordings_free: int = Field(default=536_870_912, ge=0)
    """Below it calls are not recorded."""
    calls_free: int = Field(default=134_217_728, ge=0)
    """Below it new calls are refused, except to emergency numbers."""
    period: float = Field(default=5.0, gt=0)
    """Seconds between two checks."""

    @model_validator(mode="after")
    def _ordered(self) -> DiskSettings:
        if not self.alarm_free >= self.recordings_free >= self.calls_free:
            raise ValueError(
                "disk.alarm_free must not be less than disk.recordings_free, and that not less than disk.calls_free"
            )
        return self


class RetentionSettings(_Group):
    """Retention of data of accounts without their own value (``trunkline retention``); none = for ever."""

    recordings_days: int | None = Field(default=None, ge=1)
    calls_days: int | None = Field(default=None, ge=62)
    """Calls with their legs, events, charges and recordings."""
    spoken_texts_days: int | None = Field(default=None, ge=1)
    """Days after which the audio file of a spoken text that was not used is removed."""
    visits_days: int | None = Field(default=400, ge=1)
    """Visits that pages of websites began: anybody can begin one, with each page of theirs."""


class NotificationSettings(_Group):
    """Sending of deliveries."""

    allowed_private_networks: list[Network] = Field(default_factory=list)
    """Private networks that webhooks may be sent to. All others, this machine included, are out of reach."""
    connect_timeout: float = 5.0
    """Seconds."""
    total_timeout: float = 15.0
    """Seconds for one attempt, from the first byte sent to the answer's last byte read."""
    give_up_after: int = 86_400
    """Seconds during which a delivery is tried again."""
    per_endpoint: int = Field(default=8, ge=1)
    """Deliveries to one subscription under way concurrently, in one worker."""
    per_account: int = Field(default=512, ge=1)
    """Deliveries of one account under way concurrently, in one worker."""
    concurrent: int = Field(default=2048, ge=1)
    """Deliveries under way concurrently in one worker. An account may always have ``per_endpoint`` of them."""
    delivery_log_days: int = Field(default=90, ge=1)
    """Days for which deliveries that are over are kept, for their log and to be replayed."""

    @model_validator(mode="before")
    @classmethod
    def _replaced(cls, values: Any) -> Any:
        if isinstance(values, dict) and "allow_private_addresses" in values:
            raise ValueError(
                "allow_private_addresses was replaced: name the private networks that webhooks may be sent to in"
                " allowed_private_networks"
            )
        return values


class MailSecurity(StrEnum):
    """How the way to the mail server is kept secret."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class MailSettings(_Group):
    """The server by which mails go out."""

    host: Host | None = None
    """Without one, no mail is sent."""
    port: int = Field(default=587, ge=1, le=65535)
    security: MailSecurity = MailSecurity.STARTTLS
    """``starttls`` (usual with port 587), ``tls`` (465) or ``none`` (25, in a network of your own)."""
    trusted_certificates: Path | None = None
    """A PEM file with certification authorities, instead of those of the system."""
    user: str | None = None
    password: SecretStr | None = None
    administrators: list[str] = Field(
        default_factory=list, validation_alias=AliasChoices("administrators", "operators")
    )
    """Addresses that get the alarms of the installation: disk, events that wait, dead letters, trunks, guessed passwords of
    lines. The former name ``operators`` is accepted."""
    sender: str = "trunkline@localhost"
    """Address that mails come from."""
    timeout: float = Field(default=30.0, gt=0)
    """Seconds for one step of the conversation with the server."""
    give_up_after: int = Field(default=172_800, ge=0)
    """Seconds during which a mail that was not taken is tried again."""
    attachment_max: int = Field(default=10_485_760, ge=0)
    """Bytes of the largest recording that is attached to a mail; of a longer one the mail has the link only."""
    account_mails_per_day: int = Field(default=1000, ge=0)
    """Mails of an account within 24 hours: voice messages and notifications of scenarios."""


class UploadSettings(_Group):
    """How recordings of uploaded calls are fetched and looked into, and where their callbacks may go."""

    allowed_private_networks: list[Network] = Field(default_factory=list)
    """Private networks that recordings may be fetched from and callbacks may be sent to. All others, this machine
    included, are out of reach."""

    trusted_certificates: Path | None = None
    """A PEM file with your own certification authorities, trusted in addition to those of the system."""
    download_timeout: float = Field(default=30.0, gt=0)
    """Seconds for one recording: connecting, redirects and the last byte."""
    file_max: int = Field(default=52_428_800, ge=1)
    """Bytes of the largest recording."""
    decode_timeout: float = Field(default=120.0, gt=0)
    """Seconds that a recording may be looked into and converted."""
    decode_cpu: int = Field(default=60, ge=1)
    """Seconds of processor time for that."""
    decode_memory: int = Field(default=1_073_741_824, ge=268_435_456)
    """Bytes of address space of the process that does it."""
    callback_timeout: float = Field(default=15.0, gt=0)
    """Seconds for one request to a callback URL."""
    callback_give_up_after: int = Field(default=86_400, ge=0)
    """Seconds during which a callback is tried again."""


class ExternalDecisionSettings(_Group):
    """Requests of scenarios that ask another system about a call."""

    allowed_private_networks: list[Network] = Field(default_factory=list)
    """Private networks that may be asked. All others, this machine included, are out of reach."""
    trusted_certificates: Path | None = None
    """A PEM file with your own certification authorities, trusted in addition to those of the system."""


class HubSpotSettings(_Group):
    """Requests to HubSpot."""

    api_url: WebUrl = "https://api.hubapi.com"
    """Where its API is."""
    allowed_private_networks: list[Network] = Field(default_factory=list)
    """Private networks in which it may be (a proxy of your own)."""
    timeout: float = Field(default=30.0, gt=0)
    """Seconds for one request."""
    search_delay: float = Field(default=60.0, ge=0)
    """Seconds after which a search of HubSpot finds what was created; a request whose outcome is unknown is repeated only
    after that, and only when the search finds nothing."""
    give_up_after: int = Field(default=259_200, ge=0)
    """Seconds during which a call is sent again."""


class AnalysisSettings(_Group):
    """Voice analysis of recordings."""

    whisper_model: Path | None = None
    """Folder of a faster-whisper model for transcripts (needs the extra ``transcription``)."""
    language: str | None = None
    """Two-letter code of the spoken language; default: detected from the audio."""
    transcribe_all: bool = False
    """Transcribe every analysed recording, not only the requested ones."""
    timeout: float = Field(default=1800.0, gt=0)
    """Seconds that one recording may take."""


def base_folder() -> Path:
    """The folder of the default data folder and of ``trunkline.toml``, so that commands in different working directories
    find the same instance: the nearest of the working directory and its parents that has one of the two; else the checkout
    whose virtual environment runs the program; else the working directory."""
    here, checkout = Path.cwd(), Path(sys.prefix).parent
    for folder in (here, *here.parents):
        if (folder / "trunkline.toml").is_file() or (folder / ".trunkline" / "data").is_dir():
            return folder
    return checkout if (checkout / "src" / "trunkline").is_dir() else here


class _SettingsFile(TomlConfigSettingsSource):
    """``trunkline.toml``; relative folders in it are relative to the file."""

    def __call__(self) -> dict[str, Any]:
        found = super().__call__()
        file = self.toml_file_path
        if isinstance(file, Path):
            for name in ("data_dir", "runtime_dir"):
                if isinstance(found.get(name), str):
                    found[name] = file.absolute().parent / Path(found[name]).expanduser()
        return found


class Settings(BaseSettings):
    """All settings of one instance."""

    model_config = SettingsConfigDict(
        env_prefix="TRUNKLINE_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    data_dir: Path = Path(".trunkline/data")
    """Everything that must be kept: database, recordings, media, certificates, secrets."""
    runtime_dir: Path = Path(".trunkline/runtime")
    """Downloaded programs (Asterisk); may be deleted and is fetched again. Shared by instances."""
    database_url: DatabaseUrl | None = None
    """A PostgreSQL server of your own; default: the embedded one."""
    database_port: PortNumber = 0
    """0 = the embedded server listens on a Unix socket in the data folder only."""
    log_level: str = "info"
    log_json: bool | None = None
    """Default: JSON unless standard error is a terminal."""
    sip: SipSettings = SipSettings()
    engine: EngineSettings = EngineSettings()
    web: WebSettings = WebSettings()
    switch: SwitchSettings = SwitchSettings()
    metrics: MetricsSettings = MetricsSettings()
    numbers: NumberSettings = NumberSettings()
    limits: LimitSettings = LimitSettings()
    recording: RecordingSettings = RecordingSettings()
    disk: DiskSettings = DiskSettings()
    retention: RetentionSettings = RetentionSettings()
    notifications: NotificationSettings = NotificationSettings()
    mail: MailSettings = MailSettings()
    uploads: UploadSettings = UploadSettings()
    external_decisions: ExternalDecisionSettings = ExternalDecisionSettings()
    hubspot: HubSpotSettings = HubSpotSettings()
    analysis: AnalysisSettings = AnalysisSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        named = os.environ.get("TRUNKLINE_CONFIG")
        if named and not Path(named).is_file():
            # Going on with the defaults would be another instance: other ports, another data folder.
            raise ConfigurationError(
                f"TRUNKLINE_CONFIG is {named}, and there is no such file; correct it or unset it"
            )
        path = Path(named) if named else base_folder() / "trunkline.toml"
        return init_settings, env_settings, _SettingsFile(settings_cls, toml_file=path)

    @model_validator(mode="after")
    def _ports_for_channels(self) -> Self:
        first, last, channels = self.sip.rtp_port_first, self.sip.rtp_port_last, self.engine.max_channels
        if 2 * channels > last - first + 1:
            raise ValueError(
                f"engine.max_channels {channels} needs {2 * channels} media ports, and sip.rtp_port_first {first} to"
                f" sip.rtp_port_last {last} are {last - first + 1}"
            )
        return self

    @property
    def loopback_ports(self) -> frozenset[int]:
        """TCP ports of this installation's services, on loopback; URLs of tenants are refused there."""
        ports = {
            self.database_port or 5432,
            self.engine.ari_port,
            self.engine.ami_port,
            self.switch.control_port,
            self.web.http_port,
            self.web.https_port,
            self.metrics.switch_port,
            self.metrics.web_port,
            self.metrics.worker_port,
            self.sip.tcp_port,
            self.sip.tls_port,
            self.sip.wss_port,
        }
        return frozenset(ports - {0})

    # Layout of the data folder, defined only here, so that all packages use the same paths.

    @cached_property
    def data(self) -> Path:
        """Absolute data folder; the default one is in :func:`base_folder`, a relative one of the environment in the working
        directory."""
        return self._absolute("data_dir")

    @property
    def postgres_dir(self) -> Path:
        return self.data / "postgres"

    @property
    def asterisk_dir(self) -> Path:
        """Rendered configuration, run files and logs of Asterisk."""
        return self.data / "asterisk"

    @property
    def spool_dir(self) -> Path:
        """Raw audio while calls are live: one file per leg, ``<session>/<leg>.sln``."""
        return self.data / "spool"

    @property
    def unwritten_events_dir(self) -> Path:
        """Events of calls that PostgreSQL does not have yet."""
        return self.data / "unwritten-events"

    @property
    def recordings_dir(self) -> Path:
        return self.data / "recordings"

    @property
    def uploads_dir(self) -> Path:
        """What is being fetched and converted now; may be deleted while no worker runs."""
        return self.data / "uploads"

    @property
    def media_dir(self) -> Path:
        return self.data / "media"

    @property
    def certificates_dir(self) -> Path:
        """``trunkline.crt`` and ``trunkline.key`` (PEM), used by SIP, WSS and HTTPS alike."""
        return self.data / "certificates"

    @property
    def engine_certificate(self) -> Path:
        """Asterisk's copy of them, both in one file."""
        return self.asterisk_dir / "tls.pem"

    @property
    def secrets_dir(self) -> Path:
        """Readable by the owner only: ``master.key`` (encrypts stored secrets), ``engine.json``, ``control.token``."""
        return self.data / "secrets"

    @property
    def run_dir(self) -> Path:
        return self.data / "run"

    @property
    def logs_dir(self) -> Path:
        return self.data / "logs"

    @property
    def runtime(self) -> Path:
        """Absolute runtime folder, as :attr:`data`."""
        return self._absolute("runtime_dir")

    @property
    def assets_dir(self) -> Path:
        """Scripts of others for pages in browsers, fetched at set-up."""
        return self.runtime / "assets"

    def _absolute(self, name: str) -> Path:
        path: Path = getattr(self, name).expanduser()
        return (base_folder() / path if name not in self.model_fields_set else path).absolute()
