"""The country of a telephone number. Pure."""

from __future__ import annotations

import functools

import phonenumbers


@functools.lru_cache(maxsize=10_000)
def country_of(phone_number: str | None) -> str | None:
    """ISO 3166 alpha-2 of an E.164 number; None when it has none."""
    if not phone_number:
        return None
    try:
        parsed = phonenumbers.parse(f"+{phone_number}", None)
    except phonenumbers.NumberParseException:
        return None
    code = phonenumbers.region_code_for_number(parsed)
    return str(code) if code else None
