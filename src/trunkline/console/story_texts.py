"""Steps of a call as sentences for people."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.console.formats import Formats
from trunkline.console.languages import translatable
from trunkline.reports.story import Step

_ = translatable

_SENTENCES: Mapping[str, str] = {
    "scenario_entered": _("Scenario %(name)s begins"),
    "operation_entered": _("Scenario step: %(name)s"),
    "leg_ringing": _("It rings at %(who)s"),
    "leg_answered": _("%(who)s answered"),
    "talk_started": _("The talk with %(who)s begins"),
    "talk_ended": _("The talk with %(who)s ends"),
    "recording_started": _("The recording begins"),
    "recording_stopped": _("The recording stops"),
    "recording_refused": _("The talk is not recorded: %(name)s"),
    "recording_cut": _("Sound of the recording is missing: %(name)s"),
    "recording_ready": _("The recording is ready"),
    "call_held": _("%(who)s puts the call on hold"),
    "call_unheld": _("%(who)s takes the call back from hold"),
    "consult_started": _("Consultation with %(who)s; the contact does not hear it"),
    "consult_ended": _("The consultation with %(who)s ends"),
    "transferred": _("%(by)s transfers the call to %(who)s"),
    "voice_mail_started": _("The contact may leave a message"),
    "voice_mail_left": _("The contact left a message"),
    "queue_entered": _("The contact waits in the queue %(name)s"),
    "key_pressed": _("Key %(name)s was pressed"),
    "call_parked": _("The call is parked at %(name)s"),
    "parking_returned": _("Nobody took the parked call: it returns"),
    "call_retrieved": _("%(who)s takes the parked call"),
    "call_forwarded": _("The call is forwarded to %(name)s"),
    "tag_set": _("Tag %(name)s was set"),
    "tag_unset": _("Tag %(name)s was removed"),
    "scenario_notification": _("The scenario sends a notification: %(name)s"),
}

_NAMES = (
    "operation_name",
    "scenario_name",
    "queue_name",
    "key",
    "slot",
    "to",
    "tag_name",
    "reason",
)
"""Keys of an event's data, of which the first that is there is the name in the sentence."""

_OWN_NAMES = {
    "scenario_entered": "scenario_name",
    "queue_entered": "queue_name",
    "recording_refused": "reason",
    "recording_cut": "reason",
    "voice_mail_left": "refused",
    "key_pressed": "key",
}

_LEFT_QUEUE = {
    "timeout": _("The contact leaves the queue: it waited as long as it may"),
    "no_agent_timeout": _("The contact leaves the queue: no agent was there"),
    "exit_key": _("The contact leaves the queue by a key"),
    "break_out": _("The contact leaves the queue: no agent could be called"),
}

_COACHES = {
    "listen": _("%(who)s listens to the talk of %(name)s"),
    "whisper": _("%(who)s speaks to %(name)s, the contact does not hear it"),
    "barge": _("%(who)s joins the talk of %(name)s"),
}

_DELIVERIES = {
    "delivered": _("Notification %(name)s was delivered to %(who)s"),
    "failed": _(
        "Notification %(name)s was not delivered to %(who)s, attempts: %(count)s, answer: %(answer)s"
    ),
    "pending": _("Notification %(name)s waits to be delivered to %(who)s, attempts: %(count)s"),
}


def sentence(step: Step, reasons: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The English sentence of a step, to be translated, and the values in it.

    :param reasons: finish reasons in words.
    """
    data = step.data
    who = Formats.phone(step.who)
    values = {"who": who, "name": _name_of(step), "by": str(data.get("by") or "–")}
    reason = str(data.get("finish_reason") or "")
    match step.kind:
        case "session_started":
            values = {
                "contact": str(
                    data.get("contact_full_name") or Formats.phone(data.get("contact_phone_number"))
                ),
                "number": Formats.phone(
                    data.get("virtual_phone_number") or data.get("operator_phone_number")
                ),
            }
            if data.get("direction") == "in":
                return _("Call from %(contact)s to %(number)s"), values
            return _("Call to %(contact)s, shown as %(number)s"), values
        case "leg_started":
            if step.role == "contact" and data.get("direction") == "in":
                return _("%(who)s is connected to us"), values
            if data.get("direction") == "in":
                return _("%(who)s dials"), values
            return _("%(who)s is called"), values
        case "leg_ended":
            if data.get("is_failed"):
                return _("%(who)s was not reached"), values
            return _("%(who)s leaves the call"), values
        case "transfer_requested":
            if data.get("leg_id") is None:
                return _("%(by)s transfers the call to a scenario"), values
            return _("%(by)s asks to transfer the call to %(who)s"), values
        case "coach_joined":
            mode = str(data.get("mode") or "listen")
            return _COACHES.get(mode, _COACHES["listen"]), {**values, "name": str(data.get("target") or "–")}
        case "queue_left" if data.get("is_callback"):
            return _("The contact leaves the queue, keeps its place and will be called back"), values
        case "queue_left":
            return _LEFT_QUEUE.get(str(data.get("reason")), _("The contact leaves the queue")), values
        case "notification":
            status = str(data.get("status"))
            return _DELIVERIES.get(status, _DELIVERIES["pending"]), {
                "name": str(data.get("name")),
                "who": str(data.get("target")),
                "count": str(data.get("attempts")),
                "answer": str(data.get("status_code") or data.get("error") or "–"),
            }
        case "leg_answered" if (data.get("detection") or {}).get("is_machine"):
            return _("An answering machine answered at %(who)s"), values
        case "voice_mail_left" if data.get("refused"):
            return _("No message is recorded: %(name)s"), values
        case "session_finished":
            return _("The call ends"), {"name": reasons.get(reason, reason)}
        case _:
            return _SENTENCES.get(step.kind, step.kind), values


def reason_of(step: Step) -> str:
    """The finish reason of a step that has one; else empty."""
    if step.kind == "session_finished" or (step.kind == "leg_ended" and step.data.get("is_failed")):
        return str(step.data.get("finish_reason") or "")
    return ""


def _name_of(step: Step) -> str:
    own = _OWN_NAMES.get(step.kind)
    if own is not None:
        # Reasons of recordings begin with what the sentence has already.
        return str(step.data.get(own) or "–").removeprefix("not recorded: ").removeprefix("incomplete: ")
    return next((str(step.data[key]) for key in _NAMES if step.data.get(key) not in (None, "")), "–")
