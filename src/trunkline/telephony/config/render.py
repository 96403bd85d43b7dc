"""The text of each file of ``etc``."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from trunkline.telephony import answering_machines
from trunkline.telephony.ami_framing import CHALLENGE, EVENTS, FAILED_LOGINS, UNKNOWN_ACCOUNT
from trunkline.telephony.config import dialplan, pjsip
from trunkline.telephony.config.accounts import AccountFiles
from trunkline.telephony.config.model import EndpointSet, EngineConfig
from trunkline.telephony.config.modules import present
from trunkline.telephony.media_statistics import STATISTICS

SINGLE = "0"
"""Key of a directory that is not divided by accounts."""

_AMI_UNREAD = (
    "Newchannel", "Newstate", "Newexten", "NewCallerid", "NewConnectedLine", "NewAccountCode", "Hangup",
    "HangupRequest", "SoftHangupRequest", "DialBegin", "DialState", "DialEnd", "BridgeCreate", "BridgeEnter",
    "BridgeLeave", "BridgeDestroy", "DTMFBegin", "DTMFEnd", "MixMonitorStart", "MixMonitorStop", "VarSet",
    "DeviceStateChange", "MusicOnHoldStart", "MusicOnHoldStop",
    "RequestBadFormat", "FailedACL", "InvalidPassword",
)  # fmt: skip
"""What happens in calls comes over the other interface; here it would be written for each session, then dropped."""

# Without a value of its own, Asterisk takes the code *8 for itself: no call to it would come to the switch.
_FEATURES = "[general]\npickupexten = tl-nobody\n\n[featuremap]\n"

CEL_FIELDS = (
    "${eventtype}", "${eventtime}", "${CHANNEL(uniqueid)}", "${CHANNEL(linkedid)}", "${CHANNEL(channame)}",
    "${CHANNEL(accountcode)}", "${CHANNEL(userfield)}", "${CALLERID(num)}", "${CHANNEL(exten)}", "${eventextra}",
)  # fmt: skip
"""Columns of the CEL log; :mod:`trunkline.telephony.cel_log` reads them."""

# Unused messages are not created: the variables of a call are two thirds of all messages. Of the others
# Asterisk releases these only.
_DEVICE_STATE = "ast_device_state_message_type"
_UNREAD = ("ast_channel_varset_type", _DEVICE_STATE, "ast_rtp_rtcp_sent_type", "ast_rtp_rtcp_received_type")
"""Messages that nothing reads; busy lamps read the states of devices."""

# Asterisk finds a path case-insensitively, but restricts it only as written.
_CONTROL_FROM_HERE = "\n".join(
    f"[/{''.join(letters)}]\ntype = restriction\ndeny = 0.0.0.0/0.0.0.0\ndeny = ::/0\n"
    "permit = 127.0.0.1/255.255.255.255\n"
    for letters in itertools.product(*((letter, letter.upper()) for letter in "ari"))
)

# The SIP library writes a whole packet to the log when it cannot parse it, so anybody could fill the log. Its errors of
# levels 1 and 2 are of packets; what concerns the administrator (a port in use, a certificate) is reported by Asterisk, too.
_PJPROJECT = """[startup]
type = startup
log_mappings = no

[log_mappings]
type = log_mappings
asterisk_error = 0
asterisk_warning =
asterisk_debug = 1,2,3,4,5,6
"""

_EMERGENCY_CALLS = 20
"""Calls that Asterisk takes beyond the administrator's limit, for emergency numbers."""

_INDICATIONS = """[general]
country = xx

[xx]
description = Trunkline
ringcadence = 1000,4000
dial = 425
busy = 425/500,0/500
ring = 425/1000,0/4000
congestion = 425/250,0/250
callwaiting = 425/200,0/600,425/200,0/3000
record = 1400/500,0/15000
info = 950/330,1400/330,1800/330,0/1000
"""


def base_files(config: EngineConfig) -> Mapping[str, str]:
    """File name to text, for what needs a restart."""
    return {
        "asterisk.conf": _asterisk(config),
        "modules.conf": "[modules]\nautoload = no\n"
        + "".join(
            f"load = {name}.so\n"
            for name in present(
                config.paths.modules, transfers=config.transfers, busy_lamps=config.busy_lamps
            )
        ),
        "logger.conf": "[general]\ndateformat = %F %T.%3q\n[logfiles]\n/dev/stderr => notice,warning,error\n",
        "stasis.conf": _stasis(config),
        "http.conf": _http(config),
        "ari.conf": _ari(config),
        "manager.conf": _manager(config),
        "rtp.conf": f"[general]\nrtpstart = {config.ports.rtp_first}\nrtpend = {config.ports.rtp_last}\n"
        "strictrtp = yes\nicesupport = yes\n",
        "cel.conf": _cel(config),
        "cel_custom.conf": _cel_log(config),
        "cdr.conf": "[general]\nenable = no\n",
        "acl.conf": pjsip.ACCESS_LISTS,
        "amd.conf": answering_machines.CONFIGURATION,
        "ccss.conf": "[general]\n",
        "udptl.conf": "[general]\nudptlstart = 4000\nudptlend = 4001\n",
        "indications.conf": _INDICATIONS,
        "pjsip_notify.conf": "[message-summary]\nEvent = message-summary\n",  # without a section the module is not loaded
        "features.conf": _FEATURES,
        "pjproject.conf": _PJPROJECT,
        "pjsip.conf": pjsip.base(config),
        "pjsip_templates.conf": pjsip.templates(config),
        "sorcery.conf": pjsip.SORCERY,
        "extensions.conf": dialplan.base(config),
    }


def directory_files(config: EngineConfig, directory: EndpointSet) -> Mapping[str, str]:
    """File name to text, for the files that are reloaded during calls, for the complete ``directory``."""
    files = AccountFiles(config)
    files.put(SINGLE, directory)
    return files.all_files()


def _stasis(config: EngineConfig) -> str:
    declined = (one for one in _UNREAD if one != _DEVICE_STATE or not config.busy_lamps)
    return "[declined_message_types]\n" + "".join(f"decline = {name}\n" for name in declined)


def _asterisk(config: EngineConfig) -> str:
    paths = config.paths
    root = paths.root
    # The switch keeps the limit, except for emergency calls; Asterisk has no exception, so its own limit is higher.
    limit = f"maxcalls = {config.max_channels + _EMERGENCY_CALLS}\n" if config.max_channels else ""
    return f"""[directories](!)
[directories]
astetcdir => {paths.etc}
astmoddir => {paths.modules}
astvarlibdir => {root}/lib
astdbdir => {root}/db
astkeydir => {root}/keys
astdatadir => {paths.data}
astagidir => {root}/lib
astspooldir => {root}/spool
astrundir => {root}/run
astlogdir => {root}/log

[options]
verbose = 0
debug = 0
nocolor = yes
documentation_language = en_US
maxfiles = 65536
transmit_silence = no
hideconnect = yes
live_dangerously = no
{limit}"""


def _http(config: EngineConfig) -> str:
    tls = ""
    if config.ports.wss:
        tls = (
            f"tlsenable = yes\ntlsbindaddr = {config.bind_host}:{config.ports.wss}\n"
            f"tlscertfile = {config.certificate}\ntlsprivatekey = {config.key}\n"
            "tlsdisablev1 = yes\ntlsdisablev11 = yes\n"
        )
    # The TLS port is public for browsers' SIP only; the control interface responds only to loopback.
    return f"""[general]
servername = Trunkline
enabled = yes
enable_static = no
enable_status = no
bindaddr = 127.0.0.1
bindport = {config.ports.ari}
sessionlimit = 5000
session_inactivity = 60000
session_keep_alive = 60000
{tls}
{_CONTROL_FROM_HERE}"""


def _ari(config: EngineConfig) -> str:
    return f"""[general]
enabled = yes
pretty = no
websocket_write_timeout = 10000
channelvars = {STATISTICS}

[{config.secrets.ari_user}]
type = user
read_only = no
password_format = plain
password = {config.secrets.ari_password}
"""


def _manager(config: EngineConfig) -> str:
    return f"""[general]
enabled = yes
webenabled = no
bindaddr = 127.0.0.1
port = {config.ports.ami}
timestampevents = no
disabledevents = {",".join(_AMI_UNREAD)}
allowmultiplelogin = yes

[{config.secrets.ami_user}]
secret = {config.secrets.ami_secret}
deny = 0.0.0.0/0.0.0.0
permit = 127.0.0.1/255.255.255.255
read = system,security,user
write = system,call,command,reporting,config,user
writetimeout = 10000
eventfilter = ^Event: ({"|".join(one for one in EVENTS if one not in FAILED_LOGINS)})[[:cntrl:]]

[{config.secrets.ami_failures_user}]
secret = {config.secrets.ami_secret}
deny = 0.0.0.0/0.0.0.0
permit = 127.0.0.1/255.255.255.255
read = security
write =
writetimeout = 10000
eventfilter = ^Event: ({"|".join(one for one in FAILED_LOGINS if one != CHALLENGE)})[[:cntrl:]]
eventfilter = ^Event: {CHALLENGE}[[:cntrl:]].*AccountID: {UNKNOWN_ACCOUNT}[[:cntrl:]]
"""


def _cel(config: EngineConfig) -> str:
    if not config.cel_log:
        return "[general]\nenable = no\n"
    return "[general]\nenable = yes\napps =\nevents = CHAN_START,ANSWER,BRIDGE_ENTER,BRIDGE_EXIT,HANGUP\n"


def _cel_log(config: EngineConfig) -> str:
    if not config.cel_log:
        return "[mappings]\n"
    columns = ",".join("${CSV_QUOTE(" + name + ")}" for name in CEL_FIELDS)
    return f"[mappings]\n{config.paths.cel_log.name} => {columns}\n"
