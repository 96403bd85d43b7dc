"""How hard a SIP line's password is to guess. Pure.

The engine evaluates thousands of passwords a second, and guesses over UDP from an address where the line is registered are
not banned (decision 0040), so the password itself must make guessing useless.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from trunkline.directory.lines.digest import Ha1, ha1

# zxcvbn with its lists of words is imported where a password is estimated: most processes that import this module never do.

STRENGTH_MIN = 12.0
"""Decimal logarithm of the guesses that a password must withstand: 10^12 guesses take 20 years at 1500 a second."""
_ESTIMATED = 72
"""Characters that are estimated; the library takes no more, and the rest makes a password only stronger."""
_EXTENSION_MIN = 3
"""Digits of an extension that a password must not contain; shorter ones are in many random passwords."""


class Weakness(StrEnum):
    """Why a password is weak."""

    CONTAINS_LOGIN = "contains_login"
    CONTAINS_EXTENSION = "contains_extension"
    GUESSABLE = "guessable"
    """Fewer than ``10 ** STRENGTH_MIN`` guesses find it."""
    COMMON = "common"
    """Found by trying common passwords: it was set before passwords were estimated."""


@dataclass(frozen=True, slots=True)
class Strength:
    """:ivar guesses_log10: decimal logarithm of the guesses that find the password, estimated."""

    guesses_log10: float
    weakness: Weakness | None

    def suffices(self, minimum: float) -> bool:
        """Whether a person may choose the password. A minimum below :data:`STRENGTH_MIN` allows weak ones of that
        strength, and 0 each."""
        if minimum >= STRENGTH_MIN and self.weakness is not None:
            return False
        return self.guesses_log10 >= minimum


def strength(password: str, login: str, extensions: Iterable[str] = ()) -> Strength:
    """Estimate a password; takes about 1 ms, 20 ms for long ones of one character.

    :param extensions: of the employees who have the line.
    """
    from zxcvbn import zxcvbn

    known = [login, *extensions]
    estimated = zxcvbn(password[:_ESTIMATED], user_inputs=["trunkline", *known])
    guesses = float(estimated["guesses_log10"])
    lowered = password.casefold()
    if login.casefold() in lowered:
        return Strength(min(guesses, STRENGTH_MIN), Weakness.CONTAINS_LOGIN)
    if any(len(one) >= _EXTENSION_MIN and one in lowered for one in known[1:]):
        return Strength(min(guesses, STRENGTH_MIN), Weakness.CONTAINS_EXTENSION)
    return Strength(guesses, Weakness.GUESSABLE if guesses < STRENGTH_MIN else None)


def problem(found: Strength, minimum: float) -> str:
    """What is wrong with a password that does not suffice, and what to do; never contains the password."""
    match found.weakness:
        case Weakness.CONTAINS_LOGIN if minimum >= STRENGTH_MIN:
            reason = "it contains the login"
        case Weakness.CONTAINS_EXTENSION if minimum >= STRENGTH_MIN:
            reason = "it contains the extension of the line's employee"
        case _:
            reason = f"about 10^{math.floor(found.guesses_log10)} guesses find it, and 10^{minimum:g} is the minimum"
    return (
        f"the password can be guessed ({reason}); leave it out and a random one is made, or write 12 or more random"
        " characters"
    )


def weakness_of_digest(login: str, digest: Ha1, extensions: Iterable[str] = ()) -> Weakness | None:
    """Weakness of a password of which only the digest is known: common passwords and those made of the login are tried.

    Takes some 60 ms. None does not mean that the password is strong.
    """
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    extensions = list(extensions)
    for password in _made_of([login, *extensions]):
        if _fits(login, digest, password):
            return Weakness.CONTAINS_LOGIN if login in password else Weakness.CONTAINS_EXTENSION
    if any(_fits(login, digest, password) for password in FREQUENCY_LISTS["passwords"]):
        return Weakness.COMMON
    return None


def _made_of(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        for start in ("", "sip", "Sip", "SIP", "pass", "Pass", "a", "A", "line", "phone", "ext"):
            for end in ("", "!", "#", "1", "123", "1234", "pass"):
                yield f"{start}{name}{end}"
        yield name * 2
        yield name[::-1]


def _fits(login: str, digest: Ha1, password: str) -> bool:
    return hmac.compare_digest(digest.md5, ha1(login, password).md5)
