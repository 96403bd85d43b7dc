"""How many channels an account may have: each needs one of the media ports, which all accounts share. Pure.

A part of the ports is reserved for emergency calls. Of the others an account may have eight times the channels that are
free. So one account alone gets eight ninths of them, accounts that need more get equal parts, and some stay free for an
account that has few. Emergency calls of an account beyond that share use the reserve, of which one account gets half: phones
that dial emergency numbers again and again leave channels to the emergency calls of others.
"""

from __future__ import annotations

FACTOR = 8
"""A larger one leaves less free."""

UNLIMITED = 1_000_000
"""More channels than any engine has."""


def reserved(capacity: int) -> int:
    """Channels that only emergency calls may use: one in fifty, at least four (two calls), at most a fifth.

    :param capacity: how many there may be.
    """
    return min(max(4, capacity // 50), capacity // 5)


def reserve_has_room(own_calls: int, used: int, capacity: int, needed: int = 2) -> bool:
    """Whether an account may have channels for an emergency call that its share has none for.

    :param own_calls: its other emergency calls of that kind now; each has two channels.
    :param used: channels of all accounts.
    :param capacity: how many there may be; 0 = not known.
    :param needed: channels: two for a call that begins, one for its second leg.
    """
    if not capacity:
        return True
    return used + needed <= capacity and own_calls < max(1, reserved(capacity) // 4)


def free_channels(own: int, used: int, capacity: int) -> int:
    """How many more channels an account may have now.

    :param own: its channels now.
    :param used: those of all accounts.
    :param capacity: how many there may be; 0 = not known.
    """
    if not capacity:
        return UNLIMITED
    return max(0, share(own, used, capacity) - own)


def share(own: int, used: int, capacity: int) -> int:
    """How many channels an account may have now, the other accounts having theirs; parameters as :func:`free_channels`."""
    if not capacity:
        return UNLIMITED
    others = used - own
    return max(0, -((FACTOR * (others + reserved(capacity) - capacity)) // (FACTOR + 1)))
