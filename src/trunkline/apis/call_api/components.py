"""Feature switches of the Call API: which set of methods an account has."""

from __future__ import annotations

from trunkline.accounts.components import TITLES
from trunkline.apis.jsonrpc import Component

BASE = Component("call_api_base", TITLES["call_api_base"])
MANAGEMENT = Component("call_api_management", TITLES["call_api_management"])
INFORMER = Component("call_api_informer", TITLES["call_api_informer"])
SCENARIO = Component("call_api_scenario", TITLES["call_api_scenario"])
NUMBER_MANAGEMENT = Component("auto_number_management", "Automatic number management")
