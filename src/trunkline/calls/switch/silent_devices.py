"""Calls in which no sound arrived from a line or trunk: a firewall or NAT drops its RTP, or it sends none."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from trunkline.calls.session import Session
from trunkline.core.log import get_logger
from trunkline.core.log_limit import LogLimit
from trunkline.directory.model import Directory
from trunkline.events.catalogue import Event

SHOWN = 20
"""Lines and trunks in the status."""

_Key = tuple[int, str, str]
"""Account of the line or trunk, kind and name."""

_log = get_logger("calls")


class SilentDevices:
    """Counts and logs such calls since the start of the switch.

    :param addresses: of the devices that are registered at a line.
    """

    def __init__(
        self,
        directory: Callable[[], Directory],
        addresses: Callable[[str], Iterable[str]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._addresses = addresses
        self._clock = clock
        self._counts: Counter[_Key] = Counter()
        self._log_limit: LogLimit[_Key] = LogLimit()

    def note(self, session: Session, event: Event) -> None:
        """Count the end of a leg, if no sound arrived from it."""
        device = event.data.get("no_sound")
        leg = session.legs.get(event.data["leg_id"])
        if device is None or leg is None:
            return
        account_id, name = session.account_id, device["name"] or ""
        addresses: list[str] = []
        if device["kind"] == "line":
            addresses = sorted(set(self._addresses(name)))
        elif (owner := self._directory().trunk(leg.trunk_id or 0)) is not None:
            account_id, name = owner[0].account_id, owner[1].name
            addresses = [owner[1].host, *owner[1].addresses]
        key = (account_id, str(device["kind"]), name)
        self._counts[key] += 1
        calls = self._log_limit.add(key, self._clock())
        if not calls:
            return
        _log.warning(
            "call_without_sound",
            account_id=account_id,
            call_session_id=session.call_session_id,
            **{key[1]: name},
            addresses=addresses,
            calls=calls,
            reason="the call was answered, and no RTP packet arrived from this side until its end",
            remedy="check that the firewall has UDP sip.rtp_port_first to sip.rtp_port_last open; behind NAT set"
            " sip.external_address and sip.local_networks",
        )

    def status(self) -> list[dict[str, Any]]:
        """For ``trunkline status``: lines and trunks with such calls, those with the most first."""
        return [
            {"account_id": account_id, "kind": kind, "name": name, "count": count}
            for (account_id, kind, name), count in self._counts.most_common(SHOWN)
        ]
