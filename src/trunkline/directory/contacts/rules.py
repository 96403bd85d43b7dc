"""What the numbers and addresses of a contact may be, for every interface."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trunkline.core.errors import InvalidInput
from trunkline.core.phone import in_full

MOST = 10
"""Telephone numbers, and e-mail addresses, of one contact."""

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s.]{2,}\Z")
_EMAIL_LENGTH = 254


def checked_phones(numbers: Sequence[str]) -> list[str]:
    """Numbers as digits of E.164.

    :raises InvalidInput: none, too many, one that is not a number, or one twice.
    """
    phones = [in_full(text, "phone_numbers") for text in numbers]
    _few_and_different(phones, "phone_numbers")
    if not phones:
        raise InvalidInput("A contact has at least one number", field="phone_numbers", value=[])
    return phones


def checked_emails(emails: Sequence[str]) -> list[str]:
    """Addresses as they are.

    :raises InvalidInput: too many, one that is not an address, or one twice.
    """
    for address in emails:
        if len(address) > _EMAIL_LENGTH or not _EMAIL.match(address):
            raise InvalidInput("This is not an e-mail address", field="emails", value=address)
    _few_and_different([address.lower() for address in emails], "emails")
    return list(emails)


def _few_and_different(values: Sequence[str], field: str) -> None:
    if len(values) > MOST:
        raise InvalidInput(f"Give at most {MOST}", field=field, params={"max_value": MOST})
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise InvalidInput("Name each one once", field=field, value=twice)
