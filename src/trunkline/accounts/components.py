"""Components: the switches of an account that open groups of methods, by their wire names.

Names and titles are those of the reference (Call API, "Components"; Data API, "Permissions and components").
Basic sets, for which the reference has only a title, are named after it; ``recording``, ``coach`` and
``call_center``, for which it has only a name, have titles defined here; ``upload_sessions``, ``email_tracking`` and
``speech_analytics``, for which it has only a title, have names defined here.
"""

from __future__ import annotations

from collections.abc import Mapping

TITLES: Mapping[str, str] = {
    "call_api_base": "Call API Basic set",
    "call_api_management": "Call API Call management",
    "call_api_informer": "Call API Informer calls",
    "call_api_scenario": "Call API Call scenario",
    "auto_number_management": "Automatic number management",
    "data_api_base": "Data API Basic set",
    "va": "Virtual PBX",
    "recording": "Call recording",
    "coach": "Coach",
    "call_center": "Call center",
    "call_tracking": "Call tracking",
    "dynamic_call_tracking": "Dynamic call tracking",
    "consultant": "Consultant",
    "lead": "Lead generator",
    "sitephone": "Sitephone",
    "sales_funnel": "Sales funnels",
    "upload_calls": "Uploading calls from an external system",
    "upload_chats": "Uploading chats from an external system",
    "upload_offline_messages": "Uploading offline messages from an external system",
    "upload_sessions": "Loading sessions from an external system",
    "email_tracking": "Email tracking",
    "speech_analytics": "Speech call analytics",
}
"""Title by name, of all components there are."""

DEFAULT = frozenset(
    {
        "call_api_base",
        "call_api_management",
        "call_api_informer",
        "call_api_scenario",
        "data_api_base",
        "va",
        "recording",
        "coach",
        "call_center",
    }
)
"""What a new account has: what this PBX does by itself. The first account of an installation has all components."""

ALL = frozenset(TITLES)
"""What the first account of an installation has: who installs it for one company needs every method."""
