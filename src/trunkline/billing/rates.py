"""What a leg costs. Pure: no clock, no database, no binary fractions.

A leg that runs by a trunk costs the rate of its direction with the longest matching prefix: the prefix of the
called number, which for an incoming call is the virtual number (a toll-free number is charged to its owner). Legs to
devices of the PBX cost nothing. Amounts are rounded once a leg, half up, to four places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum
from typing import Any

from trunkline.billing.kinds import DirectionType, type_of_number

PLACES = Decimal("0.0001")
"""The smallest amount."""

ZERO = Decimal(0)

_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)


class Direction(StrEnum):
    """Of a leg: towards us, from us."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Rate:
    """Price of legs to one prefix. ``first_step``, ``step``, ``free_seconds`` in seconds."""

    cost_per_minute: Decimal
    connection_fee: Decimal = ZERO
    first_step: int = 60
    """What is charged at least."""
    step: int = 60
    """Later steps: 60 for minutes, 1 for seconds."""
    free_seconds: int = 0
    """A leg that is not longer costs nothing; a longer one is charged from its first second."""
    direction_type: DirectionType | None = None
    """None: derived from the number."""

    def __post_init__(self) -> None:
        if self.first_step < 1 or self.step < 1 or self.free_seconds < 0:
            raise ValueError("steps are at least a second, free seconds at least none")
        if self.cost_per_minute < 0 or self.connection_fee < 0:
            raise ValueError("a price is not negative")


def rate_of(row: Mapping[str, Any]) -> Rate:
    """A rate from its row of ``tariff_rates``."""
    return Rate(
        row["cost_per_minute"],
        row["connection_fee"],
        row["first_step"],
        row["step"],
        row["free_seconds"],
        DirectionType(row["direction_type"]) if row["direction_type"] else None,
    )


@dataclass(frozen=True, slots=True)
class PriceList:
    """Rates by direction and prefix (digits; empty: all numbers)."""

    tariff_price_id: int
    rates: Mapping[Direction, Mapping[str, Rate]] = field(default_factory=dict)

    def find(self, direction: Direction, number: str | None) -> tuple[str, Rate] | None:
        """The rate with the longest prefix of ``number``, and that prefix; None when none matches."""
        rates = self.rates.get(direction, {})
        digits = number or ""
        for length in range(len(digits), -1, -1):
            rate = rates.get(digits[:length])
            if rate is not None:
                return digits[:length], rate
        return None


@dataclass(frozen=True, slots=True)
class LegFacts:
    """The values of a leg that determine its price. ``duration``: whole seconds from the answer, 0 without one."""

    direction: Direction
    duration: int
    calling: str | None
    called: str | None
    own_number: str | None
    """The virtual number of the call."""
    by_trunk: bool
    """False: to or from a device of the PBX."""


@dataclass(frozen=True, slots=True)
class Charge:
    chargeable_duration: int
    """Seconds."""
    cost_per_minute: Decimal | None
    """None: no rate matched, or the leg never costs anything."""
    connection_fee: Decimal
    """Part of ``total``."""
    total: Decimal
    direction_type: DirectionType | None
    prefix: str | None


def chargeable_seconds(rate: Rate, duration: int) -> int:
    """Seconds of a leg that are charged: none up to ``free_seconds``, else the first step and whole steps after it."""
    if duration <= rate.free_seconds:
        return 0
    rest = max(duration - rate.first_step, 0)
    return rate.first_step + -(-rest // rate.step) * rate.step


def amount(rate: Rate, chargeable: int) -> Decimal:
    """What so many chargeable seconds cost; nothing for none, else with the connection fee."""
    if not chargeable:
        return ZERO
    talk = _EXACT.divide(_EXACT.multiply(rate.cost_per_minute, Decimal(chargeable)), Decimal(60))
    return _EXACT.add(talk, rate.connection_fee).quantize(PLACES, context=_EXACT)


def rate_leg(leg: LegFacts, prices: PriceList | None, country: str) -> Charge:
    """The charge of a leg.

    :param prices: of the account's plan in its currency, on the leg's day; None: there are none.
    :param country: of the account, ISO 3166: what is abroad.
    """
    if not leg.by_trunk:
        return Charge(0, None, ZERO, ZERO, DirectionType.LOCAL, None)
    other = leg.called if leg.direction is Direction.OUT else leg.calling
    default_type = type_of_number(other, leg.own_number, country)
    priced = leg.called if leg.direction is Direction.OUT else leg.own_number or leg.called
    found = prices.find(leg.direction, priced) if prices is not None else None
    if found is None:
        return Charge(0, None, ZERO, ZERO, default_type, None)
    prefix, rate = found
    seconds = chargeable_seconds(rate, leg.duration)
    fee = rate.connection_fee if seconds else ZERO
    return Charge(
        seconds, rate.cost_per_minute, fee, amount(rate, seconds), rate.direction_type or default_type, prefix
    )


def plain(value: Decimal) -> str:
    """An amount without needless zeros: ``0.3``, ``120``."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text
