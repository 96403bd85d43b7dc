"""Parameter checks: what is let through, and as what."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.apis.jsonrpc import (
    Api,
    Envelope,
    Form,
    Method,
    Param,
    Params,
    ParamType,
    RequestContext,
    Result,
)
from trunkline.apis.jsonrpc.errors import RpcError
from trunkline.apis.jsonrpc.params import ParamChecker, is_date_time, masked, to_number


async def _handler(request: RequestContext, params: Params) -> Result:
    return Result()


def _method(*params: Param, forms: tuple[Form, ...] = ()) -> Method:
    return Method(
        api=Api.DATA,
        name="update.probe",
        summary="",
        params=params,
        result=(),
        envelope=Envelope.EMPTY,
        handler=_handler,
        forms=forms,
    )


def _check(param: Param, value: Any) -> Any:
    return ParamChecker(_method(param)).check({param.name: value}).get(param.name)


def _refusal(param: Param, value: Any) -> tuple[str, str | None]:
    with pytest.raises(RpcError) as caught:
        _check(param, value)
    return caught.value.mnemonic, caught.value.field


def test_arrays() -> None:
    numbers = Param("ids", ParamType.ARRAY, items=ParamType.NUMBER, maximum=3)
    assert _check(numbers, ["1", 2]) == [1, 2]
    assert _refusal(numbers, [1, "x"]) == ("data_type_error", "ids")
    assert _refusal(numbers, [1, 2, 3, 4]) == ("invalid_parameter_value", "ids")
    assert _refusal(numbers, {"0": 1}) == ("data_type_error", "ids")
    enums = Param("days", ParamType.ARRAY, items=ParamType.ENUM, enum=("mon", "tue"))
    assert _check(enums, ["tue"]) == ["tue"]
    assert _refusal(enums, ["sun"]) == ("invalid_parameter_value", "days")
    objects = Param(
        "phones", ParamType.ARRAY, params=(Param("phone_number", ParamType.STRING, required=True),)
    )
    assert _check(objects, [{"phone_number": "1"}]) == [{"phone_number": "1"}]
    assert _refusal(objects, [{}]) == ("required_parameter_missed", "phones.phone_number")
    assert _refusal(objects, [{"phone_number": "1", "x": 1}]) == ("unexpected_parameters", "phones.x")
    assert _refusal(objects, ["1"]) == ("data_type_error", "phones")


def test_null_defaults_and_reset() -> None:
    plain = Param("name", ParamType.STRING)
    assert ParamChecker(_method(plain)).check({"name": None}) == {}
    default = Param("name", ParamType.STRING, default="x")
    assert ParamChecker(_method(default)).check({}) == {"name": "x"}
    assert ParamChecker(_method(default)).check({"name": None}) == {"name": "x"}
    reset = Param("name", ParamType.STRING, nullable=True)
    assert ParamChecker(_method(reset)).check({"name": None}) == {"name": None}
    assert ParamChecker(_method(reset)).check({}) == {}


def test_required_unless_another_is_sent() -> None:
    phone = Param("phone", ParamType.STRING, required=True, unless=("email",))
    checker = ParamChecker(_method(phone, Param("email", ParamType.STRING)))
    assert checker.check({"email": "a@example.com"}) == {"email": "a@example.com"}
    assert checker.check({"phone": "1"}) == {"phone": "1"}
    with pytest.raises(RpcError) as caught:
        checker.check({"email": None})
    assert (caught.value.mnemonic, caught.value.field) == ("required_parameter_missed", "phone")


def test_texts() -> None:
    code = Param("code", ParamType.STRING, pattern=r"[0-9*#]|any", required=True)
    assert _check(code, "any") == "any"
    assert _refusal(code, "anyone") == ("invalid_parameter_value", "code")
    assert _refusal(code, "") == ("invalid_parameter_value", "code")
    assert _refusal(code, "1\n") == ("invalid_parameter_value", "code")
    assert _refusal(Param("t", ParamType.STRING), "a\0b") == ("invalid_parameter_value", "t")
    assert _refusal(Param("t", ParamType.STRING, maximum=2), "abc") == ("invalid_parameter_value", "t")
    assert _refusal(Param("t", ParamType.STRING), 12) == ("data_type_error", "t")


def test_numbers_within_bounds() -> None:
    limited = Param("n", ParamType.NUMBER, minimum=1, maximum=9)
    assert _check(limited, "9") == 9
    assert _refusal(limited, 0) == ("invalid_parameter_value", "n")
    assert _refusal(limited, 10) == ("invalid_parameter_value", "n")
    assert _check(Param("n", ParamType.NUMBER, fractional=True), "1.5") == 1.5


def test_convert_refuses_with_none() -> None:
    upper = Param("n", ParamType.STRING, convert=lambda text: text.upper() if text != "no" else None)
    assert _check(upper, "yes") == "YES"
    assert _refusal(upper, "no") == ("invalid_parameter_value", "n")


def test_secret_values_are_never_echoed() -> None:
    secret = Param("pin", ParamType.NUMBER, secret=True)
    with pytest.raises(RpcError) as caught:
        _check(secret, "1234x")
    assert caught.value.value is None
    sent = {"pin": "1", "password": "p", "access_token": "t", "name": "n"}
    assert masked(_method(secret), sent) == {
        "pin": "***",
        "password": "***",
        "access_token": "***",
        "name": "n",
    }


def test_form() -> None:
    form = Form(
        description="",
        applies=lambda sent: "flat" in sent,
        params=(Param("flat", ParamType.NUMBER, required=True),),
        rewrite=lambda params: {"nested": {"id": params["flat"]}},
    )
    nested = Param(
        "nested", ParamType.OBJECT, required=True, params=(Param("id", ParamType.NUMBER, required=True),)
    )
    checker = ParamChecker(_method(nested, forms=(form,)))
    assert checker.check({"flat": "4"}) == checker.check({"nested": {"id": 4}}) == {"nested": {"id": 4}}
    with pytest.raises(RpcError) as caught:
        checker.check({"flat": 4, "nested": {"id": 4}})
    assert caught.value.field == "nested"


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("2026-02-28", True),
        ("2026-02-28 23:59:59", True),
        ("2026-02-28T23:59:59Z", True),
        ("2026-02-28T23:59:59+04:00", True),
        ("2026-02-30", False),
        ("2026-02-28 24:00:00", False),
        ("2026-2-8", False),
        ("yesterday", False),
        ("2026-02-28 23:59:59\n", False),
    ],
)
def test_dates(text: str, good: bool) -> None:
    assert is_date_time(text) is good
    moment = Param("at", ParamType.ISO8601)
    if good:
        assert _check(moment, text) == text
    else:
        assert _refusal(moment, text) == ("invalid_parameter_value", "at")


@given(st.integers(min_value=-(10**18), max_value=10**18))
def test_numbers_and_their_texts_are_the_same(number: int) -> None:
    assert to_number(number) == to_number(str(number)) == number


@given(st.one_of(st.text(max_size=8), st.floats(), st.booleans(), st.lists(st.integers())))
def test_only_whole_numbers_pass(value: Any) -> None:
    found = to_number(value)
    if found is None:
        return
    assert isinstance(found, int)
    assert isinstance(value, str | float)
    assert not isinstance(value, bool)
    assert int(value) == found


@pytest.mark.parametrize("text", ["", " 1", "1 ", "+1", "1e3", "0x1", "١", "1_0", "1.0", "NaN", "9" * 20])
def test_texts_that_are_no_numbers(text: str) -> None:
    assert to_number(text) is None
