"""A tag in a directory file."""

from __future__ import annotations

from typing import Annotated

from trunkline.directory.exclusive import TAG_NAME
from trunkline.directory.forms.entity import Entity
from trunkline.directory.forms.fields import Item


class TagForm(Item):
    name: Annotated[str, TAG_NAME] = ""


ENTITIES = (Entity("tags", TagForm, "tags", "tag_id", where=" and not is_system", unique=("name",)),)
