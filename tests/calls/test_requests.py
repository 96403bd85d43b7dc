"""Requests of the API against the directory: each refusal with its mnemonic, place, value and substitutions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.company import company, number_of
from trunkline.calls.flows.start_requests import STARTS
from trunkline.core.errors import InvalidInput, LimitExceeded, NotFound, PermissionDenied, Refused
from trunkline.routing.directions import direction_of

GOOD: dict[str, Any] = {
    "virtual_phone_number": number_of(1),
    "contact": c.CUSTOMER,
    "first_call": "employee",
    "employee": {"id": c.ANNA},
}


@pytest.mark.parametrize(
    ("changes", "kind", "mnemonic", "field", "value", "params"),
    [
        (
            {"virtual_phone_number": "442079460999"},
            NotFound,
            "virtual_phone_number_not_found",
            "virtual_phone_number",
            "442079460999",
            {"virtual_phone_number": "442079460999"},
        ),
        (
            {"contact": number_of(2)},
            InvalidInput,
            "own_virtual_phone_number_not_allowed",
            "contact",
            number_of(2),
            {},
        ),
        (
            {"contact": c.BLOCKED},
            PermissionDenied,
            "contact_in_blacklist",
            "contact",
            c.BLOCKED,
            {"contact": c.BLOCKED},
        ),
        # A short number, and one that looks like a line's login.
        ({"contact": "101"}, InvalidInput, "invalid_parameter_value", "contact", "101", {}),
        ({"contact": "0269999"}, InvalidInput, "invalid_parameter_value", "contact", "0269999", {}),
        ({"employee": {"id": 99}}, NotFound, "employee_not_found", "employee.id", 99, {"employee_id": 99}),
        (
            {"employee": {"id": c.ANNA, "phone_number": "0269999"}},
            InvalidInput,
            "no_active_phone_number",
            "employee.phone_number",
            "0269999",
            {},
        ),
        ({"media_file_id": 77}, NotFound, "media_file_not_found", "media_file_id", 77, {"media_file_id": 77}),
        (
            {"contact_message": {"type": "media", "value": "77"}},
            NotFound,
            "media_file_not_found",
            "contact_message.value",
            "77",
            {"media_file_id": "77"},
        ),
        (
            {"employee_message": {"type": "tts", "value": "x" * 21}},
            LimitExceeded,
            "tts_text_exceeded",
            "employee_message.value",
            "x" * 21,
            {"tts_message_max_length": 20, "sent_tts_message_length": 21},
        ),
    ],
)
def test_an_invalid_start_is_refused_with_mnemonic_field_and_value(
    changes: dict[str, Any],
    kind: type[Refused],
    mnemonic: str,
    field: str,
    value: Any,
    params: dict[str, Any],
) -> None:
    with pytest.raises(kind) as caught:
        STARTS["start_employee_call"](company(), {**GOOD, **changes})
    error = caught.value
    assert (error.mnemonic, error.field, error.value, error.params) == (mnemonic, field, value, params)
    assert error.message


def test_directions_that_are_closed() -> None:
    closed = company(security={"international": False})
    with pytest.raises(PermissionDenied, match="security settings") as caught:
        STARTS["start_employee_call"](closed, GOOD)
    assert (caught.value.mnemonic, caught.value.field, caught.value.value) == (
        "forbidden",
        "contact",
        c.CUSTOMER,
    )
    assert STARTS["start_employee_call"](closed, {**GOOD, "contact": "971500000010"})
    assert STARTS["start_employee_call"](closed, {**GOOD, "contact": c.BORIS_LINE})


@pytest.mark.parametrize(
    ("number", "direction"),
    [
        ("971500000010", "mobile"),
        ("97142000000", "national"),
        (c.CUSTOMER, "international"),
        ("0", "international"),
    ],
)
def test_direction(number: str, direction: str) -> None:
    assert direction_of(company(), number) == direction


def test_an_employee_without_a_phone_that_is_on() -> None:
    silent = c.employee(c.ANNA, "Berg Anna", c.phone(11, 1, is_active=False))
    with pytest.raises(InvalidInput) as caught:
        STARTS["start_employee_call"](company(employees={c.ANNA: silent}), GOOD)
    assert (caught.value.mnemonic, caught.value.field) == ("no_active_phone_number", "employee.id")


@pytest.mark.parametrize("named", [c.ANNA_SECOND, "101"])
def test_one_phone_of_the_employee(named: str) -> None:
    request = STARTS["start_employee_call"](
        company(), {**GOOD, "employee": {"id": c.ANNA, "phone_number": named}}
    )
    assert request.first["phone_ids"] == [12 if named == c.ANNA_SECOND else 11]


def test_who_is_called_first() -> None:
    employee_first = STARTS["start_employee_call"](company(), GOOD)
    assert employee_first.first == {"kind": "employee", "employee_id": c.ANNA, "phone_ids": [11, 12]}
    assert employee_first.second == {"kind": "contact", "number": c.CUSTOMER}
    contact_first = STARTS["start_simple_call"](
        company(), {**GOOD, "first_call": "contact", "operator": "971500000011"}
    )
    assert contact_first.first == {"kind": "contact", "number": c.CUSTOMER}
    assert contact_first.second == {"kind": "operator", "number": "971500000011"}
    assert (contact_first.operator, contact_first.direction) == ("971500000011", "in")
