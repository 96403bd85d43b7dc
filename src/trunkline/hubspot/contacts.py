"""Which contact a call belongs to: the search, and the choice among several. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trunkline.hubspot.numbers import is_number, significant_part, written_forms

PROPERTIES = ("phone", "mobilephone", "hubspot_owner_id", "createdate", "firstname", "lastname")

_PHONES = ("phone", "mobilephone")


@dataclass(frozen=True, slots=True)
class Choice:
    """:ivar contact_id: None: there is none.
    :ivar why: for the row of the call and the log.
    :ivar others: further contacts with the number.
    """

    contact_id: str | None
    why: str
    others: tuple[str, ...] = ()


def search_body(number: str) -> dict[str, Any]:
    """The body of a search for contacts with a number in any written form.

    The results need :func:`with_number`: the forms without a country code may be numbers of another country.

    :param number: digits of an E.164 number.
    """
    significant = significant_part(number)
    forms = [form.lower() for form in written_forms(number)]
    calculated = ("hs_searchable_calculated_phone_number", "hs_searchable_calculated_mobile_number")
    groups = [
        *(_group(name, "EQ", value=significant) for name in calculated),
        *(_group(name, "IN", values=forms) for name in _PHONES),
        _group("phone", "CONTAINS_TOKEN", value=f"*{significant}"),
    ]
    return {
        "filterGroups": groups,
        "properties": list(PROPERTIES),
        "sorts": [{"propertyName": "createdate", "direction": "ASCENDING"}],
        "limit": 100,
    }


def _group(name: str, operator: str, **values: Any) -> dict[str, Any]:
    return {"filters": [{"propertyName": name, "operator": operator, **values}]}


def with_number(number: str, country: str, found: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those contacts of a search that have the number.

    :param country: of the account, ISO 3166 alpha-2.
    """
    return [
        contact
        for contact in found
        if any(is_number(contact["properties"].get(name), number, country) for name in _PHONES)
    ]


def choose(found: Sequence[Mapping[str, Any]], owner_id: str | None) -> Choice:
    """The contact of a call among those with its number.

    One whose owner is the call's owner comes before others; among them the one that was created first, so that all
    calls of the number are in one place.
    """
    if not found:
        return Choice(None, "no contact has the number")
    ranked = sorted(found, key=lambda one: _rank(one, owner_id))
    best, others = ranked[0], tuple(str(one["id"]) for one in ranked[1:])
    if not others:
        return Choice(str(best["id"]), "the only contact with the number")
    is_owners = owner_id is not None and best["properties"].get("hubspot_owner_id") == owner_id
    why = "the first created of the owner's contacts" if is_owners else "the first created"
    return Choice(str(best["id"]), f"{why} among {len(ranked)} contacts with the number", others)


def _rank(contact: Mapping[str, Any], owner_id: str | None) -> tuple[bool, str, int, str]:
    properties = contact["properties"]
    is_owners = owner_id is not None and properties.get("hubspot_owner_id") == owner_id
    contact_id = str(contact["id"])
    return not is_owners, str(properties.get("createdate") or "9"), len(contact_id), contact_id


def new_contact(number: str, name: str | None) -> dict[str, str]:
    """Properties of a contact that is created.

    :param name: the name that the call has; None: the number is the name.
    """
    first, _, last = (name or "").strip().partition(" ")
    names = {"firstname": first, "lastname": last.strip()} if last else {"lastname": first or f"+{number}"}
    return {"phone": f"+{number}", **names}
