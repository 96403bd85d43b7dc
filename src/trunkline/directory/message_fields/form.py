"""A field of offline messages in a directory file; its key is its ``ext_id``."""

from __future__ import annotations

from typing import Literal

from trunkline.directory.forms.entity import Entity
from trunkline.directory.forms.fields import Item


class MessageFieldForm(Item):
    name: str = ""
    data_type: Literal["numeric", "string"]


ENTITIES = (
    Entity("message_fields", MessageFieldForm, "offline_message_user_fields", "ext_id", key_column="ext_id"),
)
