"""Errors of the Call API's pages. The same mnemonic has another code or text on another page: one constant each."""

from __future__ import annotations

from trunkline.apis.jsonrpc import ErrorSpec

CHARACTER_ENCODING_NOT_ALLOWED = ErrorSpec(
    -32602, "character_encoding_not_allowed", "The character encoding must be UTF-8"
)
INVALID_STATE = ErrorSpec(-32004, "invalid_state", "This method cannot be called in this state")

# --- messages

TTS_TEXT_EXCEEDED = ErrorSpec(
    -32602,
    "tts_text_exceeded",
    "The maximum length of a Text-to-Speech message is {tts_message_max_length}. "
    "The length of your message is {sent_tts_message_length}",
)
MEDIA_FILE_NOT_FOUND = ErrorSpec(
    -32602, "media_file_not_found", "The media file with id {media_file_id} was not found"
)
MESSAGE_ERRORS = (TTS_TEXT_EXCEEDED, MEDIA_FILE_NOT_FOUND, CHARACTER_ENCODING_NOT_ALLOWED)
"""What can be wrong with a message, and with the bytes that bring it."""

# --- starting calls

VIRTUAL_PHONE_NUMBER_NOT_FOUND = ErrorSpec(
    -32007,
    "virtual_phone_number_not_found",
    "Virtual phone number {virtual_phone_number} not found. It is not your virtual phone number.",
)
EMPLOYEE_NOT_FOUND = ErrorSpec(
    -32602, "employee_not_found", "Employee with id {employee_id} not found. It is not your employee."
)
NO_ACTIVE_PHONE_NUMBER = ErrorSpec(
    -32602, "no_active_phone_number", "The phone number does not exist or is inactive"
)
OWN_VIRTUAL_PHONE_NUMBER_NOT_ALLOWED = ErrorSpec(
    -32602,
    "own_virtual_phone_number_not_allowed",
    "The contact parameter cannot contain your own virtual phone number",
)
CONTACT_IN_BLACKLIST = ErrorSpec(
    -32002, "contact_in_blacklist", "The contact {contact} has been found in the blacklist"
)
"""Of ``start.simple_call`` and ``start.employee_call``."""
CONTACT_IN_BLACKLIST_PARAMETER = ErrorSpec(
    -32602, "contact_in_blacklist", "The contact {contact} has been found in the blacklist"
)
"""Of the three other starts."""
SCENARIO_NOT_FOUND = ErrorSpec(-32602, "scenario_not_found", "Scenario with id {scenario_id} was not found")
NUMBER_WITHOUT_SCENARIO = ErrorSpec(
    -32007, "scenario_not_found", "Virtual phone number does not have a scenario"
)

# --- managing calls

LEG_NOT_FOUND = ErrorSpec(-32602, "leg_not_found", "The call leg was not found")
TAG_NOT_FOUND = ErrorSpec(-32602, "tag_not_found", "Tag with {tag_id} was not found")
DUPLICATE_TAG = ErrorSpec(-32602, "duplicate_tag", "Duplicate tag")
FORBIDDEN = ErrorSpec(-32003, "forbidden", "Permission denied")
RECORD_ALREADY_STARTED = ErrorSpec(-32602, "record_already_started", "The call recording is already started")
RECORD_ALREADY_STOPPED = ErrorSpec(-32602, "record_already_stopped", "The call recording is not enabled")
COACH_NOT_FOUND = ErrorSpec(-32602, "coach_not_found", "The coach was not found in your settings")
DUPLICATE_CONTACT = ErrorSpec(
    -32602,
    "duplicate_contact",
    "The contact with phone number {contact_phone_number} already exists",
)
CALL_SESSION_NOT_FOUND = ErrorSpec(-32602, "call_session_not_found", "Call session not found")
TALK_OPTION_NOT_FOUND = ErrorSpec(-32602, "talk_option_not_found", "Talk option was not found")
INTERNAL_ERROR = ErrorSpec(-32603, "internal_error", "Internal error, contact the support service")
TALK_OPTION_ERRORS = (
    FORBIDDEN,
    TAG_NOT_FOUND,
    DUPLICATE_TAG,
    COACH_NOT_FOUND,
    NO_ACTIVE_PHONE_NUMBER,
    SCENARIO_NOT_FOUND,
)
"""Errors of the methods that a talk option calls."""
