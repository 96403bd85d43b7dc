"""The question to another system about a call in a scenario. Pure."""

from __future__ import annotations

import orjson

from trunkline.calls.decision import Decision
from trunkline.calls.effects import Music
from trunkline.calls.session import Leg
from trunkline.calls.states import AwaitingDecision
from trunkline.calls.timers import MENU_TIMER, Ask, CancelTimer, Question
from trunkline.core.clock import to_text
from trunkline.directory.model import DEFAULT_REQUEST_PARAMETERS, Operation, RequestParameter
from trunkline.external_decisions.request import NO_INPUT, parameters
from trunkline.routing.menus import TERMINATOR

DECISION = "external_decision"
"""Kind of the question. Its key has a number: the reply to one that a former switch asked is not that to the present one."""

DEFAULT_REPLY_SECONDS = 5.0
_MARGIN_SECONDS = 1.0
"""The executor fails with the reason a little before the question itself is given up."""


def ask(decision: Decision, contact: Leg, operation: Operation) -> None:
    """Ask; the contact hears the music of the operation meanwhile, unless its prompt is still played."""
    session, settings = decision.session, operation.settings
    state = session.state
    digits = state.digits.removesuffix(TERMINATOR) if isinstance(state, AwaitingDecision) else ""
    seconds = float(settings.get("reply_seconds") or DEFAULT_REPLY_SECONDS)
    started, lead = to_text(session.started_at), session.lead
    values = {
        RequestParameter.CDR_ID: session.call_session_id,
        RequestParameter.CALL_SESSION_ID: session.call_session_id,
        RequestParameter.DIRECTION: session.direction,
        RequestParameter.START_TIME: started,
        RequestParameter.NUMA: session.contact_phone_number,
        RequestParameter.NUMB: session.virtual_phone_number,
        RequestParameter.INPUT_RESULT: digits or NO_INPUT,
        RequestParameter.LEAD_ID: session.lead_id,
        RequestParameter.LEAD_NAME: lead["name"] if lead else None,
        RequestParameter.LEAD_VARIABLES: orjson.dumps(lead["ext_api_vars"]).decode() if lead else None,
    }
    decision.do(CancelTimer(MENU_TIMER))
    decision.do(
        Ask(
            f"{DECISION}:{session.seq}",
            Question(
                DECISION,
                {
                    "url": settings["url"],
                    "method": settings.get("method") or "GET",
                    "parameters": parameters(
                        values, settings.get("parameters") or DEFAULT_REQUEST_PARAMETERS
                    ),
                    "seconds": seconds,
                    "call_session_id": session.call_session_id,
                    "language": decision.context.account.locale,
                },
                seconds=seconds + _MARGIN_SECONDS,
            ),
        )
    )
    if session.playing is None:
        play_music(decision, contact, operation)


def play_music(decision: Decision, contact: Leg, operation: Operation) -> None:
    """The music of the operation to a contact who waits for the reply."""
    music_id = operation.settings.get("music_media_file_id")
    music = decision.context.media_path(music_id) if music_id is not None else None
    if music is None and contact.answered_at is not None:
        music = decision.context.system_media_path("dialing_music")
    if music is not None:
        decision.do(Music(contact.channel, music))
