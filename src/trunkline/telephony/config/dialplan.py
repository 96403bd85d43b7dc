"""The dialplan: every call goes to the switch, which chooses the targets; ``Dial()`` connects and returns to the switch.

A switch takes new calls once its recovery is done (:data:`READY`): one that is killed before loses none and delays none.
Without a switch the dialplan works as far as possible: a call that no switch takes gets ring-back, then rings the default
line of its number, or goes to an emergency number by the route of its line; a live call needs no switch until it
is over. While the disk is full (:mod:`trunkline.runtime.full_disk`) a call that no switch takes is refused, except to an
emergency number. Variables that
:meth:`AsteriskEngine.connect` sets:

``TL_DIAL`` what to dial, ``TL_RING`` seconds, ``TL_OPTS`` options of ``Dial``, ``TL_REC`` file of
the caller's raw recording, below the spool folder ("" = none), ``TL_CN_<endpoint>`` and ``TL_CA_<endpoint>`` number and
name that a target shows. The usual connect needs no variables: its extension ``r~<seconds>~<tag>~<endpoint>~<options>``
(``p~...`` without recording) contains all (:func:`trunkline.telephony.connects.short_connect`).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from trunkline.core.engine_values import DISK_FULL
from trunkline.telephony import answering_machines
from trunkline.telephony.answering_machines import CAUSE, DETECT, STATUS
from trunkline.telephony.config.model import (
    TRUNK_PREFIX,
    DefaultRoute,
    EmergencyRoute,
    EngineConfig,
    WatchedExtension,
)
from trunkline.telephony.config.pjsip import BROWSER_PREFIX, CONTEXT, WATCHED

APP = "trunkline"
"""The Stasis application."""
READY = "trunkline-ready"
"""Application that is registered while a switch takes new calls and transfers by phones: its recovery is done."""
ABSENT = f"{APP}-absent"
"""Application of new calls while no switch takes them: it is never registered, so the step fails at once."""
_IS_READY = f"${{DIALPLAN_EXISTS(stasis-{READY},s,1)}}"
_TAKEN_BY = f"${{IF({_IS_READY}?{APP}:{ABSENT})}}"
"""The application of a new call. Asterisk adds a context for each registered application. It removes that of :data:`READY`
with its connection, and keeps that of :data:`APP`, which has subscriptions."""
CONNECT = "tl-connect"
CONTROLLED = "tl-controlled"
PICK_UP = "tl-pick-up"
ORIGINATED = "tl-originated"
"""Where channels go that we originated, once they are answered."""
CALLEE = "tl-callee"
RECORD_CALLEE = "tl-record"
LEFT = "tl-left"
"""Where a party is after the other one hung up, while phones may transfer calls: a phone may ask for a transfer and hang up
at once, and the switch takes control of whom it left. The switch hangs up those that nobody asked to transfer."""
ALONE = "tl-alone"
"""What the hang-up of a contact does whom the switch has joined with another party (the argument: its channel), while no
switch runs: it ends the other party, which would wait in silence for a switch. The contact has it while it is in the bridge
of the talk."""
_LEFT_SECONDS = 0.5
"""After this the party is hung up although a switch is there, which has had time to take control of it. While none is, a
party at a trunk waits for the next one: the request of the phone that left it may be one that the last switch had and could
not carry out. An employee whom the contact left does not wait."""
KEPT_UNTIL = "TL_KEPT_UNTIL"
"""Variable of a party, Unix seconds: a phone has asked to transfer it. If it is left before this, it waits for a switch."""
# The tag, which the channel (or those it dials) has from then on. It is set where it is used, not in a separate step:
# each step of the dialplan is a message to all who listen.
# Each field is reduced to the characters that the switch writes: a comma would begin the next argument, and the third one
# of MixMonitor() is a command of the system. A hyphen is itself only as the first of FILTER().
_FIELD = "${{FILTER({allowed},${{CUT(EXTEN,~,{number})}})}}"
_TAG = "${SET(CHANNEL(accountcode)=" + _FIELD.format(allowed="0-9A-Za-z", number=3) + ")}"
_PEER_TAG = "${SET(CHANNEL(peeraccount)=" + _FIELD.format(allowed="0-9A-Za-z", number=3) + ")}"
_ENDPOINT = _FIELD.format(allowed="-_0-9A-Za-z", number=4)
DEVICES = "tl-devices"
"""Family of Asterisk's database: what ``Dial()`` calls for each endpoint. The switch writes it, and nothing else is dialled:
a phone may write any address into the contact that Asterisk has of it."""


def _devices(endpoint: str, variable: str) -> str:
    """The devices of an endpoint for ``Dial()``; without any, what ``<variable>_0`` has.

    ``DB()`` is refused as dangerous on a channel that had a variable set by ARI; ``DB_EXISTS()``, which sets ``DB_RESULT``,
    is not. The expression is evaluated from left to right.
    """
    exists = f"${{DB_EXISTS({DEVICES}/{endpoint})}}"
    length = f"${{LEN(${{SET({variable}_1=${{DB_RESULT}})}})}}"
    return f"${{{variable}_$[{exists} & {length} > 0]}}"


_NOBODY = "PJSIP/tl-nobody/-"
"""Endpoint and address of nothing: it cannot be dialled."""
_WHOM = f"{_devices(_ENDPOINT, 'TL_WHOM')},{_FIELD.format(allowed='0-9', number=2)}"
_OPTIONS = f"iI{_FIELD.format(allowed='g', number=5)}"
# Only participants come to the steps of the switch. A Local channel leads from one extension to another, so with one, a
# text of a phone could become an extension.
_PARTICIPANTS = 'GotoIf($["${CHANNEL(channeltype)}" != "PJSIP"]?tl-nowhere,h,1)'
_AFTER_ANSWER = f'${{IF($["${{{DETECT}}}" = "1"]?detect:again)}}'
"""The next step of a channel that we dialled: no step more for those that need no detection."""
_FILE = "-/._~0-9A-Za-z"
"""Characters of the name of a recording below the spool folder, for FILTER()."""
_UNIQUE = "${FILTER(-._~0-9A-Za-z,${CHANNEL(uniqueid)})}"
RING = "tl-ring"
_TALKED = ' | "${DIALSTATUS}" = "ANSWER"'
"""Condition of the dialplan: the party has talked with a target. Then the channel is hung up instead of waiting for a
switch, which would only hang it up."""
_RETRY = 0.5
_DEFAULT_RING = 60
_EMERGENCY = "tl-emergency"
_DEFAULT = "tl-default"
WITHOUT_SWITCH = frozenset({_EMERGENCY, _DEFAULT, RING})
"""Contexts in which the dialplan connects calls that no switch took."""
_EMERGENCY_WAIT = 2.0
"""Seconds that a call to an emergency number waits for a switch before the dialplan places it by itself: a switch that
reconnects is back sooner, and one that was killed starts for longer."""
_EMERGENCY_RING = 120
_CONGESTION = 34
"""Cause that Asterisk sends as SIP 503."""
# What was dialled, without dressing; empty when it has characters that an emergency number cannot have.
_DIGITS = "${IF($[${LEN(${FILTER(a-zA-Z*#,${EXTEN})})} = 0]?${FILTER(0-9,${EXTEN})})}"


def base(config: EngineConfig) -> str:
    """``extensions.conf`` without the default routes."""
    spool = config.paths.spool
    tries = max(1, round(config.away_wait / _RETRY))
    emergency_tries = max(1, round(min(_EMERGENCY_WAIT, config.away_wait) / _RETRY))
    emergency = f'${{TL_TRIES}} = {emergency_tries} & "${{TL_EMERGENCY}}" != ""'

    # A channel that comes to us while no switch is connected stays until one is, instead of being hung up.
    def waiting(at: str, unless: str = "") -> str:
        return f""" same => n,GotoIf($["${{STASISSTATUS}}" = "SUCCESS"{unless}]?over)
 same => n,Set(TL_WAITS=$[0${{TL_WAITS}} + 1])
 same => n,GotoIf($[${{TL_WAITS}} >= {tries}]?over)
 same => n,Wait({_RETRY})
 same => n,Goto({at})
 same => n(over),Hangup(${{HANGUPCAUSE}})
"""

    stays, after_short, after_plain, left = "", "", "", ""
    if config.transfers:
        # A carrier asks for no transfer: whom it called is hung up with it.
        stays = f'${{IF($["${{CHANNEL(endpoint):0:{len(TRUNK_PREFIX)}}}" = "{TRUNK_PREFIX}"]?g:gF({LEFT}^left^1))}}'

        def after(returns: str) -> str:
            return f' same => n,GotoIf($["${{DIALSTATUS}}" = "ANSWER" & "{returns}" != "g"]?{LEFT},left,1)\n'

        after_short, after_plain = after("${CUT(EXTEN,~,5)}"), after("${TL_OPTS:-1}")
        kept = f"GotoIf($[0${{{KEPT_UNTIL}}} > ${{EPOCH}}]?{CONTROLLED},taken,1)"
        left = f"""[{LEFT}]
exten => left,1,{_PARTICIPANTS}
 same => n(again),Wait({_LEFT_SECONDS})
 same => n,{kept}
 same => n,Set(TL_LEFT=$[0${{TL_LEFT}} + 1])
 same => n,GotoIf($["${{CHANNEL(endpoint):0:6}}" = "{TRUNK_PREFIX}" & ${{TL_LEFT}} < {tries} & {_IS_READY} = 0]?again)
; A switch that has become ready meanwhile carries out what its recovery found.
 same => n,Wait({_LEFT_SECONDS})
 same => n,{kept}
 same => n,Hangup(${{IF($[0${{HANGUPCAUSE}} > 0]?${{HANGUPCAUSE}}:16)}})

"""
    phones = _devices("${EXTEN}", "TL_RINGS")
    browsers = _devices(f"{BROWSER_PREFIX}${{EXTEN}}", "TL_RINGS")
    return f"""[general]
static = yes
writeprotect = yes
autofallthrough = yes
clearglobalvars = yes

[globals]
TL_WHOM_0 = {_NOBODY}

[{CONTEXT}]
exten => _[0-9a-zA-Z+*#]!,1(again),Stasis({_TAKEN_BY},in)
 same => n,GotoIf($["${{STASISSTATUS}}" = "SUCCESS"]?over)
 same => n(waits),Set(TL_TRIES=$[0${{TL_TRIES}} + 1])
 same => n,GosubIf($[{emergency}]?{_EMERGENCY},${{TL_EMERGENCY}},1({_DIGITS}))
 same => n,GotoIf($[${{TL_TRIES}} >= {tries}]?alone)
 same => n,GotoIf($["${{GLOBAL({DISK_FULL})}}" = "1" & ${{TL_TRIES}} >= {emergency_tries}]?full)
 same => n,Ringing()
 same => n,Wait({_RETRY})
 same => n,GotoIf({_IS_READY}?again:waits)
 same => n(alone),GotoIf($["${{GLOBAL({DISK_FULL})}}" = "1"]?full)
 same => n,Goto({_DEFAULT},${{FILTER(a-z0-9,${{CHANNEL(endpoint)}})}}~${{FILTER(0-9,${{EXTEN}})}},1)
 same => n(over),Hangup()
 same => n(full),Hangup({_CONGESTION})
; What follows a hang-up ends here, and who dials it: the steps of the pattern above would follow the first one. No
; cause: it would become that of each call.
exten => h,1,Hangup()

; No step leads out of here.
[tl-nowhere]
exten => h,1,Hangup()

[{CONNECT}]
exten => _r~.,1,{_PARTICIPANTS}
 same => n,MixMonitor(,br({spool}/{_TAG}/{_UNIQUE}.sln))
 same => n,Dial({_WHOM},{_OPTIONS}U({RECORD_CALLEE}^{_PEER_TAG}){stays})
{after_short} same => n,Goto(plain,done)
exten => _p~.,1,{_PARTICIPANTS}
 same => n,Set(CHANNEL(peeraccount)={_TAG})
 same => n,Dial({_WHOM},{_OPTIONS}{stays})
{after_short} same => n,Goto(plain,done)
exten => record,1,{_PARTICIPANTS}
 same => n,MixMonitor(,br({spool}/${{FILTER({_FILE},${{TL_REC}})}}))
 same => n,Goto(plain,dial)
exten => plain,1,{_PARTICIPANTS}
 same => n(dial),Dial(${{TL_DIAL}},${{TL_RING}},${{TL_OPTS}}{stays})
{after_plain} same => n(done),Stasis({APP},connected,${{DIALSTATUS}},${{HANGUPCAUSE}})
{waiting("done", _TALKED)}
{left}[{CALLEE}]
; The name that a phone sends is not passed on: all of it is set, and the name is empty.
exten => number,1,Set(CONNECTEDLINE(all,i)=<${{ARG1}}>)
 same => n,Return()
exten => caller,1,Set(CONNECTEDLINE(name,i)=${{TL_CA_${{CHANNEL(endpoint)}}}})
 same => n,Set(CONNECTEDLINE(num,i)=${{TL_CN_${{CHANNEL(endpoint)}}}})
 same => n,Return()

[{RECORD_CALLEE}]
exten => s,1,MixMonitor(,br({spool}/${{FILTER({_FILE},${{ARG1}})}}/{_UNIQUE}.sln))
 same => n,Return()

[{CONTROLLED}]
exten => taken,1,{_PARTICIPANTS}
 same => n(again),Stasis({APP},taken)
{waiting("again")}
[{ALONE}]
exten => left,1,GotoIf({_IS_READY}?over)
 same => n,ChannelRedirect(${{ARG1}},tl-nowhere,h,1)
 same => n(over),Return()

; The channel takes the place of one that rings. What follows is reached only when that did not happen.
[{PICK_UP}]
exten => ringing,1,{_PARTICIPANTS}
 same => n,PickupChan(${{FILTER({_FILE},${{TL_PICKED}})}})
 same => n,Hangup(21)

[{ORIGINATED}]
exten => answered,1,GotoIf($["${{CHANNEL(channeltype)}}" != "PJSIP"]?tl-nowhere,h,1:{_AFTER_ANSWER})
 same => n(detect),{answering_machines.STEP}
 same => n(again),Stasis({APP},originated,${{{STATUS}}},${{{CAUSE}}})
{waiting("again")}
[{RING}]
exten => _X!,1,{_PARTICIPANTS}
 same => n,Set(TL_PHONES={phones})
 same => n,Set(TL_BROWSERS={browsers})
 same => n,GotoIf($[${{LEN(${{TL_PHONES}}${{TL_BROWSERS}})}} = 0]?nobody)
 same => n,Set(TL_BOTH=${{IF($[${{LEN(${{TL_PHONES}})}} & ${{LEN(${{TL_BROWSERS}})}}]?&)}})
 same => n,Dial(${{TL_PHONES}}${{TL_BOTH}}${{TL_BROWSERS}},{_DEFAULT_RING},iI)
 same => n(nobody),Hangup(41)

; The emergency route of a line: returns when the argument is not an emergency number. Uses no variable that a caller sets.
[{_EMERGENCY}]
exten => _[0-9]!,1,Return()

[{_DEFAULT}]
exten => _[a-z0-9]!,1,Hangup(41)
exten => s,1,Hangup(41)
#include "extensions_defaults.conf"
"""


def defaults(routes: Sequence[DefaultRoute]) -> str:
    """``extensions_defaults.conf``: more extensions of the context ``tl-default``, ``<endpoint>~<number>``, without
    dashes, which extensions do not count. A line, or a
    trunk that does not carry the number, finds none."""
    text = f"[{_DEFAULT}](+)\n"
    for route in sorted(routes, key=lambda one: one.number):
        for endpoint in sorted(set(route.endpoints)):
            text += f"exten => {endpoint.replace('-', '')}~{route.number},1,Goto({RING},{route.line},1)\n"
    return text


def emergency(routes: Sequence[EmergencyRoute]) -> str:
    """More extensions of the context ``tl-emergency``, one for each route: dials the emergency number by the first way that
    carries it. Returns only when what was dialled is not an emergency number."""
    if not routes:
        return ""
    text = f"[{_EMERGENCY}](+)\n"
    for route in sorted(routes, key=lambda one: one.name):
        numbers = "|".join(route.numbers)
        text += f'exten => {route.name},1,GotoIf($[${{REGEX("^({numbers})$" ${{ARG1}})}}]?way0)\n same => n,Return()\n'
        for index, (endpoint, caller) in enumerate(route.ways):
            shown = f"b({CALLEE}^number^1({caller}))" if caller else ""
            text += f" same => n(way{index}),Dial(PJSIP/${{ARG1}}@{endpoint},{_EMERGENCY_RING},iI{shown})\n"
            text += ' same => n,GotoIf($["${DIALSTATUS}" != "CHANUNAVAIL" & "${DIALSTATUS}" != "CONGESTION"]?over)\n'
        text += " same => n(over),Hangup(${HANGUPCAUSE})\n"
    return text


def watched(extensions: Sequence[WatchedExtension]) -> str:
    """One context for each account, with its extensions. They are watched only: a call to one finds no step."""
    text = ""
    for watchers in sorted({one.watchers for one in extensions}):
        text += f"[{WATCHED}{watchers}]\n"
        for one in sorted(extensions, key=lambda one: one.extension):
            if one.watchers == watchers:
                devices = (
                    f"PJSIP/{name}" for line in one.lines for name in (line, f"{BROWSER_PREFIX}{line}")
                )
                text += f"exten => {one.extension},hint,{'&'.join(devices)}\n"
    return text


def music_class(path: str) -> str:
    """Name of the music class that plays this file."""
    return f"tl-{zlib.crc32(path.encode()):08x}"


def music(paths: Sequence[str], hold: str) -> str:
    """``musiconhold.conf``. There is always a default class: without any, Asterisk turns music off for good."""
    text = f"[general]\ncachertclasses = no\n\n[default]\nmode = playlist\nentry = {hold}\n"
    for path in sorted(set(paths)):
        text += f"\n[{music_class(path)}]\nmode = playlist\nentry = {path}\n"
    return text
