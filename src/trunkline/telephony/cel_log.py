"""The CEL log that Asterisk writes, so that no event is lost while no switch runs.

Asterisk appends one line for each start, answer, bridging and end of a channel (channel event logging), with
microseconds, also without connected clients. A restarted switch reads the missed entries: exact times and causes,
also of channels that are gone. The file is rotated by the reader and so stays small.

Space is reserved behind the end of the file, so that the ends of calls are also written on a full disk.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from trunkline.core.clock import Instant
from trunkline.core.reserved_space import reserve_space
from trunkline.telephony.names import endpoint_of_channel
from trunkline.telephony.port import (
    Answered,
    Arrived,
    Bridge,
    Channel,
    Ended,
    EndpointKind,
    Joined,
    Left,
    Signal,
    TargetStarted,
)

ROTATE_BYTES = 32 << 20
"""Rotated when larger; one older file is kept, so that this much is always readable."""
RESERVED_BYTES = 4 << 20
"""Reserved behind the end of the file: some 20 000 entries, several for each call that is up when the disk becomes full."""
_FIELD = r'"((?:[^"]|"")*)"'
_ENTRY = re.compile(
    ",".join([r'"([A-Z_]+)"', r'"([0-9]{1,12}\.[0-9]{1,17})"', *([_FIELD] * 8)]) + r"(?:\r?\n|\Z)"
)
_BEGINS = re.compile(r'"[A-Z_]+","[0-9]')
"""The start of an entry. A number that a caller sent may have line ends, and so continue on further lines; but all its
quotation marks are doubled, so none of these lines looks like a start, nor is any of them an entry by itself."""
_OUT_OF_ORDER_SECONDS = 2.0
_SEARCHED_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the CEL log.

    :ivar channel: id of the channel; ``alias`` is the id its owner chose, if another.
    :ivar linked: id of the first channel of the call.
    """

    event: str
    at: Instant
    channel: str
    linked: str
    name: str
    tag: str
    alias: str
    caller: str
    exten: str
    extra: str


def _ignore(_lines: str) -> None:
    pass


def parse(lines: Iterable[str], bad: Callable[[str], None] = _ignore) -> Iterator[Entry]:
    """Entries of CEL lines. A damaged one (a line cut off by a crash or a full disk) is passed to ``bad``; the entry that
    Asterisk appended to it, without a line end between them, is read.

    Lines before the first start of an entry belong to one that is not among ``lines``, and are skipped.
    """
    entry = ""
    for line in lines:
        if _BEGINS.match(line):
            if entry:
                yield from _parsed(entry, bad)
            entry = line
        elif entry:
            entry += line
    if entry:
        yield from _parsed(entry, bad)


def _parsed(text: str, bad: Callable[[str], None]) -> Iterator[Entry]:
    """The entries of what begins like one: more than one when a line was cut off and has no line end."""
    end = 0
    for begin in _BEGINS.finditer(text):
        if begin.start() < end:
            continue
        # What a phone sent is no entry: its fields are the last ones, so too few follow before the end of the line.
        found = _ENTRY.match(text, begin.start())
        if found is None:
            continue
        if begin.start() > end:
            bad(text[end : begin.start()])
        event, at, *fields = found.groups()
        yield Entry(event, Instant(float(at)), *(field.replace('""', '"') for field in fields))
        end = found.end()
        if end == len(text):
            return
    bad(text[end:])


def read(path: Path, since: Instant, bad: Callable[[str], None] = _ignore) -> list[Entry]:
    """Entries from ``since`` on, oldest first, from the rotated file as well.

    :param bad: gets the text of each entry that cannot be read.

    Lines are in the order of time but for moments, so the place to begin at is searched, not read up to.
    """
    entries: list[Entry] = []
    for name in (_older(path), path):
        try:
            with name.open("rb") as file:
                file.seek(_place_of(file, since - _OUT_OF_ORDER_SECONDS))
                lines = io.TextIOWrapper(file, newline="\n", errors="replace")
                entries += (entry for entry in parse(lines, bad) if entry.at >= since)
        except FileNotFoundError:
            continue
    return sorted(entries, key=lambda entry: entry.at)


def _place_of(file: BinaryIO, since: float) -> int:
    """Where a line begins such that no line before it is of ``since`` or later."""
    low, high = 0, file.seek(0, io.SEEK_END)
    while high - low > _SEARCHED_BYTES:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()  # the rest of a line
        at, begin = _time_of_next(file)
        if at is None or begin >= high or at >= since:
            high = middle
        else:
            low = begin
    return low


def _time_of_next(file: BinaryIO) -> tuple[Instant | None, int]:
    """Time and position of the next complete line."""
    while True:
        begin = file.tell()
        line = file.readline()
        if not line:
            return None, begin
        for entry in parse([line.decode(errors="replace")]):
            return entry.at, begin


def reserve(path: Path, size: int = RESERVED_BYTES) -> bool:
    """Reserve space behind the end of the file, which is made if there is none, when less than half of ``size`` is left.

    :param size: bytes.
    :returns: False when the file system cannot reserve space.
    :raises OSError: there is no space, or no permission.
    """
    # Not truncated and not written to: Asterisk may append to it at the same moment.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        return reserve_space(descriptor, size)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)


def rotate(path: Path, larger_than: int = ROTATE_BYTES) -> bool:
    """Start a new file when this one is too large. Asterisk opens it for each line, so nothing is lost.

    :raises OSError: there is no space for the new file; the present one, which has space reserved, stays.
    """
    try:
        if path.stat().st_size <= larger_than:
            return False
    except FileNotFoundError:
        return False
    new = path.with_suffix(".new.csv")
    try:
        reserve(new)
        path.replace(_older(path))
        with contextlib.suppress(FileExistsError):  # Asterisk has made it meanwhile
            os.link(new, path)
    finally:
        new.unlink(missing_ok=True)
    return True


def winners(entries: Sequence[Entry]) -> dict[Channel, str]:
    """Of devices that were called together under one id: which answered first."""
    found: dict[Channel, str] = {}
    for entry in entries:
        if entry.alias and entry.event == "ANSWER":
            found.setdefault(Channel(entry.alias), entry.channel)
    return found


def signals(
    entries: Sequence[Entry],
    winning: Mapping[Channel, str] | None = None,
    alive: Mapping[Channel, Collection[str]] | None = None,
) -> list[Signal]:
    """The entries as signals of the port. Ringing is not in the CEL log.

    Devices that were called together are one participant: the one that answered first is it, the others do not count;
    without an answer, it ends with the last of them.

    :param winning: by the shared id: the device that answered first; from ``entries`` if it is not given here.
    :param alive: by the shared id: the live devices.
    """
    winner = {**winners(entries), **(winning or {})}
    ringing: dict[Channel, set[str]] = {public: set(reals) for public, reals in (alive or {}).items()}
    for entry in entries:
        if entry.alias:
            ringing.setdefault(Channel(entry.alias), set()).add(entry.channel)
    found: list[Signal] = []
    for entry in entries:
        if entry.alias:
            public = Channel(entry.alias)
            if entry.event == "HANGUP":
                ringing[public].discard(entry.channel)
            if (winner[public] != entry.channel) if public in winner else ringing[public]:
                continue
        signal = _signal(entry)
        if signal is not None:
            found.append(signal)
    return found


def _older(path: Path) -> Path:
    return path.with_suffix(".1.csv")


def _signal(entry: Entry) -> Signal | None:
    endpoint = endpoint_of_channel(entry.name)
    if endpoint is None:
        return None
    channel = Channel(entry.alias or entry.channel)
    extra = _extra(entry.extra)
    bridge = Bridge(str(extra.get("bridge_id", "")))
    match entry.event:
        case "CHAN_START" if entry.linked != entry.channel:
            number = entry.exten if endpoint.kind is EndpointKind.TRUNK else None
            return TargetStarted(channel, entry.at, Channel(entry.linked), endpoint, number)
        case "CHAN_START" if entry.exten not in ("", "s"):
            return Arrived(channel, entry.at, endpoint, entry.exten, entry.caller, "", entry.at)
        case "ANSWER":
            return Answered(channel, entry.at)
        case "BRIDGE_ENTER":
            return Joined(channel, entry.at, bridge, by_switch=bool(entry.tag))
        case "BRIDGE_EXIT":
            return Left(channel, entry.at, bridge)
        case "HANGUP":
            cause = extra.get("hangupcause")
            return Ended(
                channel,
                entry.at,
                cause if isinstance(cause, int) else 0,
                extra.get("hangupsource") == entry.name,
            )
    return None


def _extra(text: str) -> dict[str, object]:
    try:
        decoded = json.loads(text) if text else {}
    except json.JSONDecodeError:
        return {}
    return decoded if isinstance(decoded, dict) else {}
