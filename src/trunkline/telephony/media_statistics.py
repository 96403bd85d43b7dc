"""What Asterisk received from a party: it sets its statistics as a variable of the channel when the channel ends. Pure."""

from __future__ import annotations

from collections.abc import Mapping

STATISTICS = "RTPAUDIOQOS"
"""The variable; events of channels have it, so that no command is needed. It is empty until the channel ends."""


def packets_received(variables: Mapping[str, object]) -> int | None:
    """RTP packets of sound that arrived from the party of a channel that has ended, ``rxcount`` of its variables.

    None: Asterisk has no statistics of it, because it had no sound.
    """
    statistics = variables.get(STATISTICS)
    if not isinstance(statistics, str):
        return None
    for one in statistics.split(";"):
        name, _, value = one.partition("=")
        if name == "rxcount" and value.isascii() and value.isdigit() and len(value) < 12:
            return int(value)
    return None
