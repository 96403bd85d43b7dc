"""Trunks: connections to carriers, their state, and a test call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from trunkline.apis.jsonrpc.errors import RpcError
from trunkline.apis.service.workloads import Workload
from trunkline.console.languages import translatable
from trunkline.console.page import Page
from trunkline.console.page_request import PageRequest
from trunkline.console.setup.choices import rows_of
from trunkline.console.setup.controls import Choice, Control, Kind, Row
from trunkline.console.setup.entity import PATH, Column, Part, SetupEntity, plain
from trunkline.console.setup.file_writer import FileWriter, Item
from trunkline.console.setup.problems import EMPTY, Problem, problem_of
from trunkline.console.setup.writer import call, may_call
from trunkline.core.errors import PermissionDenied, Refused, Unavailable
from trunkline.directory.employees.listing import EMPLOYEES
from trunkline.directory.numbers.ownership import is_only_account
from trunkline.directory.trunks.checks import check_own_trunk
from trunkline.directory.trunks.listing import TRUNKS as LISTING
from trunkline.telephony.carrier_registrations import RegistrationState

_ = translatable

_SEE = ("number_management", "select")
_TEST = "start.employee_call"

STATES = {
    RegistrationState.REGISTERED: (_("Registered at the carrier"), "good"),
    RegistrationState.REFUSED: (_("The carrier refuses the registration"), "bad"),
    RegistrationState.UNREACHABLE: (_("The carrier does not respond to the registration"), "bad"),
    RegistrationState.WAITING: (_("Not registered at the carrier"), "bad"),
}


async def _check(page_request: PageRequest, item: Item) -> None:
    mode, addresses = item.get("mode", "address"), item.get("addresses") or []
    check_own_trunk(mode, addresses, is_only_account=await is_only_account(page_request.db))


def _numbers(row: Row) -> list[Part]:
    return [Part(one, is_phone=True) for one in (row["numbers"] or "").split("\n") if one]


def _active(row: Row) -> list[Part]:
    return [] if row["active"] else [Part(_("Switched off"), is_text=True, mood="bad")]


async def _state(page_request: PageRequest, row: Row) -> Mapping[str, Any] | None:
    """Of the registration; None: the trunk does not register, or it is not known now."""
    if row["mode"] != "register" or not row["active"]:
        return None
    try:
        status = await page_request.services.switch.status()
    except Unavailable:
        return {
            "title": _("The telephone switch does not answer now."),
            "mood": "bad",
            "code": None,
            "reason": "",
        }
    for one in status.get("registrations_at_carriers") or ():
        if one["trunk_id"] == row["id"]:
            title, mood = STATES[RegistrationState(one["state"])]
            return {"title": title, "mood": mood, "code": one["code"], "reason": one["reason"]}
    return {"title": _("Asterisk does not have this trunk yet."), "mood": "bad", "code": None, "reason": ""}


async def _more(page_request: PageRequest, row: Row) -> Mapping[str, Any]:
    may_test = may_call(page_request.caller, _TEST) and page_request.may(("employees", "select"))
    people = (
        await rows_of(EMPLOYEES, ("employees", "select"), "id", "full_name")(page_request) if may_test else []
    )
    return {
        "state": await _state(page_request, row),
        "numbers": (row["numbers"] or "").split("\n") if row["numbers"] else [],
        "people": people,
        "test_problem": None,
        "test_typed": {"employee": str(page_request.caller.employee_id or "")},
    }


async def _test(page_request: PageRequest) -> web.StreamResponse:
    """Calls an employee and then a number through the trunk; the page of the call says what happened."""
    fields = await page_request.form()
    row = await TRUNKS.read(page_request, int(page_request.request.match_info["id"]))
    contact, number = fields.get("contact", "").strip(), fields.get("number", "")
    if number not in (row["numbers"] or "").split("\n"):
        raise PermissionDenied(_("This number is not on this trunk."))
    if not contact:
        problem = Problem("contact", EMPTY)
        return await TRUNKS.show(page_request, row, status=422, test_problem=problem, test_typed=fields)
    asked = {
        "first_call": "employee",
        "direction": "out",
        "virtual_phone_number": number,
        "contact": contact,
        "employee": {"id": fields.get("employee", "")},
    }
    try:
        started = await call(page_request, _TEST, asked)
    except PermissionDenied:
        raise
    except (RpcError, Refused, Unavailable) as error:
        problem = problem_of(error, ("contact", "employee"))
        return await TRUNKS.show(page_request, row, status=422, test_problem=problem, test_typed=fields)
    raise page_request.back(f"/console/calls/{started['call_session_id']}")


TRUNKS = SetupEntity(
    name="trunks",
    title=_("Trunks"),
    new=_("New trunk"),
    about=_("Connections to carriers, which bring calls in and out."),
    listing=LISTING,
    needs=_SEE,
    fields=(
        "id", "key", "name", "mode", "host", "port", "transport", "username", "addresses", "max_channels",
        "number_format", "active", "numbers",
    ),
    named="name",
    columns=(
        Column(_("Server"), plain("host")),
        Column(_("Numbers"), _numbers),
        Column(_("State"), _active),
    ),
    controls=(
        Control("name", _("Name")),
        Control(
            "mode", _("Kind"), Kind.CHOICE, usual=("register",),
            choices=(
                Choice("register", _("We register with login and password"), is_text=True),
                Choice("address", _("The carrier recognises our address"), is_text=True),
            ),
        ),
        Control("host", _("Server"), hint=_("Name or IP address that the carrier gave you.")),
        Control("port", _("Port"), Kind.NUMBER, usual=("5060",)),
        Control(
            "transport", _("Connection"), Kind.CHOICE, usual=("udp",),
            choices=(Choice("udp", "UDP"), Choice("tcp", "TCP"), Choice("tls", "TLS")),
        ),
        Control("username", _("Login")),
        Control("password", _("Password"), Kind.PASSWORD, hint=_("Empty: it stays as it is."), autocomplete="new-password"),
        Control(
            "addresses", _("Addresses that calls come from"), Kind.LINES,
            shown=lambda row: (row["addresses"] or "").split("\n") if row["addresses"] else [],
            hint=_("One a line, where they differ from the server: 192.0.2.0/24."),
        ),
        Control(
            "number_format", _("Numbers"), Kind.CHOICE, usual=("e164",),
            choices=(Choice("e164", "12025550110"), Choice("+e164", "+12025550110")),
        ),
        Control("max_channels", _("Calls at a time"), Kind.NUMBER, usual=("0",), hint=_("0: no limit.")),
        Control("active", _("In use"), Kind.CHECKBOX, usual=("on",)),
    ),
    writer=FileWriter(
        "trunks", "number_management", LISTING, "name", required=("name", "host"), secrets=("password",), check=_check
    ),
    order="name",
    texts=("name", "host"),
    template="setup/trunk.html",
    more=_more,
    stays=True,
    pages=(Page(f"{PATH}/trunks/{{id:[0-9]{{1,18}}}}/test", _test, _SEE, "POST", Workload.CHANGE),),
)  # fmt: skip
