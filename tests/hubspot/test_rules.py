"""The pure rules: written forms of numbers, status by finish reason, choice of contact and owner, comparison, responses."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat

from trunkline.events.reasons import Reason
from trunkline.hubspot import api, comparison, contacts, engagement, owners, responses
from trunkline.hubspot.comparison import Defect, Engagement
from trunkline.hubspot.engagement import CallRecord, Phrase, Recording
from trunkline.hubspot.limits import RATES, LimitKind
from trunkline.hubspot.numbers import is_number, significant_part, written_forms
from trunkline.hubspot.owners import Employee, Owner
from trunkline.hubspot.responses import ConnectionProblem, NotThere, OutcomeUnknown, RequestRefused, TryLater

NUMBERS = st.one_of(
    st.integers(0, 99).map(lambda n: f"9715000000{n:02}"),
    st.integers(0, 99).map(lambda n: f"120255501{n:02}"),
    st.integers(0, 99).map(lambda n: f"4420794601{n:02}"),
    st.integers(0, 99).map(lambda n: f"33199000{n:03}"),
)
COUNTRIES = {"971": "AE", "120": "US", "442": "GB", "331": "FR"}

CALL = CallRecord(
    account_id=1001,
    call_session_id=77,
    start=datetime(2026, 3, 5, 12, tzinfo=UTC),
    finish=datetime(2026, 3, 5, 12, 1, tzinfo=UTC),
    is_incoming=True,
    is_lost=False,
    finish_reason="operator_disconnects",
    contact_number="12025550110",
    contact_name=None,
    virtual_number="971500000010",
    talk_seconds=20,
    talked_id=4001,
    answered_id=4001,
    employees=[{"employee_id": 4001, "employee_full_name": "Ruiz Ana"}],
)
NOT_TAKEN = replace(CALL, talk_seconds=0, talked_id=None, answered_id=None)


# --- numbers


@given(NUMBERS, st.sampled_from(["", " ", "-", ".", "/", "\u00a0"]))
def test_every_written_form_is_the_number(number: str, separator: str) -> None:
    country = COUNTRIES[number[:3]]
    for form in written_forms(number):
        assert is_number(form, number, country), form
        assert is_number(form.replace(" ", separator), number, country), form
    parsed = phonenumbers.parse(f"+{number}", None)
    for style in (PhoneNumberFormat.NATIONAL, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.RFC3966):
        assert is_number(phonenumbers.format_number(parsed, style), number, country)


@given(NUMBERS, NUMBERS)
def test_another_number_is_not_the_number(one: str, other: str) -> None:
    country = COUNTRIES[other[:3]]
    for form in written_forms(other):
        assert is_number(form, one, country) == (one == other), form


@given(NUMBERS)
def test_a_search_keeps_to_the_limits_of_hubspot(number: str) -> None:
    body = contacts.search_body(number)
    filters = [one for group in body["filterGroups"] for one in group["filters"]]
    assert len(body["filterGroups"]) <= 5
    assert len(filters) <= 18
    assert len(json.dumps(body)) <= api.SEARCH_BODY
    assert all(value == value.lower() for one in filters for value in one.get("values", ()))
    assert significant_part(number) in json.dumps(body)


@pytest.mark.parametrize("text", [None, "", "ext. 12", "+", "0000", "1" * 40, "\u0661\u0662\u0663"])
def test_what_is_no_number_is_not_the_number(text: str | None) -> None:
    assert not is_number(text, "12025550110", "US")


# --- contacts


def contact(
    contact_id: int, owner: str | None = None, created: str = "2026-01-01", **more: str
) -> dict[str, Any]:
    properties = {"phone": "+12025550110", "hubspot_owner_id": owner, "createdate": created, **more}
    return {"id": str(contact_id), "properties": properties}


@given(
    st.lists(
        st.tuples(st.integers(1, 50), st.sampled_from([None, "7", "8"]), st.sampled_from(["2025", "2026"])),
        unique_by=lambda one: one[0],
    ),
    st.sampled_from([None, "7"]),
    st.randoms(),
)
def test_the_choice_does_not_depend_on_the_order(found: list[Any], owner: str | None, chance: Any) -> None:
    those = [contact(*one) for one in found]
    mixed = list(those)
    chance.shuffle(mixed)
    choice = contacts.choose(those, owner)
    assert contacts.choose(mixed, owner) == choice
    if not those:
        assert choice.contact_id is None
        return
    by_id = {one["id"]: one["properties"] for one in those}
    assert {choice.contact_id, *choice.others} == by_id.keys()
    assert choice.contact_id is not None
    best = by_id[choice.contact_id]
    if owner is not None and any(one["hubspot_owner_id"] == owner for one in by_id.values()):
        assert best["hubspot_owner_id"] == owner
    peers = [one for one in by_id.values() if one["hubspot_owner_id"] == best["hubspot_owner_id"]]
    assert best["createdate"] == min(one["createdate"] for one in peers)


def test_a_number_of_another_country_is_left_out() -> None:
    found = [contact(1, phone="(202) 555-0110"), contact(2, phone="+44 202 555 0110"), contact(3, phone="")]
    assert [one["id"] for one in contacts.with_number("12025550110", "US", found)] == ["1"]
    # A number without a country code is read in the account's country, and in that of the call.
    assert [one["id"] for one in contacts.with_number("12025550110", "AE", found)] == ["1"]


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("Sam Lee", {"firstname": "Sam", "lastname": "Lee"}),
        ("Lee", {"lastname": "Lee"}),
        ("  ", {"lastname": "+12025550110"}),
        (None, {"lastname": "+12025550110"}),
    ],
)
def test_a_new_contact_has_a_name(name: str | None, names: dict[str, str]) -> None:
    assert contacts.new_contact("12025550110", name) == {"phone": "+12025550110", **names}


# --- the engagement


@pytest.mark.parametrize("reason", [*Reason, None, "a_reason_of_a_later_version"])
def test_each_reason_has_a_status(reason: str | None) -> None:
    statuses = {"COMPLETED", "NO_ANSWER", "BUSY", "CANCELED", "FAILED"}
    for is_incoming in (True, False):
        one = replace(NOT_TAKEN, is_incoming=is_incoming, finish_reason=reason)
        assert engagement.status(one) in statuses - {"COMPLETED"}
        assert engagement.status(replace(one, talk_seconds=1)) == "COMPLETED"
        assert engagement.status(replace(one, talked_id=4001)) == "COMPLETED"


@pytest.mark.parametrize(
    ("is_incoming", "reason", "status"),
    [
        (True, Reason.OPERATOR_NOT_RESPONSIVE, "NO_ANSWER"),
        (True, Reason.CALLER_DISCONNECTS, "NO_ANSWER"),
        (True, Reason.ABANDONED_IN_QUEUE, "NO_ANSWER"),
        (True, Reason.OPERATOR_BUSY, "BUSY"),
        (True, Reason.NUMA_IN_BLACK_LIST, "FAILED"),
        (False, Reason.CALLER_NOT_RESPONSIVE, "NO_ANSWER"),
        (False, Reason.CALLER_BUSY, "BUSY"),
        (False, Reason.OPERATOR_DISCONNECTS, "CANCELED"),
        (False, Reason.CALLER_NUMBER_PROBLEMS, "FAILED"),
        (False, Reason.OUT_CALL_NOT_ALLOWED, "FAILED"),
    ],
)
def test_status_of_calls_without_a_talk(is_incoming: bool, reason: Reason, status: str) -> None:
    one = replace(NOT_TAKEN, is_incoming=is_incoming, finish_reason=reason.value)
    assert engagement.status(one) == status


def test_who_is_responsible() -> None:
    both = [{"employee_id": 1}, {"employee_id": 2}]
    assert engagement.responsible(replace(CALL, talked_id=3, answered_id=1, employees=both)) == 3
    assert engagement.responsible(replace(NOT_TAKEN, answered_id=1, employees=both)) == 1
    assert engagement.responsible(replace(NOT_TAKEN, employees=both)) is None
    assert engagement.responsible(replace(NOT_TAKEN, employees=both[:1])) == 1
    assert engagement.responsible(replace(NOT_TAKEN, employees=both, is_incoming=False)) == 1
    assert engagement.responsible(replace(NOT_TAKEN, employees=[])) is None
    assert engagement.owner_of(CALL, {4001: "9"}, "1") == "9"
    assert engagement.owner_of(CALL, {}, "1") == "1"
    assert engagement.owner_of(NOT_TAKEN, {}, None) is None


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=200)


@given(
    TEXTS, TEXTS, st.lists(TEXTS, max_size=3), st.lists(st.tuples(st.booleans(), TEXTS), max_size=5),
    st.integers(0, 36_000), st.booleans(), st.sampled_from(list(Reason)),
)  # fmt: skip
def test_properties_are_those_that_hubspot_accepts(
    name: str,
    scenario: str,
    notes: list[str],
    phrases: list[tuple[bool, str]],
    talk: int,
    way: bool,
    reason: Reason,
) -> None:
    one = replace(
        CALL, contact_name=name, scenario=scenario, notes=tuple(notes), talk_seconds=talk, is_incoming=way,
        finish_reason=reason.value, transcript=tuple(Phrase(*phrase) for phrase in phrases),
    )  # fmt: skip
    found = engagement.properties(one, "abc", "9", recordings=True)
    assert all(isinstance(value, str) and 0 < len(value) <= api.TEXT_MAX for value in found.values())
    assert "<" not in found["hs_call_body"].replace("<br>", "")
    assert found["hs_call_duration"] == str(talk * 1000)
    assert found["hs_call_external_id"] == "trunkline-abc-1001-77"
    assert found["hs_timestamp"] == "1772712000000"
    assert comparison.compare(77, found, [Engagement("5", found, frozenset())]) == []


def test_a_long_transcript_is_shortened_at_a_line() -> None:
    one = replace(CALL, transcript=tuple(Phrase(True, "word & word " * 20) for _ in range(1000)))
    body = engagement.properties(one, "abc", None, recordings=True)["hs_call_body"]
    assert len(body) <= api.TEXT_MAX
    assert body.endswith("<br>(shortened)")
    assert "Ended: operator disconnects" in body


@given(TEXTS)
def test_a_text_is_edited_when_its_words_are(text: str) -> None:
    sent = html.escape(text) + "<br>Ended: done"
    for there in (sent, sent.replace("<br>", "<br />\n"), f"<div>{sent}</div>", None, ""):
        assert not engagement.is_edited(sent, there)
    assert engagement.is_edited(sent, sent + "<br>Call again")


def test_only_https_recordings_and_only_when_wanted() -> None:
    for url, wanted, sent in (
        ("https://pbx.example/x.mp3", True, True),
        ("https://pbx.example/x.mp3", False, False),
        ("http://127.0.0.1/x.mp3", True, False),
    ):
        one = replace(CALL, recording=Recording(url, "talk"))
        assert ("hs_call_recording_url" in engagement.properties(one, "a", None, recordings=wanted)) == sent


def test_a_message_is_left_voicemail() -> None:
    one = replace(NOT_TAKEN, recording=Recording("https://pbx.example/x.mp3", "voice_mail"))
    found = engagement.properties(one, "a", None, recordings=True)
    assert found["hs_call_disposition"] == api.LEFT_VOICEMAIL


# --- owners

PEOPLE = st.lists(
    st.tuples(st.integers(1, 20), st.sampled_from(["Ana Ruiz", "Ruiz Ana", "Ben Okoye", "José Müller", "Jose Muller"]),
              st.sampled_from([None, "", "a@example.com", "A@Example.com", "b@example.com"]),
              st.sampled_from([None, None, "1", "99"])),
    max_size=6, unique_by=lambda one: one[0],
)  # fmt: skip
OWNERS = st.lists(
    st.tuples(st.sampled_from("123456"), st.sampled_from(["", "a@example.com", "b@example.com", "c@example.com"]),
              st.sampled_from(["Ana", "Ben", "José"]), st.sampled_from(["Ruiz", "Okoye", "Müller"])),
    max_size=5, unique_by=lambda one: one[0],
)  # fmt: skip


@given(PEOPLE, OWNERS)
def test_proposals_are_unambiguous(people: list[Any], those: list[Any]) -> None:
    employees = [Employee(*one) for one in people]
    there = [Owner(*one) for one in those]
    found = owners.matches(employees, there)
    assert [one.employee for one in found] == employees
    proposed = [one for one in found if one.why in ("email", "name")]
    assert len({one.owner_id for one in proposed}) == len(proposed)
    taken = {one.owner_id for one in found if one.why == "set"}
    by_id = {one.owner_id: one for one in there}
    for one in proposed:
        assert one.owner_id not in taken
        owner = by_id[one.owner_id or ""]
        if one.why == "email":
            assert owner.email.lower() == (one.employee.email or "").lower()
    for one in found:
        if one.employee.owner_id is not None:
            assert one.owner_id == one.employee.owner_id
            assert one.why == ("set" if one.owner_id in by_id else "unknown owner")


def test_a_name_in_any_order_without_accents() -> None:
    [found] = owners.matches([Employee(1, "Müller José", None)], [Owner("5", "", "Jose", "Muller")])
    assert (found.owner_id, found.why) == ("5", "name")


# --- comparison


@given(st.sets(st.sampled_from(engagement.ESSENTIAL)), st.integers(0, 3), st.booleans())
def test_exactly_the_planted_faults_are_found(empty: set[str], doubles: int, is_lonely: bool) -> None:
    one = replace(CALL, recording=Recording("https://pbx.example/x.mp3", "talk"))
    wanted = engagement.properties(one, "abc", "9", recordings=True)
    there = {name: None if name in empty else value for name, value in wanted.items()}
    those = [
        Engagement(str(9 + n), there, frozenset() if is_lonely else frozenset({"3"}))
        for n in range(doubles + 1)
    ]
    found = comparison.compare(77, wanted, those[::-1], contact_id="3")
    assert {one.name for one in found if one.defect is Defect.EMPTY} == empty
    assert [one.others for one in found if one.defect is Defect.DUPLICATE] == (
        [tuple(str(10 + n) for n in range(doubles))] if doubles else []
    )
    assert sum(one.defect is Defect.NO_CONTACT for one in found) == is_lonely
    assert len(found) == len(empty) + bool(doubles) + is_lonely
    assert all(one.object_id == "9" for one in found)


@given(st.integers(0, 10**9))
def test_numbers_and_times_are_equal_in_each_form(value: int) -> None:
    for form in (str(value), f"{value}.0"):
        assert comparison.same("hs_call_duration", str(value), form)
        assert not comparison.same("hs_call_duration", str(value + 1), form)
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
    here = str(round(moment.timestamp() * 1000))
    text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert comparison.same("hs_timestamp", here, text)
    assert not comparison.same("hs_timestamp", str(int(here) + 1), text)


# --- responses and limits

BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "category", "errors", "context", "policyName", "name"]), inner
        )
    ),
    max_leaves=8,
)


@given(st.integers(200, 599), BODIES, st.sampled_from([None, "", "3", "-1", "x", "9" * 30]), st.booleans())
def test_any_response_has_a_meaning(status: int, body: Any, wait: str | None, is_search: bool) -> None:
    headers = {} if wait is None else {"retry-after": wait}
    error = responses.error_of(status, headers, body, is_search=is_search)
    assert (error is None) == (200 <= status < 300 and (body is not None or status == 204))
    if isinstance(error, TryLater):
        assert 0 < error.seconds <= responses.LONGEST_PAUSE
    if status >= 500 or 300 <= status < 400:
        assert isinstance(error, OutcomeUnknown)
    if 200 <= status < 300:
        assert error is None or isinstance(error, OutcomeUnknown)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"category": "EXPIRED_AUTHENTICATION"}, responses.TokenExpired),
        (401, {"category": "INVALID_AUTHENTICATION"}, ConnectionProblem),
        (403, {"category": "MISSING_SCOPES"}, ConnectionProblem),
        (404, {"category": "OBJECT_NOT_FOUND"}, NotThere),
        (400, {"category": "VALIDATION_ERROR"}, RequestRefused),
        (423, {}, TryLater),
        (477, {}, TryLater),
        (502, None, OutcomeUnknown),
    ],
)
def test_meanings(status: int, body: Any, kind: type) -> None:
    assert type(responses.error_of(status, {}, body)) is kind


def test_refusals_name_properties_and_objects() -> None:
    message = 'Property values were not valid: [{"isValid":false,"message":"x","name":"hs_call_disposition"}]'
    refused = responses.error_of(400, {}, {"message": message})
    assert isinstance(refused, RequestRefused)
    assert "hs_call_disposition" in refused.names
    conflict = responses.error_of(409, {}, {"message": "Contact already exists. Existing ID: 951"})
    assert isinstance(conflict, RequestRefused)
    assert conflict.existing_id == "951"


def test_the_rates_are_below_the_limits_of_hubspot() -> None:
    assert RATES[LimitKind.REQUESTS].within(10) <= 100
    assert RATES[LimitKind.SEARCH].within(1) <= 5
