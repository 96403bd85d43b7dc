"""Names, paths and fixed values of HubSpot's API. The version is here and nowhere else. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

VERSION = "2026-09"
"""Of the dated paths; HubSpot supports one for 18 months."""

AUTHORIZE_URL = "https://app.hubspot.com/oauth/authorize"

SCOPES = ("crm.objects.contacts.read", "crm.objects.contacts.write", "crm.objects.owners.read", "oauth")
"""What an app must be granted: contacts (which include calls and tasks), and owners."""

TOKEN_PATH = f"/oauth/{VERSION}/token"
DETAILS_PATH = f"/account-info/{VERSION}/details"
OWNERS_PATH = f"/crm/owners/{VERSION}"

BATCH = 100
"""Inputs of a batch request at most."""

SEARCH_PAGE = 200
"""Results of a page of a search at most."""

SEARCH_BODY = 3000
"""Characters of the body of a search at most."""

TEXT_MAX = 65_536
"""Characters of a property."""

CALL_TO_CONTACT, TASK_TO_CONTACT = 194, 204
"""Types of associations."""

CONNECTED = "f240bbac-87c9-4f6e-bf70-924b57d47db7"
NO_ANSWER = "73a0d17f-1163-4015-bdd5-ec830791da20"
BUSY = "9d9162e7-6cf3-4944-bf63-4dff82258764"
LEFT_VOICEMAIL = "b2cf5968-551e-4856-9783-52b3da59a7d0"
"""Outcomes of calls that each portal has at its beginning (``hs_call_disposition``)."""


class ObjectKind(StrEnum):
    """Objects that are created."""

    CALL = "call"
    TASK = "task"
    CONTACT = "contact"

    @property
    def path(self) -> str:
        """Of the objects of this kind."""
        return f"/crm/objects/{VERSION}/{self.value}s"


def authorize_url(client_id: str, redirect_uri: str, state: str) -> str:
    """Where the administrator of the portal grants access."""
    query = {
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(SCOPES),
        "state": state,
    }
    return f"{AUTHORIZE_URL}?{urlencode(query)}"


def association(contact_id: str, type_id: int) -> dict[str, Any]:
    """One entry of ``associations`` in a request that creates an object."""
    return {
        "to": {"id": contact_id},
        "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}],
    }


def contacts_path(kind: ObjectKind) -> str:
    """POST reads the contacts of a batch of objects."""
    return f"/crm/associations/{VERSION}/{kind.value}s/contacts/batch/read"


def association_path(kind: ObjectKind, object_id: str, contact_id: str) -> str:
    """PUT makes the default association with a contact; a second one changes nothing."""
    return f"{kind.path}/{object_id}/associations/default/contacts/{contact_id}"
