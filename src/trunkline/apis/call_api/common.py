"""Parameters and steps that several methods of the Call API share; errors are in :mod:`.errors`."""

from __future__ import annotations

import re
from typing import Any

from trunkline.apis.jsonrpc import Param, Params, ParamType, RequestContext, Result
from trunkline.apis.jsonrpc.chunks import Chunks
from trunkline.apis.jsonrpc.derive import given
from trunkline.core.phone import normalise

_LINE = re.compile(r"[0-9]{3,15}\Z", re.ASCII)
_SHORT = re.compile(r"[0-9]{2,15}\Z", re.ASCII)


def number_or_line(text: str) -> str | None:
    """An E.164 number in its usual dressings, or the login of a SIP line; bare digits."""
    return normalise(text) or (text if _LINE.match(text) else None)


def any_number(text: str) -> str | None:
    """As :func:`number_or_line`, or a short number."""
    return normalise(text) or (text if _SHORT.match(text) else None)


CALL_SESSION_ID = Param(
    "call_session_id", ParamType.NUMBER, required=True, minimum=1, description="The call session."
)
MEDIA_FILE_ID = Param(
    "media_file_id", ParamType.NUMBER, minimum=1, description="Music while dialling; else the system's."
)
VIRTUAL_PHONE_NUMBER = Param(
    "virtual_phone_number",
    ParamType.STRING,
    required=True,
    convert=number_or_line,
    description="A virtual number of the account: the caller id.",
)
USAGE_RULE = Param(
    "virtual_phone_usage_rule",
    ParamType.STRING,
    enum=("fixed", "fixed_for_numa", "random", "regional_random", "regional_fixed_for_numa"),
    default="fixed",
    description="How another virtual number may be chosen instead.",
)
SHOW_VIRTUAL_PHONE_NUMBER = Param(
    "show_virtual_phone_number",
    ParamType.BOOLEAN,
    default=True,
    description="Show the virtual number to our own side, too; else the contact's.",
)
CONTACT = Param(
    "contact",
    ParamType.STRING,
    required=True,
    convert=number_or_line,
    description="Whom to call: an E.164 number or the number of a SIP line.",
)
EXTERNAL_ID = Param(
    "external_id", ParamType.STRING, maximum=1024, description="Name of the call in the caller's own system."
)
DTMF_STRING = Param(
    "dtmf_string",
    ParamType.STRING,
    pattern=r"[0-9*#.]+",
    maximum=255,
    description="Keys sent to the contact after the answer; a dot waits one second.",
)
FIRST_CALL = Param(
    "first_call",
    ParamType.STRING,
    required=True,
    enum=("contact", "employee"),
    description="Who is called first.",
)
DIRECTION = Param(
    "direction", ParamType.STRING, enum=("in", "out"), default="in", description="How reports count the call."
)
SWITCH_AT_ONCE = Param(
    "switch_at_once",
    ParamType.BOOLEAN,
    default=False,
    description="Connect as soon as both answered, cutting messages short.",
)
EARLY_SWITCHING = Param(
    "early_switching",
    ParamType.BOOLEAN,
    default=False,
    description="Let the first party hear the second one's line while it is dialled.",
)


def message(name: str, *, required: bool = False) -> Param:
    """A message for one party: ``{"type": "media" | "tts", "value": id or text}``."""
    return Param(
        name,
        ParamType.OBJECT,
        required=required,
        params=(
            Param("type", ParamType.STRING, required=True, enum=("media", "tts")),
            Param(
                "value", ParamType.STRING, required=True, description="Id of a media file, or text to say."
            ),
        ),
        description="Played to that party when it answered.",
    )


SUCCESS = given("success", description="The text true.")
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
