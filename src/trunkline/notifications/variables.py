"""The variables of notifications: their names, types and groups. One table; everything else asks it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    INTEGER = "integer"
    STRING = "string"
    BOOLEAN = "boolean"
    TIME = "time"
    """ISO 8601 text, UTC, with ``Z``."""
    SECONDS = "seconds"
    """Whole seconds."""
    LINK = "link"
    INTEGERS = "integers"
    STRINGS = "strings"


class Group(StrEnum):
    NOTIFICATION = "notification"
    ACCOUNT = "account"
    CALL = "call"
    DURATIONS = "durations"
    PEOPLE = "people"
    FILES = "tags, files"
    VISIT = "place and visit"
    LINE = "line"
    ROW = "row left out"
    SCENARIO = "notification of a scenario"
    CENTER_CALL = "call center: call"
    CENTER_AGENT = "call center: agent"


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    kind: Kind
    group: Group


Value = str | int | float | bool | list[int] | list[str] | None
"""What a variable can hold; None = it has no value."""


def _table() -> dict[str, Variable]:
    rows: list[tuple[Group, Kind, str]] = [
        (Group.NOTIFICATION, Kind.STRING, "notification_name notification_mnemonic"),
        (Group.NOTIFICATION, Kind.TIME, "notification_time"),
        (Group.NOTIFICATION, Kind.INTEGER, "notification_timestamp"),
        (Group.ACCOUNT, Kind.INTEGER, "app_id"),
        (Group.ACCOUNT, Kind.STRING, "account_name"),
        (Group.CALL, Kind.INTEGER, "call_session_id"),
        (Group.CALL, Kind.STRING, "external_id call_source direction"),
        (Group.CALL, Kind.BOOLEAN, "is_internal"),
        (Group.CALL, Kind.TIME, "start_time"),
        (Group.CALL, Kind.STRING, "virtual_phone_number contact_phone_number"),
        (Group.CALL, Kind.STRING, "calling_phone_number called_phone_number"),
        (Group.CALL, Kind.INTEGER, "scenario_id"),
        (Group.CALL, Kind.STRING, "scenario_name finish_reason"),
        (Group.CALL, Kind.INTEGER, "leg_id"),
        (Group.CALL, Kind.INTEGERS, "leg_ids"),
        (Group.CALL, Kind.INTEGER, "communication_id"),
        (Group.CALL, Kind.STRING, "communication_type"),
        (Group.CALL, Kind.INTEGER, "communication_number"),
        (Group.CALL, Kind.STRINGS, "attributes"),
        (Group.DURATIONS, Kind.SECONDS, "talk_time_duration total_time_duration wait_time_duration"),
        (Group.DURATIONS, Kind.SECONDS, "file_duration"),
        (Group.PEOPLE, Kind.INTEGER, "employee_id"),
        (Group.PEOPLE, Kind.STRING, "employee_full_name employee_phone_number"),
        (Group.PEOPLE, Kind.INTEGERS, "employee_ids"),
        (Group.PEOPLE, Kind.INTEGER, "contact_id"),
        (Group.PEOPLE, Kind.STRING, "contact_full_name"),
        (Group.PEOPLE, Kind.INTEGERS, "contact_group_ids"),
        (Group.FILES, Kind.INTEGERS, "tag_ids"),
        (Group.FILES, Kind.STRINGS, "tag_names"),
        (Group.FILES, Kind.BOOLEAN, "is_incomplete"),
        (Group.FILES, Kind.LINK, "file_link full_record_file_link wav_file_link"),
        (Group.VISIT, Kind.INTEGER, "cpn_region_id"),
        (
            Group.VISIT,
            Kind.STRING,
            "cpn_region_name visitor_country visitor_city site_domain_name campaign_name",
        ),
        (Group.VISIT, Kind.STRING, "utm_source utm_medium utm_campaign utm_term utm_content page_url"),
        (Group.LINE, Kind.INTEGER, "sip_line_id"),
        (Group.LINE, Kind.STRING, "sip_line_phone_number ip user_agent"),
        (Group.LINE, Kind.INTEGER, "port devices"),
        (Group.ROW, Kind.STRING, "entity"),
        (Group.ROW, Kind.INTEGER, "entity_id"),
        (Group.ROW, Kind.STRING, "entity_name reason"),
        (Group.SCENARIO, Kind.INTEGER, "operation_id"),
        (Group.SCENARIO, Kind.STRING, "operation_name message"),
        (Group.CENTER_CALL, Kind.STRING, "id call_id"),
        (Group.CENTER_CALL, Kind.INTEGER, "ts site_id"),
        (Group.CENTER_CALL, Kind.STRING, "type dst_num"),
        (Group.CENTER_CALL, Kind.INTEGER, "src_device_id dst_device_id src_user_id dst_user_id"),
        (Group.CENTER_CALL, Kind.STRING, "cid_num cid_name a2"),
        (Group.CENTER_CALL, Kind.STRINGS, "tags"),
        (Group.CENTER_CALL, Kind.INTEGER, "queue_id"),
        (Group.CENTER_CALL, Kind.STRING, "lead_id lead_name"),
        (Group.CENTER_CALL, Kind.INTEGER, "campaign_id dialer_id conference_id call_script"),
        (Group.CENTER_CALL, Kind.INTEGER, "waitms durationms progressms billms cc_wait"),
        (Group.CENTER_CALL, Kind.STRING, "hangup_cause canceled"),
        (Group.CENTER_AGENT, Kind.INTEGER, "user_id device_id"),
        (Group.CENTER_AGENT, Kind.STRING, "device_name"),
        (Group.CENTER_AGENT, Kind.INTEGERS, "queues"),
        (Group.CENTER_AGENT, Kind.INTEGER, "activity_id pause_id in_calls"),
    ]
    return {name: Variable(name, kind, group) for group, kind, names in rows for name in names.split()}


VARIABLES: dict[str, Variable] = _table()
"""All of them, by name, in the order in which a body without a template shows them."""

LINE_GROUPS = frozenset({Group.NOTIFICATION, Group.ACCOUNT, Group.LINE})
"""What notifications about a line carry."""

ROW_GROUPS = frozenset({Group.NOTIFICATION, Group.ACCOUNT, Group.ROW})
"""What notifications about a row of the configuration carry."""

CENTER_GROUPS = frozenset({Group.CENTER_CALL, Group.CENTER_AGENT})
"""What events of the Call Center API carry, and no other notification."""

CALL_GROUPS = frozenset(Group) - {Group.LINE, Group.ROW, Group.SCENARIO} - CENTER_GROUPS
"""What notifications about a call carry."""

SCENARIO_GROUPS = CALL_GROUPS | {Group.SCENARIO}
"""What a notification of a scenario carries."""
