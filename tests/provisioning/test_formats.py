"""Configuration files of phones: what each kind gets, for any name."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.errors import InvalidInput
from trunkline.directory.model import Srtp
from trunkline.provisioning.formats import (
    PhoneKind,
    PhoneSettings,
    configuration_file,
    file_name,
    is_file_of,
    normalised_mac,
)
from trunkline.provisioning.server import Transport

SETTINGS = PhoneSettings(
    login="0160001",
    password="hj7KpQ2xWm9RtYv4LsNc",
    name="Anna Berg",
    host="pbx.example",
    port=9061,
    transport=Transport.TLS,
    srtp=Srtp.OPTIONAL,
)
MAC = "805ec0aabbcc"


def _values(kind: PhoneKind, settings: PhoneSettings) -> dict[str, str]:
    """The settings in a file, by the reader that the manufacturer's format has."""
    text = configuration_file(kind, settings).content.decode()
    if kind is PhoneKind.YEALINK:
        first, *lines = text.rstrip("\n").split("\n")
        assert first == "#!version:1.0.0.1"
        return {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    root = ET.fromstring(text)
    if kind is PhoneKind.LINPHONE:
        return {
            f"{section.attrib['name']}/{entry.attrib['name']}": entry.text or ""
            for section in root
            for entry in section
        }
    [inner] = root
    return {one.tag: one.text or "" for one in inner}


EXPECTED = {
    PhoneKind.YEALINK: {
        "account.1.enable": "1",
        "account.1.display_name": "Anna Berg",
        "account.1.user_name": "0160001",
        "account.1.auth_name": "0160001",
        "account.1.password": SETTINGS.password,
        "account.1.sip_server.1.address": "pbx.example",
        "account.1.sip_server.1.port": "9061",
        "account.1.sip_server.1.transport_type": "2",
        "account.1.srtp_encryption": "1",
        "voice_mail.number.1": "*98",
    },
    PhoneKind.GRANDSTREAM: {
        "P271": "1",
        "P47": "pbx.example:9061",
        "P35": "0160001",
        "P36": "0160001",
        "P34": SETTINGS.password,
        "P3": "Anna Berg",
        "P33": "*98",
        "P130": "2",
        "P183": "1",
    },
    PhoneKind.SNOM: {
        "user_active": "on",
        "user_realname": "Anna Berg",
        "user_name": "0160001",
        "user_pname": "0160001",
        "user_pass": SETTINGS.password,
        "user_host": "pbx.example:9061",
        "user_outbound": "pbx.example:9061;transport=tls",
        "user_srtp": "on",
        "user_savp": "optional",
        "user_mailbox": "*98",
    },
    PhoneKind.LINPHONE: {
        "proxy_0/reg_proxy": "<sip:pbx.example:9061;transport=tls>",
        "proxy_0/reg_identity": '"Anna Berg" <sip:0160001@pbx.example>',
        "proxy_0/reg_sendregister": "1",
        "auth_info_0/username": "0160001",
        "auth_info_0/passwd": SETTINGS.password,
        "auth_info_0/domain": "pbx.example",
        "sip/media_encryption": "srtp",
        "sip/media_encryption_mandatory": "0",
    },
}
SRTP = {
    PhoneKind.YEALINK: ("account.1.srtp_encryption", "0", "1", "2"),
    PhoneKind.GRANDSTREAM: ("P183", "0", "1", "2"),
    PhoneKind.SNOM: ("user_savp", "off", "optional", "mandatory"),
    PhoneKind.LINPHONE: ("sip/media_encryption", "none", "srtp", "srtp"),
}


@pytest.mark.parametrize("kind", PhoneKind)
def test_a_phone_gets_its_line(kind: PhoneKind) -> None:
    values = _values(kind, SETTINGS)
    assert {key: values.get(key) for key in EXPECTED[kind]} == EXPECTED[kind]


@pytest.mark.parametrize("kind", PhoneKind)
def test_media_are_encrypted_with_tls_or_when_the_line_requires_it(kind: PhoneKind) -> None:
    key, *words = SRTP[kind]
    plain = replace(SETTINGS, transport=Transport.UDP)
    found = [_values(kind, one)[key] for one in (plain, SETTINGS, replace(plain, srtp=Srtp.REQUIRED))]
    assert found == words


@given(
    kind=st.sampled_from(PhoneKind),
    name=st.text(max_size=60),
    host=st.sampled_from(["203.0.113.5", "2001:db8::5"]),
)
def test_no_name_adds_a_setting_or_damages_a_file(kind: PhoneKind, name: str, host: str) -> None:
    settings = replace(SETTINGS, name=name, host=host)
    values, usual = _values(kind, settings), _values(kind, SETTINGS)
    assert values.keys() == usual.keys()
    assert SETTINGS.password in values.values()
    if kind is PhoneKind.LINPHONE:
        assert values["proxy_0/reg_identity"].count('"') == 2


def test_a_name_in_another_script_is_kept() -> None:
    for kind in PhoneKind:
        assert any(
            "علي بن" in value for value in _values(kind, replace(SETTINGS, name="علي بن <&>")).values()
        )


@pytest.mark.parametrize(
    "written", ["80:5E:C0:AA:BB:CC", "80-5e-c0-aa-bb-cc", "805e.c0aa.bbcc", " 805EC0AABBCC "]
)
def test_a_mac_address_is_read_in_each_usual_form(written: str) -> None:
    assert normalised_mac(written) == MAC


@pytest.mark.parametrize("written", ["", "805ec0aabbc", "805ec0aabbccd", "805ec0aabbcg", "../805ec0aabbcc"])
def test_other_texts_are_no_mac_addresses(written: str) -> None:
    with pytest.raises(InvalidInput, match="12 hexadecimal digits"):
        normalised_mac(written)


@pytest.mark.parametrize("kind", PhoneKind)
def test_a_phone_gets_only_its_own_file(kind: PhoneKind) -> None:
    mac = MAC if kind.has_mac else None
    assert is_file_of(file_name(kind, mac), kind, mac)
    assert is_file_of(file_name(kind, mac).upper(), kind, mac)
    for other in (
        "y000000000000.cfg",
        "cfg.xml",
        "snom370.htm",
        file_name(kind, "805ec0aabbcd"),
        "firmware.rom",
    ):
        if other != "linphone.xml":
            assert not is_file_of(other, kind, mac)


def test_a_snom_phone_names_its_model() -> None:
    assert is_file_of(f"snomD785-{MAC.upper()}.htm", PhoneKind.SNOM, MAC)
    assert not is_file_of(f"snomD785-{MAC}0.htm", PhoneKind.SNOM, MAC)
