"""Everything that can have happened to a call or a line, as data.

An event is a fact in the past: ``type`` names it, ``data`` is a JSON object with the keys listed here, times are
Unix seconds (float) inside ``data`` and ``at``. Events of one *stream* are numbered from 1 without gaps; the
stream of a call is ``call:<call_session_id>``, of a line ``line:<sip_line_id>``. A listener must be idempotent
and must ignore unknown types and keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trunkline.core.clock import Instant


class EventType(StrEnum):
    # --- calls, in the order they usually come
    SESSION_STARTED = "session_started"
    """direction in|out, source, is_internal, virtual_number_id, virtual_phone_number, contact_phone_number,
    contact_id, contact_full_name, operator_phone_number, external_id, lead_id, lead (of a campaign, as it was when it was
    dialled: name, tags, ext_api_vars), dial_campaign_id, api_request_id, visit,
    plan, is_code (true: a line dialled a code, which calls nobody)"""
    SCENARIO_ENTERED = "scenario_entered"
    """scenario_id, scenario_name, takes_over, returns (list of scenario id and key of an operation: the scenarios that wait
    for it, the outermost first)"""
    OPERATION_ENTERED = "operation_entered"
    """operation_id, operation_name, key, kind"""
    TARGET_CHOSEN = "target_chosen"
    """operation_id, employee_id, group_id or number: whom the operation calls, which names nobody itself; phones_left (of
    an external decision): numbers that are called when this one is not reached"""
    MENU_REPEATED = "menu_repeated"
    """operation_id, round (how often the prompt was begun), outcome timeout|invalid, digits: the prompt is played again"""
    MENU_DECIDED = "menu_decided"
    """operation_id, outcome key|collected|extension|invalid|timeout, digits (pressed)"""
    DECISION_RECEIVED = "decision_received"
    """operation_id, outcome instructions|codes|failed, digits (pressed by the caller), codes, files and employee_files
    (paths), phones, missing (names of files that the account does not have), failed (why there is no usable reply),
    error, status (of the HTTP response), milliseconds, reply (its beginning): what another system answered about the call"""
    SCENARIO_NOTIFICATION = "scenario_notification"
    """operation_id, operation_name, message, emails: an operation of the scenario notifies somebody"""
    LEG_STARTED = "leg_started"
    """leg_id, channel, role contact|employee|operator|coach, side contact|operator, direction in|out, calling_phone_number,
    called_phone_number, employee_id, employee_full_name, employee_phone_number, phone_id, sip_line_id, trunk_id, group_id,
    group_name, operation_id, operation_name, is_transfered, dialled (by the caller on a line, when called_phone_number is
    another text: with an extension, in another form), keys (its extension, keyed in when it answers),
    limited_line_id (the line whose limits it counts for, of a call that is forwarded), ring_seconds
    (of a leg that the switch calls: how long it rings), coach_mode listen|whisper|barge (of a coach), offer_id (of
    the queue's offer for which it is called)"""
    LEG_RINGING = "leg_ringing"
    """leg_id"""
    LEG_ANSWERED = "leg_answered"
    """leg_id, employee_id, employee_full_name, role, is_first_answer (ends the waiting)"""
    TALK_STARTED = "talk_started"
    """leg_id (the other party's), contact_leg_id, employee_id, employee_full_name, employee_phone_number; the contact and
    this party hear each other from now on"""
    TALK_ENDED = "talk_ended"
    """leg_id, employee_id"""
    LEG_ENDED = "leg_ended"
    """leg_id, role, finish_reason, release_cause_code, is_failed, employee_id; of a leg that a trunk did not connect: rang
    (ringing or sound was reported before), no_response (its server reported neither nor a refusal), too_short (the same, but
    the call ended before that can be said), sip_code (of the refusal), trunk (name, mode, state and reason of its
    registration at this moment); of an answered leg from which no sound arrived: no_sound (kind ``line`` or ``trunk``, and
    its name)"""
    RECORDING_STARTED = "recording_started"
    """leg_id, channel, file: spool file ``<call_session_id>/<file>.sln`` is being written (a party has one for each
    time its recording began); asked: by a command"""
    RECORDING_STOPPED = "recording_stopped"
    """leg_id, paused: until the party talks again"""
    RECORDING_REFUSED = "recording_refused"
    """leg_id, reason: this talk was to be recorded and is not"""
    RECORDING_CUT = "recording_cut"
    """kind talk|voice_mail, reason: sound of this recording could not be written, or the account reached a limit, so it is
    incomplete; once for a call and kind"""
    CALL_TAKEN = "call_taken"
    """the switch controls the channels of the parties from now on and joins them by bridges, not the engine by its dialplan;
    operator_leg_id (null: the party that talks with the contact, if there is one), late (true: the engine did not confirm it
    in time, and may do it yet)"""
    CALL_HELD = "call_held"
    """leg_id (of who holds): a message or music is played to the contact; the switch controls both channels from now on"""
    CALL_UNHELD = "call_unheld"
    """leg_id: contact and operator are being joined again; talk_started follows when they talk"""
    THIRD_PARTY_CALLED = "third_party_called"
    """leg_id (the third party's), message (files that are played to it before the talk)"""
    CONSULT_STARTED = "consult_started"
    """leg_id (the third party's), operator_leg_id: they hear each other, the contact does not hear them"""
    CONSULT_ENDED = "consult_ended"
    """leg_id: the third party was not reached, left, or was sent away"""
    TRANSFER_ASKED = "transfer_asked"
    """leg_id (of the phone that asks, by REFER), to (what it dialled), other (channel of its other call): one of the two is
    null. Asterisk has accepted the request, so it is carried out also after a restart of the switch"""
    TRANSFER_REFUSED = "transfer_refused"
    """leg_id (as in transfer_asked)"""
    TRANSFER_REQUESTED = "transfer_requested"
    """leg_id (the third party's): who answers talks with the contact; null: a scenario takes over;
    operator_leg_id leaves"""
    TRANSFERRED = "transferred"
    """leg_id, operator_leg_id: the third party takes over"""
    COACH_JOINED = "coach_joined"
    """leg_id (the coach's), target_leg_id, mode listen|whisper|barge"""
    VOICE_MAIL_STARTED = "voice_mail_started"
    """leg_id, path (relative to spool_dir), group_id, employee_id, emails (who gets the message by mail), max_seconds,
    silence_seconds (it ends after), record_id (of a recording that went on without a switch)"""
    VOICE_MAIL_LEFT = "voice_mail_left"
    """leg_id, path, group_id, employee_id, emails, max_seconds, silence_seconds, record_id (see above); seconds,
    is_empty (too short for a message), refused (why no message was taken)"""
    QUEUE_ENTERED = "queue_entered"
    """leg_id, queue_id, queue_name, operation_id: the contact waits in a queue from now on"""
    QUEUE_LEFT = "queue_left"
    """queue_id, reason timeout|no_agent_timeout|exit_key|break_out|not_in_time, key, is_callback (if it asked for one): the
    contact goes on without an agent"""
    KEY_PRESSED = "key_pressed"
    """leg_id, key"""
    MAILBOX_CALLED = "mailbox_called"
    """leg_id, employee_id, group_id (null: their own mailbox): an employee called a mailbox; the PIN is asked"""
    MAILBOX_REFUSED = "mailbox_refused"
    """result wrong|locked|no_pin|failed"""
    MAILBOX_OPENED = "mailbox_opened"
    """new, saved: numbers of messages"""
    MAILBOX_MARKED = "mailbox_marked"
    """recording_id, action save|delete; whether it could be done: the question_closed that follows"""
    MAILBOX_PIN_ASKED = "mailbox_pin_asked"
    """is_repeat (for the second time): the employee enters a new PIN"""
    MAILBOX_GREETING_ASKED = "mailbox_greeting_asked"
    """path (relative to spool_dir): the employee records the greeting of the mailbox"""
    MAILBOX_CHANGED = "mailbox_changed"
    """what pin|greeting, result changed|refused|different|unchanged|failed: the messages follow again"""
    SETTING_DIALLED = "setting_dialled"
    """leg_id, employee_id, setting do_not_disturb|forward_always|forward_busy|forward_no_answer, value (on|off, or the
    extension or number to forward to, empty: none): an employee dialled the code of a setting"""
    PARKING_DIALLED = "parking_dialled"
    """leg_id, slot (null: the contact whom the line has on hold is to be parked): a line dialled a code of parking"""
    CALL_PARKED = "call_parked"
    """leg_id (of who leaves the contact), slot, since (Unix seconds): the contact hears music until a phone takes it"""
    PARKING_RETURNED = "parking_returned"
    """leg_id, slot: nobody took the contact; the phone that parked it is called"""
    CALL_RETRIEVED = "call_retrieved"
    """leg_id, slot: this party takes the parked contact"""
    CALL_FORWARDED = "call_forwarded"
    """employee_id, when always|busy|no_answer, to (extension or number), refused (null: it is dialled): the call goes where
    the employee forwards calls"""
    TAG_SET = "tag_set"
    """tag_id, tag_name, user_id, user_login, employee_id, employee_full_name"""
    TAG_UNSET = "tag_unset"
    """tag_id, tag_name, user_id, user_login, employee_id, employee_full_name: of whom took the tag away"""
    TIMER_STARTED = "timer_started"
    """key, due (Unix seconds); a timer of that key that is open is replaced"""
    TIMER_CANCELLED = "timer_cancelled"
    """key"""
    TIMER_ELAPSED = "timer_elapsed"
    """key"""
    QUESTION_ASKED = "question_asked"
    """key, kind: something outside the rules is asked"""
    QUESTION_CLOSED = "question_closed"
    """key, why (null: it was answered)"""
    SESSION_ENDING = "session_ending"
    """finish_reason: decided; the legs are being hung up; by_command: true when no party hung up, but a command ended the
    call"""
    SESSION_FINISHED = "session_finished"
    """finish_reason, is_lost, finish_time, direction, source, is_internal, virtual_phone_number,
    contact_phone_number, contact_id, contact_full_name, wait_duration, total_wait_duration, talk_duration,
    clean_talk_duration, total_duration, postprocess_duration (s),
    employees, first_answered_employee_id, first_answered_employee_full_name, last_answered_employee_id,
    last_answered_employee_full_name, first_talked_employee_id, first_talked_employee_full_name, last_talked_employee_id,
    last_talked_employee_full_name, is_transfer, scenario_id, scenario_name, external_id,
    leg_ids, recorded (bool: a recording will follow)"""
    RECORDING_READY = "recording_ready"
    """recording_id, kind talk|voice_mail, file_duration (s), has_wav, has_mp3, is_incomplete (sound is missing, see
    recording_cut; left out: it is complete), and what session_finished carries"""
    # --- lines
    LINE_REGISTERED = "line_registered"
    """sip_line_id, phone_number, ip, port, user_agent, devices (count now)"""
    LINE_LOST = "line_lost"
    """sip_line_id, phone_number, devices"""
    # --- trunks
    TRUNK_LOST = "trunk_lost"
    """entity trunk, entity_id, entity_name, reason, server, state refused|unreachable, code (of the SIP response, or null):
    the trunk is not registered at its carrier"""
    TRUNK_RESTORED = "trunk_restored"
    """entity trunk, entity_id, entity_name, server, state registered"""
    # --- accounts
    OUTGOING_LIMIT_REACHED = "outgoing_limit_reached"
    """sip_line_id (null: the account's own limit), limit calls_per_minute|concurrent_calls|money_per_day, limit_max_value:
    outgoing calls are refused while the limit is reached; published once a minute, for money once an hour"""
    UPLOADS_LIMIT_REACHED = "uploads_limit_reached"
    """limit uploads_bytes|uploads_bytes_per_day, limit_max_value, stored_bytes: recordings of uploaded calls
    are refused while the limit is reached; published at most once an hour"""
    RECORDINGS_LIMIT_REACHED = "recordings_limit_reached"
    """limit recordings_bytes|recordings_share, limit_max_value, recorded_bytes: calls of the account are not recorded, and
    its voice mail takes no message, while the limit is reached; published at most once an hour"""
    LOGIN_BANNED = "login_banned"
    """sip_line_id, phone_number, scope address_and_line|address|line, ip (null for the scope line), until (Unix seconds),
    failures: an address guessed passwords of this line and is refused until then; one event for each ban"""
    LOGIN_GUESSING = "login_guessing"
    """entity sip_line, entity_id, entity_name (its login), reason, failures, seconds, addresses ({ip, failures}): so many
    wrong passwords at one line from all addresses, banned or not; published at most once an hour"""
    SIP_PASSWORD_WEAK = "sip_password_weak"  # noqa: S105 - the name of an event
    """entity sip_line, entity_id, entity_name (its login), reason: the line's password can be guessed; published once for
    each reason"""
    # --- queues (streams ``queue:<queue_id>``); waiting: callers who wait in the queue from now on
    QUEUE_SET = "queue_set"
    """settings (those that differ from the defaults): the queue was created or changed"""
    QUEUE_REMOVED = "queue_removed"
    """no data"""
    QUEUE_SNAPSHOT = "queue_snapshot"
    """state (of the queue with all its callers): the events before are not needed to make it"""
    QUEUE_EMPTIED = "queue_emptied"
    """no agent is present from now on"""
    QUEUE_STAFFED = "queue_staffed"
    """an agent is present from now on"""
    QUEUE_POINTERS_MOVED = "queue_pointers_moved"
    """agent_id, level, position: an agent to whom a pointer refers has another place"""
    QUEUE_MUSIC_FAILED = "queue_music_failed"
    """moh_id: the hold music cannot be played; published once until the settings change"""
    CALLER_JOINED = "caller_joined"
    """caller_id, call_session_id, number, base_score, skill_score, waiting, is_lead (if a campaign has called the person)"""
    CALLER_RESUMED = "caller_resumed"
    """caller_id, call_session_id, attempt, is_callback, waiting: a later call takes over the place of an abandoned one"""
    CALLER_LEFT = "caller_left"
    """caller_id, call_session_id, reason hangup|timeout|no_agent_timeout|exit_key|break_out, key, destination, waited (s),
    attempts, waiting: left without having been connected"""
    CALLER_FINISHED = "caller_finished"
    """caller_id, call_session_id, agent_id, ended_by caller|agent|restart, seconds (talk), waited (s, before): the
    connected call has ended"""
    CALLER_DISCARDED = "caller_discarded"
    """caller_id: the record of an abandoned caller is not kept any longer"""
    CALLER_POINTER_CLEARED = "caller_pointer_cleared"
    """caller_id: the agents are tried from the first one again"""
    CALLER_ANNOUNCEMENT_FAILED = "caller_announcement_failed"
    """caller_id, media_id: it is not played to this caller again"""
    AGENT_OFFERING = "agent_offering"
    """caller_id, offer_id, agent_id, level, position, ring_seconds: an agent is being called for a caller"""
    AGENT_RINGING = "agent_ringing"
    """caller_id, offer_id, agent_id"""
    AGENT_ANSWERED = "agent_answered"
    """caller_id, offer_id, agent_id: not connected yet"""
    AGENT_CONNECTED = "agent_connected"
    """caller_id, offer_id, agent_id, call_session_id, waited (s), attempts, waiting"""
    AGENT_FAILED = "agent_failed"
    """caller_id, offer_id, agent_id, outcome cancelled|busy|rejected|unregistered|no_answer, seconds"""
    CALLBACK_REQUESTED = "callback_requested"
    """caller_id, number: the caller who left is called back"""
    CALLBACK_DIALLED = "callback_dialled"
    """caller_id, agent_id (reserved): the customer is being called"""
    CALLBACK_FAILED = "callback_failed"
    """caller_id, failure no_answer|busy|not_confirmed|failed|interrupted, tries, next_try_at"""
    CALLBACK_CLOSED = "callback_closed"
    """caller_id, reason confirmed|called_in|cancelled|not_reached|expired|queue_removed"""
    # --- agents (streams ``agent:<employee_id>``)
    AGENT_SET = "agent_set"
    """settings (those that differ from the defaults): the agent was created or changed"""
    AGENT_REMOVED = "agent_removed"
    """no data"""
    AGENT_SNAPSHOT = "agent_snapshot"
    """state (of the agent with its tiers): the events before are not needed to make it"""
    TIER_SET = "tier_set"
    """queue_id, level, position, is_new: the agent was added to a queue, or moved there"""
    TIER_REMOVED = "tier_removed"
    """queue_id"""
    AGENT_STATUS_CHANGED = "agent_status_changed"
    """status, reason, previous"""
    AGENT_STATE_CHANGED = "agent_state_changed"
    """state Waiting|Idle (by a command), afterwards: when the offer or call has ended"""
    AGENT_WRAP_UP_SET = "agent_wrap_up_set"
    """until (Unix seconds): by a command"""
    AGENT_CALL_STARTED = "agent_call_started"
    """call: one that is no queue call"""
    AGENT_CALL_ENDED = "agent_call_ended"
    """call"""
    AGENT_RESERVED = "agent_reserved"
    """queue_id, caller_id: for a callback, whose customer is being called"""
    AGENT_RELEASED = "agent_released"
    """queue_id, caller_id: the reservation has ended without an offer; after a talk in it: seconds, wrap_up_until"""
    OFFER_STARTED = "offer_started"
    """offer_id, queue_id, caller_id, on_demand"""
    OFFER_CONNECTED = "offer_connected"
    """offer_id, queue_id, caller_id"""
    OFFER_ENDED = "offer_ended"
    """offer_id, queue_id, caller_id, outcome, ready_time (Unix seconds; null: no delay)"""
    AGENT_MAX_NO_ANSWER = "agent_max_no_answer"
    """queue_id, count, status: too many offers in a row were not answered"""
    QUEUE_CALL_ENDED = "queue_call_ended"
    """offer_id, queue_id, caller_id, seconds, wrap_up_until (Unix seconds), state Waiting|Idle"""
    AGENT_RESTARTED = "agent_restarted"
    """after a restart no call of the agent is alive"""
    # --- configuration
    ROW_LEFT_OUT = "row_left_out"
    """entity sip_line|trunk|virtual_number|media_file|..., entity_id, entity_name, reason: a row of the account cannot be
    part of the engine's configuration"""


class MenuOutcome(StrEnum):
    """How the input of a caller in a menu ended."""

    KEY = "key"
    COLLECTED = "collected"
    EXTENSION = "extension"
    INVALID = "invalid"
    TIMEOUT = "timeout"


class DecisionOutcome(StrEnum):
    """What came of a question to another system."""

    INSTRUCTIONS = "instructions"
    CODES = "codes"
    FAILED = "failed"


UNPUBLISHED = frozenset(
    {
        EventType.SCENARIO_ENTERED, EventType.OPERATION_ENTERED, EventType.TARGET_CHOSEN, EventType.LEG_STARTED,
        EventType.MENU_REPEATED, EventType.MENU_DECIDED, EventType.MAILBOX_CALLED, EventType.MAILBOX_REFUSED,
        EventType.MAILBOX_PIN_ASKED, EventType.MAILBOX_GREETING_ASKED, EventType.MAILBOX_CHANGED,
        EventType.MAILBOX_OPENED, EventType.MAILBOX_MARKED, EventType.DECISION_RECEIVED,
        EventType.SETTING_DIALLED, EventType.PARKING_DIALLED, EventType.PARKING_RETURNED, EventType.RECORDING_STARTED,
        EventType.RECORDING_CUT,
        EventType.RECORDING_STOPPED, EventType.CALL_TAKEN, EventType.THIRD_PARTY_CALLED, EventType.CONSULT_ENDED,
        EventType.TRANSFER_ASKED, EventType.TRANSFER_REFUSED,
        EventType.TRANSFER_REQUESTED, EventType.VOICE_MAIL_STARTED, EventType.KEY_PRESSED, EventType.SESSION_ENDING,
        EventType.TIMER_STARTED,
        EventType.TIMER_CANCELLED, EventType.TIMER_ELAPSED, EventType.QUESTION_ASKED, EventType.QUESTION_CLOSED,
        EventType.QUEUE_SNAPSHOT, EventType.AGENT_SNAPSHOT, EventType.QUEUE_ENTERED, EventType.QUEUE_LEFT,
        EventType.QUEUE_POINTERS_MOVED, EventType.CALLER_DISCARDED, EventType.CALLER_POINTER_CLEARED,
        EventType.CALLER_ANNOUNCEMENT_FAILED, EventType.AGENT_RINGING, EventType.AGENT_ANSWERED,
        EventType.AGENT_CALL_STARTED, EventType.AGENT_CALL_ENDED, EventType.OFFER_STARTED, EventType.OFFER_CONNECTED,
        EventType.OFFER_ENDED, EventType.AGENT_RESTARTED,
    }
)  # fmt: skip
"""Events without a listener, half of a call's: they are in the call's event log, where the listener of another
one finds them, and in the stream of live calls, but do not go through the outbox."""


KEPT_FIRST = frozenset(
    {
        EventType.MENU_DECIDED,
        EventType.DECISION_RECEIVED,
        EventType.TARGET_CHOSEN,
        EventType.SCENARIO_NOTIFICATION,
        EventType.CALL_FORWARDED,
        EventType.CALL_PARKED,
        EventType.CALL_RETRIEVED,
        EventType.CALL_HELD,
        EventType.CALL_UNHELD,
        EventType.CONSULT_STARTED,
        EventType.TRANSFERRED,
        EventType.COACH_JOINED,
        EventType.QUEUE_LEFT,
        EventType.MAILBOX_OPENED,
        EventType.MAILBOX_MARKED,
        EventType.TAG_SET,
        EventType.TAG_UNSET,
    }
)
"""Events of a call that nothing but the switch has: Asterisk and its CEL log do not show them, so a recovery cannot make
them again. The effects of a decision that has one wait until the next switch would have it, for a bounded time
(:data:`trunkline.calls.switch.executor.EFFECTS_WAIT_SECONDS`). The decision that begins a call never waits."""


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. ``(account_id, stream, seq)`` identifies it for ever."""

    account_id: int
    stream: str
    seq: int
    type: EventType
    at: Instant
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def call_session_id(self) -> int | None:
        """The call it belongs to, if it is a call's event."""
        return call_of_stream(self.stream)


def call_of_stream(stream: str) -> int | None:
    """The id of the call whose stream this is; None for a stream of anything else."""
    kind, _, key = stream.partition(":")
    return int(key) if kind == "call" else None


def call_stream(call_session_id: int) -> str:
    return f"call:{call_session_id}"


def account_stream(account_id: int) -> str:
    return f"account:{account_id}"


def line_stream(sip_line_id: int) -> str:
    return f"line:{sip_line_id}"


def trunk_stream(trunk_id: int) -> str:
    return f"trunk:{trunk_id}"


def agent_stream(employee_id: int) -> str:
    return f"agent:{employee_id}"


def queue_stream(queue_id: int) -> str:
    return f"queue:{queue_id}"


def row_stream(entity: str, entity_id: int, reason: str) -> str:
    """Stream of one fault of one row, which is published once."""
    return f"row:{entity}:{entity_id}:{hashlib.sha256(reason.encode()).hexdigest()[:16]}"
