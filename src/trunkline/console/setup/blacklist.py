"""The blacklist: numbers whose calls are refused."""

from __future__ import annotations

from trunkline.console.languages import translatable
from trunkline.console.setup.controls import Control, Kind
from trunkline.console.setup.entity import Column, SetupEntity, moment, plain
from trunkline.console.setup.writer import MethodWriter
from trunkline.directory.blacklist.changes import BLACKLIST as LISTING

_ = translatable

BLACKLIST = SetupEntity(
    name="blacklist",
    title=_("Blacklist"),
    new=_("Refuse a number"),
    about=_("Numbers whose calls are refused."),
    listing=LISTING,
    needs=("calls_blocking", "select"),
    fields=("id", "phone_number", "add_comment", "add_user_name", "add_date_time"),
    named="phone_number",
    named_phone=True,
    columns=(
        Column(_("Why"), plain("add_comment")),
        Column(_("Added by"), plain("add_user_name")),
        Column(_("Added"), moment("add_date_time")),
    ),
    controls=(
        Control("phone_number", _("Number"), Kind.PHONE, hint=_("In full, for example +12025550110.")),
        Control("add_comment", _("Why")),
    ),
    writer=MethodWriter("create.phone_number_to_blacklist", "", "delete.phone_number_from_blacklist"),
    order="phone_number",
    texts=("add_comment",),
    numbers=("phone_number",),
)
