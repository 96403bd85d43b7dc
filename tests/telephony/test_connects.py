from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.clock import Instant
from trunkline.core.engine_values import BadEngineValue, CallTag, DisplayName, EndpointName, MediaPath
from trunkline.telephony.connects import dial_variables, line_names, short_connect, trunk_name
from trunkline.telephony.port import Channel, Connect, Endpoint, EndpointKind, Target
from trunkline.telephony.registrations import Contact

LINE = Endpoint.line("1001")
TRUNK = Endpoint(EndpointKind.TRUNK, EndpointName("trunk-7"))


def contact(endpoint: str, uri: str) -> Contact:
    return Contact(endpoint, uri, "192.0.2.1", 5060, "udp", "", Instant(0.0), None, None, None)


def variables(connect: Connect) -> dict[str, str]:
    return dial_variables(
        Channel("c1"), connect, ["PJSIP/1001"], {one: one.caller_number for one in connect.targets}
    )


def test_what_is_dialled_for_a_line() -> None:
    desk, web = contact("1001", "sip:1001@192.0.2.1"), contact("web-1001", "sip:x@192.0.2.2;transport=ws")
    assert line_names("1001", []) == ["PJSIP/1001/-"]
    assert line_names("1001", [web]) == ["PJSIP/web-1001/sip:x@192.0.2.2;transport=ws"]
    assert line_names("1001", [desk, web]) == [
        "PJSIP/1001/sip:1001@192.0.2.1",
        "PJSIP/web-1001/sip:x@192.0.2.2;transport=ws",
    ]


def test_one_number_for_all_goes_as_an_argument() -> None:
    found = variables(Connect([Target.of(LINE, caller_number="12025550110")], 20))
    assert found == {
        "TL_DIAL": "PJSIP/1001",
        "TL_RING": "20",
        "TL_OPTS": "iIb(tl-callee^number^1(12025550110))g",
    }


def test_each_target_shows_its_own_caller() -> None:
    targets = [Target.of(LINE, None, "12025550110", "Dana (home), x"), Target.of(TRUNK, "1", "442079460100")]
    found = variables(Connect(targets, 20, return_after_talk=False))
    assert found["TL_OPTS"] == "iIb(tl-callee^caller^1)"
    assert found["__TL_CA_1001"] == found["__TL_CA_web-1001"] == "Dana (home), x"
    assert found["__TL_CN_trunk-7"] == "442079460100"


def test_recording_needs_a_tag() -> None:
    assert "U(" not in variables(Connect([Target(LINE)], 20, record=True))["TL_OPTS"]
    found = variables(Connect([Target(LINE)], 20, record=True, tag=CallTag("77")))
    assert found["TL_REC"] == "77/c1.sln"
    assert "U(tl-record^77)" in found["TL_OPTS"]


@pytest.mark.parametrize(
    "hostile",
    [
        "sip:x&PJSIP/trunk-7/sip:88216@192.0.2.1:5060",
        "sip:x,60,U(tl-record^/etc)@192.0.2.1",
        "sip:x@192.0.2.1;a=b&Local/1@tl-in",
        "sip:x@192.0.2.1?Route=%3Csip:evil%3E",
        'sip:"x"@192.0.2.1',
        "sip:${X}@192.0.2.1",
        "sip:x@192.0.2.1\n",
        "sip:x@192.0.2.1;maddr=192.0.2.9",
        "sip:x@192.0.2.1;ob;MAddr=192.0.2.9",
        "sip:x@192.0.2.1;%6daddr=192.0.2.9",
        "sip:x@192.0.2.1;method=REFER",
        "sip:x@192.0.2.1/-",
        f"sip:{'x' * 400}@192.0.2.1",
        "tel:1",
    ],
)
def test_the_address_a_phone_registers_with_dials_nobody_else(hostile: str) -> None:
    good, bad = contact("1001", "sip:1001@192.0.2.1"), contact("1001", hostile)
    assert line_names("1001", [good, bad]) == ["PJSIP/1001/sip:1001@192.0.2.1"]
    assert line_names("1001", [bad]) == ["PJSIP/1001/-"]
    assert line_names("1001", [bad, contact("web-1001", hostile)]) == ["PJSIP/1001/-"]


@pytest.mark.parametrize(
    "usual",
    [
        "sip:1001@192.0.2.1:5060",
        "sip:1001@192.0.2.1:61234;ob",
        "sips:abc-0x5f@192.0.2.1:5061;transport=TLS",
        "sip:1001@[2001:db8::1]:5060;transport=tcp",
        "sip:a1b2c3@192.0.2.1:49152;transport=ws",
        "sip:1001@192.0.2.1:2048;line=q4tl3d0b",
        "sip:1001@192.0.2.1:5060;rinstance=5c1d7e3f9a;transport=UDP",
        "sip:+12025550110%23@192.0.2.1;mobile=1",
        "sip:192.0.2.1",
        "sip:1001@192.0.2.1;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    ],
)
def test_usual_addresses_of_phones_are_dialled(usual: str) -> None:
    assert line_names("1001", [contact("1001", usual)]) == [f"PJSIP/1001/{usual}"]


@given(st.text(), st.text(), st.text())
def test_nothing_a_caller_sends_becomes_an_option(number: str, caller: str, name: str) -> None:
    try:
        target = Target.of(TRUNK, number, caller, name)
    except BadEngineValue:
        target = Target.of(TRUNK, "1", caller, name)
    found = variables(Connect([target], 20))
    shown = ("2" if target.caller_number else "", "n" if target.caller_name else "")
    quiet = variables(Connect([Target.of(TRUNK, "1", *shown)], 20))
    assert found["TL_OPTS"].count("(") <= quiet["TL_OPTS"].count("(")
    assert "," not in found["TL_OPTS"]
    dialled = trunk_name("trunk-7", number)
    assert dialled.endswith("@trunk-7")
    assert not set("&,/@()$") & set(dialled.removeprefix("PJSIP/").removesuffix("@trunk-7"))


def short(
    connect: Connect, known: str | None = "12025550110", name: str = "PJSIP/1001/sip:1001@192.0.2.1"
) -> str | None:
    return short_connect(connect, [name], {one: one.caller_number for one in connect.targets}, known)


def test_the_usual_connect_is_one_word() -> None:
    target = Target.of(LINE, caller_number="12025550110")
    assert short(Connect([target], 20, tag=CallTag("77"), record=True)) == "r~20~77~1001~g"
    assert short(Connect([target], 20, tag=CallTag("77"), return_after_talk=False)) == "p~20~77~1001~"


def test_what_is_not_usual_takes_variables() -> None:
    target = Target.of(LINE, caller_number="12025550110")
    usual = Connect([target], 20, tag=CallTag("77"))
    assert short(usual, known="12025550111") is None, (
        "the caller's own number is not what the phone shall show"
    )
    assert short(usual, known=None) is None
    assert short(usual, name="PJSIP/1001/-") is None, "no device"
    assert short(usual, name="PJSIP/1001${EVIL}") is None
    assert short(usual, name=f"PJSIP/{'1' * 80}") is None, "longer than an extension may be"
    assert short(replace(usual, tag=CallTag(""))) is None
    assert short(replace(usual, music=MediaPath("/media/melody"))) is None
    assert short(replace(usual, announcement=(MediaPath("/media/hello"),))) is None
    assert short(replace(usual, targets=[replace(target, caller_name=DisplayName("Kim"))])) is None
