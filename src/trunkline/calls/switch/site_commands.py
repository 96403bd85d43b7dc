"""Commands of the web process about websites whose visitors may call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trunkline.calls.command_names import SITE_STATE
from trunkline.calls.flows import site_calls
from trunkline.calls.flows.site_calls import BrowserCall
from trunkline.calls.session import Phase
from trunkline.calls.switch.browser_tickets import SECONDS

if TYPE_CHECKING:
    from trunkline.calls.switch.switch import Switch


def execute_site_command(
    switch: Switch, account_id: int, name: str, params: Mapping[str, Any]
) -> dict[str, Any]:
    """Execute a command of :data:`~trunkline.calls.command_names.SITE_COMMANDS`.

    :raises TrunklineError: as :func:`~trunkline.calls.flows.site_calls.check_browser_call`.
    """
    account, site_id = switch.account(account_id), params["site_id"]
    local = switch.context(account).local_time
    if name == SITE_STATE:
        if (at := params.get("at")) is not None:
            local = datetime.fromtimestamp(at, account.time_zone)
        return site_calls.shown_state(account, site_calls.site_of(account, site_id), local)
    tickets = switch.arrivals.tickets
    live = _live_calls(switch, account_id, site_id) + tickets.unused(site_id)
    site_calls.check_browser_call(account, site_id, local, live)
    call = BrowserCall(account_id, site_id, dict(params.get("visit") or {}), params.get("visitor_name") or "")
    return {"ticket": tickets.issue(call), "seconds": SECONDS}


def _live_calls(switch: Switch, account_id: int, site_id: int) -> int:
    """Calls of browsers and callbacks."""
    return sum(
        session.account_id == account_id
        and session.phase is not Phase.ENDED
        and session.source == site_calls.SOURCE
        and session.visit.get("site_id") == site_id
        for session in switch.sessions.values()
    )
