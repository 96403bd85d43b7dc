"""SIP: transports, templates, lines, trunks.

A line may be used from desk phones and from browsers, which need opposite media settings (plain or
optional SRTP against DTLS, ICE and bundling). So it is two endpoints: ``<login>`` for phones and
``web-<login>`` for browsers, with one login and one password; calls to the line ring both.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from trunkline.telephony.config.model import (
    EngineConfig,
    LineConfig,
    SiteConfig,
    TrunkConfig,
    TrunkMode,
    TrunkTransport,
)
from trunkline.telephony.config.modules import has_opus
from trunkline.telephony.port import LineAccess

REALM = "trunkline"
BROWSER_PREFIX = "web-"
CONTEXT = "tl-in"
WATCHED = "tl-watched-"
"""Begins the name of the context with the watched extensions of an account."""
BANS = "tl-bans"
BANS_FILE = "acl_bans.conf"
_QUALIFY_SECONDS = 60
_TLS_METHOD = "sslv23"
"""OpenSSL's name for "negotiate": TLS 1.2 and 1.3 (the library refuses older ones). ``tlsv1_2`` and ``tlsv1_3`` allow that
version alone, ``default`` is TLS 1.0 alone (measured with Asterisk 22.10)."""


def base(config: EngineConfig) -> str:
    """``pjsip.conf``: what is not of accounts, and the kinds of objects that have no file of their own."""
    refused = [_REFUSED_HEADERS] if config.transfers else []
    return "\n".join(
        [_global(config), *_transports(config), _BANS, *refused, '#include "pjsip_peers.conf"\n']
    )


_BANS = f"[{BANS}]\ntype = acl\nacl = {BANS}\n"


NO_LOGIN = "tl-applied"
"""Section with a secret that nobody has; it exists always."""

REFUSED = "tl-refused"
"""Endpoint of INVITE that would replace another call; it accepts no address."""

# The module that reports REFER also executes an INVITE with Replaces, for the call of any account. Such an INVITE is of no
# line and no trunk: the first way of identification that finds an endpoint counts.
_REFUSED_HEADERS = f"""[{REFUSED}]
type = identify
endpoint = {REFUSED}
match_header = Replaces: /.*/
"""
_REFUSED_ENDPOINT = f"""[{REFUSED}]
type = endpoint
identify_by = header
auth = {NO_LOGIN}
context = tl-nowhere
disallow = all
allow = alaw
deny = 0.0.0.0/0
deny = ::/0

"""

SORCERY = "[res_pjsip]\n" + "".join(
    f"{type_} = config,pjsip_{type_}s.conf,criteria=type={type_}\n" for type_ in ("auth", "aor", "endpoint")
)
"""``sorcery.conf``. A reload parses a file once for each kind of object that may be in it, so the kinds of which there are
many have a file each: it is parsed once, and only when it has changed."""


def _global(config: EngineConfig) -> str:
    # A new call is left unanswered for half a second only when SIP itself is behind, not when our events are: a call
    # makes some fifty of them, so ten calls at once would do.
    return f"""[system]
type = system
timer_t1 = 500
disable_tcp_switch = yes

[global]
type = global
user_agent = Trunkline
default_realm = {REALM}
default_from_user = anonymous
endpoint_identifier_order = {"header," if config.transfers else ""}line,username,auth_username,ip
keep_alive_interval = 60
contact_expiration_check_interval = 15
max_initial_qualify_time = 30
unidentified_request_count = 5
unidentified_request_period = 5
unidentified_request_prune_interval = 30
default_auth_algorithms_uas = {",".join(config.digests)}
send_contact_status_on_update_registration = yes
taskprocessor_overload_trigger = pjsip_only
"""


def _transports(config: EngineConfig) -> Iterable[str]:
    nat = ""
    if config.external_address:
        nat = (
            f"external_signaling_address = {config.external_address}\n"
            f"external_media_address = {config.external_address}\n"
            + "".join(f"local_net = {network}\n" for network in config.local_networks)
        )
    ports = config.ports
    if ports.udp:
        yield f"[transport-udp]\ntype = transport\nprotocol = udp\nbind = {config.bind_host}:{ports.udp}\n{nat}"
    keepalive = "tcp_keepalive_enable = yes\n"
    if ports.tcp:
        yield (
            f"[transport-tcp]\ntype = transport\nprotocol = tcp\nbind = {config.bind_host}:{ports.tcp}\n"
            f"{keepalive}{nat}"
        )
    if ports.tls:
        yield (
            f"[transport-tls]\ntype = transport\nprotocol = tls\nbind = {config.bind_host}:{ports.tls}\n"
            f"cert_file = {config.certificate}\npriv_key_file = {config.key}\nmethod = {_TLS_METHOD}\n"
            f"verify_client = no\nrequire_client_cert = no\nverify_server = no\n{keepalive}{nat}"
        )
    if ports.wss:
        yield (
            f"[transport-wss]\ntype = transport\nprotocol = wss\nbind = {config.bind}\n"
            f"websocket_write_timeout = 5000\n{nat}"
        )


def templates(config: EngineConfig) -> str:
    """``pjsip_templates.conf``, which the files of objects include."""
    common = f"""context = {CONTEXT}
direct_media = no
rtp_symmetric = yes
force_rport = yes
rewrite_contact = yes
dtmf_mode = auto
timers = yes
timers_sess_expires = 1800
trust_id_inbound = no
trust_id_outbound = no
send_pai = no
send_rpid = no
rtp_keepalive = 15
rtp_timeout = {config.media_timeout}
rtp_timeout_hold = {config.media_timeout_hold}
inband_progress = no
language = en
"""
    # A trunk must not move calls: to a carrier, a call has two ends only.
    line = "allow_transfer = no\n"
    if config.transfers:
        line = "allow_transfer = yes\nset_var = PJSIP_TRANSFER_HANDLING()=ari-only\n"
    line += f"allow_subscribe = {'yes' if config.busy_lamps else 'no'}\n"
    refused = _REFUSED_ENDPOINT if config.transfers else ""
    aor = f"""type = aor
remove_existing = no
remove_unavailable = yes
minimum_expiration = {config.expiry_min}
maximum_expiration = {config.expiry_max}
default_expiration = {min(600, config.expiry_max)}
qualify_frequency = {_QUALIFY_SECONDS}
qualify_timeout = 4
"""
    codecs = "opus,g722,alaw,ulaw" if has_opus(config.paths.modules) else "g722,alaw,ulaw"
    return f"""{refused}[tl-line](!)
type = endpoint
{common}{line}disallow = all
allow = {codecs}
media_encryption = sdes
media_encryption_optimistic = yes
identify_by = username,auth_username

[tl-browser](!)
type = endpoint
{common}{line}disallow = all
allow = {codecs}
webrtc = yes
identify_by = username,auth_username

[tl-trunk](!)
type = endpoint
{common}allow_transfer = no
allow_subscribe = no
disallow = all
identify_by = ip

[tl-aor](!)
{aor}
[tl-auth](!)
type = auth
auth_type = digest
realm = {REALM}
"""


def lines(configs: Sequence[LineConfig]) -> str:
    """All objects of lines."""
    return "\n".join(_line(config) for config in sorted(configs, key=lambda one: one.login))


def sites(configs: Sequence[SiteConfig]) -> str:
    """All objects of websites: browsers that may call, and nothing else."""
    return "\n".join(_site(config) for config in sorted(configs, key=lambda one: one.id))


def _site(config: SiteConfig) -> str:
    name = config.name
    digests = "".join(
        f"password_digest = {algorithm}:{digest}\n"
        for algorithm, digest in (("MD5", config.ha1_md5), ("SHA-256", config.ha1_sha256))
    )
    return (
        f"[{name}](tl-auth)\nusername = {name}\n{digests}\n"
        f"[{name}](tl-browser)\nauth = {name}\nallow_transfer = no\nallow_subscribe = no\n"
        f"subscribe_context = {WATCHED}nobody\n"
    )


def _line(config: LineConfig) -> str:
    login = config.login
    digests = "".join(
        f"password_digest = {algorithm}:{digest}\n"
        for algorithm, digest in (("MD5", config.ha1_md5), ("SHA-256", config.ha1_sha256))
        if digest
    )
    contacts = config.max_contacts if config.may_register else 0
    # The endpoint of phones stays: calls, lamps and indications name it. Nobody can log in there.
    auth, of_phones = (login, contacts) if config.phones else (NO_LOGIN, 0)
    more = _access(config.access)
    if config.emergency is not None:
        more += f"set_var = TL_EMERGENCY={config.emergency}\n"
    # Asterisk would look for what is watched in the context of calls.
    more += f"subscribe_context = {WATCHED}{config.watchers or 'nobody'}\n"
    srtp = "media_encryption_optimistic = no\n" if config.srtp_required else ""
    text = (
        f"[{login}](tl-auth)\nusername = {login}\n{digests}\n"
        f"[{login}](tl-aor)\nmax_contacts = {of_phones}\n\n"
        f"[{login}](tl-line)\naors = {login}\nauth = {auth}\n{srtp}{more}"
    )
    if config.browser:
        web = BROWSER_PREFIX + login
        text += f"\n[{web}](tl-aor)\nmax_contacts = {contacts}\n"
        text += f"\n[{web}](tl-browser)\naors = {web}\nauth = {login}\n{more}"
    return text


def _access(access: LineAccess) -> str:
    """Rules of an endpoint; the last that matches an address decides."""
    rules: list[str] = []
    if access.only is not None:
        rules += ["deny = 0.0.0.0/0", "deny = ::/0"]
        rules += [f"permit = {ipaddress.ip_network(address)}" for address in access.only]
    rules += [f"deny = {ipaddress.ip_network(address)}" for address in access.denied]
    return "".join(f"{rule}\n" for rule in rules)


def bans(addresses: Iterable[str]) -> str:
    """``acl_bans.conf``: more rules of the named list ``tl-bans``."""
    return "".join(f"deny = {ipaddress.ip_network(address)}\n" for address in sorted(addresses))


ACCESS_LISTS = f'[{BANS}]\npermit = 0.0.0.0/0\npermit = ::/0\n#tryinclude "{BANS_FILE}"\n'
"""``acl.conf``."""


def trunks(configs: Sequence[TrunkConfig]) -> str:
    """All objects of trunks."""
    return "\n".join(_trunk(config) for config in sorted(configs, key=lambda one: one.id))


def _trunk(config: TrunkConfig) -> str:
    name = config.name
    auth = config.auth_name
    suffix = "" if config.transport is TrunkTransport.UDP else f"\\;transport={config.transport.value}"
    host = config.host.in_uri
    server = f"sip:{host}:{config.port}{suffix}"
    proxy = ""
    if config.server is not None:
        # Requests go to the address, and only their text has the name: the parameter "hide" keeps the route out of it.
        proxy = f"outbound_proxy = sip:{config.server.in_uri}:{config.port}{suffix}\\;lr\\;hide\n"
    endpoint = (
        f"transport = transport-{config.transport.value}\n"
        f"allow = {','.join(config.codecs)}\nfrom_domain = {host}\nsend_pai = yes\n"
    )
    if config.username:
        endpoint += f"outbound_auth = {auth}\n"
    if config.transport is TrunkTransport.TLS:
        endpoint += "media_encryption = sdes\n"
    text = ""
    if config.is_reachable:
        text = f"[{name}](tl-trunk)\naors = {name}\n{endpoint}{proxy}\n"
        text += f"[{name}]\ntype = aor\ncontact = {server}\n{proxy}"
    if config.username:
        text += f"\n[{auth}]\ntype = auth\nauth_type = digest\nusername = {config.username.in_file}\n"
        text += f"password = {config.password.in_file}\n"
    if config.addresses:
        by_address = config.address_name
        text += f"\n[{by_address}](tl-trunk)\n{endpoint}"
        # the engine would resolve a name to addresses that were not checked
        text += f"\n[{by_address}]\ntype = identify\nendpoint = {by_address}\nsrv_lookups = no\n"
        text += "".join(f"match = {match}\n" for match in sorted(set(config.addresses)))
    if config.mode is TrunkMode.REGISTER and config.username and config.is_reachable:
        user = config.username.in_uri
        client = f"sip:{user}@{host}:{config.port}{suffix}"
        text += (
            f"\n[{name}]\ntype = registration\ntransport = transport-{config.transport.value}\n"
            f"outbound_auth = {auth}\nserver_uri = {server}\nclient_uri = {client}\n"
            f"contact_user = {user}\nexpiration = 300\nretry_interval = 10\n"
            "forbidden_retry_interval = 60\nfatal_retry_interval = 60\nmax_retries = 4294967295\n"
            f"auth_rejection_permanent = no\nline = yes\nendpoint = {name}\n{proxy}"
        )
    return text
