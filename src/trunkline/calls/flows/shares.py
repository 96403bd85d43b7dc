"""How many channels an account may have: each needs one of the media ports, which all accounts share. Pure.

An account may have eight times the channels that are free. So one account alone gets eight ninths of all, several hungry
ones get equal parts, and some stay free for an account that has few, and for emergency calls.
"""

from __future__ import annotations

FACTOR = 8
"""A larger one leaves less free."""


def may_have_more(own: int, used: int, capacity: int) -> bool:
    """Whether an account may begin one more call.

    :param own: its channels now.
    :param used: those of all accounts.
    :param capacity: how many there may be; 0 = not known.
    """
    return not capacity or own < FACTOR * (capacity - used)
