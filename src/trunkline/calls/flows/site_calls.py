"""Calls that visitors of a website ask for: with the browser, or to be called back. Pure.

A call of a browser comes from the endpoint of its website. It can go nowhere but to the scenario of that website, whatever
it dials: what it dials is a ticket, which the switch has given out for one call (:mod:`..switch.browser_tickets`).

A callback rings our side first, and the visitor only when somebody has answered, so the form of a website does not ring
strangers. Only numbers in full are called: no short numbers, lines or emergency numbers; no premium rates at all.

The reference has one word for both, ``sitephone``; a call of a browser has no number of the contact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trunkline.calls.command_names import SITE_SOURCE
from trunkline.calls.context import CallContext
from trunkline.calls.decision import Decision
from trunkline.calls.finish_reasons import Side
from trunkline.calls.flows import inbound
from trunkline.calls.flows.click_to_call import StartCall
from trunkline.calls.flows.start_requests import check_contact
from trunkline.calls.session import Role
from trunkline.core.errors import InvalidInput, InvalidState, LimitExceeded, NotFound, PermissionDenied
from trunkline.core.phone import normalise
from trunkline.directory.model import Account, Site, VirtualNumber
from trunkline.events.reasons import Reason
from trunkline.routing.directions import Direction, needed_directions
from trunkline.routing.emergency import emergency_number
from trunkline.telephony.port import Arrived

SOURCE = SITE_SOURCE

NO_SCENARIO = "scenario_not_specified"
"""Mnemonic: the website has no scenario for such a call."""
CLOSED = "outside_working_hours"

_DAYS_SEARCHED = 14


@dataclass(frozen=True, slots=True)
class BrowserCall:
    """A call of a browser that a website has announced.

    :ivar visit: what reports keep of the visit, by the wire names.
    :ivar visitor_name: as the visitor has given it; "" = not known.
    """

    account_id: int
    site_id: int
    visit: Mapping[str, Any] = field(default_factory=dict)
    visitor_name: str = ""


def site_of(account: Account, site_id: int) -> Site:
    """:raises NotFound: the account has no such website, or calls from it are turned off."""
    site = account.sites.get(site_id)
    if site is None or not account.is_active:
        raise NotFound("Calls from this website are turned off.", field="site_id", value=site_id)
    return site


def shown_state(account: Account, site: Site, local: datetime) -> dict[str, Any]:
    """What a page shows: ``{"is_open", "opens_at": ISO 8601 or null, "has_phone", "has_callback"}``.

    :param local: now, in the account's zone.
    """
    is_open = account.is_open(site.schedule_id, local)
    opens_at = None if is_open else next_opening(account, site, local)
    return {
        "is_open": is_open,
        "opens_at": opens_at.isoformat() if opens_at is not None else None,
        "has_phone": site.phone_scenario_id in account.scenarios,
        "has_callback": site.callback_scenario_id in account.scenarios,
    }


def next_opening(account: Account, site: Site, local: datetime) -> datetime | None:
    """When the website is open from now on, in the account's zone; None: not within two weeks."""
    return account.opens_at(site.schedule_id, local, days=_DAYS_SEARCHED)


def check_browser_call(account: Account, site_id: int, local: datetime, live: int) -> Site:
    """Whether a browser may call now.

    :param live: calls of the website at present.
    :raises NotFound: calls are turned off.
    :raises InvalidState: mnemonic :data:`NO_SCENARIO` or :data:`CLOSED`.
    :raises LimitExceeded: the website has as many calls as it may.
    """
    site = site_of(account, site_id)
    # A credential that was made a moment before may not be here yet: browsers try again until the engine has it.
    if site.phone_scenario_id not in account.scenarios:
        raise InvalidState("The website has no scenario for calls of browsers.", mnemonic=NO_SCENARIO)
    if not account.is_open(site.schedule_id, local):
        raise InvalidState("The company takes no calls at this time.", mnemonic=CLOSED)
    if live >= site.at_once:
        raise LimitExceeded(f"The website has {live} calls now, which is its limit: try again later.")
    return site


def open_browser_call(
    arrived: Arrived, site: Site, given: BrowserCall | None, context: CallContext, call_session_id: int
) -> Decision:
    """A browser has called: the scenario of its website decides."""
    decision = record_call(arrived, site, given, context, call_session_id)
    decision.at = arrived.at
    contact, account = decision.session.contact, context.account
    scenario = account.scenarios.get(site.phone_scenario_id or 0)
    if contact is None:
        return decision
    if given is None or not account.is_active:
        inbound.refuse(decision, contact, Reason.APP_IS_INACTIVE)
    elif scenario is None:
        inbound.refuse(decision, contact, Reason.NO_ACTIVE_SCENARIO)
    else:
        inbound.enter(decision, scenario)
    return decision


def record_call(
    arrived: Arrived, site: Site, given: BrowserCall | None, context: CallContext, call_session_id: int
) -> Decision:
    """Write the beginning of a call of a browser; decides nothing.

    :param given: None: the switch that gave out its ticket has ended.
    """
    number = number_of(context.account, site)
    shown = number.phone_number if number is not None else None
    visit = {"site_id": site.site_id, "site_domain_name": site.domain_name, **(given.visit if given else {})}
    decision = Decision.open(
        context.account.account_id,
        call_session_id,
        context,
        arrived.started_at,
        {
            "direction": "in",
            "source": SOURCE,
            "is_internal": False,
            "visit": visit,
            "virtual_number_id": number.virtual_number_id if number is not None else None,
            "virtual_phone_number": shown,
            "contact_phone_number": None,
            "contact_id": None,
            "contact_full_name": (given.visitor_name if given else "") or site.domain_name,
        },
    )
    decision.start_leg(
        arrived.channel,
        {
            "role": Role.CONTACT,
            "side": Side.CONTACT,
            "direction": "in",
            "calling_phone_number": None,
            "called_phone_number": shown,
            "trunk_id": None,
        },
    )
    return decision


def number_of(account: Account, site: Site) -> VirtualNumber | None:
    """The virtual number of a website's calls; None: the account has none."""
    chosen = account.numbers.get(site.number_id or 0)
    return chosen if chosen is not None and chosen.is_verified else account.default_number


def start_site_callback(account: Account, params: Mapping[str, Any]) -> StartCall:
    """Call a visitor back: first whom the website's scenario rings (or a group), then the visitor.

    :param params: ``site_id``, ``contact``; ``group_id`` or None, ``visit`` (:class:`BrowserCall`), ``visitor_name``.
    :raises TrunklineError: nobody is called: see :func:`check_number`, and :data:`NO_SCENARIO`.
    """
    site = site_of(account, params["site_id"])
    if site.callback_scenario_id is None or site.callback_scenario_id not in account.scenarios:
        raise InvalidState("The website has no scenario for callbacks.", mnemonic=NO_SCENARIO)
    number = number_of(account, site)
    if number is None:
        raise InvalidState("The account has no verified virtual number, which calls need as caller id.")
    contact = check_number(account, site, str(params["contact"]))
    group_id = params.get("group_id")
    serving: dict[str, Any] = {"kind": "scenario", "scenario_id": site.callback_scenario_id}
    if group_id is not None:
        if group_id not in account.groups:
            raise NotFound(f"There is no group {group_id}.", field="group_id", value=group_id)
        serving = {"kind": "group", "group_id": group_id}
    visit = {"site_id": site.site_id, "site_domain_name": site.domain_name, **(params.get("visit") or {})}
    return StartCall(
        source=SOURCE,
        first=serving,
        second={"kind": "contact", "number": contact},
        number=number,
        contact=contact,
        direction="in",
        external_id=params.get("external_id"),
        visit=visit,
        visitor_name=params.get("visitor_name") or "",
        plan={
            "contact_message": None,
            "our_message": None,
            "switch_at_once": False,
            "early_switching": False,
            "keys": None,
            "confirmation": None,
            "music_media_file_id": None,
            "show_virtual_phone_number": False,
        },
    )


def check_number(account: Account, site: Site, text: str) -> str:
    """The number that a visitor gave, if it may be called back: E.164 digits.

    :raises InvalidInput: it is no number in full, or one of the account.
    :raises PermissionDenied: it is in the blacklist, an emergency number, of a premium rate, or of another country without
        ``calls_abroad``; or the security settings of the account do not allow it.
    """
    number = normalise(text)
    if number is None or account.line_by_login(number) is not None:
        raise InvalidInput("Enter the number with its country code, for example +12025550110.", field="phone")
    if emergency_number(text.strip(), account.country) is not None:
        raise PermissionDenied("This number is not called back.", field="phone")
    needed = needed_directions(account, number)
    if Direction.PREMIUM in needed or (Direction.INTERNATIONAL in needed and not site.abroad):
        raise PermissionDenied("This number is not called back.", field="phone")
    return check_contact(account, number)
