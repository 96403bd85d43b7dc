"""What a party does when it is called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_BUSY, _NO_ANSWER, _DECLINED, _CONGESTION, _NO_SUCH_NUMBER = 17, 19, 21, 34, 1


@dataclass(frozen=True, slots=True)
class Answer:
    """Ring (180) for ``after`` seconds, then pick up. ``early_media`` plays the party's tone before (183).

    :ivar greeting: a sound file (WAV, 8000 Hz, mono) that is played once in place of the party's tone.
    """

    after: float = 0.0
    early_media: bool = False
    hang_up_after: float | None = None
    """Seconds of talk after which the party hangs up by itself."""
    greeting: Path | None = None


@dataclass(frozen=True, slots=True)
class Ignore:
    """Ring and never pick up."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Ring for ``after`` seconds if any, then refuse with the SIP response of a Q.850 cause."""

    cause: int
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Redirect:
    """302: the phone forwards its calls to a number by itself."""

    to: str


def busy(after: float = 0.0) -> Refuse:
    """486 Busy Here."""
    return Refuse(_BUSY, after)


def decline(after: float = 0.0) -> Refuse:
    """The user presses "reject": 403, a rejected call."""
    return Refuse(_DECLINED, after)


def unreachable(after: float = 0.0) -> Refuse:
    """503 Service Unavailable: a network that cannot reach the number."""
    return Refuse(_CONGESTION, after)


def no_such_number() -> Refuse:
    """404 Not Found."""
    return Refuse(_NO_SUCH_NUMBER)


def ring_then_give_up(after: float) -> Refuse:
    """480 Temporarily Unavailable after ringing: the network ends an unanswered call."""
    return Refuse(_NO_ANSWER, after)


Behaviour = Answer | Ignore | Redirect | Refuse
