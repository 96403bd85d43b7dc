"""Whether our registrations at carriers are in force: Asterisk's state, and what its log says of the last attempt. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from trunkline.telephony.ami import AmiMessage
from trunkline.telephony.config.model import TRUNK_PREFIX

LOG_BYTES = 1_000_000
"""How much of the end of Asterisk's log is read for the attempts: each failed one is a line, at least every minute."""

_ATTEMPT = re.compile(
    r"res_pjsip_outbound_registration\.c: (?P<text>[A-Za-z ]{0,80}'?(?P<code>[1-6]\d\d)?'?[A-Za-z ]{0,80})"
    r" received from '[^']*' on registration attempt to '(?P<client>[^']*)'"
)


class RegistrationState(StrEnum):
    REGISTERED = "registered"
    REFUSED = "refused"
    """The carrier responded with an error."""
    UNREACHABLE = "unreachable"
    """The carrier did not respond."""
    WAITING = "waiting"
    """Not registered, and no attempt has failed yet."""


@dataclass(frozen=True, slots=True)
class CarrierRegistration:
    """One registration.

    :ivar server: SIP address of the carrier.
    :ivar code: SIP status of the carrier's refusal; None when it is not known.
    :ivar reason: what the log says of the last failed attempt, "" when it is registered or nothing is known.
    """

    trunk_id: int
    server: str
    state: RegistrationState
    code: int | None
    reason: str


def carrier_registrations(messages: Iterable[AmiMessage], log: str) -> list[CarrierRegistration]:
    """From a listing (``PJSIPShowRegistrationsOutbound``) and the end of Asterisk's log, by trunk."""
    attempts = {found["client"]: found for found in _ATTEMPT.finditer(log)}
    made = []
    for message in messages:
        name = message.get("ObjectName").removeprefix(TRUNK_PREFIX)
        if message.event != "OutboundRegistrationDetail" or not name.isdigit():
            continue
        last = attempts.get(message.get("ClientUri"))
        status = message.get("Status")
        code = int(last["code"]) if last is not None and last["code"] else None
        if status == "Registered":
            state, code, last = RegistrationState.REGISTERED, None, None
        elif last is not None:  # Asterisk's state is "Rejected" without a response, too
            state = RegistrationState.UNREACHABLE if code is None else RegistrationState.REFUSED
        else:
            state = RegistrationState.REFUSED if status == "Rejected" else RegistrationState.WAITING
        reason = "" if last is None else last["text"].replace("'", "")
        made.append(CarrierRegistration(int(name), message.get("ServerUri"), state, code, reason))
    return sorted(made, key=lambda one: one.trunk_id)


def end_of_log(path: Path, size: int = LOG_BYTES) -> str:
    """The last ``size`` bytes of Asterisk's log, "" when it is absent. Blocks: call it in a thread."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read(size).decode(errors="replace")
    except OSError:
        return ""
