"""The name that a refused request tried, from Asterisk's log: its security event has no name for an unknown one. Pure."""

from __future__ import annotations

import re

LOG_BYTES = 64_000
"""How much of the end of Asterisk's log is read: the line is written with the event."""

NAME_MAX = 80
"""Characters of a name that are shown."""

_FROM = re.compile(
    r"Request '[A-Z]+' from '(?P<from>.*)' failed for '(?P<ip>[^']*):\d+' \(callid: (?P<id>.*)\) - "
)
_USER = re.compile(r"sips?:(?P<user>[^@>;]*)@")


def tried_name(log: str, call_id: str, ip: str) -> str:
    """The user part of the ``From`` address of a refused request; "" when the log does not have it.

    The sender wrote it, so it shows only what the sender claims. Characters that are not printable become ``?``.

    :param call_id: ``Call-ID`` of the request.
    :param ip: address from which it came.
    """
    for line in reversed(log.splitlines()):
        if call_id not in line:
            continue
        found = _FROM.search(line)
        if found is None or (found["id"], found["ip"].strip("[]")) != (call_id, ip):
            continue
        user = _USER.search(found["from"])
        return shown_name(user["user"]) if user is not None else ""
    return ""


def shown_name(name: str) -> str:
    """A name that a sender wrote, for the log."""
    return "".join(one if one.isprintable() else "?" for one in name[:NAME_MAX])
