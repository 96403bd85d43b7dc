"""Which ports an instance needs, whether they are free, and who has them if not."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import re
import socket
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import Settings

_MEDIA_NAME = "trunkline-media-ports-"


class Transport(StrEnum):
    TCP = "tcp"
    UDP = "udp"


@dataclass(frozen=True)
class Port:
    """A port to be listened on, and the setting that names it (``web.http_port``)."""

    setting: str
    transport: Transport
    address: str
    number: int

    @property
    def variable(self) -> str:
        """The environment variable of the setting."""
        return "TRUNKLINE_" + self.setting.upper().replace(".", "__")


def ports_of(settings: Settings) -> list[Port]:
    """All ports an instance with these settings listens on; those turned off (0) left out."""
    sip, web, engine = settings.sip, settings.web, settings.engine
    loopback = "127.0.0.1"
    ports = [
        Port("sip.udp_port", Transport.UDP, sip.bind, sip.udp_port),
        Port("sip.tcp_port", Transport.TCP, sip.bind, sip.tcp_port),
        Port("sip.tls_port", Transport.TCP, sip.bind, sip.tls_port),
        Port("sip.wss_port", Transport.TCP, sip.bind, sip.wss_port),
        Port("engine.ari_port", Transport.TCP, loopback, engine.ari_port),
        Port("engine.ami_port", Transport.TCP, loopback, engine.ami_port),
        Port(
            "switch.control_port", Transport.TCP, settings.switch.control_bind, settings.switch.control_port
        ),
        Port("web.http_port", Transport.TCP, web.http_bind, web.http_port),
        Port("web.https_port", Transport.TCP, web.https_bind, web.https_port),
        *(
            Port(f"metrics.{role}_port", Transport.TCP, settings.metrics.bind, settings.metrics.port_of(role))
            for role in ("switch", "web", "worker")
        ),
    ]
    if settings.database_url is None:
        ports.append(Port("database_port", Transport.TCP, loopback, settings.database_port))
    return [port for port in ports if port.number]


def sip_ports(ports: Iterable[Port]) -> list[Port]:
    """Those by which phones and carriers reach us."""
    return [port for port in ports if port.setting.startswith("sip.")]


def check_free(ports: Iterable[Port]) -> None:
    """:class:`ConfigurationError` when a port is not available or two settings have the same port."""
    wanted: dict[tuple[Transport, int], Port] = {}
    for port in ports:
        other = wanted.setdefault((port.transport, port.number), port)
        if other is not port:
            raise ConfigurationError(
                f"the settings {other.setting} and {port.setting} both name {port.transport.upper()} port "
                f"{port.number}; change one of them",
                field=port.setting,
                value=port.number,
            )
        problem = _problem(port)
        if problem:
            raise ConfigurationError(
                f"{port.transport.upper()} port {port.number} of {port.address} {problem}; set "
                f"{port.setting} ({port.variable}) to another port or stop what uses it",
                field=port.setting,
                value=port.number,
            )


@contextlib.contextmanager
def media_ports(settings: Settings) -> Iterator[list[str]]:
    """Publish the range of media ports on this machine for the time of the block.

    Yields a sentence for each running instance whose range overlaps, and one when the kernel gives ports of the range to
    other programs. Ports of a range are opened only during calls, so that :func:`check_free` cannot find them; the name of
    a socket in the abstract namespace, which the kernel removes with the process, has the range.
    """
    first, last = settings.sip.rtp_port_first, settings.sip.rtp_port_last
    overlaps = [
        f"media ports {first} to {last} overlap those of the instance with pid {pid} ({other_first} to {other_last}):"
        " calls of both can fail; change sip.rtp_port_first and sip.rtp_port_last of one"
        for other_first, other_last, pid in _published_ranges()
        if other_first <= last and first <= other_last and pid != os.getpid()
    ]
    if ports_given_to_programs(first, last):
        given, _ = _given_to_programs()
        overlaps.append(
            f"media ports {first} to {last} overlap those that the kernel gives to any program ({given[0]} to {given[-1]}):"
            " a call of which another program has a port can have no sound or be noise; set sip.rtp_port_first and"
            " sip.rtp_port_last to others, or reserve them: sysctl -w"
            f" net.ipv4.ip_local_reserved_ports={first}-{last}"
        )
    with published_media_ports(first, last):
        yield overlaps


@contextlib.contextmanager
def published_media_ports(first: int, last: int) -> Iterator[None]:
    """Publish a range for the time of the block: :func:`free_media_ports` leaves it out."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as published:
        with contextlib.suppress(OSError):  # published by this process already
            published.bind(f"\0{_MEDIA_NAME}{first}-{last}-{os.getpid()}")
        yield


def _published_ranges() -> list[tuple[int, int, int]]:
    """First and last media port and pid of each running instance."""
    found = re.findall(
        rf" @{_MEDIA_NAME}(\d+)-(\d+)-(\d+)$", Path("/proc/net/unix").read_text(), re.MULTILINE
    )
    return [(int(first), int(last), int(pid)) for first, last, pid in found]


def ports_given_to_programs(first: int, last: int) -> int:
    """How many of these ports the kernel may give to any program that asks for some port.

    Asterisk takes a free even port for RTP and the next one for RTCP. When another program has that one, the call has no
    RTCP, and Asterisk silently omits SRTP, which it has offered already: both parties get noise.
    """
    given, reserved = _given_to_programs()
    both = range(max(first, given.start), min(last + 1, given.stop))
    return len(both) - sum(1 for number in reserved if number in both)


def _given_to_programs() -> tuple[range, frozenset[int]]:
    """The ports that the kernel gives to programs which ask for some port, and those of them which it does not."""
    folder = Path("/proc/sys/net/ipv4")
    try:
        first, last = (folder / "ip_local_port_range").read_text().split()
        text = (folder / "ip_local_reserved_ports").read_text().strip()
    except OSError:
        return range(0), frozenset()
    reserved: set[int] = set()
    for part in filter(None, text.split(",")):
        begin, _, end = part.partition("-")
        reserved.update(range(int(begin), int(end or begin) + 1))
    return range(int(first), int(last) + 1), frozenset(reserved)


def is_open(port: Port) -> bool:
    """Whether a process on this machine listens there."""
    return bool(_listeners(port))


def _problem(port: Port) -> str | None:
    try:
        _bind(port.transport, port.address, port.number).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            holder = _holder(port)
            return f"is in use by {holder}" if holder else "is in use"
        return f"cannot be opened ({error.strerror})"
    return None


def _bind(transport: Transport, address: str, number: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if transport is Transport.TCP else socket.SOCK_DGRAM
    opened = socket.socket(family, kind)
    try:
        if transport is Transport.TCP:
            # Connections of the last run that linger are no obstacle.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, number))
        if transport is Transport.TCP:
            opened.listen(1)
    except OSError:
        opened.close()
        raise
    return opened


def media_ports_in_use(pid: int) -> dict[str, int] | None:
    """The media ports of the instance whose supervisor has this pid: ``{"first": 20000, "last": 20999, "pairs": 500,
    "free": 498, "given_to_programs": 0}``. Each channel needs a pair, RTP and RTCP; a pair is free when no program has a
    socket on one of its ports. ``given_to_programs``: :func:`ports_given_to_programs`. None: no such instance.
    """
    found = next(((first, last) for first, last, owner in _published_ranges() if owner == pid), None)
    if found is None:
        return None
    first, last = found
    begins = range(first + first % 2, last, 2)
    used = {number // 2 for number in _udp_ports()}
    free = sum(1 for number in begins if number // 2 not in used)
    return {
        "first": first,
        "last": last,
        "pairs": len(begins),
        "free": free,
        "given_to_programs": ports_given_to_programs(first, last),
    }


def _udp_ports() -> set[int]:
    """Local ports of all UDP sockets of the machine."""
    found: set[int] = set()
    for table in ("udp", "udp6"):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
            found |= {int(line.split()[1].rpartition(":")[2], 16) for line in lines}
    return found


def _listeners(port: Port) -> set[str]:
    """The listening sockets on a port of any address, as ``/proc/PID/fd`` names them."""
    found = set()
    for table in (port.transport.value, f"{port.transport.value}6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            listening = port.transport is Transport.UDP or fields[3] == "0A"
            if listening and int(fields[1].rpartition(":")[2], 16) == port.number:
                found.add(f"socket:[{fields[9]}]")
    return found


def program_name(name: str, arguments: Sequence[str]) -> str:
    """What a process runs; of an Asterisk with its configuration file, which is in the folder of its instance. Pure.

    :param name: of the process; that of the dynamic loader when it was used to start a program (as for our Asterisk).
    """
    if name.startswith("ld-linux"):
        rest = iter(arguments[1:])
        for one in rest:
            if not one.startswith("--"):
                name = one.rpartition("/")[2] or name
                break
            next(rest, None)
    if name == "asterisk" and "-C" in arguments[:-1]:
        name += f" with {arguments[arguments.index('-C') + 1]}"
    return name


def _holder(port: Port) -> str | None:
    """``name (pid n)`` of the process that has the port, as far as we may see it."""
    sockets = _listeners(port)
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) in sockets:
                process = link.parent.parent
                arguments = (process / "cmdline").read_text().split("\0")
                name = program_name((process / "comm").read_text().strip(), arguments)
                return f"{name} (pid {process.name})"
        except OSError:
            continue
    return None


_FREE_FIRST, _FREE_LAST, _BLOCK = 10_240, 20_000, 61
"""Below the ports of RTP and those that the kernel gives to clients."""


class _Candidates:
    """Port numbers, each once. They come in blocks, of which no two processes have the same one at a time.

    A block is reserved by a socket in the abstract namespace, which belongs to the network as ports do, and which the
    kernel closes with the process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reserved: list[socket.socket] = []
        self._numbers: Iterator[int] = iter(())

    def next(self) -> int:
        """:raises OSError: other processes have reserved all blocks."""
        with self._lock:
            while (number := next(self._numbers, None)) is None:
                self._numbers = iter(self._reserve())
            return number

    def _reserve(self) -> range:
        starts = list(range(_FREE_FIRST, _FREE_LAST, _BLOCK))
        random.shuffle(starts)
        for start in starts:
            reservation = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                reservation.bind(f"\0trunkline-free-ports-{start}")
            except OSError:
                reservation.close()
                continue
            self._reserved.append(reservation)
            return range(start, start + _BLOCK)
        if not self._reserved:
            raise OSError(errno.EADDRINUSE, "other processes have reserved all free ports")
        # This process has used all of its blocks: begin again.
        while self._reserved:
            self._reserved.pop().close()
        return self._reserve()


_candidates = _Candidates()


def free_ports(count: int) -> list[int]:
    """Ports that are free now for TCP and UDP on all addresses, below those the kernel gives to clients.

    A process gets each once, and no other process gets it here meanwhile: a test chooses the ports of several programs
    before it starts the first.

    :raises OSError: other processes have reserved all ports.
    """
    found: list[int] = []
    while len(found) < count:
        number = _candidates.next()
        with ExitStack() as held, contextlib.suppress(OSError):
            for transport in Transport:
                held.enter_context(_bind(transport, "0.0.0.0", number))
            found.append(number)
    return found


_MEDIA_FIRST, _MEDIA_LAST, _MEDIA_BLOCK = 20_000, 65_400, 600
_MEDIA_RESERVED = 3
"""Blocks that a process keeps reserved: what it starts publishes its range only when it runs. With the usual settings of the
kernel there are 28 for all that it does not give to programs, 20 beside an instance with the default settings."""

_media_lock = threading.Lock()
_media_reserved: deque[socket.socket] = deque()


def free_media_ports() -> range:
    """600 ports for media that no running instance and no other process has; if possible, none that the kernel gives to any
    program (:func:`ports_given_to_programs`).

    Sound that a killed instance still gets from its peers must not arrive in a call of another one, so ranges do not
    overlap, though their ports are opened only during calls.

    :raises OSError: all ports are taken.
    """
    starts = list(range(_MEDIA_FIRST, _MEDIA_LAST - _MEDIA_BLOCK, _MEDIA_BLOCK))
    random.shuffle(starts)
    starts.sort(key=lambda start: ports_given_to_programs(start, start + _MEDIA_BLOCK - 1) > 0)
    published = _published_ranges()
    with _media_lock:
        for start in starts:
            if any(first < start + _MEDIA_BLOCK and start <= last for first, last, _ in published):
                continue
            reservation = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                reservation.bind(f"\0trunkline-free-media-ports-{start}")
            except OSError:
                reservation.close()
                continue
            _media_reserved.append(reservation)
            if len(_media_reserved) > _MEDIA_RESERVED:
                _media_reserved.popleft().close()
            return range(start, start + _MEDIA_BLOCK)
    raise OSError(errno.EADDRINUSE, "all media ports are taken by running instances")
