"""Where a number of the world lies, seen from an account: what its security rules go by. Pure."""

from __future__ import annotations

import phonenumbers

from trunkline.directory.model import Account


def direction_of(account: Account, number: str) -> str:
    """``mobile``, ``national`` or ``international``, seen from the account's country.

    Numbers of the same country are mobile or national; a number whose kind the plan does not tell is national.
    """
    try:
        parsed = phonenumbers.parse(f"+{number}", None)
    except phonenumbers.NumberParseException:
        return "international"
    if parsed.country_code != phonenumbers.country_code_for_region(account.country):
        return "international"
    kind = phonenumbers.number_type(parsed)
    return "mobile" if kind == phonenumbers.PhoneNumberType.MOBILE else "national"
