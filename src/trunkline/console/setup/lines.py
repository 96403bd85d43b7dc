"""SIP lines: password, phones that fetch their settings, registered devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import segno
from aiohttp import web

from trunkline.accounts.secrets import Cipher
from trunkline.apis.service.workloads import Workload
from trunkline.console.languages import translatable
from trunkline.console.page import Page
from trunkline.console.page_request import PageRequest
from trunkline.console.setup.choices import rows_of
from trunkline.console.setup.controls import Choice, Control, Kind, Row
from trunkline.console.setup.entity import PATH, Column, Part, SetupEntity, phone, plain
from trunkline.console.setup.problems import EMPTY, Problem, problem_of
from trunkline.console.setup.writer import MethodWriter, call, logged, may_call
from trunkline.core.errors import PermissionDenied, Refused, Unavailable
from trunkline.directory.employees.listing import EMPLOYEES
from trunkline.directory.lines.devices import devices_of
from trunkline.directory.lines.listing import LINE_NUMBERS, NOT_REGISTERED, REGISTERED, SIP_LINES
from trunkline.provisioning.formats import PhoneKind, file_name, normalised_mac
from trunkline.provisioning.phones import Phones, list_phones, remove_phone
from trunkline.provisioning.server import Transport, https_address, sip_port, sip_server

_ = translatable

_SEE = ("va", "select")
_CHANGE = ("va", "update")
_PASSWORD = "update.sip_line_password"  # noqa: S105 - a method

_TITLES = {
    PhoneKind.LINPHONE: _("App (QR code)"),
    PhoneKind.YEALINK: "Yealink",
    PhoneKind.GRANDSTREAM: "Grandstream",
    PhoneKind.SNOM: "Snom",
}


def _state(row: Row) -> list[Part]:
    if row["status"] != "active":
        return [Part(_("Switched off"), is_text=True, mood="soft")]
    if row["physical_state"] != REGISTERED:
        return [Part(_("Not registered"), is_text=True, mood="bad")]
    found = [Part(_("Registered"), is_text=True, mood="good")]
    if len(row["ip_addresses"] or ()) > 1:
        found.append(Part(_("Several devices"), is_text=True, mood="bad"))
    return found


def _devices(row: Row) -> list[Part]:
    return [Part(one["ip"]) for one in row["ip_addresses"] or []]


def _transports(page_request: PageRequest) -> list[Transport]:
    """Those that are turned on; TLS last, because it needs a certificate that the phone trusts."""
    sip = page_request.services.settings.sip
    ports = {Transport.UDP: sip.udp_port, Transport.TCP: sip.tcp_port, Transport.TLS: sip.tls_port}
    return [one for one, port in ports.items() if port]


async def _more(page_request: PageRequest, row: Row) -> Mapping[str, Any]:
    may_change = page_request.may(_CHANGE)
    phones = await list_phones(page_request.db, page_request.account_id) if may_change else []
    return {
        "devices": await devices_of(page_request.db, page_request.account_id, row["id"]),
        "phones": [one for one in phones if one["line"] == row["phone_number"]],
        "may_renew": may_call(page_request.caller, _PASSWORD),
        "may_provision": may_change,
        "kinds": _TITLES,
        "transports": _transports(page_request),
        "server": sip_server(page_request.services.settings),
        "phone_problem": None,
        "phone_typed": {},
    }


async def _renew(page_request: PageRequest) -> web.StreamResponse:
    await page_request.form()
    row = await _row(page_request)
    made = await call(page_request, _PASSWORD, {"id": row["id"]})
    return await LINES.show(page_request, row, password=made["password"])


async def _add_phone(page_request: PageRequest) -> web.StreamResponse:
    fields = await page_request.form()
    row = await _row(page_request)
    mac = fields.get("mac", "").strip()
    try:
        kind = PhoneKind(fields.get("kind", ""))
        transport = Transport(fields.get("transport", ""))
    except ValueError:
        problem = Problem("kind", _("This cannot be used."))
        return await LINES.show(page_request, row, status=422, phone_problem=problem, phone_typed=fields)
    if kind.has_mac and not mac:
        problem = Problem("mac", EMPTY)
        return await LINES.show(page_request, row, status=422, phone_problem=problem, phone_typed=fields)
    cipher = page_request.services.cipher
    if not isinstance(cipher, Cipher):
        raise Unavailable("Credentials cannot be made: the web process has no master key.")
    try:
        sip_port(page_request.services.settings, transport)
        base = https_address(page_request.services.settings)
        async with logged(page_request, "console.create.phone", {"id": row["id"], "kind": kind.value}):
            added = await Phones(page_request.db, cipher).add(
                page_request.account_id, row["phone_number"], kind, mac if kind.has_mac else None, transport
            )
    except PermissionDenied:
        raise
    except Refused as error:
        problem = problem_of(error, ("mac", "transport"))
        return await LINES.show(page_request, row, status=422, phone_problem=problem, phone_typed=fields)
    folder = f"{base}/phones/{added.token}/"
    address = folder + file_name(kind, normalised_mac(mac) if kind.has_mac else None)
    drawn = segno.make(address, error="m").svg_data_uri(scale=5, border=4, light="#fff", dark="#000")
    link = {"folder": folder, "address": address, "drawn": drawn, "is_app": not kind.has_mac}
    return await LINES.show(page_request, row, link=link | {"has_new_password": added.has_new_password})


async def _remove_phone(page_request: PageRequest) -> web.StreamResponse:
    await page_request.form()
    row = await _row(page_request)
    phone_id = int(page_request.request.match_info["phone_id"])
    async with logged(page_request, "console.delete.phone", {"id": row["id"], "phone_id": phone_id}):
        await remove_phone(page_request.db, page_request.account_id, phone_id)
    raise page_request.back(f"{LINES.path}/{row['id']}?done=saved")


async def _row(page_request: PageRequest) -> Row:
    return await LINES.read(page_request, int(page_request.request.match_info["id"]))


_ONE = f"{PATH}/lines/{{id:[0-9]{{1,18}}}}"

LINES = SetupEntity(
    name="lines",
    title=_("SIP lines"),
    new=_("New SIP line"),
    about=_("Logins with which phones and apps register; devices that use them."),
    listing=SIP_LINES,
    needs=_SEE,
    fields=(
        "id", "phone_number", "physical_state", "status", "employee_id", "employee_full_name", "ip_addresses",
        "virtual_phone_number", "channels_count", "billing_state",
    ),
    named="phone_number",
    named_phone=True,
    columns=(
        Column(_("Employee"), plain("employee_full_name")),
        Column(_("State"), _state),
        Column(_("Devices"), _devices),
        Column(_("Shows the number"), phone("virtual_phone_number")),
    ),
    controls=(
        Control(
            "employee_id", _("Employee"), Kind.CHOICE, hint=_("Whose phone the line is."),
            choices=rows_of(EMPLOYEES, ("employees", "select"), "id", "full_name"),
        ),
        Control(
            "virtual_phone_number", _("Shows the number"), Kind.CHOICE, empty=_("Only takes calls"),
            choices=rows_of(LINE_NUMBERS, _SEE, "virtual_phone_number", "virtual_phone_number"),
        ),
        Control("channels_count", _("Calls at a time"), Kind.NUMBER, not_new=True),
        Control(
            "billing_state", _("Lock"), Kind.CHOICE, not_new=True,
            choices=(
                Choice("active", _("Not locked"), is_text=True),
                Choice("manual_lock", _("Locked: no calls out"), is_text=True),
            ),
        ),
    ),
    writer=MethodWriter("create.sip_lines", "update.sip_lines", "delete.sip_lines", once=("password",)),
    texts=("employee_full_name",),
    numbers=("phone_number", "virtual_phone_number"),
    states={
        "registered": (_("Registered"), "physical_state", REGISTERED),
        "offline": (_("Not registered"), "physical_state", NOT_REGISTERED),
    },
    template="setup/line.html",
    more=_more,
    once=("password", "link"),
    stays=True,
    pages=(
        Page(f"{_ONE}/password", _renew, _CHANGE, "POST", Workload.CHANGE),
        Page(f"{_ONE}/phones", _add_phone, _CHANGE, "POST", Workload.CHANGE),
        Page(f"{_ONE}/phones/{{phone_id:[0-9]{{1,18}}}}/delete", _remove_phone, _CHANGE, "POST", Workload.CHANGE),
    ),
)  # fmt: skip
