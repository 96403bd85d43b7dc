"""Queues: how callers wait, and the agents in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from trunkline.accounts.permissions import READ_CONFIGURATION, Permission
from trunkline.console.languages import translatable
from trunkline.console.page_request import PageRequest
from trunkline.console.setup.controls import ON, Choice, Control, Kind, ReadChoices, Row, Texts
from trunkline.console.setup.entity import Column, Part, SetupEntity, phone
from trunkline.console.setup.file_writer import FileWriter, Item
from trunkline.core.errors import InvalidInput
from trunkline.directory.queues import exits, rules
from trunkline.directory.queues.for_people import QUEUES_FOR_PEOPLE, named_items

_ = translatable

_NUMBER = "number"
"""The destination that is an outside number, which stands beside it."""

_SEES: Mapping[str, Permission] = {
    "employees": ("employees", "select"),
    "groups": ("employees", "select"),
    "queues": ("queues", "select"),
    "scenarios": READ_CONFIGURATION,
    "media": READ_CONFIGURATION,
}
"""What a user needs to choose items of a section."""

_STRATEGIES = {
    "ring-all": _("All at once"),
    "longest-idle-agent": _("The agent who is free longest"),
    "round-robin": _("One after another, from the one after the last"),
    "top-down": _("One after another, always from the first"),
    "agent-with-least-talk-time": _("The agent with the least talk time"),
    "agent-with-fewest-calls": _("The agent with the fewest calls"),
    "sequentially-by-agent-order": _("By position, always from the first"),
    "sequentially-by-next-agent-order": _("By position, from the next one"),
    "random": _("In random order"),
}
_STATUSES = {
    "Logged Out": _("Logged out"),
    "Available": _("Available"),
    "Available (On Demand)": _("Available on demand"),
    "On Break": _("On a break"),
}
_KINDS = {
    "scenarios": ("scenario", _("Scenario: %(name)s")),
    "queues": ("queue", _("Queue: %(name)s")),
    "groups": ("group", _("Group: %(name)s")),
    "employees": ("employee", _("Employee: %(name)s")),
}
_MAILBOX = _("Voice message: %(name)s")


def _chosen(titles: Mapping[str, str]) -> tuple[Choice, ...]:
    return tuple(Choice(value, title, is_text=True) for value, title in titles.items())


def _items_of(section: str) -> ReadChoices:
    async def read(page_request: PageRequest) -> list[Choice]:
        if not page_request.may(_SEES[section]):
            return []
        found = await named_items(page_request.db, page_request.account_id, section)
        # texts of scenarios are media that belong to them
        return [Choice(one.key, one.title) for one in found if not one.key.startswith("say-")]

    return read


async def _destinations(page_request: PageRequest) -> list[Choice]:
    """What callers who leave can be given, as directory files write it."""
    fixed = [
        Choice("hangup", _("The call ends"), is_text=True),
        Choice(_NUMBER, _("Outside number"), is_text=True),
        Choice(exits.CALLBACK, _("Call back"), is_text=True),
        Choice("voicemail", _("Voice message"), is_text=True),
    ]
    sections = [one for one in _KINDS if page_request.may(_SEES[one])]
    if not sections:
        return fixed
    found = await named_items(page_request.db, page_request.account_id, *sections)
    translated = page_request.language.texts.gettext
    for one in found:
        kind, title = _KINDS[one.section]
        fixed.append(Choice(f"{kind}:{one.key}", translated(title) % {"name": one.title}))
    fixed += [
        Choice(f"voicemail:{one.key}", translated(_MAILBOX) % {"name": one.title})
        for one in found
        if one.section == "employees"
    ]
    return fixed


def _agents(row: Row) -> Sequence[Sequence[Any]]:
    found: list[list[Any]] = orjson.loads(row["agents"] or "[]")
    return found


def _exits(row: Row) -> Sequence[Sequence[str]]:
    found: list[list[str]] = orjson.loads(row["exits"] or "[]")
    return [
        (name, _NUMBER, destination.partition(":")[2])
        if destination.startswith(f"{_NUMBER}:")
        else (name, destination, "")
        for name, destination in found
    ]


def merged(item: Item, values: Mapping[str, Any]) -> Item:
    """An item with values of the form. Of an agent who stays, what the form does not show stays.

    :raises InvalidInput: two exits for one key.
    """
    result = {**item, **{name: value for name, value in values.items() if name not in ("agents", "exits")}}
    if "record" in values:
        result["record"] = int(values["record"])
    if "agents" in values:
        former = {one["employee"]: one for one in item.get("agents", ())}
        result["agents"] = [_agent(former.get(one["employee"], {}), one) for one in values["agents"]]
    if "exits" in values:
        names = [one["key"] for one in values["exits"]]
        if len(set(names)) < len(names):
            raise InvalidInput(_("A key can lead to one place only."), field="exits")
        result["exits"] = {one["key"]: _destination(one) for one in values["exits"]}
    return result


def _agent(former: Mapping[str, Any], row: Mapping[str, str]) -> Item:
    kept = {name: former[name] for name in ("mode", "schedule") if name in former}
    return kept | {name: value for name, value in row.items() if value}


def _destination(row: Mapping[str, str]) -> str:
    return f"{_NUMBER}:{row['number']}" if row["destination"] == _NUMBER else row["destination"]


def _strategy(row: Row) -> list[Part]:
    return [Part(_STRATEGIES[row["strategy"]], is_text=True)]


def _people(row: Row) -> list[Part]:
    found = [Part(one) for one in (row["agent_names"] or "").split("\n") if one]
    if len(found) > _SHOWN:
        return [*found[: _SHOWN - 1], Part(f"+{len(found) - _SHOWN + 1}", mood="soft")]
    return found or [Part(_("No agents"), is_text=True, mood="bad")]


_SHOWN = 6
"""Lines of agents in the list."""


def _usual(name: str) -> Texts:
    return (str(rules.DEFAULTS[name]),)


def _seconds(name: str, label: str, hint: str = "", heading: str = "") -> Control:
    return Control(name, label, Kind.NUMBER, hint=hint, usual=_usual(name), heading=heading)


def _flag(name: str, label: str, hint: str = "", heading: str = "") -> Control:
    usual = (ON,) if rules.DEFAULTS[name] else ()
    return Control(name, label, Kind.CHECKBOX, hint=hint, usual=usual, heading=heading)


def _sound(name: str, label: str, empty: str = _("None"), heading: str = "") -> Control:
    return Control(name, label, Kind.CHOICE, empty=empty, choices=_items_of("media"), heading=heading)


_CONTROLS = (
    Control("name", _("Name")),
    Control("extension", _("Extension"), Kind.PHONE, hint=_("Short number that leads into the queue.")),
    Control(
        "strategy", _("Order of agents"), Kind.CHOICE, usual=_usual("strategy"), choices=_chosen(_STRATEGIES)
    ),
    _flag("record", _("Record the talks"), _("Otherwise the settings of the employees decide.")),
    Control(
        "agents",
        _("Agents"),
        Kind.TABLE,
        shown=_agents,
        hint=_("Lower levels are called first, and within a level lower positions. More rows follow after saving."),
        cells=(
            Control("employee", _("Employee"), Kind.CHOICE, choices=_items_of("employees")),
            Control("level", _("Level"), Kind.NUMBER),
            Control("position", _("Position"), Kind.NUMBER),
        ),
    ),
    _flag("tier_rules_apply", _("Open higher levels later"), heading=_("Levels")),
    _seconds("tier_rule_wait_second", _("Seconds until the next level")),
    _flag("tier_rule_wait_multiply_level", _("Multiply these seconds by the level")),
    _flag("tier_rule_no_agent_no_wait", _("Pass over a level without a present agent at once")),
    _seconds("max_wait_time", _("Longest wait, seconds"), _("0: no limit."), _("How callers wait")),
    _seconds("max_wait_time_with_no_agent", _("Longest wait without a present agent, seconds"), _("0: no limit.")),
    _seconds("max_wait_time_with_no_agent_time_reached", _("In addition for callers who come later, seconds")),
    Control(
        "time_base_score",
        _("Waiting counts"),
        Kind.CHOICE,
        usual=_usual("time_base_score"),
        choices=(
            Choice("queue", _("Since the queue was entered"), is_text=True),
            Choice("system", _("Since the call began"), is_text=True),
        ),
    ),
    _flag("abandoned_resume_allowed", _("Who calls again gets the place back")),
    _seconds("discard_abandoned_after", _("Seconds for which the place is kept")),
    _sound("music", _("Music"), _("Hold music"), _("What callers hear")),
    _sound("join_announce", _("Announcement when a caller joins")),
    _sound("announce", _("Announcement while waiting")),
    _seconds("announce_frequency", _("Seconds between two announcements"), _("0: none.")),
    _flag("announce_position", _("Say the position")),
    _flag("announce_wait", _("Say the expected wait")),
    Control("ring_timeout", _("Seconds that phones ring"), Kind.NUMBER, hint=_("Empty: as the agent has it."),
            heading=_("Calls to agents")),
    _sound("pre_bridge_announce", _("Announcement to the agent before the talk")),
    _flag("auto_answer", _("Phones answer by themselves")),
    _flag("skip_agents_with_external_calls", _("Pass over agents in other calls")),
    Control(
        "agent_no_answer_status", _("After too many calls without an answer"), Kind.CHOICE,
        usual=_usual("agent_no_answer_status"), choices=_chosen(_STATUSES),
    ),
    Control(
        "exits",
        _("Ways out"),
        Kind.TABLE,
        shown=_exits,
        hint=_("Keys that callers press, and the place after the longest wait. A place in a scenario counts first."),
        cells=(
            Control(
                "key", _("Key"), Kind.CHOICE,
                choices=(
                    Choice(exits.TIMEOUT, _("After the longest wait"), is_text=True),
                    *(Choice(one, one) for one in "1234567890*#"),
                ),
            ),
            Control("destination", _("Goes on with"), Kind.CHOICE, choices=_destinations),
            Control("number", _("Outside number"), Kind.PHONE),
        ),
        heading=_("Leaving the queue"),
    ),
    Control(
        "sla_strategy", _("Counted"), Kind.CHOICE, usual=_usual("sla_strategy"), heading=_("Service level"),
        choices=(
            Choice("0", _("Of those answered, or abandoned later than 5 seconds"), is_text=True),
            Choice("1", _("Of those answered, or abandoned later than this time"), is_text=True),
        ),
    ),
    _seconds("sla_answer_time", _("Seconds within which a caller is answered")),
    Control("tv_name", _("Short name"), heading=_("Wall-board")),
    Control("background_color", _("Background colour"), hint=_("For example #0f766e.")),
    Control("font_color", _("Colour of the text")),
)  # fmt: skip

QUEUES = SetupEntity(
    name="queues",
    title=_("Queues"),
    new=_("New queue"),
    about=_("Callers who wait for an agent, and the agents who take them."),
    listing=QUEUES_FOR_PEOPLE,
    needs=("queues", "select"),
    fields=("id", "agent_names", *(one.name for one in _CONTROLS)),
    named="name",
    columns=(
        Column(_("Extension"), phone("extension")),
        Column(_("Agents"), _people),
        Column(_("Order of agents"), _strategy),
    ),
    controls=_CONTROLS,
    writer=FileWriter("queues", "queues", QUEUES_FOR_PEOPLE, "name", required=("name",), merge=merged),
    order="name",
    texts=("name",),
    numbers=("extension",),
)
