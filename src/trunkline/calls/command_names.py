"""Commands that other processes send to the switch: names, choices and checks that need none of the rules of calls.

Web and worker import this module in place of those that execute the commands: loading these takes a fifth of their start.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from trunkline.core.errors import InvalidInput

CHECK = "check_command"
"""Command that does nothing: refuses what the command in ``params["command"]`` would refuse with these parameters now. It is
sent before slow or paid work for a command."""

# --- websites whose visitors may call

SITE_STATE = "site_state"
"""``site_id``, ``at`` (Unix seconds, None: now): see :func:`trunkline.calls.flows.site_calls.shown_state`."""
ANNOUNCE_CALL = "announce_browser_call"
"""``site_id``, ``visit``, ``visitor_name``: ``{"ticket", "seconds"}`` of a call of a browser that comes next."""
START_CALLBACK = "start_site_callback"
"""See :func:`trunkline.calls.flows.site_calls.start_site_callback`."""
SITE_SOURCE = "sitephone"
"""Source of the calls that these commands begin, in events and reports."""

SITE_COMMANDS = frozenset({SITE_STATE, ANNOUNCE_CALL})

# --- what participants may do

CHECK_IN = "***"
"""Checks an agent in at the device that dials it, with the digits that the Call Center API has given."""


class CoachMode(StrEnum):
    """The parties that get the coach's audio; the coach gets that of both in every mode."""

    LISTEN = "listen"
    """Nobody."""
    WHISPER = "whisper"
    """The operator."""
    BARGE = "barge"
    """Operator and contact: a third party of their talk."""


# --- calls that the Call API starts

INFORMER_RING_SECONDS = 30


def check_options(params: Mapping[str, Any]) -> None:
    """Rules between options of a call with two parties.

    :raises InvalidInput: ``invalid_parameters_combination``.
    """
    if (
        params.get("early_switching")
        and params.get("switch_at_once")
        and params.get("first_call") != "contact"
    ):
        raise InvalidInput(
            "early_switching and switch_at_once exclude each other when the operator's side is called first: send one",
            mnemonic="invalid_parameters_combination",
            field="early_switching",
            value=True,
        )
