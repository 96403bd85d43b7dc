"""Why a finished call failed, in one sentence for the administrator: also what no API has, the state of the trunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trunkline.reports.causes import MEDIA_LOST, cause_description
from trunkline.reports.reason_descriptions import REASON_DESCRIPTIONS

LAST_CALLS = """
select session.call_session_id, start_time, direction, contact_phone_number, virtual_phone_number, finish_reason, is_lost,
    total_duration, talk_duration, (
        select array_agg(distinct leg.finish_reason order by leg.finish_reason) from call_legs leg
        where leg.account_id = session.account_id and leg.call_session_id = session.call_session_id
            and leg.is_failed and leg.finish_reason is not null
    ) as leg_reasons, failed.trunk_id, failed.trunk_name, failed.mode as trunk_mode,
    failed.cause, failed.state, failed.reason, failed.registered_later, failed.no_response, failed.seconds, exists (
        select from call_legs leg
        where leg.account_id = session.account_id and leg.call_session_id = session.call_session_id
            and leg.finish_reason = 'internal_error' and leg.release_cause_code = 38
    ) as ended_with_engine, (
        select leg.is_operator from call_legs leg
        where leg.account_id = session.account_id and leg.call_session_id = session.call_session_id
            and leg.release_cause_code = %(media_lost)s and leg.answer_time is not null
        order by leg.finish_time limit 1
    ) as vanished_is_operator, (
        select array_agg(distinct leg.release_cause_code order by leg.release_cause_code) from call_legs leg
        where leg.account_id = session.account_id and leg.call_session_id = session.call_session_id
            and leg.is_failed and leg.direction = 'out' and leg.release_cause_code is not null
    ) as leg_causes
from call_sessions session left join lateral (
    select leg.trunk_id, trunk.name as trunk_name, trunk.mode, leg.release_cause_code as cause,
        ended.no_response, extract(epoch from leg.finish_time - leg.start_time)::float8 as seconds,
        alarm.data->>'state' as state, alarm.data->>'reason' as reason,
        exists (select from installation_events later where later.type = 'trunk_registration'
            and later.data->>'trunk_id' = leg.trunk_id::text and later.data->>'state' = 'registered'
            and later.occurred_at > leg.finish_time) as registered_later
    from call_legs leg join trunks trunk using (account_id, trunk_id) cross join lateral (
        select exists (select from call_events event
            where event.account_id = leg.account_id and event.call_session_id = leg.call_session_id
                and event.type = 'leg_ended' and event.data->>'leg_id' = leg.leg_id::text
                and event.data->>'no_response' = 'true') as no_response
    ) ended left join lateral (
        select data from installation_events event where event.type = 'trunk_registration'
            and trunk.mode = 'register'
            and event.data->>'trunk_id' = leg.trunk_id::text
            and event.occurred_at <= leg.finish_time + interval '90 seconds'
        order by event.occurred_at desc limit 1
    ) alarm on true
    where leg.account_id = session.account_id and leg.call_session_id = session.call_session_id
        and leg.direction = 'out' and leg.answer_time is null
        and (leg.release_cause_code = any(%(network_causes)s) or ended.no_response)
    order by leg.start_time desc limit 1
) failed on true
where session.account_id = %(account_id)s and session.finish_time is not null
order by start_time desc, session.call_session_id desc limit %(limit)s
"""
"""The last finished calls, each with its last leg that a trunk did not connect or whose server did not respond; of a trunk
that registers the state of the registration by the alarms of the installation. An alarm is written up to a minute after the
state."""

NETWORK_CAUSES = (3, 20, 21, 27, 34, 38, 41, 42)
"""Q.850 causes of a trunk that cannot be used: SIP 403, 500, 503, no response, no route."""

_NOT_REACHED = ("no_success_operator_call", "no_success_caller_call")
"""Reasons of a call that only its legs explain."""

_VANISHED = ("caller_number_problems", "operator_number_problems")
"""Reasons of a talk that ended because nothing arrived from a party any more."""

_IMPLIED = frozenset({0, 16, 17, 18, 19, 20, 21, 26})
"""Causes that say no more than the finish reason: busy, declined, not answered, not registered, answered elsewhere."""

_NOT_ACCEPTABLE = 58
"""What Asterisk makes of SIP 488 of the called phone or carrier."""

MEDIA_REFUSED = (
    ": the called phone or carrier accepts no offered codec (G.722, G.711, Opus), or SRTP is required on one side only (srtp"
    " of the line)"
)

_ENDED_WITH_ENGINE = (
    "Asterisk ended during the call (a power cut, a restored backup): the call ends when it was last known to be"
    " up"
)

_LINE_IS_FULL = (
    " (channels of the line, 1 by default: hold and a second call need 2; or max_out_calls of the number; or a limit of"
    " `trunkline account calls`)"
)

_MORE = (
    "leg_reasons",
    "trunk_id",
    "trunk_name",
    "trunk_mode",
    "cause",
    "state",
    "reason",
    "registered_later",
    "no_response",
    "seconds",
    "ended_with_engine",
    "vanished_is_operator",
    "leg_causes",
)


def explained(row: Mapping[str, Any], states: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """The call of a row of :data:`LAST_CALLS` with its ``explanation``. Pure.

    :param states: present registrations by trunk, empty when they are not known.
    """
    call = {name: value for name, value in row.items() if name not in _MORE}
    reason = row["finish_reason"]
    text = REASON_DESCRIPTIONS.get(reason or "", reason or "")
    if reason in _NOT_REACHED and row["leg_reasons"]:
        text += ": " + ", ".join(REASON_DESCRIPTIONS.get(one, one) for one in row["leg_reasons"])
    if reason == "max_out_call_reached":
        text += _LINE_IS_FULL
    if reason == "internal_error" and row["ended_with_engine"]:
        text = _ENDED_WITH_ENGINE
    if row["vanished_is_operator"] is not None and reason in _VANISHED:
        text = _vanished(is_operator=row["vanished_is_operator"])
    if row["trunk_id"] is None:
        text += _causes(row["leg_causes"])
    else:
        cause = f"{row['cause']}, {cause_description(row['cause'])}"
        state = _registration(row, states.get(row["trunk_id"])) or _connection(row)
        text += f"; trunk {row['trunk_name']}{state} (cause {cause}){_remedy(row['cause'])}"
    return {**call, "explanation": text}


def _vanished(*, is_operator: bool) -> str:
    side = "employee" if is_operator else "customer"
    return (
        f"The connection to the {side} was lost during the talk: no sound arrived from that side for sip.media_timeout"
        f" (a device or network that failed; cause {MEDIA_LOST})"
    )


def _causes(causes: Sequence[int] | None) -> str:
    """The causes of the parties that were not reached, unless the reason says the same."""
    further = [one for one in causes or () if one not in _IMPLIED]
    return "".join(f" (cause {one}, {cause_description(one)}){_remedy(one)}" for one in further)


def _remedy(cause: int | None) -> str:
    """What to do about a cause that the device answered, as after the sentence of a call."""
    return MEDIA_REFUSED if cause == _NOT_ACCEPTABLE else ""


def _connection(row: Mapping[str, Any]) -> str:
    if row["no_response"]:
        return (
            f": the carrier did not respond, no ringing and no answer for {row['seconds']:.0f} s; check host, port and "
            "transport, the firewall, and whether its server runs"
        )
    if row["trunk_mode"] == "address":
        return ": the carrier refused the call or cannot be reached; check host, port and transport"
    return " did not connect the call"


def _registration(row: Mapping[str, Any], now: Mapping[str, Any] | None) -> str:
    is_bad_now = now is not None and now["state"] != "registered"
    was_bad = row["state"] not in (None, "registered")
    if was_bad and (row["registered_later"] or now is None or is_bad_now):
        state, reason = row["state"], row["reason"]
    elif is_bad_now and now is not None and not row["registered_later"]:
        state, reason = now["state"], now["reason"]
    else:
        return ""
    return f" was not registered: {state}{f', {reason}' if reason else ''}"
