"""What happened in a call, event by event, for ``get.call_details``."""

from __future__ import annotations

from trunkline.reports.fields import literal

_NAMES = {
    "session_started": ("start", "Call started"),
    "scenario_entered": ("scenario_started", "Scenario"),
    "operation_entered": ("action_started", "Operation"),
    "leg_started": ("call_placed", "Calling"),
    "leg_answered": ("call_answered", "Answered"),
    "talk_started": ("talk_started", "Talk"),
    "talk_ended": ("talk_finished", "End of the talk"),
    "leg_ended": ("leg_finished", "Left the call"),
    "call_held": ("call_held", "On hold"),
    "call_unheld": ("call_unheld", "Back from hold"),
    "consult_started": ("consult_started", "Consultation"),
    "consult_ended": ("consult_finished", "End of the consultation"),
    "transferred": ("transfer", "Transfer"),
    "coach_joined": ("coach_joined", "Coach"),
    "voice_mail_left": ("voice_mail", "Voice mail"),
    "key_pressed": ("key_pressed", "Key"),
    "tag_set": ("tag_set", "Tag"),
    "session_finished": ("finish", "Call finished"),
}
"""Mnemonic and name of each reported kind of event."""

_MNEMONICS = literal({kind: mnemonic for kind, (mnemonic, _) in _NAMES.items()})
_TITLES = literal({kind: title for kind, (_, title) in _NAMES.items()})
_REPORTED = ", ".join(f"'{kind}'" for kind in _NAMES)
_ABOUT = ", ".join(
    f"e.data ->> '{name}'"
    for name in (
        "scenario_name",
        "operation_name",
        "employee_full_name",
        "called_phone_number",
        "contact_phone_number",
        "key",
        "tag_name",
        "finish_reason",
    )
)

CALL_EVENTS = (
    "(select jsonb_agg(jsonb_build_object("
    f"'event_mnemonic', {_MNEMONICS} ->> e.type, 'event_icon_mnemonic', {_MNEMONICS} ->> e.type,"
    f" 'event_name', {_TITLES} ->> e.type, 'event_text', concat_ws(' ', {_TITLES} ->> e.type, {_ABOUT}),"
    " 'event_time', to_char(e.occurred_at at time zone %(time_zone)s, 'HH24:MI:SS'),"
    " 'event_type', case e.type when 'talk_started' then 'talk' end, 'duration', null,"
    " 'is_failed', e.data -> 'is_failed', 'fail_hint', case when e.data ->> 'is_failed' = 'true'"
    " then %(reasons)s ->> (e.data ->> 'finish_reason') end,"
    " 'is_bold', false, 'is_leaf', true, 'data', null) order by e.seq)"
    " from call_events e where e.account_id = s.account_id and e.call_session_id = s.call_session_id"
    f" and e.type in ({_REPORTED}))"
)
"""SQL of a call's events as a JSON array; it needs ``%(reasons)s``."""
