"""Parameters and steps that several methods of the Call API share; errors are in :mod:`.errors`."""

from __future__ import annotations

import re
from typing import Any

from trunkline.apis.jsonrpc import Param, Params, ParamType, RequestContext, Result
from trunkline.apis.jsonrpc.chunks import Chunks
from trunkline.apis.jsonrpc.derive import Override, override
from trunkline.core.phone import normalise

_LINE = re.compile(r"[0-9]{3,15}\Z", re.ASCII)
_SHORT = re.compile(r"[0-9]{2,15}\Z", re.ASCII)


def number_or_line(text: str) -> str | None:
    """An E.164 number in its usual dressings, or the login of a SIP line; bare digits."""
    return normalise(text) or (text if _LINE.match(text) else None)


def any_number(text: str) -> str | None:
    """As :func:`number_or_line`, or a short number."""
    return normalise(text) or (text if _SHORT.match(text) else None)


def message_override(name: str, played: str = "Played to that party when it answered.") -> Override:
    """A message for one party: ``{"type": "media" | "tts", "value": id or text}``.

    :param played: to whom and when.
    """
    return override(
        name,
        params=(override("value", description="Id of a media file, or text to say."),),
        description=played,
    )


CALL_SESSION_ID = Param(
    "call_session_id", ParamType.NUMBER, required=True, minimum=1, description="The call session."
)
START_OVERRIDES = (
    override("media_file_id", minimum=1, description="Music while dialling; else the system's."),
    override(
        "virtual_phone_number",
        convert=number_or_line,
        description="A virtual number of the account: the caller id.",
    ),
    override(
        "virtual_phone_usage_rule",
        enum=("fixed", "fixed_for_numa", "random", "regional_random", "regional_fixed_for_numa"),
        default="fixed",
        description="How another virtual number may be chosen instead.",
    ),
    override(
        "show_virtual_phone_number",
        default=True,
        description="Show the virtual number to the operator's side, too; else the contact's.",
    ),
    override(
        "contact",
        convert=number_or_line,
        description="Whom to call: an E.164 number or the number of a SIP line.",
    ),
    override("external_id", maximum=1024, description="Name of the call in the caller's own system."),
    override(
        "dtmf_string",
        pattern=r"[0-9*#.]+",
        maximum=255,
        description="Keys sent to the contact after the answer; a dot waits one second.",
    ),
    override("first_call", description="Who is called first."),
    override("direction", default="in", description="How reports count the call."),
    override(
        "switch_at_once",
        default=False,
        description="Connect as soon as both answered, cutting messages short.",
    ),
    override(
        "early_switching",
        default=False,
        description="Let the first party hear the second one's line while it is dialled.",
    ),
    *(message_override(name) for name in ("contact_message", "employee_message", "operator_message")),
)
"""What declarations of methods that start a call add to the parameters of their pages."""

MEDIA_FILE_ID = Param(
    "media_file_id", ParamType.NUMBER, minimum=1, description="Music while dialling; else the system's."
)
"""Of methods whose page does not have it."""


SUCCESS = override("success", description="The text true.")
"""Management methods of the Call API return the text ``"true"``; ``logout.user`` returns ``true``."""

DONE = Result({"success": "true"})


async def command(request: RequestContext, name: str, params: Params) -> dict[str, Any]:
    """Send the command to the switch: the checked parameters, and the caller."""
    return await request.services.switch.command(
        request.account_id, name, _signed(request, params), request_id=str(request.api_request_id)
    )


async def command_json(request: RequestContext, name: str, params: Params) -> Chunks:
    """As :func:`command`; the result as the switch wrote it."""
    made = await request.services.switch.command_json(
        request.account_id, name, _signed(request, params), request_id=str(request.api_request_id)
    )
    return Chunks((made,))


def _signed(request: RequestContext, params: Params) -> dict[str, Any]:
    return {
        **params,
        "user_id": request.caller.user_id,
        "login": request.caller.login,
        "api_request_id": request.api_request_id,
    }
