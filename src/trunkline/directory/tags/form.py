"""A tag in a directory file."""

from __future__ import annotations

from trunkline.directory.forms.entity import Entity
from trunkline.directory.forms.fields import Item


class TagForm(Item):
    name: str = ""


ENTITIES = (Entity("tags", TagForm, "tags", "tag_id", where=" and not is_system", unique=("name",)),)
