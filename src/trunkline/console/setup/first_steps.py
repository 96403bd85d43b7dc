"""The first hour: from an empty account to the first call, in steps whose state is read from the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

import pycountry
from aiohttp import web
from pydantic import ValidationError

from trunkline.accounts.first import FIRST_NAME
from trunkline.accounts.permissions import CHANGE_CONFIGURATION
from trunkline.apis.service.request_context import CallerLike
from trunkline.apis.service.workloads import Workload
from trunkline.console.languages import translatable
from trunkline.console.page import Page
from trunkline.console.page_request import PageRequest
from trunkline.console.setup.controls import Choice, Control, Kind, Row, Texts
from trunkline.console.setup.employees import EMPLOYEES
from trunkline.console.setup.entity import PATH
from trunkline.console.setup.file_writer import apply, present
from trunkline.console.setup.lines import LINES
from trunkline.console.setup.numbers import NUMBERS
from trunkline.console.setup.problems import EMPTY, Problem, problem_of
from trunkline.console.setup.trunks import TRUNKS
from trunkline.console.setup.writer import logged
from trunkline.core.errors import InvalidInput, PermissionDenied, Refused
from trunkline.directory.files.form import AccountForm, Form
from trunkline.reports.first_steps import FirstSteps, read_first_steps

_ = translatable

START = f"{PATH}/start"
ACCOUNT = f"{PATH}/account"
ANSWER = f"{START}/answer"

SCENARIO = "first-steps"
"""Begin of the keys of scenarios that the step makes."""

_ANSWER_STEP = 4
"""The place of the step that makes one."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step.

    :ivar links: path and title of what to do.
    :ivar is_optional: calls between colleagues work without it.
    """

    title: str
    text: str
    is_done: bool
    links: Sequence[tuple[str, str]]
    is_optional: bool = False


def steps_of(found: FirstSteps) -> list[Step]:
    """The steps in their order. Pure."""
    return [
        Step(
            _("The company"),
            _("Its name, time zone and country, and where calls out may go."),
            found.company != FIRST_NAME,
            ((ACCOUNT, _("Company")),),
        ),
        Step(
            _("A number"),
            _("Calls show it: a phone without a number only takes calls. A trunk connects it with the carrier."),
            found.has_number,
            ((f"{TRUNKS.path}/new", TRUNKS.new), (f"{NUMBERS.path}/new", NUMBERS.new)),
        ),
        Step(
            _("The first employee"),
            _("With an extension, for example 101, by which colleagues call."),
            found.has_employee,
            ((f"{EMPLOYEES.path}/new", EMPLOYEES.new),),
        ),
        Step(
            _("The first phone"),
            _(
                "In the browser: create a login on the page of the employee, and sign in with it."
                " An app or a desk phone needs a SIP line."
            ),
            found.has_phone,
            ((EMPLOYEES.path, EMPLOYEES.title), (f"{LINES.path}/new", LINES.new)),
        ),
        Step(
            _("What answers the number"),
            _("A scenario: the employee is called. It can be changed later."),
            found.has_number and found.all_numbers_answered,
            (),
            is_optional=True,
        ),
        Step(
            _("The first call"),
            _("Call the extension from another phone, or the number from your mobile."),
            found.call_session_id is not None,
            () if found.call_session_id is None else ((f"/console/calls/{found.call_session_id}", _("The call")),),
        ),
    ]  # fmt: skip


def is_visible(caller: CallerLike) -> bool:
    """Whether the caller may do the steps."""
    return caller.may(*CHANGE_CONFIGURATION) and all(
        one.is_visible(caller) and one.writer.may(caller, "create")
        for one in (EMPLOYEES, LINES, NUMBERS, TRUNKS)
    )


async def is_new(page_request: PageRequest) -> bool:
    """Whether the user may do the steps and has not come to an employee."""
    return (
        is_visible(page_request.caller)
        and not (await read_first_steps(page_request.db, page_request.account_id)).has_employee
    )


async def _show(page_request: PageRequest) -> web.StreamResponse:
    return await _page(page_request)


async def _page(page_request: PageRequest, problem: Problem | None = None, status: int = 200) -> web.Response:
    _require(page_request)
    form = await present(page_request)
    steps = steps_of(await read_first_steps(page_request.db, page_request.account_id))
    return page_request.page(
        "setup/start.html",
        status=status,
        steps=steps,
        next_step=next((at for at, one in enumerate(steps) if not one.is_done and not one.is_optional), None),
        open_numbers=[key for key, one in form.section("virtual_numbers").items() if not one.rules],
        people=[(key, f"{one.first_name} {one.last_name}") for key, one in form.section("employees").items()],
        answer_path=ANSWER,
        answer_at=_ANSWER_STEP,
        problem=problem,
        saved=page_request.request.query.get("done", ""),
    )


async def _answer(page_request: PageRequest) -> web.StreamResponse:
    """Let an employee answer a number: a scenario with one operation, and the rule of the number."""
    fields = await page_request.form()
    _require(page_request)
    number, person = fields.get("number", ""), fields.get("employee", "")
    form = await present(page_request)
    item, employee = form.section("virtual_numbers").get(number), form.section("employees").get(person)
    if item is None or item.rules or employee is None:
        return await _page(page_request, Problem("", _("This does not exist any more: choose another.")), 422)
    key = f"{SCENARIO}-{number.lstrip('+')}"
    former = item.model_dump(mode="json", by_alias=True, exclude_unset=True)
    written = Form.model_validate(
        {
            "scenarios": {
                key: {
                    "name": f"{employee.first_name} {employee.last_name}".strip(),
                    "operations": {"ring": {"kind": "forward_employee", "employee": person}},
                }
            },
            "virtual_numbers": {number: {**former, "rules": [{"scenario": key}]}},
        }
    )
    try:
        async with logged(
            page_request, "console.create.first_scenario", {"number": number, "employee": person}
        ):
            await apply(page_request, written)
    except InvalidInput as error:
        return await _page(page_request, problem_of(error, ()), 422)
    raise page_request.back(f"{START}?done=saved")


def _zones(_page_request: PageRequest) -> Sequence[Choice]:
    return [Choice(one, one) for one in sorted(available_timezones()) if "/" in one or one == "UTC"]


_DIRECTIONS = (
    Choice("mobile", _("Mobile"), is_text=True),
    Choice("national", _("National"), is_text=True),
    Choice("international", _("International"), is_text=True),
    Choice("premium", _("Premium rate"), is_text=True),
)

CONTROLS = (
    Control("name", _("Name of the company")),
    Control("time_zone", _("Time zone"), Kind.CHOICE),
    Control("country", _("Country"), Kind.CHOICE, hint=_("How numbers without a country code are read.")),
    Control("security", _("Calls out may go to"), Kind.CHOICES, choices=_DIRECTIONS),
)


def _account_row(account: AccountForm) -> Row:
    allowed = account.security or {}
    return {
        "name": account.name,
        "time_zone": account.time_zone,
        "country": account.country,
        "security": sorted(name for name, is_allowed in allowed.items() if is_allowed),
    }


async def _show_account(page_request: PageRequest) -> web.StreamResponse:
    _require(page_request)
    form = await present(page_request)
    row = _account_row(form.account or AccountForm())
    return _account_page(page_request, {one.name: one.texts(row) for one in CONTROLS})


async def _save_account(page_request: PageRequest) -> web.StreamResponse:
    fields = await page_request.form_lists()
    _require(page_request)
    typed = {one.name: one.sent(fields) for one in CONTROLS}
    if not typed["name"]:
        return _account_page(page_request, typed, Problem("name", EMPTY))
    values: dict[str, Any] = {one.name: one.value(typed[one.name]) for one in CONTROLS}
    values["security"] = {one.value: one.value in typed["security"] for one in _DIRECTIONS}
    try:
        form = Form.model_validate({"account": values})
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        at = next((str(one) for one in problem["loc"][1:]), "name")
        wrong = InvalidInput(problem["msg"].removeprefix("Value error, "), field=at)
        return _account_page(page_request, typed, problem_of(wrong, values))
    try:
        async with logged(page_request, "console.update.account", values):
            await apply(page_request, form)
    except Refused as refused:
        return _account_page(page_request, typed, problem_of(refused, values))
    raise page_request.back(f"{START}?done=saved")


def _account_page(
    page_request: PageRequest, shown: Mapping[str, Texts], problem: Problem | None = None
) -> web.Response:
    countries = sorted(
        (Choice(one.alpha_2, one.name) for one in pycountry.countries), key=lambda one: one.title
    )
    return page_request.page(
        "setup/account.html",
        status=200 if problem is None else 422,
        controls=CONTROLS,
        shown=shown,
        choices={"time_zone": _zones(page_request), "country": countries, "security": _DIRECTIONS},
        problem=problem,
        action_path=ACCOUNT,
        back=START,
        Kind=Kind,
    )


def _require(page_request: PageRequest) -> None:
    """:raises PermissionDenied: the user may not do the steps."""
    if not is_visible(page_request.caller):
        raise PermissionDenied(_("You may not see this page: an admin of the account can permit it."))


PAGES = (
    Page(START, _show),
    Page(ANSWER, _answer, method="POST", workload=Workload.CHANGE),
    Page(ACCOUNT, _show_account),
    Page(ACCOUNT, _save_account, method="POST", workload=Workload.CHANGE),
)
