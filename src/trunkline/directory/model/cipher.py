"""What secrets of the directory are kept with."""

from __future__ import annotations

from typing import Protocol


class Cipher(Protocol):
    """Keeps secrets that must be read again (:mod:`trunkline.accounts.secrets`)."""

    def encrypt(self, plain: str, /) -> bytes: ...

    def decrypt(self, token: bytes, /) -> str: ...
