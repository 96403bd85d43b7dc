"""Callers of earlier requests, so that a report can be read while its token is checked.

A report only reads, and its rows are not sent before the check of the same request has succeeded. So its statements may
run at the same time as the statement that authenticates the caller and takes the points, on another connection. What is
remembered decides nothing: when the check finds another caller, or the same with other rights, the rows are dropped and
read again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from trunkline.apis.service.request_context import CallerLike

_KEPT_MAX = 1000
"""Callers that are remembered; the least recently used are forgotten."""


class KnownCallers:
    """The callers of the last successful requests, by token, in the memory of one process."""

    def __init__(self) -> None:
        self._callers: OrderedDict[bytes, CallerLike] = OrderedDict()

    def find(self, token: str) -> CallerLike | None:
        key = _key_of(token)
        found = self._callers.get(key)
        if found is not None:
            self._callers.move_to_end(key)
        return found

    def succeeded(self, token: str, caller: CallerLike) -> None:
        """A request of the caller succeeded."""
        key = _key_of(token)
        self._callers[key] = caller
        self._callers.move_to_end(key)
        if len(self._callers) > _KEPT_MAX:
            self._callers.popitem(last=False)

    def refused(self, token: str) -> None:
        """A request was refused: the next one is checked before anything is read for it."""
        self._callers.pop(_key_of(token), None)


def _key_of(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
