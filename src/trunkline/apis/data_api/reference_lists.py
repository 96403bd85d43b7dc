"""Lists to look things up in: places, segments of visitors, events of websites."""

from __future__ import annotations

from trunkline.apis.data_api.lists import list_method
from trunkline.apis.jsonrpc import Params, ParamType
from trunkline.apis.jsonrpc.derive import override
from trunkline.db.query import Page
from trunkline.directory.numbers.geography import GEOLOCATIONS, places
from trunkline.directory.web_analytics.listing import SEGMENTS, SITE_EVENTS
from trunkline.reports.reader import Reader

_MOST = 10_000


async def _geolocations(reader: Reader, params: Params) -> Page:
    ids = params.get("ids")
    condition = None if ids is None else "g.id = any(%(ids)s)"
    return await reader.list(GEOLOCATIONS, params, condition, {**places(), "ids": ids})


METHODS = (
    list_method(
        "get.geolocations",
        "Countries and their regions.",
        GEOLOCATIONS,
        read=_geolocations,
        params=(
            override(
                "ids", items=ParamType.NUMBER, maximum=_MOST, description="Only these countries and regions."
            ),
        ),
    ),
    list_method("get.segments", "Segments of visitors, and what makes one belong to them.", SEGMENTS),
    list_method("get.events", "Events of websites; some of them are goals.", SITE_EVENTS),
)
