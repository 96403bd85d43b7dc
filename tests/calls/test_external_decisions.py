"""Another system decides about a call: the code, each form of a reply, and a switch that restarts meanwhile."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.calls import company as c
from tests.calls.company import greeting, hangup, scenario, to_employee, voicemail
from tests.calls.simulation import CallSimulation, evolved, walk
from tests.calls.test_scenario_operations import account_with
from trunkline.calls import rules
from trunkline.calls.decision import Decision
from trunkline.calls.effects import Answer, ConnectTargets, Music, PlayFiles, StopMusic, StopPlay
from trunkline.calls.flows import inbound
from trunkline.calls.session import Phase
from trunkline.calls.states import AwaitingDecision, Forwarding, Greeting
from trunkline.calls.timers import TIMED_OUT, Ask, QuestionAnswered, QuestionFailed
from trunkline.core.clock import Instant
from trunkline.directory.model import OperationKind
from trunkline.events.catalogue import EventType

URL = "https://crm.example/decide"


class Decided(CallSimulation):
    """A call about which another system decides; keeps the questions of the rules."""

    def __init__(self, **changes: Any) -> None:
        given: dict[str, Any] = {
            "url": URL, "method": "GET", "parameters": ["numa", "numb", "input_result"], "media_file_ids": [],
            "code_length": 0, "timeout_seconds": 5, "key_seconds": 3, "reply_seconds": 4,
            "codes": {"1": "x", "2": "y", "3": None}, "otherwise": "w", "next": "z",
        }  # fmt: skip
        flow = scenario(
            1,
            ("d", OperationKind.EXTERNAL_DECISION, given | changes),
            ("x", *to_employee(c.ANNA)),
            ("y", *greeting(None, c.GREETING)),
            ("w", *hangup()),
            ("z", *voicemail()),
        )
        super().__init__(account_with(flow))
        self.asked: list[Ask] = []

    def take(self, decision: Decision) -> None:
        self.asked += decision.questions
        super().take(decision)

    def called(self) -> Decided:
        self.arrive(1)
        return self

    def reply(self, **value: Any) -> Decided:
        """The executor of the question has answered."""
        whole = {"codes": [], "files": [], "phones": [], "employee_files": [], "missing": [], "status": 200,
                 "reply": "{}", "milliseconds": 3}  # fmt: skip
        answered = QuestionAnswered(self.asked[-1].key, Instant(self.clock), {**whole, **value})
        self.take(rules.signal(self.session, answered, self.context()))
        self.flow()
        return self

    def no_reply(self, **value: Any) -> Decided:
        answered = QuestionAnswered(self.asked[-1].key, Instant(self.clock), {"milliseconds": 3, **value})
        self.take(rules.signal(self.session, answered, self.context()))
        self.flow()
        return self

    def played(self) -> Decided:
        self.engine.played(self.channel)
        self.flow()
        return self

    def done(self, kind: type) -> list[Any]:
        return [one for one in self.engine.done if isinstance(one, kind)]

    def outcome(self) -> list[tuple[str, str | None]]:
        data = [event.data for event in self.events if event.type is EventType.DECISION_RECEIVED]
        return [(one["outcome"], one.get("failed")) for one in data]

    def restarted(self) -> Decided:
        """A new switch has the call as its events have it, and goes on."""
        again = type(self)()
        again.account = self.account
        again.engine, again.clock, again.events = self.engine, self.clock, self.events
        again.presence, again.ids, again.channel = self.presence, self.ids, self.channel
        again._session = evolved(None, self.events)
        again._error_body = evolved(None, self.events)
        decision = Decision(again.session, again.context(), Instant(again.clock))
        inbound.resume(decision)
        again.take(decision)
        again.flow()
        return again


def test_the_question_has_the_chosen_parameters() -> None:
    call = Decided().called()
    (asked,) = call.asked
    assert asked.question.data["url"] == URL
    assert asked.question.data["parameters"] == {
        "numa": c.CUSTOMER, "numb": c.number_of(1), "input_result": "None",
    }  # fmt: skip
    assert asked.question.data["seconds"] == 4
    assert not call.done(Answer), "nothing is played, so the call is not answered"
    assert isinstance(call.session.state, AwaitingDecision)


def test_the_question_has_the_lead_of_a_campaign() -> None:
    """Values of the lead are encoded: they are neither another parameter nor another line of the request."""
    chosen = ["lead_id", "lead_name", "lead_variables"]
    call = Decided(parameters=chosen, method="POST").called()
    assert call.asked[0].question.data["parameters"] == dict.fromkeys(chosen, "")
    call.session.lead_id = "04"
    call.session.lead = {"name": "Ida & Co\r\nX: 1", "tags": None, "ext_api_vars": {"numb": "1&numb=2"}}
    decision = Decision(call.session, call.context(), Instant(call.clock))
    inbound.resume(decision)
    [asked] = decision.questions
    sent = asked.question.data["parameters"]
    assert sent == {
        "lead_id": "04", "lead_name": "Ida & Co\r\nX: 1", "lead_variables": '{"numb":"1&numb=2"}',
    }  # fmt: skip
    assert dict(parse_qsl(urlencode(sent), strict_parsing=True)) == sent


def test_all_parameters_in_a_call() -> None:
    (asked,) = Decided(parameters=[]).called().asked
    sent = asked.question.data["parameters"]
    assert list(sent) == [
        "cdr_id",
        "call_session_id",
        "direction",
        "start_time",
        "numa",
        "numb",
        "input_result",
    ]
    assert (sent["direction"], sent["start_time"]) == ("in", "2026-03-01T12:00:00.000Z")
    assert sent["cdr_id"] == sent["call_session_id"]


@pytest.mark.parametrize(
    ("settings_", "sounds"), [({"answer": True}, 0), ({"media_file_ids": [c.GREETING]}, 1)]
)
def test_a_call_is_answered_where_it_hears_something(settings_: dict[str, Any], sounds: int) -> None:
    call = Decided(**settings_).called()
    assert len(call.done(Answer)) == 1
    assert len(call.done(PlayFiles)) == sounds
    assert len(call.asked) == 1, "it is asked meanwhile"


def test_music_follows_the_prompt_until_the_reply() -> None:
    call = Decided(media_file_ids=[c.GREETING], music_media_file_id=c.MUSIC).called()
    assert not call.done(Music)
    call.played()
    assert [one.file for one in call.done(Music)] == ["/media/dialing_music"]
    call.reply(phones=["0260001"])
    assert len(call.done(StopMusic)) == 1
    call.answer(c.ANNA_LINE)
    call.hang_up()
    walk(call.events)


def test_a_reply_stops_the_prompt() -> None:
    call = Decided(media_file_ids=[c.GREETING]).called().reply(codes=["1"])
    assert len(call.done(StopPlay)) == 1
    assert isinstance(call.session.state, Forwarding)


@pytest.mark.parametrize(("keys", "entered"), [("1234", "1234"), ("12#", "12#"), ("#", "#")])
def test_a_code_is_entered_before(keys: str, entered: str) -> None:
    call = Decided(code_length=4, media_file_ids=[c.GREETING]).called()
    assert not call.asked
    for key in keys:
        call.press(call.channel, key)
    assert [one.question.data["parameters"]["input_result"] for one in call.asked] == [
        entered.rstrip("#") or "None"
    ]
    assert not call.session.timers


def test_who_enters_less_or_nothing_is_asked_about_all_the_same() -> None:
    call = Decided(code_length=4).called()
    call.at(5.1).flow()
    assert call.asked[-1].question.data["parameters"]["input_result"] == "None"
    call = Decided(code_length=4).called()
    call.press(call.channel, "7")
    call.at(3.1).flow()
    assert call.asked[-1].question.data["parameters"]["input_result"] == "7"
    call.press(call.channel, "8")
    assert len(call.asked) == 1, "a key after the question changes nothing"


def test_a_return_code_leads_to_its_branch() -> None:
    call = Decided().called().reply(codes=["1"])
    call.answer(c.ANNA_LINE)
    call.hang_up()
    assert call.outcome() == [("codes", None)]
    assert call.end["finish_reason"] == "caller_disconnects"
    walk(call.events)


def test_several_return_codes_are_followed_in_turn() -> None:
    call = Decided().called().reply(codes=["2", "2", "1"])
    assert isinstance(call.session.state, Greeting)
    assert isinstance(call.played().session.state, Greeting)
    assert isinstance(call.played().session.state, Forwarding)
    assert [one["key"] for one in call.session.operations] == ["d", "y", "y", "x"]
    call.answer(c.ANNA_LINE)
    call.hang_up()
    walk(call.events)


def test_a_code_without_an_operation_ends_the_scenario() -> None:
    call = Decided().called().reply(codes=["3"])
    assert call.end["finish_reason"] == "no_operation"


def test_an_unknown_code_is_no_reply() -> None:
    call = Decided().called().reply(codes=["1", "9"])
    assert call.outcome() == [("failed", "unknown_code")]
    assert call.end["finish_reason"] == "scenario_disconnects"


@pytest.mark.parametrize("why", ["timeout", "bad_status", "invalid_reply", "no_connection"])
def test_without_a_usable_reply_the_call_goes_on_otherwise(why: str) -> None:
    call = Decided(otherwise="x").called().no_reply(failed=why, error="because")
    assert call.outcome() == [("failed", why)]
    call.answer(c.ANNA_LINE)
    call.hang_up()
    assert call.end["finish_reason"] == "caller_disconnects"
    walk(call.events)


def test_a_question_that_failed_is_no_reply() -> None:
    call = Decided(otherwise="x").called()
    failed = QuestionFailed(call.asked[-1].key, Instant(call.clock), TIMED_OUT)
    call.take(rules.signal(call.session, failed, call.context()))
    assert call.flow() is call
    assert call.outcome() == [("failed", "no_reply")]
    assert isinstance(call.session.state, Forwarding)


def test_a_message_is_played_and_the_scenario_goes_on() -> None:
    call = Decided().called().reply(files=["/media/hello"])
    assert [one.files for one in call.done(PlayFiles)] == [("/media/hello",)]
    assert len(call.done(Answer)) == 1
    call.played()
    assert call.session.operations[-1]["key"] == "z", "there is nobody to call"


@pytest.mark.parametrize("phone", ["0260001", "201", "+0260001"])
def test_employees_are_called_by_line_and_extension(phone: str) -> None:
    call = Decided().called().reply(phones=[phone], employee_files=["/media/hint"])
    (connect,) = call.done(ConnectTargets)
    assert connect.connect.announcement == ("/media/hint",)
    call.answer(c.ANNA_LINE)
    call.hang_up()
    walk(call.events)


def test_the_numbers_are_called_one_after_another() -> None:
    call = (
        Decided()
        .called()
        .reply(files=["/media/hello"], phones=["nonsense", "0260001", "442079460990", "0260002"])
    )
    call.played()
    assert isinstance(call.session.state, Forwarding)
    call.refuse(17, c.ANNA_LINE)
    call.refuse(17, c.ANNA_SECOND)
    call.refuse(17, c.PARTNER)
    call.answer(c.BORIS_LINE)
    call.hang_up()
    assert call.end["finish_reason"] == "caller_disconnects"
    numbers = [
        event.data["called_phone_number"] for event in call.events if event.type is EventType.LEG_STARTED
    ]
    assert numbers == [c.number_of(1), "", c.ANNA_LINE, c.ANNA_SECOND, c.PARTNER, c.BORIS_LINE]
    walk(call.events)


def test_after_the_last_number_the_scenario_goes_on() -> None:
    call = Decided().called().reply(phones=["0260001"])
    call.refuse(17, c.ANNA_LINE)
    call.refuse(17, c.ANNA_SECOND)
    assert call.session.operations[-1]["key"] == "z"
    walk(call.events)


def test_nobody_can_be_called() -> None:
    call = Decided(next=None).called().reply(phones=["nonsense", "12"])
    assert call.end["finish_reason"] == "numb_not_exists"
    walk(call.events)


def test_numbers_that_the_account_may_not_call_are_not_called() -> None:
    call = Decided(next=None)
    call.account = account_with(call.account.scenarios[1], security={"international": False})
    call.called().reply(phones=["442079460990"])
    assert call.end["finish_reason"] == "external_call_not_allowed"
    assert not call.done(ConnectTargets)


def test_a_restarted_switch_asks_again() -> None:
    call = Decided(code_length=2).called()
    call.press(call.channel, "1")
    call.press(call.channel, "2")
    again = call.restarted()
    assert isinstance(again.session.state, AwaitingDecision)
    for key in "34":
        again.press(again.channel, key)
    assert again.asked[-1].question.data["parameters"]["input_result"] == "34"
    again.reply(codes=["1"])
    again.answer(c.ANNA_LINE)
    again.hang_up()
    walk(again.events)


def test_a_restarted_switch_plays_the_message_again_and_calls_the_others() -> None:
    call = Decided().called().reply(files=["/media/hello"], phones=["0260001", "0260002"])
    again = call.restarted()
    assert again.asked == []
    assert [one.files for one in again.done(PlayFiles)][-1] == ("/media/hello",)
    again.played()
    again.refuse(17, c.ANNA_LINE)
    again.refuse(17, c.ANNA_SECOND)
    again.answer(c.BORIS_LINE)
    again.hang_up()
    walk(again.events)


class DecisionMachine(RuleBasedStateMachine):
    """Whatever comes, in whatever order: the call waits for something, and ends with a reason."""

    call: Decided

    @initialize(
        code=st.sampled_from([0, 2]), prompt=st.booleans(), otherwise=st.sampled_from([None, "x", "w", "d"])
    )
    def arrive(self, code: int, prompt: bool, otherwise: str | None) -> None:
        self.call = Decided(
            code_length=code, media_file_ids=[c.GREETING] if prompt else [], otherwise=otherwise
        ).called()

    def lives(self) -> bool:
        return self.call.session.phase is not Phase.ENDED

    def is_asked(self) -> bool:
        state = self.call.session.state
        return self.lives() and isinstance(state, AwaitingDecision) and state.question != ""

    @precondition(lives)
    @rule(key=st.sampled_from("012#*"))
    def press(self, key: str) -> None:
        self.call.press(self.call.channel, key)

    @precondition(lambda self: self.lives() and self.call.session.playing is not None)
    @rule()
    def sound_ends(self) -> None:
        self.call.played()

    @precondition(is_asked)
    @rule(
        codes=st.lists(st.sampled_from(["1", "2", "3", "9"]), max_size=3),
        files=st.lists(st.just("/media/hello"), max_size=1),
        phones=st.lists(st.sampled_from(["0260001", "0260002", "x", "442079460990", "999"]), max_size=3),
    )
    def reply(self, codes: list[str], files: list[str], phones: list[str]) -> None:
        if codes or files or phones:
            self.call.reply(codes=codes, files=files, phones=phones)
        else:
            self.call.no_reply(failed="timeout")

    @precondition(lives)
    @rule(seconds=st.floats(0.1, 8))
    def wait(self, seconds: float) -> None:
        self.call.at(self.call.clock - self.call.session.started_at + seconds).flow()

    @precondition(
        lambda self: self.lives() and isinstance(self.call.session.state, AwaitingDecision | Greeting)
    )
    @rule()
    def restart(self) -> None:
        self.call = self.call.restarted()

    @precondition(lambda self: not self.lives())
    @rule()
    def over(self) -> None:
        walk(self.call.events)

    @precondition(lives)
    @rule()
    def hang_up(self) -> None:
        self.call.hang_up()
        assert self.call.end["finish_reason"] is not None
        walk(self.call.events)


TestDecisionMachine = DecisionMachine.TestCase
TestDecisionMachine.settings = settings(
    max_examples=80, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
