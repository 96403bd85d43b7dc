"""Values that reach Asterisk, one type for each place: configuration files, dialplan, commands, SIP addresses.

Each type is a text whose constructor refuses everything that is not valid in its place, so a function that takes the type
needs no further check. A value that cannot be written is a :class:`BadEngineValue`, never a changed value; where a
shortened or cleaned form is as good (a name on a display), the type has ``cleaned``.

Permitted characters: the parser of Asterisk's configuration files takes ``;`` as a comment unless ``\\`` precedes it
and strips spaces around a value; ``Dial()`` takes ``,`` ``&`` ``(`` ``)`` ``^`` as separators; RFC 3261 section 25.1 says
which characters of a SIP address are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import ClassVar, Self
from urllib.parse import quote

DISK_FULL = "TL_DISK_FULL"
"""Global variable of the dialplan: "1" while the disk is full, because a call could not be stored."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, line separators and halves of surrogates: not valid in any place."""


class BadEngineValue(ValueError):  # noqa: N818 - the name describes the value
    """A value that is not valid in its place. The message never contains a secret."""


class EngineValue(str):
    """A text that is safe in its place. Compares and hashes as the text."""

    __slots__ = ()
    what: ClassVar[str]
    """Names the value in a message."""
    form: ClassVar[str]
    """What is allowed, for the reader of a message."""
    pattern: ClassVar[re.Pattern[str]]
    secret: ClassVar[bool] = False

    def __new__(cls, text: str) -> Self:
        """:raises BadEngineValue: the text is not one of these."""
        if type(text) is cls:
            return text
        if not cls.is_good(text):
            shown = cls.what if cls.secret else f"{text[:80]!r} is no {cls.what}:"
            raise BadEngineValue(f"{shown} {'must be' if cls.secret else 'write'} {cls.form}")
        return super().__new__(cls, text)

    @classmethod
    def is_good(cls, text: str) -> bool:
        return cls.pattern.fullmatch(text) is not None


def checked(kind: type[EngineValue]) -> Callable[[str], str]:
    """A check of plain texts for forms: returns the text unchanged.

    :raises BadEngineValue: by the function returned.
    """

    def check(text: str) -> str:
        kind(text)
        return text

    return check


# --- lines -------------------------------------------------------------------------------------------------


class SipLogin(EngineValue):
    """Login of a SIP line, also its name in the engine."""

    what, form = "login of a line", "1 to 32 digits"
    pattern = re.compile(r"[0-9]{1,32}")


class Ha1(EngineValue):
    """Digest of ``login:realm:password`` in hexadecimal: MD5 or SHA-256."""

    what, form, secret = "the digest of a password", "32 or 64 hexadecimal digits", True
    pattern = re.compile(r"(?:[0-9a-f]{32}|[0-9a-f]{64})?")


class EndpointName(EngineValue):
    """Name of a peer in the engine: a line, the browsers of a line, the visitors of a website, or a trunk."""

    what, form = "endpoint", "a login, web-<login>, site-<id> or trunk-<id>"
    pattern = re.compile(r"(?:web-)?[0-9]{1,32}|site-[0-9]{1,19}|trunk-[0-9]{1,19}(?:-ip)?")


class SiteId(EngineValue):
    what, form = "id of a website", "digits"
    pattern = re.compile(r"[0-9]{1,19}")


# --- trunks ------------------------------------------------------------------------------------------------


class TrunkId(EngineValue):
    what, form = "id of a trunk", "digits"
    pattern = re.compile(r"[0-9]{1,19}")


class HostAddress(EngineValue):
    """A host name, an IPv4 address or an IPv6 address without brackets."""

    what, form = "server address", "a host name or an IP address, without port"
    _name = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
                       r"(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*")  # fmt: skip
    _number = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")

    @classmethod
    def is_good(cls, text: str) -> bool:
        try:
            return not getattr(ip_address(text), "scope_id", None)
        except ValueError:
            # what ends in a number is an address (RFC 1123 section 2.1), and not one that was written in full
            return cls._name.fullmatch(text) is not None and not cls._number.fullmatch(
                text.rpartition(".")[2]
            )

    @property
    def in_uri(self) -> str:
        """As the host of a SIP address: IPv6 in brackets."""
        try:
            return f"[{self}]" if isinstance(ip_address(self), IPv6Address) else str(self)
        except ValueError:
            return str(self)


class ServerIp(HostAddress):
    """An IP address that the engine connects to; IPv6 without brackets."""

    what, form = "address of a server", "an IPv4 or IPv6 address"

    @classmethod
    def is_good(cls, text: str) -> bool:
        return is_address(text)


def is_address(text: str) -> bool:
    """Whether the text is one IP address, and no name."""
    try:
        return not getattr(ip_address(text), "scope_id", None)
    except ValueError:
        return False


class Port(int):
    """A port of TCP or UDP."""

    __slots__ = ()

    def __new__(cls, number: int) -> Self:
        """:raises BadEngineValue: not between 1 and 65535."""
        if not 1 <= number <= 65535:
            raise BadEngineValue(f"{number} is not a port: write 1 to 65535")
        return super().__new__(cls, number)


class IpNetwork(EngineValue):
    """An address or a network in CIDR form."""

    what, form = "address or network", "192.0.2.7 or 192.0.2.0/24"

    @classmethod
    def is_good(cls, text: str) -> bool:
        try:
            return not getattr(ip_network(text).network_address, "scope_id", None)
        except ValueError:
            return False


class SipUser(EngineValue):
    """A login at a carrier. The engine takes any character that is neither a control character nor a space and needs no
    quoting in a header; in a SIP address it is escaped."""

    what = "login"
    form = 'up to 128 characters without spaces, quotation marks ("), < > and backslashes'

    @classmethod
    def is_good(cls, text: str) -> bool:
        return 0 < len(text) <= 128 and not _CONTROL.search(text) and not re.search(r'[\s"<>\\]', text)

    @property
    def in_file(self) -> str:
        """As a value in a configuration file."""
        return _escaped(self)

    @property
    def in_uri(self) -> str:
        """As the user of a SIP address, in a configuration file."""
        return _escaped(quote(self, safe="-_.!~*'()&=+$,/"))


class SipSecret(EngineValue):
    """A password at a carrier: anything on one line, since it is never sent, only hashed."""

    what, secret = "the password", True
    form = "up to 200 characters on one line, without spaces at its ends and without a semicolon behind a backslash"

    @classmethod
    def is_good(cls, text: str) -> bool:
        return len(text) <= 200 and not _CONTROL.search(text) and text == text.strip() and "\\;" not in text

    @property
    def in_file(self) -> str:
        return _escaped(self)


class Codec(EngineValue):
    what, form = "codec", "alaw, ulaw, g722 or opus"
    pattern = re.compile(r"alaw|ulaw|g722|opus")


def _escaped(text: str) -> str:
    return text.replace(";", "\\;")


# --- calls -------------------------------------------------------------------------------------------------


class DialNumber(EngineValue):
    """A number dialled through a trunk, or the called number of a route."""

    what, form = "number", "digits, letters, *, # and + (at most 80)"
    pattern = re.compile(r"[0-9A-Za-z+*#]{1,80}")


class PhoneDigits(EngineValue):
    """A virtual number of this PBX."""

    what, form = "telephone number", "1 to 32 digits"
    pattern = re.compile(r"[0-9]{1,32}")


class CallerNumber(EngineValue):
    """What a phone shows as the number; "" = none."""

    what, form = "caller's number", "digits, letters, *, # and + (at most 80)"
    pattern = re.compile(r"[0-9A-Za-z+*#]{0,80}")
    _other = re.compile(r"[^0-9A-Za-z+*#]")

    @classmethod
    def cleaned(cls, text: str) -> Self:
        """Remove characters that a number cannot contain; callers can send any text."""
        return cls(cls._other.sub("", text)[:80])


_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that change the order in which a display shows the others."""


class DisplayName(EngineValue):
    """What a phone shows as the name, in any script; "" = none."""

    what, form = "name", "up to 100 characters on one line, without quotation marks, < > and backslashes"

    @classmethod
    def is_good(cls, text: str) -> bool:
        return len(text) <= 100 and not _CONTROL.search(text) and not re.search(r'["\\<>]', text)

    @classmethod
    def cleaned(cls, text: str) -> Self:
        """Without what a display does not show or a header does not take."""
        return cls(re.sub(r'["\\<>]', "", _CONTROL.sub(" ", _DIRECTION.sub("", text)))[:100].strip())


class ContactUri(EngineValue):
    """The SIP address of a registered device, for ``Dial()``. It comes from the phone, so it is not trusted.

    It has neither headers (``?Route=``) nor the parameters ``maddr`` and ``method``, with which a request would go
    elsewhere: no parameter's name begins with ``ma`` or ``me``.
    """

    what, form = (
        "address of a device",
        "a SIP address without headers, maddr and method (at most 400 characters)",
    )
    pattern = re.compile(
        r"(?=.{1,400}$)sips?:([A-Za-z0-9=.+_~%!*'-]+@)?[][A-Za-z0-9.:-]+"
        r"(;([A-LN-Za-ln-z0-9.+_-][A-Za-z0-9.+_-]*|[mM]([B-DF-Zb-df-z0-9.+_-][A-Za-z0-9.+_-]*)?)"
        r"(=[][A-Za-z0-9.:+_~%!*'-]*)?)*"
    )


class CallTag(EngineValue):
    """Marks the channels of one call: its session id."""

    what, form = "mark of a call", "letters, digits, _ and - (at most 64)"
    pattern = re.compile(r"[0-9A-Za-z_-]{0,64}")


class EmergencyRouteName(EngineValue):
    """Names the emergency route of a line in the dialplan: the account and a number."""

    what, form = "name of an emergency route", "<account>~<number>"
    pattern = re.compile(r"[0-9]{1,19}~[0-9]{1,9}")


class WatchersName(EngineValue):
    """Names what the phones of one account may watch: the account."""

    what, form = "name of watchers", "<account>"
    pattern = re.compile(r"[0-9]{1,19}")


class Keys(EngineValue):
    """DTMF; a dot is a pause of one second."""

    what, form = "keys", "0-9, A-D, *, # and dots"
    pattern = re.compile(r"[0-9A-Da-d*#.]{0,200}")


class MediaPath(EngineValue):
    """A sound file, absolute, without extension."""

    what = "sound file"
    form = "an absolute path of letters, digits, spaces and . _ ~ + @ = - / (at most 500 characters)"
    pattern = re.compile(r"/[\w ./~+@=-]{0,498}[\w./~+@=-]")
