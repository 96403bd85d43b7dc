"""UUIDs of calls, for interfaces that name calls so: an id of :mod:`trunkline.core.ids` in the form of RFC 9562, version 8.

The id can be read from the UUID, so no table maps the two. The last bits are a checksum of the id, so that a UUID of another
system has no id. A UUID is no secret: a request with it needs the permission as any other.
"""

from __future__ import annotations

import hashlib
import uuid

_ID_BITS = 53
_CHECK_BITS = 58
_VERSION = 8
_VARIANT = 0b10


def uuid_of(identifier: int) -> str:
    """The UUID of a call session or a leg.

    :raises ValueError: it is no id.
    """
    if not 0 <= identifier < 1 << _ID_BITS:
        raise ValueError(f"ids are 0 to 2**{_ID_BITS} - 1, not {identifier}")
    wide = identifier << (64 - _ID_BITS)
    high, middle, low = wide >> 16, wide >> 4 & 0xFFF, wide & 0xF
    check = int.from_bytes(hashlib.blake2b(identifier.to_bytes(8), digest_size=8, person=b"call").digest())
    rest = low << _CHECK_BITS | check & ((1 << _CHECK_BITS) - 1)
    return str(uuid.UUID(int=high << 80 | _VERSION << 76 | middle << 64 | _VARIANT << 62 | rest))


def identifier_of(text: str) -> int | None:
    """The id of such a UUID, in any of its usual spellings; None: it is none of ours."""
    try:
        number = uuid.UUID(text).int
    except ValueError:
        return None
    wide = (number >> 80) << 16 | (number >> 64 & 0xFFF) << 4 | number >> _CHECK_BITS & 0xF
    identifier = wide >> (64 - _ID_BITS)
    return identifier if uuid.UUID(uuid_of(identifier)).int == number else None
