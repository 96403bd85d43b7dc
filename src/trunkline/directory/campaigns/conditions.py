"""Conditions that assign visits to a campaign. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trunkline.core.errors import InvalidInput
from trunkline.core.patterns import PatternError, compile_pattern

PATH = "campaign_conditions.group_conditions"
MAX_GROUPS = 30
MAX_CONDITIONS = 50
"""In a group."""
MAX_VALUE = 1000
"""Characters of a value."""
MAX_PATTERNS = 50
"""Conditions with a regular expression, of one campaign."""

_FREE = ("sub", "=", "~")

_FREE_PARAMETERS = (
    "entrance_page",
    "referrer_domain",
    "search_query",
    "referrer",
    "country",
    "city",
    "region",
    *(f"utm_{name}" for name in ("source", "medium", "campaign", "term", "content")),
    *(f"openstat_{name}" for name in ("service", "campaign", "source", "ad")),
    "ef_id",
    "yclid",
    "gclid",
    "ymclid",
    *(
        f"static_utm_{name}"
        for name in ("source", "medium", "campaign", "content", "term", "referrer", "expid")
    ),
)

_CHOSEN: Mapping[str, tuple[str, ...]] = {
    "search_engine": (
        "askcom",
        "bing.com",
        "google.com",
        "mail.ru",
        "nigma",
        "rambler.ru",
        "yahoo.com",
        "yandex",
    ),
    "engine": tuple("12345678"),
    "channel": (
        "display",
        "paid",
        "affiliate",
        "messenger",
        "social",
        "email",
        "organic",
        "internal",
        "recommendation",
        "cash",
        "referral",
        "direct",
    ),
}
"""Parameters whose values are given; they are compared as a whole."""

PARAMETERS: tuple[str, ...] = (*_FREE_PARAMETERS, *_CHOSEN)
OPERATORS = _FREE
TYPES = ("include", "exclude")


def check_conditions(groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Groups of conditions as they are kept: ``[{"conditions": [{type, campaign_parameter, operator, value}]}]``.

    :raises InvalidInput: too many; an operator or a value that the parameter does not take.
    """
    if len(groups) > MAX_GROUPS:
        raise InvalidInput(f"Give at most {MAX_GROUPS} groups", field=PATH, params={"max_value": MAX_GROUPS})
    for group in groups:
        conditions = group["conditions"]
        if len(conditions) > MAX_CONDITIONS:
            raise InvalidInput(
                f"Give at most {MAX_CONDITIONS} conditions in a group",
                field=f"{PATH}.conditions",
                params={"max_value": MAX_CONDITIONS},
            )
        for condition in conditions:
            _check(condition)
    patterns = sum(one["operator"] == "~" for group in groups for one in group["conditions"])
    if patterns > MAX_PATTERNS:
        raise InvalidInput(
            f"Give at most {MAX_PATTERNS} conditions with a regular expression",
            field=f"{PATH}.conditions",
            params={"max_value": MAX_PATTERNS},
        )
    return [{"conditions": [dict(one) for one in group["conditions"]]} for group in groups]


def _check(condition: Mapping[str, Any]) -> None:
    parameter, operator, value = (condition[name] for name in ("campaign_parameter", "operator", "value"))
    choices = _CHOSEN.get(parameter)
    if choices is not None:
        if operator != "=":
            _refuse(f"{parameter} is compared with '=' only", "operator", operator)
        if value not in choices:
            _refuse(f"{parameter} is one of {', '.join(choices)}", "value", value)
    elif operator == "~":
        try:
            compile_pattern(value)
        except PatternError as error:
            _refuse(f"This is not a regular expression that is supported: {error}", "value", value)


def _refuse(message: str, name: str, value: Any) -> None:
    raise InvalidInput(message, field=f"{PATH}.conditions.{name}", value=value)
