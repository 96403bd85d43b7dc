"""Employees, their phones and their login for the console."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from trunkline.apis.service.workloads import Workload
from trunkline.console.languages import translatable
from trunkline.console.page import Page
from trunkline.console.page_request import PageRequest
from trunkline.console.setup import logins
from trunkline.console.setup.choices import rows_of
from trunkline.console.setup.controls import Control, Kind, Row
from trunkline.console.setup.entity import PATH, Column, Part, SetupEntity, names, plain
from trunkline.console.setup.problems import EMPTY, Problem, problem_of
from trunkline.console.setup.writer import MethodWriter, may_call
from trunkline.core.errors import PermissionDenied, Refused
from trunkline.directory.employees.listing import EMPLOYEES as LISTING
from trunkline.directory.groups.listing import GROUPS

_ = translatable

_SEE = ("employees", "select")

_EXTENSION = {
    "extension": "extension_phone_number",
    "voice_mail": "extension_voice_mail_enabled",
    "waiting": "extension_queue_enabled",
}
"""Controls and the members of the parameter ``extension``, which is sent whole."""


def _sent(sent: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    params = {name: value for name, value in sent.items() if name not in _EXTENSION}
    if not _EXTENSION.keys().isdisjoint(sent):
        members = {member: values[name] for name, member in _EXTENSION.items()}
        if values["extension"] is not None:
            params["extension"] = members
        elif "extension" in sent:
            params["extension"] = None
    if "phone_numbers" in params:
        params["phone_numbers"] = [{"phone_number": one} for one in params["phone_numbers"]]
    return params


def _extension(name: str) -> Callable[[Row], Any]:
    return lambda row: (row["extension"] or {}).get(_EXTENSION[name])


def _short(row: Row) -> list[Part]:
    return [Part(row["extension"]["extension_phone_number"], is_phone=True)] if row["extension"] else []


def _phones(row: Row) -> list[Part]:
    return [Part(one["phone_number"], is_phone=True) for one in row["phone_numbers"] or []]


async def _more(page_request: PageRequest, row: Row) -> Mapping[str, Any]:
    return {
        "logins": await logins.of_employee(page_request, row["id"]),
        "roles": logins.roles_of(page_request.caller) if logins.may_make(page_request.caller) else [],
        "may_change_login": page_request.may(logins.CHANGE),
        "login_typed": "",
        "role_typed": "operator",
        "login_problem": None,
        "may_make_line": may_call(page_request.caller, "create.sip_lines"),
    }


async def _make_login(page_request: PageRequest) -> web.StreamResponse:
    fields = await page_request.form()
    row = await _row(page_request)
    login, role = fields.get("login", "").strip(), fields.get("role", "")
    typed = {"login_typed": login, "role_typed": role}
    if not login:
        return await _refused(page_request, row, Problem("login", EMPTY), typed)
    try:
        password = await logins.make(page_request, row["id"], row["full_name"] or "", login, role)
    except PermissionDenied:
        raise
    except Refused as error:
        return await _refused(page_request, row, problem_of(error, ("login",)), typed)
    return await EMPLOYEES.show(page_request, row, password=password, password_of=login)


async def _refused(
    page_request: PageRequest, row: Row, problem: Problem, typed: Mapping[str, Any]
) -> web.Response:
    return await EMPLOYEES.show(page_request, row, status=422, login_problem=problem, **typed)


async def _new_password(page_request: PageRequest) -> web.StreamResponse:
    await page_request.form()
    row = await _row(page_request)
    password = await logins.new_password(page_request, row["id"])
    return await EMPLOYEES.show(page_request, row, password=password, password_of=row["login"])


def _switch(is_on: bool) -> Callable[[PageRequest], Awaitable[web.StreamResponse]]:
    async def handle(page_request: PageRequest) -> web.StreamResponse:
        await page_request.form()
        row = await _row(page_request)
        await logins.switch(page_request, row["id"], is_on=is_on)
        raise page_request.back(f"{EMPLOYEES.path}/{row['id']}?done=saved")

    return handle


async def _row(page_request: PageRequest) -> Row:
    return await EMPLOYEES.read(page_request, int(page_request.request.match_info["id"]))


_ONE = f"{PATH}/employees/{{id:[0-9]{{1,18}}}}"

EMPLOYEES = SetupEntity(
    name="employees",
    title=_("Employees"),
    new=_("New employee"),
    about=_("Who takes and makes calls, with extension, phones and login."),
    listing=LISTING,
    needs=_SEE,
    fields=(
        "id", "full_name", "last_name", "first_name", "patronymic", "email", "extension", "phone_numbers", "groups", "login",
    ),
    named="full_name",
    columns=(
        Column(_("Extension"), _short),
        Column(_("Phones"), _phones),
        Column(_("Groups"), names("groups", "group_name")),
        Column(_("Login"), plain("login")),
    ),
    controls=(
        Control("last_name", _("Last name"), hint=_("Or the only one.")),
        Control("first_name", _("First name")),
        Control("patronymic", _("Middle name")),
        Control("email", _("E-mail address"), Kind.EMAIL),
        Control(
            "extension", _("Extension"), Kind.PHONE,
            shown=_extension("extension"), hint=_("Short number by which colleagues call."),
        ),
        Control("voice_mail", _("Voice mail answers when nobody does"), Kind.CHECKBOX, shown=_extension("voice_mail")),
        Control(
            "waiting", _("Callers wait while the employee talks"), Kind.CHECKBOX,
            shown=_extension("waiting"), hint=_("Kept for the APIs and without effect: callers wait in queues."),
        ),
        Control(
            "phone_numbers", _("Phones"), Kind.LINES,
            shown=lambda row: [one["phone_number"] for one in row["phone_numbers"] or []],
            hint=_("One a line, in the order they ring: the login of a SIP line, or a number in full."),
        ),
        Control(
            "groups", _("Groups"), Kind.CHOICES,
            shown=lambda row: [one["group_id"] for one in row["groups"] or []],
            choices=rows_of(GROUPS, _SEE, "id", "name"),
        ),
    ),
    writer=MethodWriter("create.employees", "update.employees", "delete.employees", _sent),
    order="full_name",
    texts=("full_name", "email", "groups"),
    numbers=("phone_numbers", "extension"),
    template="setup/employee.html",
    more=_more,
    once=("password", "password_of"),
    stays=True,
    pages=(
        Page(f"{_ONE}/login", _make_login, logins.MAKE, "POST", Workload.CHANGE),
        Page(f"{_ONE}/login/password", _new_password, logins.CHANGE, "POST", Workload.CHANGE),
        Page(f"{_ONE}/login/on", _switch(True), logins.CHANGE, "POST", Workload.CHANGE),
        Page(f"{_ONE}/login/off", _switch(False), logins.CHANGE, "POST", Workload.CHANGE),
    ),
)  # fmt: skip
