"""Telephone numbers as people write them in a CRM. Pure."""

from __future__ import annotations

import re

import phonenumbers
from phonenumbers import PhoneNumberFormat

FORMS_MAX = 16
"""Written forms of a number that are searched; a search has a limited length."""

_SEPARATORS = re.compile(r"[^0-9+]+")


def written_forms(number: str) -> list[str]:
    """Forms in which contacts may have a number, the most usual first, each once.

    :param number: digits of an E.164 number.
    """
    forms = [f"+{number}", number, f"00{number}"]
    parsed = _parsed(f"+{number}", None)
    if parsed is not None:
        code = str(parsed.country_code)
        national = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
        international = phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL)
        significant = phonenumbers.national_significant_number(parsed)
        forms += [
            international,
            national,
            _SEPARATORS.sub("", national),
            significant,
            f"+{code} {significant}",
            f"+{code}-{significant}",
            f"+{code}{_SEPARATORS.sub('', national)}",
            international.replace(" ", "-"),
            international.replace("-", " "),
            national.replace(" ", "-"),
        ]
    return list(dict.fromkeys(forms))[:FORMS_MAX]


def significant_part(number: str) -> str:
    """A number without its country code, as HubSpot calculates it for searches; the number itself if it is none.

    :param number: digits of an E.164 number.
    """
    parsed = _parsed(f"+{number}", None)
    return number if parsed is None else phonenumbers.national_significant_number(parsed)


def is_number(text: str | None, number: str, country: str) -> bool:
    """Whether a text of a contact is this number.

    :param number: digits of an E.164 number.
    :param country: ISO 3166 alpha-2: how numbers without a country code are read.
    """
    if not text:
        return False
    bare = _SEPARATORS.sub("", text)
    if bare.lstrip("+") == number or bare == f"00{number}":
        return True
    for region in (country, _region(number)):
        parsed = _parsed(text, region)
        if parsed is not None and _digits(parsed) == number:
            return True
    return False


def is_dialable(number: str | None) -> bool:
    """Whether this is a number of the telephone network, as a contact may have it."""
    return number is not None and number.isascii() and number.isdecimal() and 7 <= len(number) <= 15


def _region(number: str) -> str | None:
    parsed = _parsed(f"+{number}", None)
    return None if parsed is None else phonenumbers.region_code_for_number(parsed)


def _digits(parsed: phonenumbers.PhoneNumber) -> str:
    return str(phonenumbers.format_number(parsed, PhoneNumberFormat.E164)).lstrip("+")


def _parsed(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
