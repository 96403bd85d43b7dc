"""Types of settings that are addresses, networks, host names or URLs: a wrong value is refused at the start. Pure.

Each error has the value and the form that is accepted; the name of the setting is added where the settings are read. Values
of such settings are written into configurations of other programs, so no value contains spaces or line ends.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

_ADDRESS_FORM = "write 192.0.2.5 or 2001:db8::5"
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"({_LABEL}\.)*{_LABEL}\.?", re.ASCII)
_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)


def _parse_address(value: str) -> IPv4Address | IPv6Address:
    """:raises ValueError: it is no address, or has a character that is not of an address."""
    if _PRINTABLE.fullmatch(value) is None:
        raise ValueError("not an address")
    return ip_address(value)


def bind_address(value: str) -> str:
    """An IP address to listen on.

    :raises ValueError: another text, as a host name: a server listens on the addresses of its machine.
    """
    try:
        return str(_parse_address(value))
    except ValueError:
        raise ValueError(
            f"{value!r} is not an IP address; {_ADDRESS_FORM}, or 0.0.0.0 for all addresses of this machine"
        ) from None


def external_address(value: str) -> str:
    """The IPv4 address of one machine. Asterisk resolves no names, and there is no NAT for IPv6.

    :raises ValueError: another text.
    """
    try:
        address = _parse_address(value)
        is_usable = address.version == 4 and not (address.is_unspecified or address.is_multicast)
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ValueError(
            f"{value!r} is not the IPv4 address of one machine; write the public address as 203.0.113.5. Host names are not"
            " resolved here; for names in links and for phones use web.public_url"
        )
    return value


def network(value: str) -> str:
    """A network, or one address.

    :raises ValueError: another text, or an address within a network.
    """
    try:
        if _PRINTABLE.fullmatch(value) is None or "%" in value:
            raise ValueError
        found = ip_network(value, strict=False)
    except ValueError:
        raise ValueError(
            f"{value!r} is not a network; write 192.168.5.0/24 or 2001:db8::/32, or one address as 192.168.5.7"
        ) from None
    try:
        return str(ip_network(value))
    except ValueError:
        raise ValueError(
            f"{value!r} is an address within a network; write {found} for the network, or the address without /"
        ) from None


def is_reachable_host(value: str) -> bool:
    """Whether a value is an IP address that a client can connect to, or a host name."""
    try:
        return not _parse_address(value).is_unspecified
    except ValueError:
        # The last label of a host name has a letter: 127.0.0.300 is none.
        is_name = _HOST_NAME.fullmatch(value) is not None
        return is_name and not value.rstrip(".").rpartition(".")[2].isdigit()


def host(value: str) -> str:
    """The host name or IP address of one machine.

    :raises ValueError: another text, as a URL or a name with a port.
    """
    if not is_reachable_host(value):
        raise ValueError(
            f"{value!r} is not a host; write the name or the IP address of one machine (mail.example, 192.0.2.5) without"
            " scheme and port"
        )
    return value


def web_url(value: str) -> str:
    """``http://`` or ``https://`` URL without user, query and fragment; a slash at its end is dropped.

    :raises ValueError: another text.
    """
    if not _is_web_url(value):
        raise ValueError(
            f"{value!r} is not a URL; write https://pbx.example or https://pbx.example:8443 (http:// or https://, a host,"
            " no user, no ? and no #)"
        )
    return value.rstrip("/")


def _is_web_url(value: str) -> bool:
    if _PRINTABLE.fullmatch(value) is None or any(one in value for one in "?#\"'<>\\"):
        return False
    try:
        parts = urlsplit(value)
        _ = parts.port  # its ValueError: not a number
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and "@" not in parts.netloc
        and parts.hostname is not None
        and is_reachable_host(parts.hostname)
    )


def archive_url(value: str) -> str:
    """The URL of a Debian archive: ``http://``, ``https://`` (also with user and password) or ``file:///``.

    :raises ValueError: another text.
    """
    bare = re.sub(r"^(https?://)[^@/]*@", r"\1", value)
    is_folder = re.fullmatch(r"file:///[!-~]+", value) is not None
    if not is_folder and not (_PRINTABLE.fullmatch(value) and _is_web_url(bare)):
        raise ValueError(
            f"{value!r} is not the URL of an archive; write https://debian.mirror.example/debian, or file:///srv/debian"
        )
    return value


def database_url(value: str) -> str:
    """A URI of PostgreSQL, or parameters of libpq. The error does not have the value: it may contain a password.

    :raises ValueError: another text.
    """
    if re.match(r"postgres(ql)?://|\s*[a-z_]+\s*=", value) is None:
        raise ValueError(
            "the value is not a connection of PostgreSQL; write postgresql://user:password@host:5432/database, or"
            " parameters of libpq (host=... dbname=...)"
        )
    return value


def origin(value: str) -> str:
    """An origin of a browser, or ``*``.

    :raises ValueError: another text.
    """
    if value != "*" and not re.fullmatch(r"https?://[^/\s@?#*]+", value):
        raise ValueError(f"{value!r} is not an origin; write https://crm.example without a path, or *")
    return value


def header_name(value: str) -> str:
    """The name of an HTTP header.

    :raises ValueError: another text.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", value):
        raise ValueError(f"{value!r} is not the name of a header; write for example CF-IPCountry")
    return value


BindAddress = Annotated[str, AfterValidator(bind_address)]
ExternalAddress = Annotated[str, AfterValidator(external_address)]
Network = Annotated[str, AfterValidator(network)]
Host = Annotated[str, AfterValidator(host)]
ArchiveUrl = Annotated[str, AfterValidator(archive_url)]
WebUrl = Annotated[str, AfterValidator(web_url)]
DatabaseUrl = Annotated[str, AfterValidator(database_url)]
Origin = Annotated[str, AfterValidator(origin)]
HeaderName = Annotated[str, AfterValidator(header_name)]
