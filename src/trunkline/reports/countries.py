"""Names of countries, in English as the reports give them."""

from __future__ import annotations

from functools import cache


@cache
def country_names() -> dict[str, str]:
    """ISO 3166 alpha-2 code -> name."""
    from babel import Locale  # only who reads reports needs it

    return {
        code: name for code, name in Locale("en").territories.items() if len(code) == 2 and code.isalpha()
    }
