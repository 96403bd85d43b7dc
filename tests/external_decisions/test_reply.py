"""Forms of a reply."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.directory.model import RequestParameter
from trunkline.external_decisions.reply import (
    CODES_MAX,
    PHONES_MAX,
    REPLY_MAX,
    InvalidReply,
    Reply,
    Said,
    parse,
)
from trunkline.external_decisions.request import parameters, shown, with_query


def read(value: Any) -> Reply:
    return parse(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (
            {"phones": ["74959876543", "79030000008"], "message_name": "10sec.mp3"},
            Reply(message=Said("10sec.mp3"), phones=("74959876543", "79030000008")),
        ),
        (
            {"text": "Hello", "phones": ["79030000009"]},
            Reply(message=Said(text="Hello"), phones=("79030000009",)),
        ),
        ({"message_name": "10sec.mp3"}, Reply(message=Said("10sec.mp3"))),
        ({"text": "Hi"}, Reply(message=Said(text="Hi"))),
        ({"phones": ["79030000010"]}, Reply(phones=("79030000010",))),
        ({"phones": 79030000010}, Reply(phones=("79030000010",))),
        (
            {"phones": ["201"], "operator_message": "op_hint.mp3"},
            Reply(phones=("201",), employee_message=Said("op_hint.mp3")),
        ),
        (
            {"phones": ["201"], "operator_message": {"operator_media": "a", "operator_text": "b"}},
            Reply(phones=("201",), employee_message=Said("a", "b")),
        ),
        ({"phones": ["201"], "operator_text": "b"}, Reply(phones=("201",), employee_message=Said(text="b"))),
        ({"phones": ["201"], "operator_media": "a"}, Reply(phones=("201",), employee_message=Said("a"))),
        ({"returned_code": 1}, Reply(codes=("1",))),
        ({"returned_code": " vip "}, Reply(codes=("vip",))),
        ({"returned_code": [1, "vip"]}, Reply(codes=("1", "vip"))),
        ({"returned_code": 2, "phones": ["201"], "text": 5}, Reply(codes=("2",))),
    ],
)
def test_each_form(given_: Any, expected: Reply) -> None:
    assert read(given_) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"phones": []}',
        b'{"phones": [["1"]]}',
        b'{"phones": [true]}',
        b'{"phones": {"a": 1}}',
        b'{"text": 1}',
        b'{"message_name": ["a"]}',
        b'{"returned_code": {}}',
        b'{"returned_code": true}',
        b'{"returned_code": " "}',
        b'{"returned_code": 1.5}',
        b"[" * 100_000,
        b"\xff\xfe",
        json.dumps({"phones": ["1"] * (PHONES_MAX + 1)}).encode(),
        json.dumps({"returned_code": [1] * (CODES_MAX + 1)}).encode(),
        json.dumps({"text": "x" * REPLY_MAX}).encode(),
        json.dumps({"text": "x" * 2001}).encode(),
        b'{"phones": ["201"], "message_name": "x\\u0000"}',
        b'{"phones": ["201\\u0000"]}',
        b'{"text": "\\ud800"}',
        b'{"returned_code": "\\udfff1"}',
        b'{"phones": ["201"], "operator_message": {"operator_text": "a\\u0000"}}',
    ],
)
def test_what_is_no_reply_is_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(InvalidReply, match=r"\w"):
        parse(body)


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["phones", "text", "message_name", "returned_code", "operator_message"]) | st.text(max_size=5),
        inner,
        max_size=4,
    ),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_a_reply_is_read_or_refused(body: bytes) -> None:
    try:
        found = parse(body)
    except InvalidReply:
        return
    assert found.codes or found.phones or found.message
    texts = (*found.codes, *found.phones, found.message.name, found.message.text, found.employee_message.name)
    for text in texts:
        assert text is None or "\x00" not in text
        (text or "").encode()


def test_the_request() -> None:
    values = {
        RequestParameter.NUMA: None,
        RequestParameter.NUMB: "12025550110",
        RequestParameter.INPUT_RESULT: "None",
        RequestParameter.CDR_ID: 5,
    }
    sent = parameters(values, ["input_result", "numa", "numb", "direction"])
    assert sent == {"numa": "", "numb": "12025550110", "input_result": "None"}
    assert (
        with_query("http://crm.example/call", sent)
        == "http://crm.example/call?numa=&numb=12025550110&input_result=None"
    )
    assert (
        with_query("http://crm.example/call?key=1#x", {"numa": "1 &2"})
        == "http://crm.example/call?key=1&numa=1+%262"
    )
    assert with_query("http://crm.example/call?", {}) == "http://crm.example/call?"


def test_what_a_log_shows_of_a_url_has_no_secret() -> None:
    assert (
        shown("https://me:secret@crm.example:8443/call/1?key=secret#x") == "https://crm.example:8443/call/1"
    )
    assert shown("https://crm.example?key=secret") == "https://crm.example"
