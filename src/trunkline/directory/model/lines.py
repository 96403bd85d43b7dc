"""SIP lines and trunks."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class LineType(StrEnum):
    IN_OUT = "in_out"
    IN = "in"
    OUT = "out"


class BillingState(StrEnum):
    ACTIVE = "active"
    MANUAL_LOCK = "manual_lock"
    LIMIT_LOCK = "limit_lock"


class LineStatus(StrEnum):
    ACTIVE = "active"
    INACTIVE = "inactive"


class Srtp(StrEnum):
    """Encryption of the media of a line's phones."""

    OPTIONAL = "optional"
    """Offered in a way that phones without it accept. Some phones that require it refuse this offer."""
    REQUIRED = "required"


class TrunkMode(StrEnum):
    ADDRESS = "address"
    """Recognised by where its calls come from."""
    REGISTER = "register"
    """We register at it with user and password."""


class Transport(StrEnum):
    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class NumberFormat(StrEnum):
    """The format of numbers on a trunk."""

    E164 = "e164"
    PLUS_E164 = "+e164"


@dataclass(frozen=True, slots=True)
class SipLine:
    account_id: int
    sip_line_id: int
    phone_number: str
    """The SIP login."""
    ha1_md5: str = field(repr=False)
    ha1_sha256: str = field(repr=False)
    employee_id: int | None
    virtual_number_id: int | None
    """Caller id of its outside calls."""
    type: LineType
    channels_count: int
    dial_time: int
    billing_state: BillingState
    status: LineStatus
    srtp: Srtp = Srtp.OPTIONAL
    browsers_only: bool = False
    """Its credential is that of the console's pages: it is not valid for phones."""


@dataclass(frozen=True, slots=True)
class Trunk:
    account_id: int
    trunk_id: int
    name: str
    mode: TrunkMode
    host: str
    port: int
    transport: Transport
    username: str | None
    password: str | None = field(repr=False)
    addresses: tuple[str, ...]
    """Networks (``192.0.2.0/24``) its calls come from, in addition to ``host``."""
    codecs: tuple[str, ...]
    max_channels: int
    """0 = no limit."""
    number_format: NumberFormat
    is_active: bool
