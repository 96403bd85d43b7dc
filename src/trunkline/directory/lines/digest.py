"""Passwords of SIP lines: made here, shown once, kept only as HA1 digests.

HA1 is the hash of ``login:realm:password`` (RFC 7616, 3.4.2): enough for the engine to check a phone, and
bound to this realm, so the password itself need not be stored.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

REALM = "trunkline"
PASSWORD_LENGTH = 20

# no letter or digit that people mistake for another when they type a password into a desk phone
_ALPHABET = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True, slots=True)
class Ha1:
    """Digests of one line's password, lower-case hexadecimal."""

    md5: str = field(repr=False)
    sha256: str = field(repr=False)

    def fits(self, login: str, password: str) -> bool:
        """Whether this is the digest of that password."""
        return hmac.compare_digest(self.sha256, ha1(login, password).sha256)


def ha1(login: str, password: str) -> Ha1:
    """HA1 of a line's login and password for the realm :data:`REALM`."""
    secret = f"{login}:{REALM}:{password}".encode()
    # MD5 because common desk phones support nothing else (RFC 2617); others are offered SHA-256 first
    return Ha1(hashlib.md5(secret, usedforsecurity=False).hexdigest(), hashlib.sha256(secret).hexdigest())


def columns_of(login: str, password: str) -> dict[str, str]:
    """The columns of a line with this password, of which no weakness is known."""
    digest = ha1(login, password)
    return {"ha1_md5": digest.md5, "ha1_sha256": digest.sha256, "password_weakness": ""}


def new_password() -> str:
    """A random password for a SIP line: over 110 bits, easy to type."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(PASSWORD_LENGTH))
