"""What a call to a lead means for its campaign: from the session of the call to the result of the attempt. Pure."""

from __future__ import annotations

from trunkline.calls.flows.queueing import NOT_IN_TIME
from trunkline.calls.session import Leg, Phase, Session
from trunkline.core.clock import Instant
from trunkline.dialer.lead_store import Result
from trunkline.dialer.outcomes import DialOutcome, of_unanswered
from trunkline.dialer.settings import CampaignSettings, Mode
from trunkline.events.reasons import Reason


def contact_leg(session: Session) -> Leg | None:
    """The leg of the lead; None: it was not called."""
    contact = session.contact
    return contact if contact is not None and contact.channel and not contact.is_operator_side else None


def result_of(session: Session, settings: CampaignSettings) -> Result | None:
    """The result of an attempt; None: the call goes on."""
    if session.phase is not Phase.ENDED:
        return None
    ended_at = session.finished_at or session.last_at
    contact = contact_leg(session)
    if contact is None:
        # Preview: the agent did not answer, or has no phone that could ring. Else no trunk took the call.
        is_agent_called = any(leg.is_operator_side and leg.channel for leg in session.legs.values())
        is_missed = is_agent_called or settings.mode is Mode.PREVIEW
        return Result(DialOutcome.AGENT_MISSED if is_missed else DialOutcome.FAILED, ended_at)
    if contact.is_machine:
        return Result(DialOutcome.MACHINE, ended_at, contact.answered_at)
    if session.talks:
        talk = session.talks[0]
        agent = session.legs[talk.leg_id].employee_id
        return Result(DialOutcome.ANSWERED, ended_at, contact.answered_at, talk.started_at, agent)
    if contact.answered_at is None and contact.finish_reason is Reason.INTERNAL_ERROR:
        # Asterisk was restarted or not reached: what its cause says is nothing of the lead.
        return Result(DialOutcome.INTERRUPTED, ended_at, cause=contact.cause)
    if contact.answered_at is None:
        outcome = of_unanswered(contact.cause or 0, contact.sip_code)
        return Result(outcome, ended_at, cause=contact.cause)
    greeted_at = contact.greeted_at or contact.answered_at
    waited = (contact.ended_at or ended_at) - greeted_at
    is_greeting = session.detects_machine and contact.greeted_at is None
    has_hung_up = session.queue_left != NOT_IN_TIME and (is_greeting or waited < settings.connect_seconds)
    return Result(
        DialOutcome.HUNG_UP if has_hung_up else DialOutcome.ABANDONED, Instant(ended_at), contact.answered_at
    )
