"""Secrets that must be read again (trunk passwords, signing keys): encrypted at rest with the master key.

The master key is a file of the instance (``secrets/master.key``), outside of the database, so a copy of the
database alone does not disclose them.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken

from trunkline.core.errors import ConfigurationError


class Cipher:
    """Encrypts and decrypts short texts (Fernet: AES-128-CBC with HMAC-SHA-256).

    :param master_key: URL-safe base64 of 32 bytes.
    :raises ConfigurationError: the key is damaged.
    """

    def __init__(self, master_key: bytes) -> None:
        self._key = master_key.strip()
        try:
            self._fernet = Fernet(master_key.strip())
        except ValueError as error:
            raise ConfigurationError(
                "master.key is damaged; restore it from the backup (without it stored secrets are lost)"
            ) from error

    def derive(self, label: str, /) -> str:
        """A secret for one purpose, in hexadecimal: the same for the same master key and label."""
        return hmac.new(self._key, label.encode(), hashlib.sha256).hexdigest()

    def encrypt(self, plain: str, /) -> bytes:
        """What may be stored."""
        return self._fernet.encrypt(plain.encode())

    def decrypt(self, token: bytes, /) -> str:
        """The text; :class:`ConfigurationError` when it was encrypted with another key or is damaged."""
        try:
            return self._fernet.decrypt(bytes(token)).decode()
        except InvalidToken as error:
            raise ConfigurationError(
                "a stored secret cannot be read with this master.key; restore the key that belongs to this "
                "database, or enter the secret again"
            ) from error
