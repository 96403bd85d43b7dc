"""Operations that only choose the next one: by chance, by who calls, or from where; and scenarios inside each other."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.calls import company as c
from tests.calls.company import company, greeting, hangup, scenario, to_employee
from tests.routing.test_interpreter import Availability
from trunkline.directory.model import Account, Contact, HangupCause, OperationKind, Scenario, UsualEmployee
from trunkline.events.reasons import Reason
from trunkline.routing import branches, interpreter
from trunkline.routing.branches import MAX_NESTED, Caller, ReturnPoint
from trunkline.routing.decisions import End, Play, Ring, ScenarioEntered, with_destination
from trunkline.routing.interpreter import decide_after, decide_first, decide_next_round

VIP, FRIENDS = 5, 6
CALLER = Caller(1, "12025550142", Contact(9, "Stone", (VIP,), c.BORIS))

keys = st.sampled_from(["a", "b", "c", None])


def with_scenarios(*flows: Scenario) -> Account:
    return company(scenarios={**c.SCENARIOS, **{one.scenario_id: one for one in flows}})


def first_keys(account: Account, flow: Scenario, caller: Caller, **more: Any) -> list[str]:
    """Keys of the operations that a call passes."""
    decision = decide_first(account, flow, Availability(**more), caller)
    return [one.key for one in decision.entered if not isinstance(one, ScenarioEntered)]


# --- the branches themselves


@given(st.lists(st.integers(0, 100), min_size=2, max_size=6), st.integers(1, 2**62), st.integers(1, 2**40))
def test_a_split_takes_one_branch_that_has_a_share(
    shares: list[int], call_session_id: int, operation_id: int
) -> None:
    total = sum(shares[:-1])
    assume(total <= 100)
    shares[-1] = 100 - total
    settings = {"branches": [{"percent": share, "next": str(n)} for n, share in enumerate(shares)]}
    taken = branches.split(settings, operation_id, call_session_id)
    assert taken is not None
    assert shares[int(taken)] > 0
    assert branches.split(settings, operation_id, call_session_id) == taken


def test_a_split_gives_each_branch_its_share() -> None:
    settings = {"branches": [{"percent": 20, "next": "a"}, {"percent": 80, "next": "b"}]}
    found = Counter(branches.split(settings, 7, call << 13) for call in range(10_000))
    assert 1800 < found["a"] < 2200


def test_two_splits_of_a_call_are_independent() -> None:
    settings = {"branches": [{"percent": 50, "next": "a"}, {"percent": 50, "next": "b"}]}
    same = sum(branches.split(settings, 1, call) == branches.split(settings, 2, call) for call in range(2000))
    assert 850 < same < 1150


@pytest.mark.parametrize(
    ("groups", "branch"), [((VIP,), "a"), ((FRIENDS,), "b"), ((VIP, FRIENDS), "a"), ((), "c"), (None, "c")]
)
def test_the_first_group_of_the_caller(groups: tuple[int, ...] | None, branch: str) -> None:
    settings = {
        "branches": [{"contact_group_id": VIP, "next": "a"}, {"contact_group_id": FRIENDS, "next": "b"}],
        "otherwise": "c",
    }
    contact = None if groups is None else Contact(1, "", groups)
    assert branches.contact_group(settings, contact) == branch


@pytest.mark.parametrize(
    ("number", "branch"),
    [
        ("971501234567", "a"),
        ("97142345678", "b"),
        ("442079460980", "c"),
        ("12025550142", "d"),
        ("999", "d"),
        (None, "d"),
    ],
)
def test_the_region_of_the_caller(number: str | None, branch: str) -> None:
    settings = {
        "branches": [
            {"countries": ["AE", "SA"], "prefixes": [], "next": "a"},
            {"countries": [], "prefixes": ["9714"], "next": "b"},
            {"countries": ["AE"], "prefixes": ["44"], "next": "c"},
        ],
        "otherwise": "d",
    }
    assert branches.region(settings, number) == branch


def test_the_longest_beginning_decides() -> None:
    settings = {
        "branches": [
            {"countries": [], "prefixes": ["9"], "next": "a"},
            {"countries": [], "prefixes": ["97150"], "next": "b"},
            {"countries": [], "prefixes": ["971"], "next": "c"},
        ]
    }
    assert [branches.region(settings, one) for one in ("9715012", "9714012", "98", "12")] == [
        "b", "c", "a", None,
    ]  # fmt: skip


@given(
    st.lists(st.from_regex(r"[0-9]{3,8}\*?", fullmatch=True), max_size=5),
    st.from_regex(r"[0-9]{3,15}", fullmatch=True),
)
def test_a_list_has_numbers_and_beginnings(listed: list[str], number: str) -> None:
    expected = any(number == one or (one[-1] == "*" and number[: len(one) - 1] == one[:-1]) for one in listed)
    assert branches.is_in_list(listed, number) is expected
    settings = {"numbers": listed, "listed": "a", "otherwise": "b"}
    assert branches.caller_list(settings, number) == ("a" if expected else "b")
    assert branches.caller_list(settings, None) == "b"


@pytest.mark.parametrize(
    ("choose", "manager", "last", "expected"),
    [
        (UsualEmployee.MANAGER, 1, 2, 1),
        (UsualEmployee.MANAGER, None, 2, None),
        (UsualEmployee.LAST, 1, 2, 2),
        (UsualEmployee.LAST, 1, None, None),
        (UsualEmployee.MANAGER_THEN_LAST, 1, 2, 1),
        (UsualEmployee.MANAGER_THEN_LAST, None, 2, 2),
        (UsualEmployee.MANAGER_THEN_LAST, None, None, None),
    ],
)
def test_who_usually_serves(
    choose: UsualEmployee, manager: int | None, last: int | None, expected: int | None
) -> None:
    assert branches.usual_employee(choose, Contact(1, "", (), manager), last) == expected


# --- in a scenario


def test_branches_lead_to_their_operations() -> None:
    flow = scenario(
        1,
        ("a", OperationKind.CONTACT_GROUP, {"branches": [{"contact_group_id": VIP, "next": "b"}]}),
        ("b", OperationKind.CALLER_LIST, {"numbers": ["1202*"], "listed": "c"}),
        ("c", OperationKind.TAG, {"tag_ids": [1], "next": "d"}),
        ("d", *to_employee(c.ANNA)),
    )
    assert first_keys(with_scenarios(flow), flow, CALLER) == ["a", "b", "c", "d"]
    assert first_keys(with_scenarios(flow), flow, Caller()) == ["a"]


@pytest.mark.parametrize(
    ("caller", "last", "called"),
    [
        (CALLER, {}, c.BORIS),
        (Caller(1, "12025550142"), {"12025550142": c.ANNA}, c.ANNA),
        (Caller(1, "12025550142"), {}, None),
        (Caller(), {}, None),
        (Caller(1, "12025550142"), {"12025550142": 99}, None),
    ],
)
def test_the_usual_employee_is_called(caller: Caller, last: dict[str, int], called: int | None) -> None:
    flow = scenario(
        1,
        ("a", OperationKind.FORWARD_USUAL, {"choose": "manager_then_last", "next": "b"}),
        ("b", *greeting(None, 1)),
    )
    decision = decide_first(with_scenarios(flow), flow, Availability(last=last), caller)
    if called is None:
        assert isinstance(decision, Play)
        return
    assert isinstance(decision, Ring)
    assert decision.chosen is not None
    assert (decision.chosen.employee_id, decision.candidates[0].employee.employee_id) == (called, called)
    chosen = with_destination(decision.operation, decision.chosen)
    tried = {phone.phone_id for phone in company().employees[called].phones}
    assert isinstance(
        decide_next_round(with_scenarios(flow), flow, chosen, Availability(), tried, caller), Play
    )


def test_a_usual_employee_who_cannot_ring_is_skipped() -> None:
    flow = scenario(1, ("a", OperationKind.FORWARD_USUAL, {"choose": "manager", "next": None}))
    account = with_scenarios(flow)
    decision = decide_first(account, flow, Availability(obstacles={21: Reason.SIP_OFFLINE}), CALLER)
    assert isinstance(decision, End)
    assert decision.reason is Reason.SIP_OFFLINE
    assert [one.employee.employee_id for one in decision.skipped if one.employee] == [c.BORIS]


@pytest.mark.parametrize("cause", [None, *HangupCause])
def test_a_hang_up_has_its_cause(cause: HangupCause | None) -> None:
    settings = {} if cause is None else {"cause": cause.value}
    flow = scenario(1, ("a", OperationKind.HANGUP, settings))
    decision = decide_first(company(), flow, Availability())
    assert isinstance(decision, End)
    assert (decision.reason, decision.cause) == (Reason.SCENARIO_DISCONNECTS, cause)


# --- scenarios inside each other

OUTER, INNER, INMOST = 101, 102, 103


def run(scenario_id: int, following: str | None) -> tuple[OperationKind, dict[str, Any]]:
    return OperationKind.RUN_SCENARIO, {"scenario_id": scenario_id, "next": following}


def nested() -> Account:
    return with_scenarios(
        scenario(OUTER, ("a", *run(INNER, "b")), ("b", *to_employee(c.ANNA))),
        scenario(INNER, ("c", *greeting("d", 1)), ("d", *run(INMOST, "e")), ("e", *greeting(None, 2))),
        scenario(INMOST, ("f", *greeting(None, 3))),
    )


def test_a_sub_scenario_returns_to_the_one_that_ran_it() -> None:
    account = nested()
    decision = decide_first(account, account.scenarios[OUTER], Availability())
    seen: list[str] = []
    present = account.scenarios[OUTER]
    returns: tuple[ReturnPoint, ...] = ()
    for _ in range(10):
        for step in decision.entered:
            if isinstance(step, ScenarioEntered):
                present, returns = step.scenario, step.returns
                seen.append(str(step.scenario.scenario_id))
            else:
                seen.append(step.key)
        if not isinstance(decision, Play):
            break
        caller = Caller(1, None, None, returns)
        decision = decide_after(account, present, decision.operation, Availability(), caller)
    assert seen == ["a", "102", "c", "d", "103", "f", "102", "e", "101", "b"]
    assert isinstance(decision, Ring)


def test_a_hang_up_in_a_sub_scenario_ends_the_call() -> None:
    account = with_scenarios(
        scenario(OUTER, ("a", *run(INNER, "b")), ("b", *to_employee(c.ANNA))),
        scenario(INNER, ("c", *hangup())),
    )
    decision = decide_first(account, account.scenarios[OUTER], Availability())
    assert isinstance(decision, End)
    assert decision.reason is Reason.SCENARIO_DISCONNECTS


def test_a_scenario_that_is_gone_ends_the_call() -> None:
    account = with_scenarios(scenario(OUTER, ("a", *run(999, "b")), ("b", *to_employee(c.ANNA))))
    decision = decide_first(account, account.scenarios[OUTER], Availability())
    assert isinstance(decision, End)
    assert decision.reason is Reason.INCORRECT_CONFIG
    # The one that waits was deleted meanwhile.
    caller = Caller(1, None, None, (ReturnPoint(998, "b"),))
    decision = decide_after(
        account,
        c.SCENARIOS[c.GREETING_ONLY],
        c.SCENARIOS[c.GREETING_ONLY].operations[0],
        Availability(),
        caller,
    )
    assert isinstance(decision, End)


def test_a_scenario_that_runs_itself_comes_to_an_end() -> None:
    account = with_scenarios(scenario(OUTER, ("a", *run(OUTER, None))))
    decision = decide_first(account, account.scenarios[OUTER], Availability())
    assert isinstance(decision, End)
    assert decision.reason is Reason.MAX_TRANSITION_COUNT_EXCEEDED
    entered = [one for one in decision.entered if isinstance(one, ScenarioEntered)]
    assert len(entered) == MAX_NESTED


_passing = st.one_of(
    st.tuples(
        st.just(OperationKind.SPLIT),
        st.builds(
            lambda share, one, two: {
                "branches": [{"percent": share, "next": one}, {"percent": 100 - share, "next": two}]
            },
            st.integers(0, 100),
            keys,
            keys,
        ),
    ),
    st.tuples(
        st.just(OperationKind.CALLER_LIST),
        st.builds(lambda one, two: {"numbers": ["1*"], "listed": one, "otherwise": two}, keys, keys),
    ),
    st.tuples(st.just(OperationKind.TAG), st.builds(lambda one: {"tag_ids": [1], "next": one}, keys)),
    st.tuples(
        st.just(OperationKind.RUN_SCENARIO),
        st.builds(
            lambda which, one: {"scenario_id": which, "next": one}, st.sampled_from([OUTER, INNER, 999]), keys
        ),
    ),
    st.tuples(
        st.just(OperationKind.FORWARD_USUAL),
        st.builds(lambda one: {"choose": "last", "next": one}, keys),
    ),
    st.tuples(st.just(OperationKind.HANGUP), st.just({})),
)


@given(
    st.lists(_passing, min_size=3, max_size=3),
    st.lists(_passing, min_size=3, max_size=3),
    st.integers(1, 2**40),
)
def test_every_way_comes_to_an_end(one: list[Any], two: list[Any], call_session_id: int) -> None:
    """Whatever the operations are: a decision, with at most as many operations as a call may pass."""
    flows = [
        scenario(number, *((key, kind, settings) for key, (kind, settings) in zip("abc", made, strict=True)))
        for number, made in ((OUTER, one), (INNER, two))
    ]
    account = with_scenarios(*flows)
    decision = decide_first(account, flows[0], Availability(), Caller(call_session_id, "12025550142"))
    assert isinstance(decision, End)
    operations = [one for one in decision.entered if not isinstance(one, ScenarioEntered)]
    assert len(operations) <= interpreter.MAX_TRANSITIONS
