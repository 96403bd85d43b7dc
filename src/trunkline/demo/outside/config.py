"""The configuration of the outside Asterisk, rendered from the parties that are to exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

APP = "outside"
"""The one ARI application; every channel of every party is in it."""
USER = "outside"
_CONTEXT = "outside"
_REALM = "trunkline"
# Left out because they complain about files we do not write, or open ports of their own.
TRANSFER = "outside-transfer"
"""Context in which a party sends REFER to ``TRANSFER_TO``."""
_NOT_LOADED = """
app_agent_pool app_alarmreceiver app_amd app_confbridge app_festival app_followme app_minivm app_page
app_queue app_stasis_broadcast app_voicemail cdr_csv cdr_custom cdr_manager cdr_sqlite3_custom cel_custom
cel_manager cel_sqlite3_custom chan_iax2 chan_unistim pbx_ael pbx_dundi pbx_realtime pbx_spool
res_calendar res_config_curl res_config_sqlite3 res_fax res_geolocation res_hep res_hep_pjsip
res_hep_rtcp res_parking res_phoneprov res_pjsip_config_wizard res_pjsip_geolocation res_pjsip_notify
res_pjsip_phoneprov_provider res_pjsip_stir_shaken res_prometheus res_realtime res_smdi
res_stasis_broadcast res_statsd res_stun_monitor
"""


class Transport(StrEnum):
    """Transport of a party to the PBX. The carrier has a separate address, like real carriers."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"
    CARRIER = "carrier"


@dataclass(frozen=True)
class Registrar:
    """Where a phone registers and sends its calls: the PBX under test."""

    host: str
    port: int

    def uri(self, user: str, transport: Transport = Transport.UDP) -> str:
        address = f"sip:{user}@{self.host}:{self.port}" if user else f"sip:{self.host}:{self.port}"
        explicit = transport in (Transport.TCP, Transport.TLS)
        return f"{address};transport={transport.value}" if explicit else address


@dataclass(frozen=True)
class Ports:
    """Where the outside world listens. ``sip`` takes three in a row: UDP and TCP, TLS, the carrier's UDP.

    :ivar phones_address: source of the phones' traffic.
    :ivar carrier_address: source of the carrier's; another one, so that a PBX can distinguish them.
    """

    http: int
    ami: int
    sip: int
    tls: int
    carrier: int
    rtp_first: int
    rtp_last: int
    phones_address: str = "127.0.0.3"
    carrier_address: str = "127.0.0.2"


@dataclass(frozen=True)
class Identity:
    """How a party calls: one SIP endpoint of the outside Asterisk.

    :ivar name: unique; for a registering phone also the user part of its contact.
    :ivar user: SIP login, or the number a customer calls from.
    :ivar registrar: None for parties that do not register.
    """

    name: str
    user: str
    display: str
    transport: Transport
    codecs: Sequence[str]
    password: str | None = None
    ha1: str | None = None
    """MD5 of login, realm and password, in place of a password."""
    registrar: Registrar | None = None
    srtp: bool = False


@dataclass(frozen=True)
class CarrierLogin:
    """A PBX that may register at our carrier."""

    username: str
    password: str


@dataclass(frozen=True)
class Folders:
    """Where the outside Asterisk keeps its things; all below ``root``."""

    root: Path
    modules: Path
    data: Path

    @property
    def etc(self) -> Path:
        return self.root / "etc"

    @property
    def tones(self) -> Path:
        return self.root / "tones"

    @property
    def heard(self) -> Path:
        return self.root / "heard"

    @property
    def log(self) -> Path:
        return self.root / "log"

    def create(self) -> None:
        for folder in (self.etc, self.tones, self.heard, self.log, *(self.root / n for n in _STATE)):
            folder.mkdir(parents=True, exist_ok=True)


_STATE = ("varlib", "db", "keys", "spool", "run")


def static_files(
    folders: Folders, ports: Ports, password: str, certificate: Path, key: Path
) -> dict[str, str]:
    """File name to text, for files that do not change at runtime."""
    root = folders.root
    return {
        "asterisk.conf": f"""[directories](!)
[directories]
astetcdir => {folders.etc}
astmoddir => {folders.modules}
astdatadir => {folders.data}
astvarlibdir => {root}/varlib
astdbdir => {root}/db
astkeydir => {root}/keys
astagidir => {root}/varlib
astspooldir => {root}/spool
astrundir => {root}/run
astlogdir => {folders.log}

[options]
verbose = 3
nocolor = yes
documentation_language = en_US
""",
        "modules.conf": "[modules]\nautoload = yes\n"
        + "".join(f"noload = {n}.so\n" for n in _NOT_LOADED.split()),
        "logger.conf": "[logfiles]\nfull = notice,warning,error,verbose(3)\n",
        "http.conf": f"[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {ports.http}\n"
        "sessionlimit = 1000\n",
        "ari.conf": f"[general]\nenabled = yes\nwebsocket_write_timeout = 5000\n\n[{USER}]\ntype = user\n"
        f"password = {password}\npassword_format = plain\n",
        "manager.conf": f"[general]\nenabled = yes\nbindaddr = 127.0.0.1\nport = {ports.ami}\n\n[{USER}]\n"
        f"secret = {password}\nread = system\nwrite = system,call,reporting\n",
        "rtp.conf": f"[general]\nrtpstart = {ports.rtp_first}\nrtpend = {ports.rtp_last}\nstrictrtp = yes\n",
        # Asterisk runs h after a hang-up, before it answers the INVITE: the pattern would make a second call of each
        # channel, and its refusal would replace the cause of the first.
        "extensions.conf": f"[{_CONTEXT}]\nexten => _[0-9a-zA-Z+*#]!,1,Stasis({APP},incoming)\n"
        f" same => n,Hangup()\nexten => h,1,Hangup()\n\n[{TRANSFER}]\n"
        f"exten => s,1,Transfer(${{TRANSFER_TO}})\n same => n,Set(TRANSFERRED=${{TRANSFERSTATUS}})\n"
        f" same => n,Stasis({APP},back)\n same => n,Hangup()\nexten => h,1,Hangup()\n",
        "cel.conf": "[general]\nenable = no\n",
        "cdr.conf": "[general]\nenable = no\n",
        "udptl.conf": "[general]\nudptlstart = 4000\nudptlend = 4010\n",
        "pjsip_transports.conf": _transports(ports, certificate, key),
    }


def _transports(ports: Ports, certificate: Path, key: Path) -> str:
    def transport(name: Transport, protocol: str, address: str, port: int, more: str = "") -> str:
        return (
            f"[{name.value}]\ntype = transport\nprotocol = {protocol}\nbind = {address}:{port}\n{more}"
            f"allow_reload = no\n\n"
        )

    tls = f"cert_file = {certificate}\npriv_key_file = {key}\nmethod = tlsv1_2\nverify_server = no\n"
    return (
        transport(Transport.UDP, "udp", ports.phones_address, ports.sip)
        + transport(Transport.TCP, "tcp", ports.phones_address, ports.sip)
        + transport(Transport.TLS, "tls", ports.phones_address, ports.tls, tls)
        + transport(Transport.CARRIER, "udp", ports.carrier_address, ports.carrier)
    )


def parties_file(identities: Sequence[Identity], logins: Sequence[CarrierLogin], ports: Ports) -> str:
    """``pjsip.conf``: who may call in (the PBX), who calls out (the parties), who registers where."""
    return "\n".join(
        [
            "[global]\ntype = global\nuser_agent = Outside World\nendpoint_identifier_order = username,ip\n"
            'keep_alive_interval = 30\n\n#include "pjsip_transports.conf"\n\n'
            "[from-pbx]\ntype = endpoint\n"
            + _endpoint(("!all", "alaw", "ulaw", "g722", "opus"), srtp=True)
            + _sound_from(ports.phones_address)
            + "trust_id_inbound = yes\n\n"
            "[from-pbx]\ntype = identify\nendpoint = from-pbx\nmatch = 127.0.0.0/8\n",
            *(_identity(identity, ports) for identity in identities),
            *(_carrier_login(login, ports) for login in logins),
        ]
    )


def _endpoint(codecs: Sequence[str], *, srtp: bool) -> str:
    media = "media_encryption = sdes\nmedia_encryption_optimistic = yes\n" if srtp else ""
    return (
        f"context = {_CONTEXT}\ndisallow = all\nallow = {','.join(codecs)}\ndirect_media = no\n"
        f"rtp_symmetric = yes\nforce_rport = yes\ndtmf_mode = rfc4733\ntimers = yes\nmoh_passthrough = yes\n{media}"
    )


def _sound_from(address: str) -> str:
    """Send sound from the address that the SDP names. From any other the PBX lets it pass only after it has watched the
    source for some time, and restarts when packets arrive close together, as on a busy machine."""
    return f"media_address = {address}\nbind_rtp_to_media_address = yes\n"


def _identity(identity: Identity, ports: Ports) -> str:
    name, srtp = identity.name, identity.srtp
    text = (
        f"[{name}]\ntype = endpoint\ntransport = {identity.transport.value}\nfrom_user = {identity.user}\n"
        f"callerid = {identity.display} <{identity.user}>\n" + _endpoint(identity.codecs, srtp=False)
    )
    own = ports.carrier_address if identity.transport is Transport.CARRIER else ports.phones_address
    text += _sound_from(own)
    if identity.transport is Transport.CARRIER:
        text += f"from_domain = {ports.carrier_address}\n"
    if srtp:
        text += "media_encryption = sdes\n"
    if identity.ha1 is not None:
        text += (
            f"outbound_auth = {name}\n\n[{name}]\ntype = auth\nauth_type = md5\n"
            f"username = {identity.user}\nmd5_cred = {identity.ha1}\nrealm = {_REALM}\n"
        )
    elif identity.password is not None:
        text += (
            f"outbound_auth = {name}\n\n[{name}]\ntype = auth\nauth_type = userpass\n"
            f"username = {identity.user}\npassword = {identity.password}\n"
        )
    if identity.registrar is not None:
        uri = identity.registrar.uri
        text += (
            f"\n[{name}]\ntype = registration\ntransport = {identity.transport.value}\n"
            f"outbound_auth = {name}\n"
            f"server_uri = {uri('', identity.transport)}\nclient_uri = {uri(identity.user)}\n"
            f"contact_user = {name}\nexpiration = 120\nretry_interval = 1\nforbidden_retry_interval = 0\n"
            "fatal_retry_interval = 0\nmax_random_initial_delay = 0\nmax_retries = 10000\n"
            "auth_rejection_permanent = yes\n"
        )
    return text


def _carrier_login(login: CarrierLogin, ports: Ports) -> str:
    name = login.username
    return (
        f"[{name}]\ntype = endpoint\naors = {name}\nauth = {name}\ntransport = {Transport.CARRIER.value}\n"
        + _endpoint(("alaw", "ulaw"), srtp=False)
        + _sound_from(ports.carrier_address)
        + f"\n[{name}]\ntype = aor\nmax_contacts = 1\nremove_existing = yes\n\n[{name}]\ntype = auth\n"
        f"auth_type = userpass\nusername = {name}\npassword = {login.password}\n"
    )
