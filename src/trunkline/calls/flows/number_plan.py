"""What a dialled number means. Pure.

An emergency number is one before anything else. A short number (2 to 5 digits) is the extension of an employee, group or
queue, a line's own login is that line; anything else is an outside number, read as the account's country writes numbers and
turned into E.164.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import phonenumbers

from trunkline.calls.command_names import CHECK_IN
from trunkline.core.phone import normalise, with_extension
from trunkline.core.phone import split_number as split
from trunkline.directory.model import Account, CallQueue, Employee, Group, SipLine
from trunkline.routing.emergency import emergency_number


@dataclass(frozen=True, slots=True)
class ToEmployee:
    employee: Employee
    dialled: str


@dataclass(frozen=True, slots=True)
class ToGroup:
    group: Group
    dialled: str


@dataclass(frozen=True, slots=True)
class ToQueue:
    queue: CallQueue
    dialled: str


@dataclass(frozen=True, slots=True)
class ToLine:
    line: SipLine
    dialled: str


@dataclass(frozen=True, slots=True)
class ToOutside:
    number: str
    """E.164 digits without plus."""
    keys: str | None = None
    """An extension to key in when it has answered."""


@dataclass(frozen=True, slots=True)
class ToEmergency:
    number: str
    """As dialled: ``112``."""


@dataclass(frozen=True, slots=True)
class ToMailbox:
    """The mailbox of the employee who dials, or of a group."""

    group: Group | None = None


@dataclass(frozen=True, slots=True)
class ToParking:
    """A slot where contacts are parked; None: the first free one."""

    slot: int | None = None


class Setting(StrEnum):
    """What an employee sets by dialling a code."""

    DO_NOT_DISTURB = "do_not_disturb"
    FORWARD_ALWAYS = "forward_always"
    FORWARD_BUSY = "forward_busy"
    FORWARD_NO_ANSWER = "forward_no_answer"
    CHECK_IN = "check_in"


@dataclass(frozen=True, slots=True)
class ToSetting:
    """A setting of the employee who dials.

    :ivar is_on: whether it is switched on.
    :ivar to: where calls shall be forwarded, as dialled, or the digits by which an agent checks in; empty for others.
    """

    setting: Setting
    is_on: bool
    to: str = ""


@dataclass(frozen=True, slots=True)
class ToPickUp:
    """A call that rings for a colleague or a group; neither: for any group of the employee who dials."""

    employee: Employee | None = None
    group: Group | None = None


PICK_UP = "*8"
"""Takes a call that rings for a colleague of the same groups; with an extension behind it, for that employee or group."""

MAILBOX = "*98"
"""Calls one's own mailbox; with the extension of a group behind it, that of the group."""

PARKING = "*68"
"""Parks a contact; with two digits behind it, it is a slot."""

SETTINGS = {
    "*78": ToSetting(Setting.DO_NOT_DISTURB, is_on=True),
    "*79": ToSetting(Setting.DO_NOT_DISTURB, is_on=False),
    "*73": ToSetting(Setting.FORWARD_ALWAYS, is_on=False),
    "*91": ToSetting(Setting.FORWARD_BUSY, is_on=False),
    "*93": ToSetting(Setting.FORWARD_NO_ANSWER, is_on=False),
}
"""Codes that are dialled alone."""

FORWARDS = {
    "*72": Setting.FORWARD_ALWAYS,
    "*90": Setting.FORWARD_BUSY,
    "*92": Setting.FORWARD_NO_ANSWER,
}
"""Codes that are dialled with a number after them."""

ToCode = ToMailbox | ToParking | ToPickUp | ToSetting
"""Codes: they call nobody."""

Destination = ToCode | ToEmployee | ToGroup | ToQueue | ToLine | ToOutside | ToEmergency


def destination(account: Account, dialled: str) -> Destination | None:
    """Where a call from a line goes; None = nothing can be made of what was dialled."""
    emergency = emergency_number(dialled, account.country)
    if emergency is not None:
        return ToEmergency(emergency)
    if dialled == MAILBOX:
        return ToMailbox()
    if dialled.startswith(MAILBOX):
        group = account.group_by_extension(dialled.removeprefix(MAILBOX))
        return ToMailbox(group) if group is not None else None
    if dialled.startswith(PARKING):
        return _parking(dialled.removeprefix(PARKING))
    if dialled == PICK_UP:
        return ToPickUp()
    if dialled.startswith(PICK_UP):
        return _pick_up(account, dialled.removeprefix(PICK_UP))
    if dialled.startswith(CHECK_IN):
        return ToSetting(Setting.CHECK_IN, is_on=True, to=dialled.removeprefix(CHECK_IN))
    if dialled in SETTINGS:
        return SETTINGS[dialled]
    if dialled[:3] in FORWARDS:
        return ToSetting(FORWARDS[dialled[:3]], is_on=True, to=dialled[3:]) if dialled[3:] else None
    if len(dialled) <= 5 and dialled.isdigit():
        employee = account.employee_by_extension(dialled)
        if employee is not None:
            return ToEmployee(employee, dialled)
        group = account.group_by_extension(dialled)
        if group is not None:
            return ToGroup(group, dialled)
        queue = account.queue_by_extension(dialled)
        return ToQueue(queue, dialled) if queue is not None else None
    line = account.line_by_login(dialled)
    if line is not None:
        return ToLine(line, dialled)
    if (kept := with_extension(dialled)) is not None and (outside := split(kept)).keys is not None:
        return ToOutside(*outside)
    number = to_e164(dialled, account.country)
    return ToOutside(number) if number is not None else None


def _parking(slot: str) -> ToParking | None:
    if not slot:
        return ToParking()
    return ToParking(int(slot)) if re.fullmatch("[0-9]{2}", slot) and int(slot) else None


def _pick_up(account: Account, extension: str) -> ToPickUp | None:
    employee, group = account.employee_by_extension(extension), account.group_by_extension(extension)
    return ToPickUp(employee, group) if employee is not None or group is not None else None


def is_dialled(text: str) -> bool:
    """Whether a text is what somebody dials: digits, ``*`` and ``#``, maybe after a plus. A phone may send any text."""
    return re.fullmatch(r"\+?[0-9*#]{1,32}", text, re.ASCII) is not None


def to_e164(text: str, country: str) -> str | None:
    """E.164 digits of a number as people of that country (ISO 3166 alpha-2) dial it; None if it is none.

    With ``+`` or ``00`` it is international. Bare digits may be either: that is how the interfaces carry
    international numbers, and how people dial at home (``2025550111`` in the US, which looks like Egypt's code).
    So what is a valid number wins, then what could be one by its length; at equal standing the international.
    """
    international = normalise(text)
    if international is not None and text.strip().startswith(("+", "00")):
        return international
    abroad = _parsed(f"+{international}", None) if international is not None else None
    at_home = _parsed(text, country)
    for good in (phonenumbers.is_valid_number, phonenumbers.is_possible_number):
        if abroad is not None and good(abroad):
            return international  # as dialled: formatting it again may drop a significant zero
        if at_home is not None and good(at_home):
            return str(phonenumbers.format_number(at_home, phonenumbers.PhoneNumberFormat.E164))[1:]
    return international


def _parsed(text: str, country: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
