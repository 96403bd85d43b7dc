"""``trunkline queue`` and ``trunkline agent``: who waits, who works, since when and why."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click

from trunkline.accounts.administration import Administration
from trunkline.apis.call_center.live import shown_agent, shown_queues
from trunkline.calls.switch.queue_commands import AgentCommands, LiveQueuesView
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.database import print_json, with_database
from trunkline.cli.settings import load_settings
from trunkline.cli.switch import switch_client
from trunkline.cli.table import print_table
from trunkline.core.errors import NotFound
from trunkline.db.pool import Database

_PAUSES = "select status_id, name from employee_statuses where account_id in (0, %s)"


@click.group()
def queue() -> None:
    """Queues at this moment: callers who wait, agents, the service level of today."""


@click.group()
def agent() -> None:
    """Agents at this moment: what each is doing, since when and why."""


@queue.command("list")
@account_option
@json_option
def list_queues(account_id: int | None, json: bool) -> None:
    """Show the queues of an account: waiting callers, agents, counts since midnight in the zone of the account."""
    found, _ = _live(account_id)
    queues = shown_queues(found, time.time())
    if json:
        print_json(queues)
        return
    headings = (
        "id", "name", "waiting", "longest wait", "talking", "agents", "available", "on break",
        "answered today", "abandoned today", "in time",
    )  # fmt: skip
    print_table(headings, [_queue_row(one) for one in queues], none="no queue")


@queue.command("show")
@click.argument("wanted", metavar="QUEUE")
@account_option
@json_option
def show_queue(wanted: str, account_id: int | None, json: bool) -> None:
    """Show one QUEUE (its name or number): the callers in their order, and the agents."""
    found, pauses = _live(account_id)
    queues = [one for one in shown_queues(found, time.time()) if wanted in (one["name"], str(one["id"]))]
    if not queues:
        raise NotFound(f"There is no queue {wanted}: see `trunkline queue list`", field="queue", value=wanted)
    [shown] = queues[:1]
    if json:
        print_json(shown)
        return
    today = shown["today"]
    click.echo(f"{shown['name']} ({shown['id']}): {shown['waiting']} waiting, {shown['talking']} talking")
    click.echo(
        f"today: {today['answered']} answered, {today['abandoned']} abandoned ({today['abandoned_short']} at once),"
        f" {today['flowed_out']} left otherwise; {_level(today)} within {today['answer_time']} s"
        f" ({today['formula']}); average wait {_or_dash(today['average_wait'])} s"
    )
    click.echo()
    callers = [
        (one["position"], one["cid_num"] or "withheld", one["state"], one["waited"], one["uuid"])
        for one in shown["callers"]
    ]
    print_table(("position", "caller", "state", "waited", "call"), callers, none="nobody waits")
    click.echo()
    print_table(_AGENT_HEADINGS, [_agent_row(one, pauses) for one in shown["agents"]], none="no agent")


@agent.command("list")
@account_option
@json_option
def list_agents(account_id: int | None, json: bool) -> None:
    """Show the agents of an account: what each is doing, since when and why."""
    found, pauses = _live(account_id)
    agents = [shown_agent(one, time.time()) for one in found.agents]
    if json:
        print_json(agents)
        return
    names = {one["queue_id"]: one["name"] for one in found.queues}
    rows = [(*_agent_row(one, pauses), [names.get(at, at) for at in one["queue_ids"]]) for one in agents]
    print_table((*_AGENT_HEADINGS, "queues"), rows, none="no agent")


_AGENT_HEADINGS = (
    "id",
    "agent",
    "status",
    "activity",
    "seconds",
    "reason",
    "phones",
    "calls",
    "talk",
    "call",
)


def _agent_row(agent: dict[str, Any], pauses: dict[int, str]) -> Sequence[Any]:
    reason = pauses.get(agent["pause_id"] or 0) or agent["reason"]
    return (
        agent["user_id"],
        agent["name"],
        agent["status"],
        agent["activity"],
        agent["seconds"],
        reason,
        agent["phones"],
        agent["calls_answered"],
        agent["talk_time"],
        agent["uuid"],
    )


def _queue_row(queue: dict[str, Any]) -> Sequence[Any]:
    today = queue["today"]
    return (
        queue["id"],
        queue["name"],
        queue["waiting"],
        queue["longest_wait"],
        queue["talking"],
        queue["present_agents"],
        queue["available_agents"],
        queue["on_break"],
        today["answered"],
        today["abandoned"],
        _level(today),
    )


def _level(today: dict[str, Any]) -> str:
    return "-" if today["level"] is None else f"{100 * today['level']:.1f} %"


def _or_dash(value: Any) -> Any:
    return "-" if value is None else value


def _live(account_id: int | None) -> tuple[LiveQueuesView, dict[int, str]]:
    """Agents and queues, and the names of the statuses of employees.

    :raises SwitchUnavailable: the switch does not respond, or does not run the queues of the account at present.
    """
    settings = load_settings()

    async def work(db: Database) -> tuple[LiveQueuesView, dict[int, str]]:
        which = await chosen(Administration(db), account_id)
        rows = await db.fetch_all(_PAUSES, (which,))
        async with switch_client(settings) as switch:
            found = await AgentCommands(switch).live(which)
        return found, {row["status_id"]: row["name"] for row in rows}

    return with_database(work)
