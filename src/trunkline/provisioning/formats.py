"""Configuration files of phones. Pure.

The names of the settings are those of the manufacturers' administration guides: Yealink (V81 and later), Grandstream
(P-values, XML version 1), Snom (XML) and liblinphone (``lpconfig``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from xml.etree import ElementTree as ET

from trunkline.core.errors import InvalidInput
from trunkline.directory.model import Srtp
from trunkline.provisioning.server import Transport

VOICE_MAIL_CODE = "*98"
"""What the message key of a phone dials: the mailbox."""

_MAC = re.compile(r"(?<![0-9a-f])[0-9a-f]{12}(?![0-9a-f])")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


class PhoneKind(StrEnum):
    """Which file a phone fetches."""

    YEALINK = "yealink"
    GRANDSTREAM = "grandstream"
    SNOM = "snom"
    LINPHONE = "linphone"
    """An app with liblinphone; it has no MAC address and takes the whole address, also as a QR code."""

    @property
    def has_mac(self) -> bool:
        """Whether the name of the file contains the MAC address of the phone."""
        return self is not PhoneKind.LINPHONE


@dataclass(frozen=True, slots=True)
class PhoneSettings:
    """What a phone needs to register one line.

    :ivar login: of the line.
    :ivar name: shown to the called party inside the company, and on the display of the phone.
    :ivar host: host name or IP address of the SIP server.
    """

    login: str
    password: str = field(repr=False)
    name: str
    host: str
    port: int
    transport: Transport
    srtp: Srtp


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """:ivar content_type: of the HTTP response."""

    content_type: str
    content: bytes = field(repr=False)


def normalised_mac(text: str) -> str:
    """``805ec0aabbcc`` from any usual way of writing it.

    :raises InvalidInput: not 12 hexadecimal digits.
    """
    found = re.sub(r"[\s:.-]", "", text).lower()
    if not re.fullmatch(r"[0-9a-f]{12}", found):
        raise InvalidInput(
            "a MAC address has 12 hexadecimal digits, such as 80:5e:c0:aa:bb:cc; it is on the back of the phone",
            field="mac",
            value=text,
        )
    return found


def file_name(kind: PhoneKind, mac: str | None) -> str:
    """The file of a phone below its address."""
    names: Mapping[PhoneKind, str] = {
        PhoneKind.YEALINK: f"{mac}.cfg",
        PhoneKind.GRANDSTREAM: f"cfg{mac}.xml",
        PhoneKind.SNOM: f"snom-{mac}.xml",
        PhoneKind.LINPHONE: "linphone.xml",
    }
    return names[kind]


def is_file_of(name: str, kind: PhoneKind, mac: str | None) -> bool:
    """Whether the file is the configuration of this phone.

    A phone asks for other files, too, which do not exist (``y000000000000.cfg``, ``cfg.xml``, firmware). Snom phones write
    the model before the MAC address, and ``htm`` for ``xml``.
    """
    lowered = name.lower()
    if kind is not PhoneKind.SNOM:
        return lowered == file_name(kind, mac)
    found = _MAC.search(lowered)
    return found is not None and found[0] == mac and lowered.endswith((".xml", ".htm"))


def configuration_file(kind: PhoneKind, settings: PhoneSettings) -> ConfigurationFile:
    """The configuration of a phone."""
    makers: Mapping[PhoneKind, Callable[[PhoneSettings], ConfigurationFile]] = {
        PhoneKind.YEALINK: _yealink,
        PhoneKind.GRANDSTREAM: _grandstream,
        PhoneKind.SNOM: _snom,
        PhoneKind.LINPHONE: _linphone,
    }
    return makers[kind](settings)


def _yealink(settings: PhoneSettings) -> ConfigurationFile:
    values = {
        "enable": "1",
        "label": settings.name,
        "display_name": settings.name,
        "user_name": settings.login,
        "auth_name": settings.login,
        "password": settings.password,
        "sip_server.1.address": settings.host,
        "sip_server.1.port": str(settings.port),
        "sip_server.1.transport_type": {Transport.UDP: "0", Transport.TCP: "1", Transport.TLS: "2"}[
            settings.transport
        ],
        "srtp_encryption": _srtp(settings, "0", "1", "2"),
    }
    lines = [f"account.1.{key} = {_line(value)}" for key, value in values.items()]
    # the first line is the mark by which the phone recognises the file
    text = "\n".join(("#!version:1.0.0.1", *lines, f"voice_mail.number.1 = {VOICE_MAIL_CODE}", ""))
    return ConfigurationFile("text/plain; charset=utf-8", text.encode())


def _grandstream(settings: PhoneSettings) -> ConfigurationFile:
    transport = {Transport.UDP: "0", Transport.TCP: "1", Transport.TLS: "2"}[settings.transport]
    root = ET.Element("gs_provision", version="1")
    config = ET.SubElement(root, "config", version="1")
    for code, value in {
        "P271": "1",
        "P270": settings.name,
        "P47": f"{_bracketed(settings.host)}:{settings.port}",
        "P35": settings.login,
        "P36": settings.login,
        "P34": settings.password,
        "P3": settings.name,
        "P33": VOICE_MAIL_CODE,
        "P130": transport,
        "P183": _srtp(settings, "0", "1", "2"),
    }.items():
        ET.SubElement(config, code).text = _line(value)
    return _xml(root)


def _snom(settings: PhoneSettings) -> ConfigurationFile:
    server = f"{_bracketed(settings.host)}:{settings.port}"
    root = ET.Element("settings")
    phone = ET.SubElement(root, "phone-settings")
    for name, value in {
        "user_active": "on",
        "user_realname": settings.name,
        "user_idle_text": settings.name,
        "user_name": settings.login,
        "user_pname": settings.login,
        "user_pass": settings.password,
        "user_host": server,
        "user_outbound": f"{server};transport={settings.transport}",
        "user_mailbox": VOICE_MAIL_CODE,
        "user_srtp": _srtp(settings, "off", "on", "on"),
        "user_savp": _srtp(settings, "off", "optional", "mandatory"),
    }.items():
        ET.SubElement(phone, name, idx="1", perm="RW").text = _line(value)
    return _xml(root)


def _linphone(settings: PhoneSettings) -> ConfigurationFile:
    host = _bracketed(settings.host)
    name = _line(settings.name).replace("\\", " ").replace('"', "'")
    sections: Mapping[str, Mapping[str, str]] = {
        "sip": {
            "default_proxy": "0",
            "media_encryption": _srtp(settings, "none", "srtp", "srtp"),
            "media_encryption_mandatory": _srtp(settings, "0", "0", "1"),
        },
        "proxy_0": {
            "reg_proxy": f"<sip:{host}:{settings.port};transport={settings.transport}>",
            "reg_identity": f'"{name}" <sip:{settings.login}@{host}>',
            "reg_sendregister": "1",
        },
        "auth_info_0": {
            "username": settings.login,
            "userid": settings.login,
            "passwd": settings.password,
            "domain": host,
        },
    }
    root = ET.Element("config", xmlns="http://www.linphone.org/xsds/lpconfig.xsd")
    for section, values in sections.items():
        part = ET.SubElement(root, "section", name=section)
        for key, value in values.items():
            ET.SubElement(part, "entry", name=key, overwrite="true").text = _line(value)
    return _xml(root)


def _srtp(settings: PhoneSettings, off: str, optional: str, required: str) -> str:
    """The value for the line's SRTP. Its keys are in the signalling, so without TLS an optional SRTP protects nothing."""
    if settings.srtp is Srtp.REQUIRED:
        return required
    return optional if settings.transport is Transport.TLS else off


def _line(text: str) -> str:
    """A value that cannot begin another line or end its element."""
    return _UNPRINTABLE.sub(" ", text).strip()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _xml(root: ET.Element) -> ConfigurationFile:
    ET.indent(root)
    return ConfigurationFile(
        "text/xml; charset=utf-8", ET.tostring(root, encoding="utf-8", xml_declaration=True)
    )
