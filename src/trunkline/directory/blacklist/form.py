"""A blacklisted number in a directory file."""

from __future__ import annotations

from trunkline.directory.forms.entity import Entity
from trunkline.directory.forms.fields import Item


class BlacklistForm(Item):
    comment: str = ""
    added_by: str | None = None
    """Name of the user who added it."""


ENTITIES = (Entity("blacklist", BlacklistForm, "blacklist", "blacklist_id", key_column="phone_number"),)
