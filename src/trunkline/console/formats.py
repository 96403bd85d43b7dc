"""Times, durations and numbers as people read them."""

from __future__ import annotations

import time
from datetime import date, datetime
from zoneinfo import ZoneInfo

import phonenumbers
from babel import Locale
from babel.dates import format_date, format_time
from babel.numbers import format_decimal, format_percent

_ABROAD_MIN, _NATIONAL_MIN = 10, 8
"""Digits of a whole number with its international or national prefix, at least."""


class Formats:
    """:param zone: of the times that are shown."""

    def __init__(self, locale: Locale, zone: ZoneInfo) -> None:
        self._locale = locale
        self._zone = zone

    def time(self, moment: datetime | None) -> str:
        """Hours, minutes and seconds."""
        if moment is None:
            return "–"
        return format_time(moment.astimezone(self._zone), "HH:mm:ss", locale=self._locale)

    def day(self, moment: datetime | date | None) -> str:
        """The day with its weekday."""
        if moment is None:
            return "–"
        local = moment.astimezone(self._zone) if isinstance(moment, datetime) else moment
        return format_date(local, "EEEE, d MMMM y", locale=self._locale)

    def moment(self, moment: datetime | None) -> str:
        """Day and time."""
        if moment is None:
            return "–"
        local = moment.astimezone(self._zone)
        day = format_date(local, "d MMM y", locale=self._locale)
        return f"{day}, {format_time(local, 'HH:mm', locale=self._locale)}"

    def local(self, text: str | None, *, with_day: bool = True) -> str:
        """A time of a report, which is in the zone already (``YYYY-MM-DD hh:mm:ss``)."""
        if not text:
            return "–"
        moment = datetime.fromisoformat(text)
        shown = format_time(moment, "HH:mm:ss", locale=self._locale)
        return f"{format_date(moment, 'd MMM', locale=self._locale)}, {shown}" if with_day else shown

    def number(self, value: float | None) -> str:
        """A number with its groups of digits."""
        return "–" if value is None else format_decimal(value, locale=self._locale)

    def percent(self, share: float | None) -> str:
        """A share of one."""
        return "–" if share is None else format_percent(share, locale=self._locale)

    @staticmethod
    def duration(seconds: float | None) -> str:
        """Minutes and seconds, from an hour on hours, too."""
        if seconds is None:
            return "–"
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

    @classmethod
    def since(cls, moment: float) -> str:
        """How long ago it was.

        :param moment: Unix seconds.
        """
        return cls.duration(max(0, time.time() - moment))

    @staticmethod
    def iso(moment: datetime | None) -> str:
        """For the attribute ``datetime``."""
        return "" if moment is None else moment.isoformat()

    @staticmethod
    def phone(number: str | None) -> str:
        """A number in groups of digits; an extension, or what is no number, as it is."""
        if not number:
            return "–"
        if len(number) < 8 or not number.lstrip("+").isdigit():
            return number
        try:
            parsed = phonenumbers.parse(f"+{number.lstrip('+')}")
        except phonenumbers.NumberParseException:
            return number
        if not phonenumbers.is_possible_number(parsed):
            return number
        return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL))


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day."""
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def searched_digits(text: str) -> str:
    """The part of a number that is searched for: its digits, without what is dialled before a whole number.

    Numbers of calls and contacts are in full (``971501230021``), and people write ``0501230021`` or ``00971501230021``. A
    few digits with zeros at the beginning are a part of a number, and stay.
    """
    digits = "".join(one for one in text if one.isascii() and one.isdigit())
    if digits.startswith("00"):
        return digits[2:] if len(digits) >= _ABROAD_MIN else digits
    return digits[1:] if digits.startswith("0") and len(digits) >= _NATIONAL_MIN else digits
