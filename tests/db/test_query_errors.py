"""Invalid list requests and their errors."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.db.query_sample import SAMPLE
from trunkline.core.errors import InvalidInput
from trunkline.db.query import compile_request, parse_request
from trunkline.db.query.filters import MAX_CONDITIONS, MAX_DEPTH

ZONE = ZoneInfo("Asia/Dubai")


def refused(params: dict[str, Any]) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse_request(params, SAMPLE, ZONE)
    return caught.value


def condition(field: Any = "name", operator: Any = "=", value: Any = "x", **more: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value, **more}


def nest(depth: int) -> dict[str, Any]:
    tree = condition()
    for _ in range(depth - 1):
        tree = {"filters": [tree]}
    return tree


@pytest.mark.parametrize(
    ("params", "mnemonic", "field", "value"),
    [
        ({"fields": ["id", "nothing"]}, "unexpected_parameters", "fields", "nothing"),
        ({"fields": "id"}, "data_type_error", "fields", "id"),
        ({"fields": [1]}, "data_type_error", "fields", [1]),
        ({"sort": [{"field": "nothing"}]}, "unexpected_parameters", "sort.0.field", "nothing"),
        ({"sort": [{"field": "tags"}]}, "sort_prohibited", "sort.0.field", "tags"),
        ({"sort": [{"field": "id"}, {"order": "asc"}]}, "required_parameter_missed", "sort.1.field", None),
        ({"sort": [{"field": "id", "order": "up"}]}, "invalid_parameter_value", "sort.0.order", "up"),
        ({"sort": [{"field": "id", "order": 1}]}, "data_type_error", "sort.0.order", 1),
        ({"sort": [{"field": "id", "by": "asc"}]}, "unexpected_parameters", "sort.0.by", None),
        ({"sort": ["id"]}, "data_type_error", "sort.0", "id"),
        ({"sort": {"field": "id"}}, "data_type_error", "sort", {"field": "id"}),
        ({"sort": [{"field": "id"}] * 21}, "invalid_parameter_value", "sort", None),
        ({"limit": 10_001}, "invalid_parameter_value", "limit", 10_001),
        ({"limit": -1}, "invalid_parameter_value", "limit", -1),
        ({"limit": "many"}, "data_type_error", "limit", "many"),
        ({"limit": 1.5}, "data_type_error", "limit", 1.5),
        ({"limit": True}, "data_type_error", "limit", True),
        ({"offset": 100_001}, "invalid_parameter_value", "offset", 100_001),
        ({"filter": []}, "data_type_error", "filter", []),
        ({"filter": condition("nothing")}, "unexpected_parameters", "filter.field", "nothing"),
        ({"filter": condition("secret")}, "filter_prohibited", "filter.field", "secret"),
        ({"filter": condition(5)}, "data_type_error", "filter.field", 5),
        ({"filter": {"field": "name", "value": 1}}, "required_parameter_missed", "filter.operator", None),
        ({"filter": {"operator": "=", "value": 1}}, "required_parameter_missed", "filter.field", None),
        ({"filter": condition(extra=1)}, "unexpected_parameters", "filter.extra", None),
        ({"filter": condition(operator="~")}, "invalid_parameter_value", "filter.operator", "~"),
        ({"filter": condition("name", "<")}, "invalid_parameter_value", "filter.operator", "<"),
        ({"filter": condition("amount", "like", "1%")}, "invalid_parameter_value", "filter.operator", "like"),
        ({"filter": condition("flag", "in", [True])}, "invalid_parameter_value", "filter.operator", "in"),
        (
            {"filter": condition("name", "jsquery", "a=1")},
            "invalid_parameter_value",
            "filter.operator",
            "jsquery",
        ),
        ({"filter": condition("name", "=null", "x")}, "invalid_parameter_value", "filter.value", "x"),
        ({"filter": condition("name", "like", None)}, "invalid_parameter_value", "filter.value", None),
        ({"filter": condition("name", "=", 5)}, "data_type_error", "filter.value", 5),
        ({"filter": condition("name", "=", "\0")}, "invalid_parameter_value", "filter.value", None),
        ({"filter": condition("name", "=", "x" * 1001)}, "invalid_parameter_value", "filter.value", None),
        ({"filter": condition("amount", "=", "x")}, "data_type_error", "filter.value", "x"),
        ({"filter": condition("amount", "=", True)}, "data_type_error", "filter.value", True),
        ({"filter": condition("amount", "=", 1e300)}, "invalid_parameter_value", "filter.value", 1e300),
        ({"filter": condition("amount", "in", 5)}, "data_type_error", "filter.value", 5),
        ({"filter": condition("amount", "in", [5, None])}, "data_type_error", "filter.value", None),
        ({"filter": condition("amount", "in", [1] * 1001)}, "invalid_parameter_value", "filter.value", None),
        ({"filter": condition("flag", "=", "yes")}, "data_type_error", "filter.value", "yes"),
        ({"filter": condition("color", "=", "pink")}, "invalid_parameter_value", "filter.value", "pink"),
        ({"filter": condition("at", "=", "soon")}, "invalid_parameter_value", "filter.value", "soon"),
        ({"filter": condition("at", "=", 5)}, "data_type_error", "filter.value", 5),
        ({"filter": condition("tags", "=", [1])}, "data_type_error", "filter.value", [1]),
        (
            {"filter": condition("tags", "jsquery", "tag_id ==")},
            "invalid_parameter_value",
            "filter.value",
            "tag_id ==",
        ),
        ({"filter": condition("name", "regexp", "x" * 201)}, "invalid_parameter_value", "filter.value", None),
        (
            {"filter": condition("name", "regexp", r"(a)\1")},
            "invalid_parameter_value",
            "filter.value",
            r"(a)\1",
        ),
        (
            {"filter": condition("name", "regexp", "a{4294967296}")},
            "invalid_parameter_value",
            "filter.value",
            "a{4294967296}",
        ),
        ({"filter": condition("name", "like", "%a" * 21)}, "invalid_parameter_value", "filter.value", None),
        (
            {"filter": {"filters": [condition("name", "regexp", "x")] * 6}},
            "invalid_parameter_value",
            "filter",
            None,
        ),
        (
            {"filter": {"filters": [condition("tags", "jsquery", "# = 1")] * 21}},
            "invalid_parameter_value",
            "filter",
            None,
        ),
        ({"filter": {"filters": [{}] * 1001}}, "invalid_parameter_value", "filter", None),
        (
            {"filter": condition("tags", "jsquery", "*.*.* = 1")},
            "invalid_parameter_value",
            "filter.value",
            "*.*.* = 1",
        ),
        (
            {"filter": condition("tags", "jsquery", "*(*.a(b = 1 OR * = 1))")},
            "invalid_parameter_value",
            "filter.value",
            "*(*.a(b = 1 OR * = 1))",
        ),
        (
            {"filter": condition("tags", "jsquery", " OR ".join(["*.*=1"] * 5))},
            "invalid_parameter_value",
            "filter.value",
            " OR ".join(["*.*=1"] * 5),
        ),
        (
            {"filter": condition("tags", "jsquery", ".".join("#" * 17) + " = 1")},
            "invalid_parameter_value",
            "filter.value",
            ".".join("#" * 17) + " = 1",
        ),
        (
            {"filter": condition("name", "regexp", "***=x")},
            "invalid_parameter_value",
            "filter.value",
            "***=x",
        ),
        (
            {"filter": condition("name", "regexp", "(a{1,50}){1,50}")},
            "invalid_parameter_value",
            "filter.value",
            "(a{1,50}){1,50}",
        ),
        (
            {"filter": {"filters": [condition(), {"filters": [condition("name", "=", 1)]}]}},
            "data_type_error",
            "filter.filters.1.filters.0.value",
            1,
        ),
        ({"filter": {"filters": {}}}, "data_type_error", "filter.filters", {}),
        ({"filter": {"filters": ["x"]}}, "data_type_error", "filter.filters.0", "x"),
        (
            {"filter": {"filters": [condition()], "condition": "xor"}},
            "invalid_parameter_value",
            "filter.condition",
            "xor",
        ),
        (
            {"filter": {"filters": [condition()], "field": "name"}},
            "unexpected_parameters",
            "filter.field",
            None,
        ),
        (
            {"filter": {"filters": [condition()] * (MAX_CONDITIONS + 1)}},
            "invalid_parameter_value",
            "filter",
            None,
        ),
    ],
)
def test_an_invalid_query_is_refused_with_mnemonic_and_field(
    params: dict[str, Any], mnemonic: str, field: str, value: Any
) -> None:
    error = refused(params)
    assert (error.mnemonic, error.field, error.value) == (mnemonic, field, value)


def test_depth_is_bounded() -> None:
    assert parse_request({"filter": nest(MAX_DEPTH)}, SAMPLE, ZONE).filter is not None
    assert refused({"filter": nest(MAX_DEPTH + 1)}).mnemonic == "invalid_parameter_value"


def test_defaults() -> None:
    request = parse_request({"filter": {}, "fields": [], "sort": []}, SAMPLE, ZONE)
    assert (request.limit, request.offset, request.filter, request.sort) == (1000, 0, None, ())
    assert request.fields == ("id", "amount", "name", "flag", "color", "at", "words", "thing", "tag_id")


def test_numeric_strings_and_floats_are_numbers_of_pages() -> None:
    request = parse_request({"limit": "10", "offset": 5.0}, SAMPLE, ZONE)
    assert (request.limit, request.offset) == (10, 5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#",
        "tag_id",
        "tag_id =",
        "= 5",
        "tag_id = 5 AND",
        "(tag_id = 5",
        "tag_id = 5)",
        "a IN ()",
        "a IN (1",
        "a < x",
        "a @> 5",
        "a IS WHAT",
        'a = "\\q"',
        'a = "x',
        "#:.a = 1",
        "a ; b",
        "NOT",
        "a..b = 1",
        "1 = 1",
        "(" * 40 + "a = 1",
        "a = 1 OR " * 200 + "a = 1",
        'a = "\\u0000"',
        'a = "\\ud800"',
    ],
)
def test_what_is_no_jsquery(text: str) -> None:
    error = refused({"filter": condition("tags", "jsquery", text)})
    assert error.mnemonic == "invalid_parameter_value"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["field", "operator", "value", "filters", "condition", "x"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(
    st.fixed_dictionaries(
        {}, optional={"filter": _json, "sort": _json, "fields": _json, "limit": _json, "offset": _json}
    )
)
def test_whatever_is_sent_is_answered_or_refused(params: dict[str, Any]) -> None:
    try:
        request = parse_request(params, SAMPLE, ZONE)
    except InvalidInput:
        return
    compile_request(SAMPLE, request, account_id=1, time_zone=ZONE.key)


@pytest.mark.parametrize(
    ("params", "remedy"),
    [
        ({"fields": ["id", "nam"]}, "There are no such fields here. nam may be name. Fields: "),
        ({"filter": condition("nmae")}, "There is no field 'nmae' here. nmae may be name. Fields: "),
        ({"sort": [{"field": "Name"}]}, "There is no field 'Name' here. Name may be name. Fields: "),
        ({"sort": [{"field": "tags"}]}, "'tags' cannot be sorted by. Sortable fields: "),
        ({"filter": condition("secret")}, "'secret' cannot be filtered by. Fields of filters: "),
        ({"fields": ["q" * 5000]}, "There are no such fields here. Fields: "),
    ],
)
def test_a_wrong_name_gets_the_closest_valid_one(params: dict[str, Any], remedy: str) -> None:
    message = refused(params).message
    assert message.startswith(remedy)
    assert len(message) < 2000
    assert "id" in message.removeprefix(remedy).rstrip(".").split(", ")
