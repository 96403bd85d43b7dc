"""Tags: marks on calls."""

from __future__ import annotations

from trunkline.console.languages import translatable
from trunkline.console.setup.controls import Control
from trunkline.console.setup.entity import Column, SetupEntity, flag
from trunkline.console.setup.writer import MethodWriter
from trunkline.directory.tags.listing import TAGS as LISTING

_ = translatable

TAGS = SetupEntity(
    name="tags",
    title=_("Tags"),
    new=_("New tag"),
    about=_("Marks that people and scenarios put on calls."),
    listing=LISTING,
    needs=("tag_management", "select"),
    fields=("id", "name", "is_system"),
    named="name",
    columns=(Column(_("Of the system"), flag("is_system")),),
    controls=(Control("name", _("Name")),),
    writer=MethodWriter("create.tags", "update.tags", "delete.tags"),
    is_fixed=lambda row: bool(row["is_system"]),
    order="name",
    texts=("name",),
)
