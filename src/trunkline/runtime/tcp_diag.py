"""Connections to ports of this machine with the bytes that each has received, by the kernel's ``sock_diag`` (netlink).

One question instead of a system call for each connection. Needs no rights.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import socket
import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY = 4, 20
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_ESTABLISHED = 1 << 1
_INFO = 2
"""``INET_DIAG_INFO``: the attribute with ``struct tcp_info``."""
_BYTES_RECEIVED = 128
"""Offset of ``tcpi_bytes_received`` in ``tcp_info`` (Linux 4.1 or newer)."""
_REQ_BYTECODE = 1
"""``INET_DIAG_REQ_BYTECODE``: the attribute with the filter that the kernel applies."""
_JUMP, _PORT_FROM, _PORT_TO = 1, 2, 3
"""Instructions of the filter: ``INET_DIAG_BC_JMP``, ``_S_GE`` and ``_S_LE`` (the local port is at least, at most)."""
_HEADER, _MESSAGE = 16, 72
_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Connection:
    """An accepted connection. ``inode`` names it as long as it exists.

    :ivar address: of the other side, without the prefix of IPv4 in IPv6.
    :ivar received: bytes of data since the connection began.
    """

    inode: str
    local_port: int
    address: str
    port: int
    received: int

    @property
    def client(self) -> str:
        """The address by which clients are counted: IPv4, or the network (/64) of an IPv6 address."""
        if ":" not in self.address:
            return self.address
        return str(ipaddress.ip_network((self.address, 64), strict=False))


def connections(
    ports: Collection[int], families: Iterable[int] = (socket.AF_INET, socket.AF_INET6)
) -> list[Connection]:
    """Established connections to these local ports that were accepted.

    :raises OSError: the kernel has no ``sock_diag`` for TCP.
    """
    return [one for family in families for one in _dump(family, ports)]


def _dump(family: int, ports: Collection[int]) -> Iterator[Connection]:
    request = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 1 << (_INFO - 1), _ESTABLISHED)
    request += struct.pack("!HH16x16x", 0, 0) + struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
    # Without it, the kernel describes all connections of the machine, ten times a second.
    request += _port_filter(frozenset(ports))
    header = struct.pack("=IHHII", _HEADER + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0)
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG
    ) as question:
        question.settimeout(_TIMEOUT)
        question.send(header + request)
        while True:
            data = question.recv(1 << 18)
            offset = 0
            while offset + _HEADER <= len(data):
                length, kind = struct.unpack_from("=IH", data, offset)
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    (error,) = struct.unpack_from("=i", data, offset + _HEADER)
                    if family == socket.AF_INET6:
                        return  # a kernel without IPv6
                    raise OSError(-error, "sock_diag")
                (local_port,) = struct.unpack_from("!H", data, offset + _HEADER + 4)
                if local_port in ports:
                    found = _connection(data[offset + _HEADER : offset + length])
                    if found is not None:
                        yield found
                offset += (length + 3) & ~3


@functools.cache
def _port_filter(ports: frozenset[int]) -> bytes:
    """The attribute by which the kernel reports connections to these local ports only; empty for no ports.

    An instruction has the distance to the next one when it applies, and when it does not; a connection is reported when the
    instructions end exactly behind the last one.
    """
    comparisons, alternative = 2 * 8, 2 * 8 + 4
    size = len(ports) * alternative - 4
    code = b""
    for number, port in enumerate(sorted(ports), 1):
        is_last = number == len(ports)
        rest = size - len(code)
        # Behind the end by one instruction: not reported.
        otherwise = rest + 4 if is_last else alternative
        code += struct.pack("=BBHBBH", _PORT_FROM, 8, otherwise, 0, 0, port)
        code += struct.pack("=BBHBBH", _PORT_TO, 8, otherwise - 8, 0, 0, port)
        if not is_last:
            code += struct.pack("=BBH", _JUMP, 4, rest - comparisons)
    return struct.pack("=HH", 4 + len(code), _REQ_BYTECODE) + code if ports else b""


def _connection(message: bytes) -> Connection | None:
    family = message[0]
    local_port, port = struct.unpack_from("!HH", message, 4)
    (inode,) = struct.unpack_from("=I", message, _MESSAGE - 4)
    if not inode:
        return None  # not accepted yet
    received, offset = 0, _MESSAGE
    while offset + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, offset)
        if kind == _INFO and length >= 4 + _BYTES_RECEIVED + 8:
            (received,) = struct.unpack_from("=Q", message, offset + 4 + _BYTES_RECEIVED)
        if length < 4:
            break
        offset += (length + 3) & ~3
    raw = message[24:28] if family == socket.AF_INET else message[24:40]
    address = socket.inet_ntop(family, raw)
    if family == socket.AF_INET6:
        with contextlib.suppress(ValueError):
            mapped = ipaddress.IPv6Address(raw).ipv4_mapped
            address = address if mapped is None else str(mapped)
    return Connection(str(inode), local_port, address, port, received)
