"""The dialplan: every call goes to the switch, which chooses the targets; ``Dial()`` connects and returns to the switch.

Without a switch it works as far as possible: a call that no switch takes gets ring-back, then rings the default
line of its number, or goes to an emergency number by the route of its line; a live call needs no switch until it
is over. Variables that
:meth:`AsteriskEngine.connect` sets:

``TL_DIAL`` what to dial, ``TL_RING`` seconds, ``TL_OPTS`` options of ``Dial``, ``TL_REC`` file of
the caller's raw recording ("" = none), ``TL_CN_<endpoint>`` and ``TL_CA_<endpoint>`` number and name that a target
shows. The usual connect needs none: ``r~<seconds>~<tag>~<endpoint>~<options>`` (``p~...`` without recording) says it all
(:func:`trunkline.telephony.connects.short_connect`).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from trunkline.telephony.config.model import DefaultRoute, EmergencyRoute, EngineConfig
from trunkline.telephony.config.pjsip import BROWSER_PREFIX, CONTEXT

APP = "trunkline"
"""The Stasis application."""
CONNECT = "tl-connect"
CONTROLLED = "tl-controlled"
ORIGINATED = "tl-originated"
"""Where channels go that we originated, once they are answered."""
CALLEE = "tl-callee"
RECORD_CALLEE = "tl-record"
# The tag, which the channel (or those it dials) has from then on. It is set where it is used, not in a separate step:
# each step of the dialplan is a message to all who listen.
_TAG = "${SET(CHANNEL(accountcode)=${CUT(EXTEN,~,3)})}"
_PEER_TAG = "${SET(CHANNEL(peeraccount)=${CUT(EXTEN,~,3)})}"
_WHOM = "PJSIP/${CUT(EXTEN,~,4)},${CUT(EXTEN,~,2)}"
RING = "tl-ring"
# A phone writes the address of its device: one that has a comma or an ampersand would be read as more targets or as
# options of Dial(). A line with such a device is dialled by its endpoints, which Asterisk resolves by itself.
_DEVICES = f"^(PJSIP/({BROWSER_PREFIX})?${{EXTEN}}/sips?:[A-Za-z0-9@:\\;=.+_~%!*'-]+&?)*$"
_TALKED = ' | "${DIALSTATUS}" = "ANSWER"'
"""Condition of the dialplan: the party has talked with a target. Then the channel is hung up instead of waiting for a
switch, which would only hang it up."""
_RETRY = 0.5
_DEFAULT_RING = 60
_EMERGENCY = "tl-emergency"
_EMERGENCY_WAIT = 2.0
"""Seconds that a call to an emergency number waits for a switch before the dialplan places it by itself: a switch that
reconnects is back sooner, and one that was killed starts for longer."""
_EMERGENCY_RING = 120
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

    return f"""[general]
static = yes
writeprotect = yes
autofallthrough = yes
clearglobalvars = yes

[globals]

[{CONTEXT}]
exten => _[0-9a-zA-Z+*#]!,1(again),Stasis({APP},in)
 same => n,GotoIf($["${{STASISSTATUS}}" = "SUCCESS"]?over)
 same => n,Set(TL_TRIES=$[0${{TL_TRIES}} + 1])
 same => n,GosubIf($[{emergency}]?{_EMERGENCY},${{TL_EMERGENCY}},1({_DIGITS}))
 same => n,GotoIf($[${{TL_TRIES}} >= {tries}]?alone)
 same => n,Ringing()
 same => n,Wait({_RETRY})
 same => n,Goto(again)
 same => n(alone),Goto(tl-default,${{FILTER(a-z0-9,${{CHANNEL(endpoint)}})}}~${{FILTER(0-9,${{EXTEN}})}},1)
 same => n(over),Hangup()
; What follows a hang-up ends here, and who dials it: the steps of the pattern above would follow the first one. No
; cause: it would become that of each call.
exten => h,1,Hangup()

[{CONNECT}]
exten => _r~.,1,MixMonitor(,br({spool}/{_TAG}/${{CHANNEL(uniqueid)}}.sln))
 same => n,Dial({_WHOM},iI${{CUT(EXTEN,~,5)}}U({RECORD_CALLEE}^{spool}/{_PEER_TAG}))
 same => n,Goto(plain,done)
exten => _p~.,1,Set(CHANNEL(peeraccount)={_TAG})
 same => n,Dial({_WHOM},iI${{CUT(EXTEN,~,5)}})
 same => n,Goto(plain,done)
exten => record,1,MixMonitor(,br(${{TL_REC}}))
 same => n,Goto(plain,1)
exten => plain,1,Dial(${{TL_DIAL}},${{TL_RING}},${{TL_OPTS}})
 same => n(done),Stasis({APP},connected,${{DIALSTATUS}},${{HANGUPCAUSE}})
{waiting("done", _TALKED)}
[{CALLEE}]
exten => number,1,Set(CONNECTEDLINE(num,i)=${{ARG1}})
 same => n,Return()
exten => caller,1,Set(CONNECTEDLINE(name,i)=${{TL_CA_${{CHANNEL(endpoint)}}}})
 same => n,Set(CONNECTEDLINE(num,i)=${{TL_CN_${{CHANNEL(endpoint)}}}})
 same => n,Return()

[{RECORD_CALLEE}]
exten => s,1,MixMonitor(,br(${{ARG1}}/${{CHANNEL(uniqueid)}}.sln))
 same => n,Return()

[{CONTROLLED}]
exten => taken,1(again),Stasis({APP},taken)
{waiting("again")}
[{ORIGINATED}]
exten => answered,1(again),Stasis({APP},originated)
{waiting("again")}
[{RING}]
exten => _X!,1,Set(TL_PHONES=${{PJSIP_DIAL_CONTACTS(${{EXTEN}})}})
 same => n,Set(TL_BROWSERS=${{PJSIP_DIAL_CONTACTS({BROWSER_PREFIX}${{EXTEN}})}})
 same => n,GotoIf($[${{REGEX("{_DEVICES}" ${{TL_PHONES}}${{TL_BROWSERS}})}}]?known)
 same => n,Set(TL_PHONES=PJSIP/${{EXTEN}})
 same => n,Set(TL_BROWSERS=PJSIP/{BROWSER_PREFIX}${{EXTEN}})
 same => n(known),Set(TL_BOTH=${{IF($[${{LEN(${{TL_PHONES}})}} & ${{LEN(${{TL_BROWSERS}})}}]?&)}})
 same => n,Dial(${{TL_PHONES}}${{TL_BOTH}}${{TL_BROWSERS}},{_DEFAULT_RING})
 same => n,Hangup(41)

; The emergency route of a line: returns when the argument is no emergency number. No variable that a caller sets is used.
[{_EMERGENCY}]
exten => _[0-9]!,1,Return()

[tl-default]
exten => _[a-z0-9]!,1,Hangup(41)
exten => s,1,Hangup(41)
#include "extensions_defaults.conf"
"""


def defaults(routes: Sequence[DefaultRoute]) -> str:
    """``extensions_defaults.conf``: more extensions of the context ``tl-default``, ``<endpoint>~<number>``, without
    dashes, which extensions do not count. A line, or a
    trunk that does not carry the number, finds none."""
    text = "[tl-default](+)\n"
    for route in sorted(routes, key=lambda one: one.number):
        for endpoint in sorted(set(route.endpoints)):
            text += f"exten => {endpoint.replace('-', '')}~{route.number},1,Goto({RING},{route.line},1)\n"
    return text


def emergency(routes: Sequence[EmergencyRoute]) -> str:
    """More extensions of the context ``tl-emergency``, one for each route: dials the emergency number by the first way that
    carries it. Returns only when what was dialled is no emergency number."""
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


def music_class(path: str) -> str:
    """Name of the music class that plays this file."""
    return f"tl-{zlib.crc32(path.encode()):08x}"


def music(paths: Sequence[str], hold: str) -> str:
    """``musiconhold.conf``. There is always a default class: without any, Asterisk turns music off for good."""
    text = f"[general]\ncachertclasses = no\n\n[default]\nmode = playlist\nentry = {hold}\n"
    for path in sorted(set(paths)):
        text += f"\n[{music_class(path)}]\nmode = playlist\nentry = {path}\n"
    return text
