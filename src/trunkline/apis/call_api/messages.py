"""Messages to the parties of a call: a text is synthesized here, before the command to the switch, which never waits.
Because synthesis is slow, the switch first checks whether it would refuse the command.

What reaches the switch: ``{"type": "media", "value": "2501"}`` as sent, or ``{"type": "tts", "value": text,
"file": "/media/<sha256>"}``, the file without its extension.
"""

from __future__ import annotations

from typing import Any

from trunkline.apis.call_api import common
from trunkline.apis.jsonrpc import Params, RequestContext
from trunkline.calls.command_names import CHECK
from trunkline.core.errors import InvalidInput, LimitExceeded

NAMES = ("contact_message", "employee_message", "operator_message", "to_message")
"""Parameters that carry a message."""


async def check(request: RequestContext, params: Params) -> None:
    """Check the length of the texts among the messages, before any synthesis.

    :raises LimitExceeded: ``tts_text_exceeded``.
    """
    texts = [(name, params[name]["value"]) for name in NAMES if _is_text(params.get(name))]
    if not texts:
        return
    longest = await request.services.accounts.tts_message_max_length(request.account_id, request.api)
    for name, text in texts:
        if len(text) > longest:
            raise LimitExceeded(
                f"The text has {len(text)} characters; {longest} are allowed in this account.",
                mnemonic="tts_text_exceeded",
                field=f"{name}.value",
                value=text,
                params={"tts_message_max_length": longest, "sent_tts_message_length": len(text)},
            )


async def speak(request: RequestContext, command: str, params: Params) -> dict[str, Any]:
    """The parameters with a sound file for each text.

    :param command: the command of the switch that uses the texts.
    :raises TrunklineError: the switch would refuse the command; then no text is synthesized.
    :raises InvalidInput: a text cannot be synthesized.
    """
    texts = [name for name in NAMES if _is_text(params.get(name))]
    if not texts:
        return dict(params)
    unspoken = {name: {**params[name], "file": ""} for name in texts}
    await common.command(request, CHECK, {**params, **unspoken, "command": command})
    return {
        name: await _spoken(request, name, value) if name in texts else value
        for name, value in params.items()
    }


async def _spoken(request: RequestContext, name: str, message: Params) -> dict[str, Any]:
    text = message["value"]
    try:
        file = await request.services.speaker.file_of(
            text, request.caller.locale, account_id=request.account_id
        )
    except InvalidInput as error:
        raise InvalidInput(error.message, field=f"{name}.value", value=text) from error
    return {**message, "file": file}


def _is_text(message: Params | None) -> bool:
    return message is not None and message["type"] == "tts"
