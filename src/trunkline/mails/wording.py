"""Texts of the mails of an account, and the addresses to which they may go. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Wording:
    subject: str
    text: str


def voice_message(data: Mapping[str, Any], local_time: datetime, link: str) -> Wording:
    """The mail about a voice message.

    :param data: of the event ``recording_ready``.
    :param local_time: in the account's zone.
    """
    caller = _caller(data)
    seconds = round(float(data.get("file_duration") or 0))
    length = f"{seconds // 60}:{seconds % 60:02}"
    text = (
        f"{caller} left a message of {length} minutes.\n\n"
        f"Number called: {_plus(data.get('virtual_phone_number'))}\n"
        f"Time: {local_time:%Y-%m-%d %H:%M:%S %Z}\n"
        f"Recording: {link}\n"
    )
    return Wording(f"Voice message from {caller} ({length})", text)


def scenario_notification(
    data: Mapping[str, Any], session: Mapping[str, Any], local_time: datetime
) -> Wording:
    """The mail of an operation ``notification``.

    :param data: of the event ``scenario_notification``.
    :param session: ``data`` of ``session_started``.
    """
    caller = _caller(session)
    text = (
        f"{data.get('message') or data.get('operation_name')}\n\n"
        f"Caller: {caller}\n"
        f"Number called: {_plus(session.get('virtual_phone_number'))}\n"
        f"Time: {local_time:%Y-%m-%d %H:%M:%S %Z}\n"
    )
    return Wording(f"{data.get('operation_name')}: call from {caller}", text)


def is_allowed(address: str, domains: Sequence[str] | None) -> bool:
    """Whether an account may send mails to an address.

    :param domains: domains that its mails may go to; None: all.
    """
    domain = address.rpartition("@")[2].lower()
    return domains is None or any(domain == one.lower() for one in domains)


def _caller(data: Mapping[str, Any]) -> str:
    number, name = _plus(data.get("contact_phone_number")), data.get("contact_full_name")
    return f"{name} {number}" if name else number


def _plus(number: object) -> str:
    text = str(number or "")
    return f"+{text}" if text.isdecimal() and len(text) > 6 else text or "a withheld number"
