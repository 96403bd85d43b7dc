"""Access tokens: 256 random bits, shown once; the database keeps their SHA-256 only.

A fast hash is right here: a random token cannot be guessed, unlike a password.
"""

from __future__ import annotations

import hashlib
import secrets

_LONGEST = 512
"""Characters; no valid token is longer, so longer texts are not hashed."""


def new_token() -> str:
    """43 characters of ``A-Z a-z 0-9 - _``."""
    return secrets.token_urlsafe(32)


def new_password() -> str:
    """A password that is shown once: 96 random bits, 16 characters."""
    return secrets.token_urlsafe(12)


def hash_of(token: str) -> bytes:
    """What is stored and looked up; an oversized token hashes to what no token does."""
    if len(token) > _LONGEST:
        return b""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def hint_of(token: str) -> str:
    """The last four characters, by which a human recognises a key."""
    return token[-4:]
