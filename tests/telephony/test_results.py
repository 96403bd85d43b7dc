from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.telephony.port import ConnectResult
from trunkline.telephony.results import connect_result


@pytest.mark.parametrize(
    ("status", "cause", "result"),
    [
        ("ANSWER", 16, ConnectResult.ANSWERED),
        ("BUSY", 17, ConnectResult.BUSY),
        ("CANCEL", 0, ConnectResult.CANCELLED),
        ("NOANSWER", 0, ConnectResult.NO_ANSWER),
        ("NOANSWER", 21, ConnectResult.NO_ANSWER),
        ("CONGESTION", 17, ConnectResult.BUSY),
        ("CONGESTION", 18, ConnectResult.NO_ANSWER),
        ("CHANUNAVAIL", 19, ConnectResult.NO_ANSWER),
        ("CONGESTION", 21, ConnectResult.DECLINED),
        ("CHANUNAVAIL", 21, ConnectResult.DECLINED),
        ("CHANUNAVAIL", 20, ConnectResult.UNREACHABLE),
        ("CHANUNAVAIL", 1, ConnectResult.UNREACHABLE),
        ("CONGESTION", 34, ConnectResult.UNREACHABLE),
        ("CHANUNAVAIL", 0, ConnectResult.UNREACHABLE),
    ],
)
def test_words_of_asterisk_in_ours(status: str, cause: int, result: ConnectResult) -> None:
    assert connect_result(status, cause) is result


@given(st.text(), st.integers())
def test_anything_has_a_result(status: str, cause: int) -> None:
    assert connect_result(status, cause) in ConnectResult


@given(st.text().filter(lambda one: one != "ANSWER"), st.integers())
def test_only_an_answer_is_answered(status: str, cause: int) -> None:
    assert connect_result(status, cause) is not ConnectResult.ANSWERED
