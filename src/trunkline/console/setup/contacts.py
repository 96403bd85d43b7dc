"""Contacts of the address book."""

from __future__ import annotations

from trunkline.console.languages import translatable
from trunkline.console.setup.choices import rows_of
from trunkline.console.setup.controls import Control, Kind, Row
from trunkline.console.setup.entity import Column, Part, SetupEntity, names, plain
from trunkline.console.setup.writer import MethodWriter
from trunkline.directory.contacts.listing import CONTACTS as LISTING
from trunkline.directory.contacts.listing import GROUPS, ORGANIZATIONS
from trunkline.directory.employees.listing import EMPLOYEES

_ = translatable

_SEE = ("address_book", "select")


def _phones(row: Row) -> list[Part]:
    return [Part(one, is_phone=True) for one in row["phone_numbers"] or []]


CONTACTS = SetupEntity(
    name="contacts",
    title=_("Contacts"),
    new=_("New contact"),
    about=_("The address book: names that calls show, and who looks after them."),
    listing=LISTING,
    needs=_SEE,
    fields=(
        "id", "full_name", "last_name", "first_name", "patronymic", "phone_numbers", "emails", "groups",
        "organization_id", "organization_name", "personal_manager_id",
    ),
    named="full_name",
    columns=(
        Column(_("Numbers"), _phones),
        Column(_("Organisation"), plain("organization_name")),
        Column(_("Groups"), names("groups", "group_name")),
    ),
    controls=(
        Control("last_name", _("Last name"), hint=_("Or the only one.")),
        Control("first_name", _("First name")),
        Control("patronymic", _("Middle name")),
        Control("phone_numbers", _("Numbers"), Kind.LINES, hint=_("One a line, in full, for example +12025550110.")),
        Control("emails", _("E-mail addresses"), Kind.LINES, hint=_("One a line.")),
        Control(
            "organization_id", _("Organisation"), Kind.CHOICE, empty=_("None"),
            choices=rows_of(ORGANIZATIONS, _SEE, "id", "name"),
        ),
        Control(
            "personal_manager_id", _("Looked after by"), Kind.CHOICE, empty=_("Nobody"),
            choices=rows_of(EMPLOYEES, ("employees", "select"), "id", "full_name"),
        ),
        Control(
            "groups", _("Groups"), Kind.CHOICES,
            shown=lambda row: [one["group_id"] for one in row["groups"] or []],
            choices=rows_of(GROUPS, _SEE, "id", "name"),
        ),
    ),
    writer=MethodWriter("create.contacts", "update.contacts", "delete.contacts"),
    order="full_name",
    texts=("full_name", "organization_name"),
    numbers=("phone_numbers",),
)  # fmt: skip
