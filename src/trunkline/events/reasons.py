"""Why a leg or a call session ended: the vocabulary of the reports' tables.

The names are those of ``get.calls_report`` and ``get.call_legs_report``. "Caller" there means the contact (the
customer), "operator" means the party that serves the contact, also when the operator placed the call.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Reasons this product gives; a session and a leg share the names."""

    # Somebody hung up.
    CALLER_DISCONNECTS = "caller_disconnects"
    OPERATOR_DISCONNECTS = "operator_disconnects"
    SCENARIO_DISCONNECTS = "scenario_disconnects"
    TRANSFER_DISCONNECTS = "transfer_disconnects"
    DISCONNECT_BEFORE_CALL_PROCESSING = "disconnect_before_call_processing"
    SUCCESS_FINISH = "success_finish"
    # The contact was called and not reached.
    CALLER_BUSY = "caller_busy"
    CALLER_NOT_RESPONSIVE = "caller_not_responsive"
    CALLER_NUMBER_PROBLEMS = "caller_number_problems"
    NO_SUCCESS_CALLER_CALL = "no_success_caller_call"
    # An employee was called and not reached.
    OPERATOR_BUSY = "operator_busy"
    OPERATOR_NOT_RESPONSIVE = "operator_not_responsive"
    OPERATOR_NUMBER_PROBLEMS = "operator_number_problems"
    OPERATOR_CHANNELS_BUSY = "operator_channels_busy"
    NO_SUCCESS_OPERATOR_CALL = "no_success_operator_call"
    ANOTHER_OPERATOR_ANSWER = "another_operator_answer"
    SIP_OFFLINE = "sip_offline"
    LOCKED_PHONE = "locked_phone"
    EMPLOYEE_INACTIVE = "employee_inactive"
    EMPLOYEE_INACTIVE_BY_SCHEDULE = "employee_inactive_by_schedule"
    EMPLOYEE_PHONE_INACTIVE = "employee_phone_inactive"
    EMPLOYEE_WITHOUT_PHONES = "employee_without_phones"
    EMPLOYEE_PHONE_NOT_FOUND = "employee_phone_not_found"
    EMPLOYEES_NOT_EXISTS = "employees_not_exists"
    GROUP_WITHOUT_PHONES = "group_without_phones"
    GROUP_INACTIVE_BY_SCHEDULE = "group_inactive_by_schedule"
    ABANDONED_IN_QUEUE = "abandoned_in_queue"
    NO_OPERATORS_AVAILABLE = "no_operators_available"
    EMPLOYEE_STATUS_BREAK = "employee_status_break"
    EMPLOYEE_STATUS_DO_NOT_DISTURB = "employee_status_do_not_disturb"
    EMPLOYEE_STATUS_NOT_AT_WORKPLACE = "employee_status_not_at_workplace"
    EMPLOYEE_STATUS_NOT_AT_WORK = "employee_status_not_at_work"
    EMPLOYEE_STATUS_AUTO_OUT_CALL = "employee_status_auto_out_call"
    IN_CALL_NOT_ALLOWED = "in_call_not_allowed"
    # The call was not allowed or not possible at all.
    NUMB_NOT_EXISTS = "numb_not_exists"
    NUMB_IS_INACTIVE = "numb_is_inactive"
    APP_IS_INACTIVE = "app_is_inactive"
    NUMA_IN_BLACK_LIST = "numa_in_black_list"
    NO_ACTIVE_SCENARIO = "no_active_scenario"
    NO_OPERATION = "no_operation"
    IVR_TIMEOUT = "ivr_timeout"
    MAX_TRANSITION_COUNT_EXCEEDED = "max_transition_count_exceeded"
    MAX_IN_CALL_REACHED = "max_in_call_reached"
    MAX_OUT_CALL_REACHED = "max_out_call_reached"
    NO_RESOURCES = "no_resources"
    OUT_CALL_NOT_ALLOWED = "out_call_not_allowed"
    EXTERNAL_CALL_NOT_ALLOWED = "external_call_not_allowed"
    INTERNAL_CALL_NOT_ALLOWED = "internal_call_not_allowed"
    LIMIT_EXCEEDED = "limit_exceeded"
    LOCKED_NUMB = "locked_numb"
    INCORRECT_INPUT = "incorrect_input"
    INCORRECT_CONFIG = "incorrect_config"
    SIP_TRUNK_IS_LOCKED = "sip_trunk_is_locked"
    INTERNAL_ERROR = "internal_error"
