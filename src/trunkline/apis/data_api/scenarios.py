"""Scenarios: ``get.scenarios``."""

from __future__ import annotations

from trunkline.apis.data_api.lists import VIRTUAL_PBX, list_method
from trunkline.directory.scenarios.listing import SCENARIOS

METHODS = (
    list_method(
        "get.scenarios",
        "Scenarios, their operations and numbers.",
        SCENARIOS,
        components=(VIRTUAL_PBX,),
        permissions=(("va", "select"),),
    ),
)
