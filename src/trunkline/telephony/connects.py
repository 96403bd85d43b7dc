"""How a connect is written for ``Dial()``. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from trunkline.core.engine_values import ContactUri
from trunkline.telephony.config.dialplan import CALLEE, RECORD_CALLEE, music_class
from trunkline.telephony.port import Channel, Connect, EndpointKind, Target
from trunkline.telephony.registrations import Contact

_EXTENSION_MAX = 80
_SHORT = re.compile(r"[rp]~[0-9]+~[0-9A-Za-z]+~[0-9A-Za-z_-]+~g?")
NO_ADDRESS = "-"
"""Of no device: the endpoint is not dialled."""
_SAFE_NUMBER = re.compile(r"[^0-9+*#A-Za-z]")


def line_names(login: str, contacts: Sequence[Contact]) -> list[str]:
    """What to dial for a line: each registered device by its address; what cannot be dialled without any.

    A phone writes the address of a device. Never is an endpoint dialled alone: Asterisk would use the address as it is then.
    """
    good = [contact for contact in contacts if ContactUri.is_good(contact.uri)]
    return [device_name(contact) for contact in good] or [f"PJSIP/{login}/{NO_ADDRESS}"]


def device_name(contact: Contact) -> str:
    """What to dial for one device."""
    return f"PJSIP/{contact.endpoint}/{contact.uri}"


def trunk_name(endpoint: str, number: str) -> str:
    """What to dial for a number through a trunk."""
    return f"PJSIP/{_SAFE_NUMBER.sub('', number)}@{endpoint}"


def dial_variables(
    channel: Channel, connect: Connect, names: Sequence[str], numbers: Mapping[Target, str]
) -> dict[str, str]:
    """Channel variables that the dialplan's ``tl-connect`` reads.

    :param channel: the connected channel, by the id of the switch, which is the name of its recording: a device of several
        has another one in Asterisk.
    :param names: what to dial, of all targets.
    :param numbers: the caller's number each target shows, in the trunk's form.
    """
    # i, I: a phone may neither send the call elsewhere nor rename the caller.
    options = "iI"
    variables: dict[str, str] = {}
    shown = {(numbers[target], target.caller_name) for target in connect.targets}
    if len(shown) == 1 and not next(iter(shown))[1]:
        number = _SAFE_NUMBER.sub("", next(iter(shown))[0])
        options += f"b({CALLEE}^number^1({number}))" if number else ""
    else:
        options += f"b({CALLEE}^caller^1)"
        for target in connect.targets:
            for endpoint in _endpoints(target):
                variables[f"__TL_CN_{endpoint}"] = _SAFE_NUMBER.sub("", numbers[target])
                variables[f"__TL_CA_{endpoint}"] = target.caller_name
    if connect.record and connect.tag:
        variables["TL_REC"] = f"{connect.tag}/{channel}.sln"
        options += f"U({RECORD_CALLEE}^{connect.tag})"
    if connect.music:
        options += f"m({music_class(connect.music)})"
    if connect.announcement:
        options += f"A({'&'.join(connect.announcement)})"
    if connect.return_after_talk:
        options += "g"
    return {
        **variables,
        "TL_DIAL": "&".join(names),
        "TL_RING": str(connect.ring_seconds),
        "TL_OPTS": options,
    }


def short_connect(
    connect: Connect, names: Sequence[str], numbers: Mapping[Target, str], known: str | None
) -> str | None:
    """The usual connect in one word, the extension that does it: one command in place of two. None for others.

    :param known: the number with which the caller came in, without a name; only what it says by itself is shown.
    """
    is_usual = (
        connect.tag
        and len(names) == 1
        and not (connect.music or connect.announcement)
        and all(numbers[target] == known and not target.caller_name for target in connect.targets)
    )
    # The dialplan reads the address of the only device itself, and checks it.
    name = names[0].split("/")[1] if is_usual and not names[0].endswith(f"/{NO_ADDRESS}") else ""
    options = "g" if connect.return_after_talk else ""
    word = f"{'r' if connect.record else 'p'}~{connect.ring_seconds}~{connect.tag}~{name}~{options}"
    return word if _SHORT.fullmatch(word) and len(word) < _EXTENSION_MAX else None


def _endpoints(target: Target) -> list[str]:
    name = target.endpoint.name
    return [name, f"web-{name}"] if target.endpoint.kind is EndpointKind.LINE else [name]
