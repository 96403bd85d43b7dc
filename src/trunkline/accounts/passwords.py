"""Passwords: hashed with argon2id (the library's low-memory profile of RFC 9106) in a thread.

Verifying takes the same work for a user that is unknown or has no password, so that the response time does not differ.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from functools import cache
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from trunkline.core.errors import InvalidInput
from trunkline.core.threads import half_of_the_processors, working_threads

_T = TypeVar("_T")

SHORTEST, LONGEST = 8, 200
"""Characters."""

_hasher = PasswordHasher()

_threads = working_threads("passwords", half_of_the_processors())
"""A hash takes about 50 ms on purpose, and a client without a password can request any number of them."""


@cache
def _nobody() -> str:
    """A hash that matches no password."""
    return _hasher.hash(secrets.token_urlsafe(32))


def check_strength(password: str) -> None:
    """:class:`InvalidInput` for a password that is too short or too long to be taken."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidInput(f"a password has {SHORTEST} to {LONGEST} characters", field="password")


def check_mixed(password: str) -> None:
    """The rule of the Call Center API: 8 characters with a number, a capital and a small letter.

    :raises InvalidInput: with the rule.
    """
    if not (
        SHORTEST <= len(password) <= LONGEST
        and any(one.isdigit() for one in password)
        and any(one.isupper() for one in password)
        and any(one.islower() for one in password)
    ):
        raise InvalidInput(
            f"password: send {SHORTEST} to {LONGEST} characters with numbers, capital and small letters.",
            field="password",
        )


async def in_thread(work: Callable[..., _T], *args: str | None) -> _T:
    """Do work on passwords in the threads for it."""
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *args)


async def hash_of(password: str) -> str:
    """The text to be stored."""
    return await in_thread(_hasher.hash, password)


async def fits(password: str, stored: str | None) -> bool:
    """Whether the password matches the stored hash; False, after the same work, when there is none."""
    return await in_thread(_fits, password, stored)


def needs_rehash(stored: str) -> bool:
    """Whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def _fits(password: str, stored: str | None) -> bool:
    known = stored if stored is not None else _nobody()
    try:
        # Bytes, because JSON can carry halves of surrogate pairs, which no text encoding takes.
        plain = password[: LONGEST + 1].encode("utf-8", "surrogatepass")
        return _hasher.verify(known, plain) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
