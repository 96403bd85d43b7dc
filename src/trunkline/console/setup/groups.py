"""Groups of employees, which ring together."""

from __future__ import annotations

from trunkline.console.languages import translatable
from trunkline.console.setup.choices import rows_of
from trunkline.console.setup.controls import Control, Kind
from trunkline.console.setup.entity import Column, SetupEntity, names, phone
from trunkline.console.setup.writer import MethodWriter
from trunkline.directory.employees.listing import EMPLOYEES
from trunkline.directory.groups.listing import GROUPS as LISTING

_ = translatable

GROUPS = SetupEntity(
    name="groups",
    title=_("Groups"),
    new=_("New group"),
    about=_("Employees whom scenarios and colleagues call together."),
    listing=LISTING,
    needs=("employees", "select"),
    fields=("id", "name", "members", "group_phone_number", "queue_enabled", "channels_count"),
    named="name",
    columns=(
        Column(_("Extension"), phone("group_phone_number")),
        Column(_("Members"), names("members", "employee_full_name")),
    ),
    controls=(
        Control("name", _("Name")),
        Control(
            "members",
            _("Members"),
            Kind.CHOICES,
            shown=lambda row: [one["employee_id"] for one in row["members"] or []],
            choices=rows_of(EMPLOYEES, ("employees", "select"), "id", "full_name"),
        ),
        Control(
            "group_phone_number",
            _("Extension"),
            Kind.PHONE,
            hint=_("Short number that calls the whole group."),
        ),
        Control(
            "queue_enabled",
            _("Callers wait while all members talk"),
            Kind.CHECKBOX,
            hint=_("Kept for the APIs and without effect: callers wait in queues."),
        ),
        Control("channels_count", _("Calls at a time"), Kind.NUMBER, usual=("1",)),
    ),
    writer=MethodWriter("create.group_employees", "update.group_employees", "delete.group_employees"),
    order="name",
    texts=("name",),
    numbers=("group_phone_number",),
)
