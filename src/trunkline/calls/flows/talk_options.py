"""Talk options: what keys pressed in a talk do, and what ``call.talk_option`` calls. Pure."""

from __future__ import annotations

from typing import Any

from trunkline.calls.session import Leg, Phase, Session
from trunkline.core.clock import Instant
from trunkline.core.errors import InvalidState, NotFound
from trunkline.directory.model import Account, TalkOption, TalkOptionKind

SAVE_CONTACT = "save_contact"
"""The one command that is not about the call but about the directory."""

KEY_TIMEOUT_SECONDS = 2.0
"""Between the two keys of an option that has two."""

OUTGOING_DELAY_SECONDS = 30.0
"""On an outgoing call keys are first meant for the other side's menu (Call API, ``send.dtmf``)."""

Command = tuple[str, dict[str, Any]]
"""Name and further params of a command of :mod:`trunkline.calls.commands`."""


def shown(account: Account) -> list[dict[str, Any]]:
    """As ``list.talk_options`` gives them."""
    return [_shown(option) for option in account.talk_options.values()]


def find(account: Account, button: str) -> TalkOption:
    """:raises NotFound: ``talk_option_not_found``."""
    option = account.talk_options.get(button)
    if option is None:
        raise NotFound(
            "Talk option was not found", mnemonic="talk_option_not_found", field="button", value=button
        )
    return option


def pressed(account: Account, session: Session, leg: Leg, key: str, at: Instant) -> TalkOption | None:
    """The option that a key of an employee or operator completes, if any."""
    if session.phase is not Phase.TALK or not leg.is_operator_side or not account.talk_options:
        return None
    talk = session.open_talk(leg.leg_id)
    if talk is None or (session.direction == "out" and at - talk.started_at < OUTGOING_DELAY_SECONDS):
        return None
    before = session.pressed if at - session.pressed_at <= KEY_TIMEOUT_SECONDS else ""
    session.pressed, session.pressed_at = key, at
    option = account.talk_options.get(before + key) if before else None
    if option is None:
        option = account.talk_options.get(key)
    if option is not None:
        session.pressed = ""
    return option


def by_dtmf(account: Account, session: Session, keys: str, at: Instant) -> TalkOption | None:
    """The option that ``send.dtmf`` with these keys calls; None = the keys are meant for the contact."""
    talk = next((one for one in session.talks if one.ended_at is None), None)
    if talk is None or (session.direction == "out" and at - talk.started_at < OUTGOING_DELAY_SECONDS):
        return None
    return account.talk_options.get(keys)


def commands(account: Account, session: Session, option: TalkOption) -> list[Command]:
    """What an option does, as commands.

    :raises InvalidState: it cannot be done in a call (a fax, a contact that is gone).
    """
    settings = option.settings
    match option.mnemonic:
        case TalkOptionKind.FINISH_CONVERSATION:
            return [("release_call", {})]
        case TalkOptionKind.TAG_CALL:
            return [("tag_call", {"tag_id": settings["tag_id"]})]
        case TalkOptionKind.RECORD_TALK:
            on = any(leg.is_recorded for leg in session.living)
            return [("record_call", {"action": "off" if on else "on"})]
        case TalkOptionKind.TRANSFER_CALL:
            to = _transfer_target(account, option)
            if to is not None:
                return [("transfer_talk", {"contact": to})]
        case TalkOptionKind.RUN_SCENARIO:
            return [("run_scenario", {"scenario_id": settings["scenario_id"]})]
        case TalkOptionKind.CALL_COACH:
            return [("add_coach", {"phone_number": None, "mode": None})]
        case TalkOptionKind.SAVE_NUMA:
            return [(SAVE_CONTACT, {"contact_group_id": settings.get("contact_group_id")})]
        case TalkOptionKind.RECEIVE_FAX:
            pass
    raise InvalidState(
        "This method cannot be called in this state",
        field="button",
        value=option.button,
    )


def _transfer_target(account: Account, option: TalkOption) -> str | None:
    """What ``make.call`` would be given: a short number, a line's login, or an outside number."""
    settings = option.settings
    if "number" in settings:
        return str(settings["number"])
    if "group_id" in settings:
        group = account.groups.get(settings["group_id"])
        return group.extension if group is not None else None
    employee = account.employees.get(settings.get("employee_id") or 0)
    if employee is None:
        return None
    if employee.extension is not None:
        return employee.extension
    for phone in employee.phones:
        line = account.lines.get(phone.sip_line_id or 0)
        if phone.is_active and (line is not None or phone.external_number is not None):
            return line.phone_number if line is not None else phone.external_number
    return None


def _shown(option: TalkOption) -> dict[str, Any]:
    named = option.value_id is not None or option.value_name is not None
    return {
        "button": option.button,
        "mnemonic": option.mnemonic.value,
        "name": option.name,
        "button_value": {"id": option.value_id, "value": option.value_name} if named else None,
    }
