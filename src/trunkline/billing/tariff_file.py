"""Tariff files: what plans cost, as YAML.

::

    plans:
      standard:
        name: Standard
        prices:
          - from: 2026-12-01
            currency: AED
            monthly: {account: 50, number: 20, line: 5}
            rounding: minute
            out:
              any: 0.90
              971: 0.15
              9715: {per_minute: 0.30, connection_fee: 0.05, rounding: 30/6, type: mobile}
            in:
              971800: 0.10

``rounding`` is ``minute`` (60/60), ``second`` (1/1) or ``first/step`` in seconds; it, ``free_seconds`` and
``connection_fee`` may be next to the rates, for all of them, or in one rate. Numbers are read as they are written:
no amount is ever a binary fraction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from trunkline.billing.kinds import DirectionType
from trunkline.billing.rates import Direction, Rate
from trunkline.directory.files.file import read_items
from trunkline.directory.forms.fields import Item, Key

ANY = "any"
"""Written for the empty prefix."""

_LONGEST_STEP = 3600

_WORDS = {"minute": (60, 60), "second": (1, 1)}
_PREFIX = re.compile(r"[1-9][0-9]{0,14}\Z")


def _steps(value: Any) -> Any:
    if isinstance(value, tuple):
        return value
    text = str(value)
    if text in _WORDS:
        return _WORDS[text]
    first, slash, step = text.partition("/")
    if not slash or not (first.isdecimal() and step.isdecimal()):
        raise ValueError("write minute, second, or first/step in seconds, such as 30/6")
    if not 1 <= int(first) <= _LONGEST_STEP or not 1 <= int(step) <= _LONGEST_STEP:
        raise ValueError(f"steps have 1 to {_LONGEST_STEP} seconds")
    return int(first), int(step)


def _prefix(text: str) -> str:
    if text == ANY:
        return ""
    digits = text.removeprefix("+")
    if not _PREFIX.match(digits):
        raise ValueError(
            f"{text!r} is not a prefix; write the first digits of numbers with country code, or any"
        )
    return digits


Price = Annotated[Decimal, Field(ge=0, max_digits=10, decimal_places=4, allow_inf_nan=False)]
Rounding = Annotated[tuple[int, int], BeforeValidator(_steps)]
Prefix = Annotated[str, AfterValidator(_prefix)]
FreeSeconds = Annotated[int, Field(ge=0, le=3600)]


class RateForm(Item):
    """A price; ``0.15`` alone is its ``per_minute``. Omitted values are those of the price list."""

    per_minute: Price
    connection_fee: Price | None = None
    rounding: Rounding | None = None
    free_seconds: FreeSeconds | None = None
    type: DirectionType | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | RateForm) else {"per_minute": value}


class MonthlyForm(Item):
    """Fees for a month: for the account, for each of its numbers, for each of its SIP lines."""

    account: Price = Decimal(0)
    number: Price = Decimal(0)
    line: Price = Decimal(0)


class PricesForm(Item):
    """What a plan costs in a currency, from the beginning of a day by the calendar of the account that calls."""

    valid_from: Annotated[date, Field(alias="from")]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    monthly: MonthlyForm = MonthlyForm()
    rounding: Rounding = (60, 60)
    free_seconds: FreeSeconds = 0
    connection_fee: Price = Decimal(0)
    inbound: Annotated[dict[Prefix, RateForm], Field(alias="in", default_factory=dict)]
    outbound: Annotated[dict[Prefix, RateForm], Field(alias="out", default_factory=dict)]

    def rates(self) -> Iterator[tuple[Direction, str, Rate]]:
        """Direction, prefix and rate of each, with what holds for all of them filled in."""
        for direction, forms in ((Direction.IN, self.inbound), (Direction.OUT, self.outbound)):
            for prefix, form in forms.items():
                first_step, step = form.rounding or self.rounding
                yield (
                    direction,
                    prefix,
                    Rate(
                        form.per_minute,
                        _first(form.connection_fee, self.connection_fee),
                        first_step,
                        step,
                        _first(form.free_seconds, self.free_seconds),
                        form.type,
                    ),
                )


class PlanForm(Item):
    name: Annotated[str, Field(max_length=255)] = ""
    prices: tuple[PricesForm, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> PlanForm:
        days = [(one.currency, one.valid_from) for one in self.prices]
        if len(set(days)) != len(days):
            raise ValueError("two price lists have the same currency and the same day")
        return self


class TariffForm(Item):
    """A tariff file. Items that it does not contain are not changed."""

    plans: dict[Key, PlanForm]


def read_tariffs(path: Path) -> TariffForm:
    """The plans of a YAML file; :class:`DirectoryFileError` with all its problems."""
    return read_items(path, TariffForm)


def _first(own: Any, common: Any) -> Any:
    return common if own is None else own
