"""Countries and their regions: ISO 3166, with ids that never change.

A country's id is its ISO 3166-1 number (784), a region's is made of that and of its letters and digits behind the
hyphen (AE-DU): so they are the same in every installation and after every update of the list. Cities are not in ISO
3166, and not here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from psycopg.types.json import Jsonb

from trunkline.contract.columns import field, listed
from trunkline.core.errors import InvalidInput
from trunkline.db.query import Listing

GEOLOCATIONS = Listing(
    name="geolocations",
    table=(
        "(select id, parent_id, name from jsonb_to_recordset(%(places)s)"
        " as given (id bigint, parent_id bigint, name text)) g"
    ),
    where="true",  # the same for all accounts; %(places)s: places()
    order="g.id",
    columns=listed(
        "get.geolocations",
        field("id", "g.id"),
        field("parent_id", "g.parent_id"),
        field("name", "g.name"),
    ),
)

_PLACES_OF_A_COUNTRY = 100_000
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def region_id(country: int, letters: str) -> int:
    """Id of a region: of its country's number and its one to three letters and digits (``DU``)."""
    place = 0
    for letter in letters:
        place = place * (len(_LETTERS) + 1) + _LETTERS.index(letter) + 1
    return country * _PLACES_OF_A_COUNTRY + place


@cache
def places() -> dict[str, Any]:
    """What :data:`GEOLOCATIONS` lists: all countries and regions, each with the place that it is part of."""
    import pycountry  # its lists are read when first asked for, by few
    from babel import Locale

    names = Locale("en").territories
    numbers = {country.alpha_2: int(country.numeric) for country in pycountry.countries}
    countries = [
        {"id": numbers[country.alpha_2], "name": names.get(country.alpha_2, country.name)}
        for country in pycountry.countries
    ]
    regions = [
        {
            "id": _id_of(region.code, numbers),
            "parent_id": _id_of(region.parent_code or region.country_code, numbers),
            "name": region.name,
        }
        for region in pycountry.subdivisions
    ]
    return {"places": Jsonb(countries + regions)}


def place_name(code: str) -> str:
    """Name of a country or region by its ISO 3166 code.

    :raises InvalidInput: there is none with this code.
    """
    import pycountry

    country, _, region = code.partition("-")
    known: Any = pycountry.subdivisions if region else pycountry.countries
    place = known.get(code=code) if region else known.get(alpha_2=country)
    if place is None:
        raise InvalidInput(
            f"{code} is not a country or region; write its ISO 3166 code: AE, AE-DU", value=code
        )
    return str(place.name)


def _id_of(code: str, numbers: dict[str, int]) -> int:
    country, _, letters = code.partition("-")
    return region_id(numbers[country], letters) if letters else numbers[country]
