"""Redirects (SIP 302) of called phones: call forwarding in the phone. Pure.

The target is a number that the phone of the line dials: the plan of the account, and the rights and limits of that line,
apply. Redirects of carriers, and of phones that answer to no line, are ignored.
"""

from __future__ import annotations

from trunkline.calls.decision import Decision
from trunkline.calls.flows import forwards
from trunkline.calls.session import Leg
from trunkline.telephony.port import Redirected

REDIRECTS_MAX = 3
"""Of one call: two phones may redirect to each other."""


def note(decision: Decision, signal: Redirected) -> None:
    """A called phone redirects the call; the engine reports next that it was not connected."""
    leg = decision.session.leg_of(signal.channel)
    if leg is not None and leg.answered_at is None and leg.direction == "out" and leg.sip_line_id is not None:
        decision.session.phone_redirects[leg.leg_id] = signal.to


def follow(decision: Decision, caller: Leg) -> bool:
    """Dial where the first of the called phones redirected the call.

    :param caller: whose channel the engine gave back.
    :returns: whether anybody is dialled.
    """
    session = decision.session
    wanted, session.phone_redirects = session.phone_redirects, {}
    for leg_id, to in wanted.items():
        if session.redirect_count >= REDIRECTS_MAX:
            return False
        if _dial(decision, caller, session.legs[leg_id], to):
            session.redirect_count += 1
            return True
    return False


def _dial(decision: Decision, caller: Leg, leg: Leg, to: str) -> bool:
    line = decision.context.account.lines.get(leg.sip_line_id or 0)
    return line is not None and forwards.dial_for_line(decision, caller, line, leg.side, to) is None
