"""The small rules: what a dialled number means, durations, causes, tables of states."""

from __future__ import annotations

from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls import company as c
from tests.calls.company import company
from trunkline.calls.durations import durations, whole_seconds
from trunkline.calls.finish_reasons import Side, cause_for_refusal, cause_for_result, reason_unanswered
from trunkline.calls.flows.number_plan import ToEmployee, ToGroup, ToLine, ToOutside, destination, to_e164
from trunkline.calls.session import LEG_STATES, PHASES, IllegalTransitionError, LegState, Phase, Session, move
from trunkline.core.clock import Instant
from trunkline.events.reasons import Reason
from trunkline.telephony.port import ConnectResult

ACCOUNT = company()


@pytest.mark.parametrize(
    ("dialled", "where"),
    [
        ("101", ToEmployee),
        ("200", ToGroup),
        (c.BORIS_LINE, ToLine),
        (c.CUSTOMER, ToOutside),
        ("777", type(None)),
        ("12", type(None)),
        ("", type(None)),
        ("*101", type(None)),
        ("abc", type(None)),
    ],
)
def test_destinations(dialled: str, where: type[object]) -> None:
    assert isinstance(destination(ACCOUNT, dialled), where)


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("+12025550111", "AE", "12025550111"),
        ("0012025550111", "AE", "12025550111"),
        ("12025550111", "AE", "12025550111"),
        ("0500000010", "AE", "971500000010"),
        ("971500000010", "AE", "971500000010"),
        ("+971 50 000 0010", "AE", "971500000010"),
        ("2025550111", "US", "12025550111"),
        ("02079460010", "GB", "442079460010"),
    ],
)
def test_numbers_as_people_dial_them(text: str, country: str, number: str) -> None:
    assert to_e164(text, country) == number


@given(st.text(max_size=40), st.sampled_from(["AE", "US", "GB", "DE", "XX", ""]))
def test_anything_dialled_is_a_number_or_nothing(text: str, country: str) -> None:
    number = to_e164(text, country)
    assert number is None or (number.isascii() and number.isdigit() and 1 <= len(number) <= 17)
    where = destination(ACCOUNT, text)
    if isinstance(where, ToOutside):
        assert where.number.isdigit()


@given(st.from_regex(r"[1-9][0-9]{7,14}", fullmatch=True))
def test_the_dressing_of_a_number_does_not_matter(digits: str) -> None:
    plain = to_e164(f"+{digits}", "AE")
    assert plain == to_e164(f"00{digits}", "AE") == to_e164(f"+{digits[:3]} {digits[3:6]}-{digits[6:]}", "AE")
    if plain is not None and _valid(plain):
        assert to_e164(plain, "AE") == plain


def _valid(digits: str) -> bool:
    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(f"+{digits}", None)))
    except phonenumbers.NumberParseException:
        return False


moments = st.floats(0, 10_000, allow_nan=False)


@given(moments, st.one_of(st.none(), moments), st.lists(st.tuples(moments, moments), max_size=6), moments)
def test_durations_hold_together(
    started: float, answered: float | None, spans: list[tuple[float, float]], length: float
) -> None:
    talks = [(started + min(pair), started + max(pair)) for pair in spans]
    finished = max([started + length, *(end for _, end in talks)])
    picked_up = None if answered is None else min(started + answered, finished)
    found = durations(started, picked_up, talks, finished)
    assert 0 <= found.clean_talk <= found.talk <= found.total
    assert 0 <= found.wait <= found.total
    assert 0 <= found.total_wait <= found.total
    assert abs(found.total - found.total_wait - found.clean_talk) <= 1
    assert found.postprocess <= found.total


def test_durations_as_defined() -> None:
    found = durations(0, 5, [(6, 20), (30, 40)], 50)
    assert (found.wait, found.total_wait, found.talk, found.clean_talk) == (5, 26, 34, 24)
    assert (found.total, found.postprocess) == (50, 10)
    lost = durations(100, None, [], 112.4)
    assert (lost.wait, lost.total_wait, lost.talk, lost.total, lost.postprocess) == (12, 12, 0, 12, 0)
    together = durations(0, 1, [(1, 10), (5, 12)], 12)
    assert (together.clean_talk, together.talk) == (11, 11)


@pytest.mark.parametrize(("seconds", "whole"), [(0.49, 0), (0.5, 1), (1.5, 2), (2.5, 3), (-3.0, 0)])
def test_halves_round_up(seconds: float, whole: int) -> None:
    assert whole_seconds(seconds) == whole


@given(st.integers(0, 127), st.sampled_from(Side), st.booleans())
def test_every_cause_has_a_reason_of_its_side(cause: int, side: Side, line: bool) -> None:
    reason = reason_unanswered(side, cause, is_line=line)
    wrong = "caller_" if side is Side.OPERATOR else "operator_"
    assert not reason.startswith(wrong)


@pytest.mark.parametrize("result", list(ConnectResult))
def test_every_result_has_a_cause(result: ConnectResult) -> None:
    assert 1 <= cause_for_result(result, 0) <= 127


@pytest.mark.parametrize("reason", list(Reason))
def test_every_refusal_has_a_cause(reason: Reason) -> None:
    assert 1 <= cause_for_refusal(reason) <= 127


def test_tables_are_whole() -> None:
    assert set(PHASES) == set(Phase)
    assert set(LEG_STATES) == set(LegState)
    assert not PHASES[Phase.ENDED]
    assert not LEG_STATES[LegState.ENDED]
    for table in (PHASES, LEG_STATES):
        for state in table:
            assert _reachable(table, state) >= {list(table)[-1]} - {state}, f"no way from {state} to the end"


def _reachable(table: dict[Any, frozenset[Any]], start: object) -> set[object]:
    found, todo = set[object](), [start]
    while todo:
        for following in table[todo.pop()] - found:
            found.add(following)
            todo.append(following)
    return found


@pytest.mark.parametrize("before", list(Phase))
@pytest.mark.parametrize("after", list(Phase))
def test_no_phase_but_by_the_table(before: Phase, after: Phase) -> None:
    session = Session(1, 1, Instant(0.0), phase=before)
    if after is before or after in PHASES[before]:
        move(session, after)
        assert session.phase is after
    else:
        with pytest.raises(IllegalTransitionError):
            move(session, after)
