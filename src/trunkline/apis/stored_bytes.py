"""How many bytes of requests one web process stores in all: each client has limits of its own, and there are many clients.

Counted is what waits to be parsed and what bodies have so far, as received and decompressed. Clients of unknown addresses
(:mod:`.turns`) have a share, so that known ones keep the rest. Requests beyond are refused with 503: the client
is to send them again.
"""

from __future__ import annotations

from aiohttp import web

STORED_MAX = 192 * 1024 * 1024
"""Bytes of requests of all clients."""

STORED_OF_UNKNOWN = 64 * 1024 * 1024
"""Bytes of them of clients of unknown addresses."""

RETRY_SECONDS = 5
"""After which a client that was refused is to try again."""


class StoredBytes:
    """The bytes of one process.

    :ivar total: of all clients, now.
    :ivar of_unknown: of those of unknown addresses.
    """

    def __init__(self) -> None:
        self.total = 0
        self.of_unknown = 0

    def take(self, size: int, *, is_known: bool) -> bool:
        """Count more bytes, if the limits permit them."""
        if self.total + size > STORED_MAX:
            return False
        if not is_known:
            if self.of_unknown + size > STORED_OF_UNKNOWN:
                return False
            self.of_unknown += size
        self.total += size
        return True

    def give_back(self, size: int, *, is_known: bool) -> None:
        """They are not stored any more."""
        self.total -= size
        if not is_known:
            self.of_unknown -= size


class StoredBody:
    """The bytes of one request, until :meth:`release`."""

    def __init__(self, stored: StoredBytes, *, is_known: bool) -> None:
        self._stored = stored
        self._is_known = is_known
        self._size = 0
        self._is_refused = False

    def refuse(self) -> None:
        """The rest of it is not stored."""
        self._is_refused = True

    def take(self, size: int) -> bool:
        """Count more of them, if the limits permit them."""
        if self._is_refused or not self._stored.take(size, is_known=self._is_known):
            return False
        self._size += size
        return True

    def release(self) -> None:
        """The request is done."""
        size, self._size = self._size, 0
        self._stored.give_back(size, is_known=self._is_known)


BODY: web.RequestKey[StoredBody] = web.RequestKey("stored_body", StoredBody)
"""The bytes of a request."""
