"""Dialing campaigns: whom they call, how, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from trunkline.accounts.permissions import READ_CONFIGURATION, Permission
from trunkline.apis.jsonrpc.declare import Param, ParamType
from trunkline.apis.service.request_context import CallerLike
from trunkline.apis.service.workloads import Workload
from trunkline.console.languages import translatable
from trunkline.console.page import Page
from trunkline.console.page_request import PageRequest
from trunkline.console.setup.choices import rows_of
from trunkline.console.setup.controls import Choice, Control, Kind, Row, Texts
from trunkline.console.setup.entity import PATH, Column, Part, SetupEntity, plain
from trunkline.console.setup.phone_lists import SEE, may
from trunkline.console.setup.problems import Problem, problem_of
from trunkline.console.setup.writer import CreatedEntity, logged
from trunkline.core.clock import Instant, to_datetime
from trunkline.core.errors import InvalidInput, PermissionDenied, Refused
from trunkline.dialer import campaign_store, lead_store
from trunkline.dialer.campaigns import Action, CampaignState
from trunkline.dialer.for_people import CAMPAIGNS_FOR_PEOPLE, SHOWN_SETTINGS
from trunkline.dialer.outcomes import Closing, DialOutcome
from trunkline.dialer.settings import CampaignSettings, Mode
from trunkline.directory.numbers.listing import VIRTUAL_NUMBERS
from trunkline.directory.queues.for_people import QUEUES_FOR_PEOPLE
from trunkline.directory.scenarios.listing import SCENARIOS
from trunkline.phone_lists.for_people import PHONE_LISTS_FOR_PEOPLE

_ = translatable

_CHANGE: Permission = ("phone_lists", "update")

_STATES: Mapping[str, tuple[str, str]] = {
    CampaignState.READY: (_("Not started"), "soft"),
    CampaignState.RUNNING: (_("Running"), "good"),
    CampaignState.STOPPED: (_("Stopped"), "soft"),
    CampaignState.FINISHED: (_("Finished"), "soft"),
}
_MODES = {
    Mode.PREVIEW: _("Preview: the agent is called first"),
    Mode.PROGRESSIVE: _("Progressive: one call for each free agent"),
    Mode.PREDICTIVE: _("Predictive: more calls than free agents"),
}
OUTCOMES: Mapping[str, str] = {
    DialOutcome.ANSWERED: _("Talked with an agent"),
    DialOutcome.CALLBACK: _("Agreed to be called again"),
    DialOutcome.BUSY: _("Busy"),
    DialOutcome.NO_ANSWER: _("No answer"),
    DialOutcome.MACHINE: _("Answering machine"),
    DialOutcome.FAILED: _("Network or trunk failed"),
    DialOutcome.INVALID: _("The number does not exist"),
    DialOutcome.REJECTED: _("Rejected"),
    DialOutcome.ABANDONED: _("Abandoned: no agent in time"),
    DialOutcome.HUNG_UP: _("Hung up before an agent came"),
    DialOutcome.AGENT_MISSED: _("The agent did not answer"),
    DialOutcome.INTERRUPTED: _("The end is not known"),
    DialOutcome.DO_NOT_CALL: _("Not to be called"),
    DialOutcome.NOT_ALLOWED: _("Closed by the security settings"),
}
LEADS: Mapping[str, str] = {
    "new": _("Not called yet"),
    "open": _("To be called again"),
    Closing.REACHED: _("Reached"),
    Closing.INVALID: _("The number does not exist"),
    Closing.DO_NOT_CALL: _("Not to be called"),
    Closing.ATTEMPTS_USED: _("All attempts made"),
    Closing.OUTCOME_REPEATED: _("The same outcome too often"),
    Closing.REMOVED: _("Removed from the list"),
}

_WHOLE = ("queue_id", "abandoned_scenario_id", "max_lines", "ring_seconds", "max_attempts", "max_per_day")


@dataclass(frozen=True, slots=True)
class _CampaignWriter:
    """See :class:`~trunkline.console.setup.writer.Writer`."""

    def may(self, caller: CallerLike, action: str) -> bool:
        return may(caller, action)

    def params(self, action: str) -> Mapping[str, Param]:
        return {
            name: Param(name, ParamType.STRING, required=True)
            for name in ("name", "queue_id", "phone_list_ids")
        }

    async def create(self, page_request: PageRequest, values: Mapping[str, Any]) -> CreatedEntity:
        sent = _sent(values)
        async with logged(page_request, "console.create.dial_campaigns", dict(values)):
            made = await campaign_store.create_campaign(page_request.db, page_request.account_id, **sent)
        return CreatedEntity(made)

    async def update(
        self, page_request: PageRequest, entity_id: int, changed: Mapping[str, Any], values: Mapping[str, Any]
    ) -> None:
        db, account_id = page_request.db, page_request.account_id
        sent = _sent(values)
        # Settings that the form does not show stay.
        former = (await campaign_store.campaign(db, account_id, entity_id)).settings
        hidden = {"connect_seconds", "least_agents"}
        kept = {name: getattr(former, name) for name in hidden}
        sent["settings"] |= {
            name: value for name, value in kept.items() if value != getattr(CampaignSettings(), name)
        }
        async with logged(page_request, "console.update.dial_campaigns", {"id": entity_id, **changed}):
            await campaign_store.update_campaign(db, account_id, entity_id, **sent)

    async def delete(self, page_request: PageRequest, entity_id: int) -> None:
        async with logged(page_request, "console.delete.dial_campaigns", {"id": entity_id}):
            await campaign_store.delete_campaign(page_request.db, page_request.account_id, entity_id)


def _sent(values: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the functions that store a campaign, from the values of all controls.

    :raises InvalidInput: a text that is no number.
    """
    given: dict[str, Any] = dict(values)
    for name in _WHOLE:
        given[name] = _whole(name, given[name])
    if given["abandon_limit"] is not None:
        given["abandon_limit"] = _percent(given["abandon_limit"]) / 100
    usual = CampaignSettings()
    settings = {
        name: given[name]
        for name in SHOWN_SETTINGS
        if given[name] is not None and given[name] != getattr(usual, name)
    }
    return {
        "name": given["name"] or "",
        "queue_id": given["queue_id"],
        "phone_list_ids": [_whole("phone_list_ids", one) for one in given["phone_list_ids"]],
        "virtual_phone_number": given["virtual_phone_number"],
        "abandoned_scenario_id": given["abandoned_scenario_id"],
        "settings": settings,
    }


def _whole(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidInput("Write a whole number.", field=name, value=text)
    return int(text)


def _percent(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise InvalidInput("Write a number, for example 3.", field="abandon_limit", value=text) from None


async def _more(page_request: PageRequest, row: Row) -> Mapping[str, Any]:
    db, account_id = page_request.db, page_request.account_id
    one = await campaign_store.campaign(db, account_id, row["id"])
    next_call = await lead_store.next_call(db, one, Instant(page_request.now.timestamp()))
    return {
        "state": _STATES[row["state"]],
        "is_running": row["state"] == CampaignState.RUNNING,
        "may_start": page_request.may(_CHANGE),
        "results": await lead_store.results(db, account_id, row["id"]),
        "next_call": None if next_call is None else to_datetime(next_call),
        "outcomes": OUTCOMES,
        "lead_states": LEADS,
        "state_problem": None,
    }


def _do(action: Action) -> Callable[[PageRequest], Awaitable[web.StreamResponse]]:
    async def handle(page_request: PageRequest) -> web.StreamResponse:
        await page_request.form()
        if not page_request.may(_CHANGE):
            raise PermissionDenied(_("You may not change this: an admin of the account can permit it."))
        row = await CAMPAIGNS.read(page_request, int(page_request.request.match_info["id"]))
        try:
            async with logged(page_request, f"console.{action}.dial_campaigns", {"id": row["id"]}):
                await campaign_store.change_state(page_request.db, page_request.account_id, row["id"], action)
        except PermissionDenied:
            raise
        except Refused as error:
            problem: Problem = problem_of(error, ())
            return await CAMPAIGNS.show(page_request, row, status=409, state_problem=problem)
        raise page_request.back(f"{CAMPAIGNS.path}/{row['id']}")

    return handle


def _state(row: Row) -> list[Part]:
    text, mood = _STATES[row["state"]]
    return [Part(text, is_text=True, mood=mood)]


def _usual(name: str) -> Texts:
    return (f"{getattr(CampaignSettings(), name)}",)


def _number(name: str, label: str, hint: str = "", heading: str = "") -> Control:
    return Control(name, label, Kind.NUMBER, hint=hint, usual=_usual(name), heading=heading)


_ONE = f"{PATH}/campaigns/{{id:[0-9]{{1,18}}}}"

_CONTROLS = (
    Control("name", _("Name")),
    Control(
        "queue_id",
        _("Queue"),
        Kind.CHOICE,
        hint=_("Its agents talk with who answers. Their phones should answer by themselves."),
        choices=rows_of(QUEUES_FOR_PEOPLE, ("queues", "select"), "id", "name"),
    ),
    Control(
        "phone_list_ids",
        _("Phone lists"),
        Kind.CHOICES,
        choices=rows_of(PHONE_LISTS_FOR_PEOPLE, SEE, "id", "name"),
    ),
    Control(
        "mode",
        _("How numbers are called"),
        Kind.CHOICE,
        usual=_usual("mode"),
        choices=tuple(Choice(mode.value, title, is_text=True) for mode, title in _MODES.items()),
    ),
    Control(
        "detect_machines",
        _("End calls that answering machines answer"),
        Kind.CHECKBOX,
        hint=_("Errs at times: a person with a long greeting is cut off. Not with preview."),
    ),
    Control(
        "virtual_phone_number",
        _("Number that is shown"),
        Kind.CHOICE,
        empty=_("The usual number of the account"),
        choices=rows_of(
            VIRTUAL_NUMBERS, ("number_management", "select"), "virtual_phone_number", "virtual_phone_number"
        ),
    ),
    Control(
        "hours",
        _("Hours"),
        usual=_usual("hours"),
        hint=_("In the local time of each number, for example mon-fri 09:00-18:00, sat 10:00-14:00."),
        heading=_("Limits"),
    ),
    _number("max_attempts", _("Calls to a number in all")),
    _number("max_per_day", _("Calls to a number within 24 hours")),
    _number("ring_seconds", _("Seconds of ringing")),
    _number("max_lines", _("Calls at the same time")),
    Control(
        "abandon_limit",
        _("Most abandoned calls, percent"),
        Kind.NUMBER,
        usual=(f"{CampaignSettings().abandon_limit * 100:g}",),
        shown=lambda row: f"{float(row['abandon_limit']) * 100:g}",
        hint=_("Of those that persons answered; 10 at most."),
    ),
    Control(
        "abandoned_scenario_id",
        _("Scenario for abandoned calls"),
        Kind.CHOICE,
        empty=_("None: the call is ended"),
        hint=_("What a person hears for whom no agent came in time."),
        choices=rows_of(SCENARIOS, READ_CONFIGURATION, "id", "name"),
    ),
)

CAMPAIGNS = SetupEntity(
    name="campaigns",
    title=_("Dialing campaigns"),
    new=_("New campaign"),
    about=_("Phone lists that are called, and agents who talk with who answers."),
    listing=CAMPAIGNS_FOR_PEOPLE,
    needs=SEE,
    fields=("id", "state", "queue_name", *(one.name for one in _CONTROLS)),
    named="name",
    columns=(Column(_("State"), _state), Column(_("Queue"), plain("queue_name"))),
    controls=_CONTROLS,
    writer=_CampaignWriter(),
    order="name",
    texts=("name", "queue_name"),
    states={state: (title, "state", state) for state, (title, _mood) in _STATES.items()},
    template="setup/campaign.html",
    more=_more,
    stays=True,
    pages=(
        Page(f"{_ONE}/start", _do(Action.START), SEE, "POST", Workload.CHANGE),
        Page(f"{_ONE}/stop", _do(Action.STOP), SEE, "POST", Workload.CHANGE),
    ),
)
