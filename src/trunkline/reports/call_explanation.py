"""Why a finished call failed, in one sentence for the administrator: also what no API has, the state of its trunk then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trunkline.core.hangup_causes import (
    ANSWERED_ELSEWHERE,
    CALL_REJECTED,
    CARRIER_REFUSALS,
    CONGESTION,
    CUT_SHORT,
    DECLINED,
    DESTINATION_OUT_OF_ORDER,
    MEDIA_LOST,
    NETWORK_OUT_OF_ORDER,
    NO_ANSWER,
    NO_ROUTE,
    NO_USER_RESPONDING,
    NORMAL_CLEARING,
    NOT_ACCEPTABLE,
    SUBSCRIBER_ABSENT,
    SWITCH_CONGESTION,
    TEMPORARY_FAILURE,
    USER_BUSY,
)
from trunkline.db.pool import Database
from trunkline.reports.causes import cause_description
from trunkline.reports.reason_descriptions import REASON_DESCRIPTIONS

LAST_CALLS = """
select session.call_session_id, start_time, direction, contact_phone_number, virtual_phone_number, finish_reason, is_lost,
    total_duration, talk_duration, is_internal, (
        select array_agg(distinct leg.finish_reason order by leg.finish_reason) from call_legs leg
        where leg.account_id = session.account_id and leg.call_session_id = session.call_session_id
            and leg.is_failed and leg.finish_reason is not null
    ) as leg_reasons, failed.trunk_name, failed.mode as trunk_mode, failed.cause, failed.data, failed.seconds, exists (
        select from call_legs leg
        where leg.account_id = session.account_id and leg.call_session_id = session.call_session_id
            and leg.finish_reason = 'internal_error' and leg.release_cause_code = %(out_of_order)s
    ) as ended_with_engine, (
        select max((event.data->>'seconds')::float8) from call_events event
        where event.account_id = session.account_id and event.call_session_id = session.call_session_id
            and event.type = 'voice_mail_left' and event.data->>'is_empty' = 'false' and not event.data ? 'refused'
    ) as message_seconds, (
        select leg.is_operator from call_legs leg
        where leg.account_id = session.account_id and leg.call_session_id = session.call_session_id
            and leg.release_cause_code = %(media_lost)s and leg.answer_time is not null
        order by leg.finish_time limit 1
    ) as vanished_is_operator, (
        select jsonb_agg(jsonb_build_object('is_operator', leg.is_operator, 'device', ended.data->'no_sound')
            order by leg.leg_id)
        from call_events ended join call_legs leg
            on leg.account_id = ended.account_id and leg.call_session_id = ended.call_session_id
            and leg.leg_id::text = ended.data->>'leg_id'
        where ended.account_id = session.account_id and ended.call_session_id = session.call_session_id
            and ended.type = 'leg_ended' and ended.data ? 'no_sound'
    ) as silent_legs, exists (
        select from call_events ending
        where ending.account_id = session.account_id and ending.call_session_id = session.call_session_id
            and ending.type = 'session_ending' and ending.data ? 'by_command'
    ) as by_command, (
        select array_agg(distinct leg.release_cause_code order by leg.release_cause_code) from call_legs leg
        where leg.account_id = session.account_id and leg.call_session_id = session.call_session_id
            and leg.is_failed and leg.direction = 'out' and leg.release_cause_code is not null
            and (leg.finish_reason = session.finish_reason or session.finish_reason = any(%(not_reached)s))
    ) as leg_causes
from call_sessions session left join lateral (
    select coalesce(ended.data->'trunk'->>'name', trunk.name) as trunk_name,
        coalesce(ended.data->'trunk'->>'mode', trunk.mode) as mode, leg.release_cause_code as cause, ended.data,
        extract(epoch from leg.finish_time - leg.start_time)::float8 as seconds
    from call_legs leg left join trunks trunk using (account_id, trunk_id) left join lateral (
        select event.data from call_events event
        where event.account_id = leg.account_id and event.call_session_id = leg.call_session_id
            and event.type = 'leg_ended' and event.data->>'leg_id' = leg.leg_id::text
        limit 1
    ) ended on true
    where leg.account_id = session.account_id and leg.call_session_id = session.call_session_id
        and leg.direction = 'out' and leg.answer_time is null and leg.trunk_id is not null
        and not coalesce(ended.data ? 'rang', false)
        and coalesce(ended.data->'trunk'->>'name', trunk.name) is not null
        and (leg.release_cause_code = any(%(network_causes)s) or ended.data ?| array['no_response', 'too_short']
            or ended.data->'trunk'->>'state' <> 'registered')
    order by leg.start_time desc limit 1
) failed on true
where session.account_id = %(account_id)s and session.finish_time is not null
    and (%(call_session_id)s::bigint is null or session.call_session_id = %(call_session_id)s)
order by start_time desc, session.call_session_id desc limit %(limit)s
"""
"""The last finished calls, each with its last leg that a trunk did not connect or whose server did not respond, and what the
event of its end has of the trunk and its registration at that time."""

NETWORK_CAUSES = (
    NO_ROUTE,
    SUBSCRIBER_ABSENT,
    CALL_REJECTED,
    DESTINATION_OUT_OF_ORDER,
    CONGESTION,
    NETWORK_OUT_OF_ORDER,
    TEMPORARY_FAILURE,
    SWITCH_CONGESTION,
)
"""Q.850 causes of a trunk that cannot be used: SIP 403, 500, 503, no response, no route."""

_NOT_REACHED = ("no_success_operator_call", "no_success_caller_call")
"""Reasons of a call that only its legs explain."""

_VANISHED = ("caller_number_problems", "operator_number_problems")
"""Reasons of a talk that ended because nothing arrived from a party any more."""

_HUNG_UP = frozenset({"caller_disconnects", "operator_disconnects", "disconnect_before_call_processing"})
"""Reasons that need no cause: a party ended the call, so the causes of others who rang do not explain it."""

_IMPLIED = frozenset(
    {
        0,
        NORMAL_CLEARING,
        USER_BUSY,
        NO_USER_RESPONDING,
        NO_ANSWER,
        SUBSCRIBER_ABSENT,
        CALL_REJECTED,
        ANSWERED_ELSEWHERE,
    }
)
"""Causes that say no more than the finish reason: busy, declined, not answered, not registered, answered elsewhere."""

MEDIA_REFUSED = (
    ": the called phone or carrier accepts no offered codec (G.722, G.711, Opus, or `codecs` of the line or trunk), or SRTP"
    " is required on one side only (srtp of the line)"
)

_BY_COMMAND = (
    "A command ended the call: release.call of the Call API, Hang up in the console, or keys of an employee"
)

_ENDED_WITH_ENGINE = (
    "Asterisk ended during the call (a power cut, a restored backup): the call ends when it was last known to be"
    " up"
)

_LINE_IS_FULL = (
    " (channels of the line, 1 by default: hold and a second call need 2; or max_out_calls of the number; or a limit of"
    " `trunkline account calls`)"
)
_LOGIN_REMEDY = "check username and password of the trunk, and ask the carrier whether it permits the call"

_ONLY_FOR_EXPLANATION = (
    "is_internal",
    "leg_reasons",
    "trunk_name",
    "trunk_mode",
    "cause",
    "data",
    "seconds",
    "ended_with_engine",
    "message_seconds",
    "vanished_is_operator",
    "silent_legs",
    "by_command",
    "leg_causes",
)

PARAMETERS: Mapping[str, Any] = {
    "network_causes": list(NETWORK_CAUSES),
    "media_lost": MEDIA_LOST,
    "out_of_order": NETWORK_OUT_OF_ORDER,
    "not_reached": list(_NOT_REACHED),
    "call_session_id": None,
}
"""Of :data:`LAST_CALLS`, besides ``account_id`` and ``limit``; with a ``call_session_id``, of that call only."""


async def explain(db: Database, account_id: int, call_session_id: int) -> str | None:
    """The ``explanation`` of a finished call; None: there is no such call, or it still lives."""
    row = await db.fetch_one(
        LAST_CALLS, {**PARAMETERS, "account_id": account_id, "limit": 1, "call_session_id": call_session_id}
    )
    return None if row is None else str(explained(row)["explanation"])


def explained(row: Mapping[str, Any]) -> dict[str, Any]:
    """The call of a row of :data:`LAST_CALLS` with its ``explanation``: of that time, whatever was changed since. Pure."""
    call = {name: value for name, value in row.items() if name not in _ONLY_FOR_EXPLANATION}
    reason = row["finish_reason"]
    text = _sentence(row)
    of_legs = [REASON_DESCRIPTIONS.get(one, one) for one in row["leg_reasons"] or () if one != reason]
    if reason in _NOT_REACHED and of_legs:
        text += ": " + ", ".join(of_legs)
    if reason == "max_out_call_reached":
        text += _LINE_IS_FULL
    if reason == "internal_error" and row["ended_with_engine"]:
        text = _ENDED_WITH_ENGINE
    if row["by_command"]:
        text = _BY_COMMAND
    if row["vanished_is_operator"] is not None and reason in _VANISHED:
        text = _vanished(row)
    if row["message_seconds"] is not None:
        text = f"The customer left a voice message of {max(1, round(row['message_seconds']))} s"
    if row["trunk_name"] is not None:
        text += f"; trunk {row['trunk_name']}{_trunk(row)}"
    elif reason not in _HUNG_UP:
        text += _causes(row["leg_causes"])
    text += "".join(_no_sound(one, is_internal=bool(row["is_internal"])) for one in row["silent_legs"] or ())
    return {**call, "explanation": text}


def _sentence(row: Mapping[str, Any]) -> str:
    """The finish reason in words. A call between employees has no customer: its caller is on the side of the operator."""
    reason = row["finish_reason"] or ""
    text = REASON_DESCRIPTIONS.get(reason, reason)
    if not row["is_internal"]:
        return text
    if reason == "operator_disconnects":
        if CALL_REJECTED in (row["leg_causes"] or ()):
            return "The called employee declined the call"
        return "The calling employee hung up"
    if reason == "disconnect_before_call_processing":
        return text.replace("customer", "calling employee")
    return text.replace("customer", "called employee")


def _vanished(row: Mapping[str, Any]) -> str:
    side = "employee" if row["vanished_is_operator"] else "customer"
    if row["is_internal"]:
        side = f"{'calling' if row['finish_reason'].startswith('operator') else 'called'} employee"
    return (
        f"The connection to the {side} was lost during the talk: no sound arrived from that side for sip.media_timeout"
        f" (a device or network that failed; cause {MEDIA_LOST})"
    )


def _no_sound(leg: Mapping[str, Any], *, is_internal: bool) -> str:
    """What to do about a party that was connected and of which no sound arrived."""
    device = leg["device"]
    side = "employee" if leg["is_operator"] or is_internal else "customer"
    name = f" {device['name']}" if device["name"] else ""
    return (
        f"; no sound (RTP) arrived from the {side} in the whole call ({device['kind']}{name}): open sip.rtp_port_first to"
        " sip.rtp_port_last (UDP) in the firewall, behind NAT set sip.external_address and sip.local_networks"
    )


def _causes(causes: Sequence[int] | None) -> str:
    """The causes of the parties that were not reached, unless the reason says the same."""
    further = [one for one in causes or () if one not in _IMPLIED]
    return "".join(f" (cause {one}, {cause_description(one)}){_remedy(one)}" for one in further)


def _remedy(cause: int | None) -> str:
    """What to do about a cause that the device answered, as after the sentence of a call."""
    return MEDIA_REFUSED if cause == NOT_ACCEPTABLE else ""


def _trunk(row: Mapping[str, Any]) -> str:
    """Why a trunk did not connect the call, by what was true when the leg ended."""
    data, cause = row["data"] or {}, row["cause"]
    shown = f" (cause {cause}, {cause_description(cause)}){_remedy(cause)}"
    is_silent = bool(data.get("no_response") or data.get("too_short"))
    if is_silent and cause in CUT_SHORT:
        shown = ""  # it was given up: the cause is not that of the carrier
    trunk = data.get("trunk") or {}
    state, reason = trunk.get("state"), trunk.get("reason")
    if state not in (None, "registered"):
        return f" was not registered: {state}{f', {reason}' if reason else ''}{shown}"
    if data.get("no_response"):
        return (
            f": the carrier did not respond, no ringing and no answer for {row['seconds']:.0f} s; check host, port and "
            f"transport, the firewall, and whether its server runs{shown}"
        )
    if data.get("too_short"):
        return (
            f": the carrier had not responded when the call ended after {row['seconds']:.0f} s (no ringing, no sound); call"
            f" again and wait{shown}"
        )
    code = data.get("sip_code")
    if code == DECLINED:
        return f": the carrier or the called party declined the call with SIP {code}{shown}"
    if code:
        remedy = f"; {_LOGIN_REMEDY}" if code in CARRIER_REFUSALS else ""
        return f": the carrier refused the call with SIP {code}{remedy}{shown}"
    if row["trunk_mode"] == "address":
        return f": the carrier refused the call or cannot be reached; check host, port and transport{shown}"
    return f" did not connect the call{shown}"
