"""New connections of single addresses are dropped at a listening socket, before the program accepts them.

A socket filter (classic BPF) applies to the packets of a listening socket, SYN included, and needs no rights. The other
side gets no answer, as behind a firewall. Connections that exist are not affected.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import socket
import struct
from collections.abc import Iterable

ADDRESSES_MAX = 500
"""More do not fit into the memory that a socket may use for its options (``net.core.optmem_max``, at least 20 KiB)."""

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_LOAD, _AND, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
_SOURCE = (-0x100000 + 12) & 0xFFFFFFFF
"""Offset of the source address in the IPv4 header (``SKF_NET_OFF`` + 12)."""
_WHOLE = 0xFFFFFFFF


def drop(listening: socket.socket, addresses: Iterable[str], only: Iterable[str] | None = None) -> int:
    """Drop new connections of these IPv4 addresses and of no others; returns how many addresses are in force.

    Other kinds of addresses are left out, and of more than :data:`ADDRESSES_MAX` the last ones.

    :param only: when it is given, new connections of all other addresses are dropped, too; addresses and networks.
    :raises OSError: the kernel refuses the filter.
    """
    is_v4 = listening.family == socket.AF_INET
    wanted = _v4(addresses)[:ADDRESSES_MAX] if is_v4 else []
    accepted = None if only is None or not is_v4 else _networks(only)[: ADDRESSES_MAX - len(wanted)]
    if not wanted and accepted is None:
        with contextlib.suppress(FileNotFoundError):  # there is none
            listening.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
        return 0
    code = [(_LOAD, 0, 0, _SOURCE)]
    for address in wanted:
        code += [(_JUMP_IF_EQUAL, 0, 1, address), (_RETURN, 0, 0, 0)]
    for address, mask in accepted or ():
        if mask != _WHOLE:
            code += [(_LOAD, 0, 0, _SOURCE), (_AND, 0, 0, mask)]
        code += [(_JUMP_IF_EQUAL, 0, 1, address), (_RETURN, 0, 0, _WHOLE)]
    code.append((_RETURN, 0, 0, _WHOLE if accepted is None else 0))
    compiled = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in code))
    listening.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(code), ctypes.addressof(compiled))
    )
    return len(wanted)


def _v4(addresses: Iterable[str]) -> list[int]:
    found = []
    for text in addresses:
        try:
            found.append(int(ipaddress.IPv4Address(text)))
        except ValueError:
            continue
    return found


def _networks(texts: Iterable[str]) -> list[tuple[int, int]]:
    """Address and mask of each, single addresses first: after a mask the address has to be loaded again."""
    found = []
    for text in texts:
        try:
            network = ipaddress.IPv4Network(text)
        except ValueError:
            continue
        found.append((int(network.network_address), int(network.netmask)))
    return sorted(found, key=lambda one: one[1] != _WHOLE)
