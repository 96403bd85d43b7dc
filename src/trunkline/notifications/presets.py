"""Sets of subscriptions that a kind of receiver expects, with the fields of each body. Data.

Sources: the page of the Planfix integration (its eight notifications), the events that receivers of calls use (six).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trunkline.notifications.catalogue import Mnemonic
from trunkline.notifications.subscriptions import Draft


@dataclass(frozen=True, slots=True)
class PresetNotification:
    """:ivar fields: of the JSON body, in order; empty: all variables."""

    mnemonic: Mnemonic
    name: str
    fields: tuple[str, ...] = ()


_ALWAYS = (
    "notification_name", "notification_mnemonic", "virtual_phone_number", "notification_time", "call_session_id",
    "contact_phone_number",
)  # fmt: skip


def _planfix(mnemonic: Mnemonic, name: str, fields: str) -> PresetNotification:
    return PresetNotification(mnemonic, name, (*_ALWAYS, *fields.split()))


PLANFIX = (
    _planfix(
        Mnemonic.IN_CALL_SESSION,
        "Inbound call on a virtual phone number",
        "scenario_name communication_number contact_id contact_full_name",
    ),
    _planfix(
        Mnemonic.CALL_SESSION_FINISHED,
        "Call finished",
        "external_id communication_number employee_full_name employee_id call_source direction scenario_name"
        " talk_time_duration total_time_duration wait_time_duration tag_names",
    ),
    _planfix(
        Mnemonic.CALL_RECORD_COMPLETED,
        "Call recording completed",
        "scenario_name communication_number contact_id contact_full_name employee_full_name employee_id file_link"
        " file_duration tag_ids tag_names",
    ),
    _planfix(
        Mnemonic.CALL_WAITING_ANSWER,
        "Waiting for the answer",
        "external_id contact_id employee_full_name employee_id call_source direction leg_id",
    ),
    _planfix(
        Mnemonic.OUT_CALL_SESSION,
        "Outbound call",
        "contact_id contact_full_name employee_full_name employee_id employee_phone_number",
    ),
    _planfix(
        Mnemonic.CALL_CONNECTED,
        "Talk started",
        "external_id contact_id employee_full_name employee_id call_source direction leg_ids",
    ),
    _planfix(
        Mnemonic.TALK_FINISHED,
        "Talk finished",
        "external_id communication_number employee_full_name employee_id call_source direction scenario_name"
        " talk_time_duration leg_ids",
    ),
    _planfix(
        Mnemonic.LOST_CALL,
        "Lost call",
        "scenario_name wait_time_duration employee_ids communication_number contact_id contact_full_name",
    ),
)

PRESETS: Mapping[str, tuple[PresetNotification, ...]] = {
    "planfix": PLANFIX,
    "calls": tuple(
        PresetNotification(mnemonic, mnemonic.value)
        for mnemonic in (
            Mnemonic.CALL_START,
            Mnemonic.CALL_ANSWER,
            Mnemonic.CALL_FINISH,
            Mnemonic.CALL_RECORD_READY,
            Mnemonic.EMPLOYEE_ANSWER,
            Mnemonic.EMPLOYEE_DISCONNECT,
        )
    ),
    "everything": tuple(PresetNotification(mnemonic, mnemonic.value) for mnemonic in Mnemonic),
}
"""``calls``: six about calls; ``everything``: each event, as JSON with all its variables."""


def drafts(preset: str, url: str, secret: str | None = None) -> list[Draft]:
    """The subscriptions of a preset. Saving them again replaces them."""
    return [
        Draft(
            key=f"{preset}-{one.mnemonic}",
            name=one.name,
            url=url,
            events=(one.mnemonic.value,),
            body_template=body(one),
            secret=secret,
        )
        for one in PRESETS[preset]
    ]


def body(notification: PresetNotification) -> str | None:
    """The template of its body; None: all variables."""
    if not notification.fields:
        return None
    members = ",\n".join(f'  "{name}": {{{{{name}}}}}' for name in notification.fields)
    return f"{{\n{members}\n}}\n"
