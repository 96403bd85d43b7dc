"""Calls that Asterisk refuses with SIP 488: phone or carrier and line do not agree on media encryption, or on a codec.

Such a call gets no channel and no event: a line of Asterisk's log is all there is. For codecs, the corrected Asterisk
writes it (decision 0042); of another one, such a call is not found here. The same applies to a REGISTER from an address of
a trunk whose login is not a line.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from trunkline.core.engine_values import EndpointName
from trunkline.core.log import get_logger
from trunkline.core.log_limit import LogLimit
from trunkline.directory.model import Directory
from trunkline.telephony.config.model import BY_ADDRESS, TRUNK_PREFIX
from trunkline.telephony.names import endpoint_of
from trunkline.telephony.port import EndpointKind

PERIOD_SECONDS = 2.0
"""Between two readings of the log."""
THREADS_MAX = 10_000
"""Threads of Asterisk of which a line is remembered."""
READ_MAX = 1_000_000
"""Bytes of new lines that are read at once; older ones are skipped."""

_REFUSED = re.compile(
    r"^\[[^\]]*\] (?:ERROR|NOTICE)\[(?P<thread>\d{1,20})\][^ ]* res_pjsip_session\.c: +(?P<endpoint>[\w-]{1,80}): "
    r"(?:Couldn't negotiate stream \d+:(?P<stream>audio)|Handled\? no$)",
    re.ASCII | re.MULTILINE,
)
"""An offer in a call has the name of a channel (``PJSIP/...``) instead of the endpoint's: the call goes on without it."""
_NO_LINE = re.compile(
    r"^\[[^\]]*\] WARNING\[\d+\][^ ]* res_pjsip_registrar\.c: Endpoint '(?P<endpoint>trunk-\d{1,18})(?:-ip)?'"
    r" \((?P<ip>[0-9A-Fa-f.:\[\]]{3,50}):\d{1,5}\) has no configured AORs",
    re.ASCII | re.MULTILINE,
)


class RefusedFor(StrEnum):
    """Why an offer of media was refused."""

    SRTP = "srtp"
    CODEC = "codec"

    @property
    def remedy(self) -> str:
        if self is RefusedFor.SRTP:
            return (
                "the phone or carrier offers encrypted media (SRTP) and the line or trunk has none, or the reverse: set"
                " srtp of the line and the phone alike"
            )
        return (
            "the phone or carrier offers no codec of the line or trunk (G.722, G.711, Opus, unless its own `codecs` names"
            " fewer), or no audio: enable G.711 (PCMA or PCMU) on both sides"
        )


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """A call that was refused.

    :ivar endpoint: of Asterisk.
    """

    endpoint: str
    why: RefusedFor


_Key = tuple[int, str, str, RefusedFor]
"""Account, kind and name of a line or trunk, and why: several accounts may have trunks of one name."""

_log = get_logger("calls")


class RefusedCalls:
    """Finds the refused calls in Asterisk's log.

    A thread of Asterisk that cannot agree on encryption writes so, and then, if it is corrected, that it refuses the call;
    of one without a common codec it writes the latter only.
    """

    def __init__(self) -> None:
        self._named: dict[str, str] = {}
        """Endpoint whose call was refused by thread: the second line of the same call is to come."""

    def of(self, log: str) -> list[RefusedCall]:
        """The refused calls of the next lines of the log, in their order."""
        found = []
        for line in _REFUSED.finditer(log):
            thread, endpoint = line["thread"], line["endpoint"]
            is_second = self._named.pop(thread, None) == endpoint
            if line["stream"]:
                self._named[thread] = endpoint
                found.append(RefusedCall(endpoint, RefusedFor.SRTP))
            elif not is_second:
                found.append(RefusedCall(endpoint, RefusedFor.CODEC))
        if len(self._named) > THREADS_MAX:
            self._named.clear()
        return found


def unknown_logins(log: str) -> list[tuple[int, str]]:
    """Trunk and sender of each REGISTER whose login is not a line, from an address that identifies the trunk. Pure."""
    return [
        (int(found["endpoint"].removeprefix(TRUNK_PREFIX)), found["ip"].strip("[]"))
        for found in _NO_LINE.finditer(log)
    ]


class RefusedMedia:
    """Counts and logs such calls since the start of the switch.

    :param log: Asterisk's log; may be absent.
    :param addresses: of the devices that are registered at a line.
    """

    def __init__(
        self,
        log: Path,
        directory: Callable[[], Directory],
        addresses: Callable[[str], Iterable[str]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = log
        self._directory = directory
        self._addresses = addresses
        self._clock = clock
        self._inode, self._position = self._state()
        self._calls = RefusedCalls()
        self._counts: Counter[_Key] = Counter()
        self._call_lines: LogLimit[_Key] = LogLimit()
        self._login_lines: LogLimit[str] = LogLimit()
        """By the address of the sender."""

    async def run(self) -> None:
        """Read the log until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            self.handle(await asyncio.to_thread(self._read))

    def handle(self, log: str) -> None:
        """Count and log the refused calls of new lines of the log."""
        for call in self._calls.of(log):
            self._add(call)
        for trunk_id, ip in dict.fromkeys(unknown_logins(log)):
            self._add_login(trunk_id, ip)

    def status(self) -> list[dict[str, Any]]:
        """For ``trunkline status``: lines and trunks with refused calls, those with the most first."""
        return [
            {"account_id": account_id, "kind": kind, "name": name, "cause": str(why), "count": count}
            for (account_id, kind, name, why), count in self._counts.most_common(20)
        ]

    def _add(self, call: RefusedCall) -> None:
        endpoint = call.endpoint.removesuffix(BY_ADDRESS)
        if not EndpointName.is_good(endpoint):
            return
        kind, name, account_id, addresses = "", "", 0, []
        if endpoint_of(endpoint).kind is EndpointKind.LINE:
            found = self._directory().line(endpoint_of(endpoint).name)
            if found is not None:
                kind, name, account_id = "line", found[1].phone_number, found[0].account_id
                addresses = sorted(set(self._addresses(endpoint_of(endpoint).name)))
        elif (number := endpoint.removeprefix(TRUNK_PREFIX)).isdigit():
            owner = self._directory().trunk(int(number))
            if owner is not None:
                kind, name, account_id = "trunk", owner[1].name, owner[0].account_id
                addresses = [owner[1].host, *owner[1].addresses]
        if not kind:
            return
        key = (account_id, kind, name, call.why)
        self._counts[key] += 1
        calls = self._call_lines.add(key, self._clock())
        if not calls:
            return
        _log.warning(
            "call_media_refused",
            account_id=account_id,
            **{kind: name},
            addresses=addresses,
            calls=calls,
            cause=str(call.why),
            reason="SIP 488",
            remedy=call.why.remedy,
        )

    def _add_login(self, trunk_id: int, ip: str) -> None:
        owner = self._directory().trunk(trunk_id)
        if owner is None or not self._login_lines.add(ip, self._clock()):
            return
        _log.warning(
            "login_unknown",
            account_id=owner[0].account_id,
            trunk=owner[1].name,
            ip=ip,
            reason="SIP 403: a phone at an address of this trunk registers with a login that is not a line",
            remedy="correct login and authentication name in the phone: trunkline export lists the lines",
        )

    def _state(self) -> tuple[int, int]:
        try:
            status = os.stat(self._path)
        except OSError:
            return 0, 0
        return status.st_ino, status.st_size

    def _read(self) -> str:
        """The whole lines that were added since the last call, also after a rotation. Blocks."""
        inode, size = self._state()
        if inode != self._inode or size < self._position:
            self._inode, self._position = inode, 0
        self._position = max(self._position, size - READ_MAX)
        if size == self._position:
            return ""
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                whole, _, _ = file.read(size - self._position).rpartition(b"\n")
        except OSError:
            return ""
        self._position += len(whole) + (1 if whole else 0)
        return whole.decode(errors="replace")
