"""Scenarios: the list, the editor, and versions.

The editor has no state on the server: its form has the draft, which each button sends with what is to be done, and is saved
by the writer of directory files. So it works without scripts, and nothing is in effect before it is saved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from trunkline.accounts.permissions import CHANGE_CONFIGURATION, READ_CONFIGURATION
from trunkline.apis.service.workloads import Workload
from trunkline.console import scenario_texts as texts
from trunkline.console.languages import Language, translatable
from trunkline.console.page import Entry, Page
from trunkline.console.page_request import PageRequest
from trunkline.console.scenario_drawing import name_of, nodes_of, offered_places
from trunkline.console.scenario_fields import of_item, problems_by_path, sent_item
from trunkline.console.setup import file_writer, menu
from trunkline.core.errors import DirectoryFileError, InvalidInput, NotFound
from trunkline.core.id_text import id_in_text
from trunkline.core.phone import normalise
from trunkline.directory.files.form import Form
from trunkline.directory.files.prepare import Request
from trunkline.directory.forms.fields import Key
from trunkline.directory.lines.store import registered_lines
from trunkline.directory.live.load import load_account
from trunkline.directory.model import OperationKind, Scenario
from trunkline.directory.model.limits import MAX_OPERATIONS
from trunkline.directory.scenarios import editing, versions
from trunkline.directory.scenarios.choices import Choices, read_choices
from trunkline.directory.scenarios.form import ScenarioForm, as_operations, form_of_kind
from trunkline.directory.scenarios.listing import SCENARIOS
from trunkline.reports.reason_descriptions import REASON_DESCRIPTIONS
from trunkline.routing.dry_run import (
    SENTENCES,
    Assumptions,
    QueueEnd,
    Step,
    dry_run_of_number,
    dry_run_of_scenario,
)

_ = translatable

PATH = "/console/scenarios"
NEW = "/console/new-scenario"
BODY_MAX = 1024 * 1024
"""Bytes of a draft: a list of callers may be long."""
LIST_MAX = 1000
"""Scenarios in the list."""

TRIED = ("caller", "number", "at", "keys", "answered", "queue", "code", "now")
"""Fields of a call that is tried."""

_KEY: TypeAdapter[str] = TypeAdapter(Key)


@dataclass
class Editor:
    """What the page of a scenario has.

    :ivar base: fingerprint of the scenario that the draft began with; empty: there is none yet.
    :ivar opened: key of the operation whose form is open.
    :ivar place: where a new operation is added, and
    :ivar kind: its kind, when that is chosen.
    :ivar values: of the open form, as they were sent; None: those of the draft.
    :ivar problems: of the open form, by the path of the field.
    :ivar of_operations: what was found when it was saved, by key; of the whole under the empty key.
    """

    key: str
    draft: ScenarioForm
    base: str
    opened: str = ""
    place: str | None = None
    kind: str = ""
    values: dict[str, Any] | None = None
    problems: dict[str, list[str]] = field(default_factory=dict)
    of_operations: dict[str, list[str]] = field(default_factory=dict)
    steps: tuple[Step, ...] | None = None
    """Of a call that was tried."""
    tried: dict[str, str] = field(default_factory=dict)
    is_changed: bool = False

    def close(self) -> None:
        """No form is open."""
        self.opened, self.place, self.kind, self.values, self.problems = "", None, "", None, {}

    def note(self, problem: str, key: str = "") -> None:
        self.of_operations.setdefault(key, []).append(problem)

    def do(self, action: str, fields: Mapping[str, str]) -> None:
        """Change the draft by a button of the page. What is refused is noted."""
        verb, _space, what = action.partition(" ")
        try:
            if verb not in ("cancel", "delete", "prune", "rows", "kind") and not self._take_form(fields):
                return
            match verb:
                case "open":
                    self.close()
                    self.opened = what if what in self.draft.operations else ""
                case "add":
                    self.close()
                    self.place = what
                case "kind":
                    self.kind = fields.get("kind", "")
                    self.opened = ""
                case "rows":
                    self._take_values(fields)
                case "delete" | "prune":
                    self.draft = editing.deleted(self.draft, what, with_branches=verb == "prune")
                    self.close()
                    self.is_changed = True
                case "move":
                    place = editing.Place.parse(fields.get("to", ""))
                    self.draft = editing.moved(self.draft, what, place)
                    self.is_changed = True
                    self.close()
                case "cancel":
                    self.close()
                case _:
                    pass
        except InvalidInput as error:
            self.note(error.message, self.opened)

    def _take_values(self, fields: Mapping[str, str]) -> Any:
        """What the open form sent; the check of it follows. None: no form is open."""
        kind = self.open_kind()
        if kind is None:
            return None
        own = {name[2:]: value for name, value in fields.items() if name.startswith("f.")}
        sent = sent_item(form_of_kind(kind), own, texts.KEY_TWICE)
        self.values, self.problems = {"kind": kind.value, **sent.values}, sent.problems
        return self.values

    def open_kind(self) -> OperationKind | None:
        if self.opened:
            operation = self.draft.operations.get(self.opened)
            return None if operation is None else operation.kind
        return OperationKind(self.kind) if self.kind in set(OperationKind) else None

    def _take_form(self, fields: Mapping[str, str]) -> bool:
        """Put the open form into the draft; False: it has problems."""
        values = self._take_values(fields)
        kind = self.open_kind()
        if values is None or kind is None:
            return True
        operation: Any = None
        if not self.problems:
            try:
                operation = form_of_kind(kind).model_validate(values)
            except ValidationError as error:
                self.problems = problems_by_path(error)
        if self.problems:
            return False
        if self.opened:
            self.draft = editing.changed(self.draft, self.opened, operation)
        elif self.place is not None:
            key = editing.new_key(self.draft, kind)
            self.draft = editing.added(self.draft, editing.Place.parse(self.place), key, operation)
        self.is_changed = True
        self.close()
        return True


async def _list(page_request: PageRequest) -> web.StreamResponse:
    fields = ["id", "name", "virtual_phone_numbers", "operations"]
    order = [{"field": "name", "order": "asc"}]
    found, choices = await asyncio.gather(
        page_request.reader.list(SCENARIOS, {"fields": fields, "sort": order, "limit": LIST_MAX}),
        read_choices(page_request.db, page_request.account_id),
    )
    keys = {identifier: key for key, identifier in choices.ids.get("scenarios", {}).items()}
    rows = [{**row, "key": keys.get(row["id"])} for row in orjson.loads(found.rows)]
    return page_request.page(
        "scenarios.html",
        rows=[row for row in rows if row["key"]],
        may_change=page_request.may(CHANGE_CONFIGURATION),
        new_path=NEW,
        list_path=PATH,
    )


async def _show(page_request: PageRequest) -> web.StreamResponse:
    key = page_request.request.match_info["key"]
    draft = await _scenario(page_request, key)
    editor = Editor(key, draft, versions.fingerprint(draft))
    return await _page(page_request, editor)


async def _new(page_request: PageRequest) -> web.StreamResponse:
    choices = await read_choices(page_request.db, page_request.account_id)
    known, number = choices.names.get("scenarios", {}), 1
    while f"scenario-{number}" in known:
        number += 1
    draft = versions.from_json({"name": "", "operations": {}})
    return await _page(page_request, Editor(f"scenario-{number}", draft, "", place=""))


async def _scenario(page_request: PageRequest, key: str) -> ScenarioForm:
    found = (
        (await file_writer.files(page_request).scenarios(page_request.account_id))
        .section("scenarios")
        .get(key)
    )
    if found is None:
        raise NotFound(_("There is no such scenario."))
    scenario: ScenarioForm = found
    return scenario


async def _change(page_request: PageRequest) -> web.StreamResponse:
    fields = await page_request.form(limit=BODY_MAX)
    editor = _editor(page_request, fields)
    action = fields.get("do", "")
    editor.do(action, fields)
    is_open = editor.opened or editor.place is not None
    if action == "save" and not is_open and not editor.of_operations and await _save(page_request, editor):
        raise page_request.back(f"{PATH}/{editor.key}?saved=1")
    if action == "try" and not is_open:
        await _try(page_request, editor, fields)
    return await _page(page_request, editor)


async def _try(page_request: PageRequest, editor: Editor, fields: Mapping[str, str]) -> None:
    """Do a dry run of a call through the draft, or to a number whose calls may come to it."""
    editor.tried = {name: fields.get(f"try_{name}", "").strip()[:100] for name in TRIED}
    tried = editor.tried
    async with page_request.db.connection() as connection:
        services = page_request.services
        account = await load_account(
            connection, services.secrets, services.settings.media_dir, page_request.account_id
        )
    choices = await read_choices(page_request.db, page_request.account_id)
    scenario_id = choices.ids.get("scenarios", {}).get(editor.key, 0)
    operations = as_operations(editor.draft, choices.ids)
    scenario = Scenario(scenario_id, editor.draft.name or editor.key, operations)
    account = replace(account, scenarios={**account.scenarios, scenario_id: scenario})
    lines = await registered_lines(page_request.db, page_request.account_id) if tried["now"] else None
    try:
        local = datetime.fromisoformat(tried["at"])
        caller = None if not tried["caller"] else normalise(tried["caller"])
        called = normalise(tried["number"]) if tried["number"] else None
        if local.tzinfo is not None or (tried["caller"] and caller is None):
            raise ValueError
        end = QueueEnd(tried["queue"])
        answered = int(tried["answered"] or 0)
    except ValueError:
        editor.note(_("Write the number of the caller in full, and day and time."))
        return
    keys = tuple("" if one == "-" else one for one in tried["keys"].replace(",", " ").split())
    assumptions = Assumptions(keys, answered, end, tried["code"], lines)
    if called is None:
        editor.steps = dry_run_of_scenario(account, scenario, caller, local, assumptions)
    else:
        editor.steps = dry_run_of_number(account, account.number_by_phone(called), caller, local, assumptions)


def _sentence(step: Step, language: Language) -> tuple[str, Mapping[str, str]]:
    """For the filter ``filled``."""
    reason = "" if step.reason is None else REASON_DESCRIPTIONS.get(step.reason.value, step.reason.value)
    translated = language.texts.gettext(reason) if reason else ""
    return SENTENCES[step.kind], {**step.values, "reason": translated}


def _editor(page_request: PageRequest, fields: Mapping[str, str]) -> Editor:
    try:
        sent = orjson.loads(fields.get("draft", ""))
        if isinstance(sent, dict) and len(sent.get("operations") or ()) > MAX_OPERATIONS:
            raise InvalidInput(_("This scenario has too many operations: move some to another scenario."))
        draft = versions.from_json(sent)
        key = page_request.request.match_info.get("key") or _KEY.validate_python(fields.get("key", ""))
    except orjson.JSONDecodeError as error:
        raise InvalidInput(_("The form is damaged: open the scenario again.")) from error
    except ValidationError as error:
        raise InvalidInput(
            _("The form is damaged, or the key has other characters than a-z, 0-9, - and _.")
        ) from error
    draft = draft.model_copy(update={"name": fields.get("scenario_name", draft.name)[:200].strip()})
    place = fields.get("place")
    return Editor(
        key,
        draft,
        fields.get("base", ""),
        fields.get("opened", ""),
        place,
        fields.get("chosen_kind", ""),
        is_changed=bool(fields.get("is_changed")),
    )


async def _save(page_request: PageRequest, editor: Editor) -> bool:
    """Write the draft; False: it was refused, and the reasons are noted at the operations."""
    data = {"scenarios": {editor.key: versions.as_json(editor.draft)}}
    try:
        form = Form.model_validate(data)
    except ValidationError as error:
        for path, problems in problems_by_path(error).items():
            _section, _key, _operations, operation, *rest = [*path.split("."), "", "", ""]
            for one in problems:
                where = ".".join(rest[1:]).rstrip(".")
                editor.note(f"{where}: {one}" if where else one, operation)
        return False
    files = file_writer.files(page_request)
    request = Request(
        page_request.account_id,
        form,
        Path(),
        author=page_request.caller.login,
        scenarios_only=True,
        based_on={editor.key: editor.base},
    )
    try:
        await files.apply(await files.prepare(request))
    except DirectoryFileError as error:
        for problem in error.params.get("problems") or [error.message]:
            _note(editor, str(problem))
        return False
    return True


def _note(editor: Editor, problem: str) -> None:
    """A problem of the directory at the operation that it names (``scenarios.KEY.operations.OPERATION.field: ...``)."""
    where, _colon, message = problem.partition(": ")
    rest = where.removeprefix(f"scenarios.{editor.key}")
    operation, _dot, name = rest.removeprefix(".operations.").partition(".")
    if where == rest or operation not in editor.draft.operations:
        editor.note(message if where != rest else problem)
    else:
        editor.note(f"{texts.field_name(name)}: {message}" if name else message, operation)


async def _page(page_request: PageRequest, editor: Editor) -> web.Response:
    choices = await read_choices(page_request.db, page_request.account_id)
    draft, walked = editor.draft, editor.steps or ()
    own = choices.ids.get("scenarios", {}).get(editor.key, 0)
    numbers: dict[str, list[int]] = {}
    for number, step in enumerate(walked, 1):
        if step.operation and step.scenario_id == own:
            numbers.setdefault(step.operation, []).append(number)
    if not draft.operations and editor.place is None:
        editor.place = ""
    kind = editor.open_kind()
    item: Mapping[str, Any] | None = editor.values
    if item is None and editor.opened:
        item = draft.operations[editor.opened].model_dump(mode="json")
    return page_request.page(
        "scenario.html",
        editor=editor,
        title=draft.name or editor.key,
        draft=orjson.dumps(versions.as_json(draft)).decode(),
        lines=nodes_of(draft, choices) if draft.operations else (),
        fields=() if kind is None else of_item(form_of_kind(kind), item, editor.problems),
        form_problems=editor.problems.get("", ()),
        open_kind=kind,
        kinds=texts.KINDS,
        kind_name=texts.kind_name,
        field_name=texts.field_name,
        value_name=texts.value_name,
        items=_offered(choices),
        operations=[(key, name_of(draft, key)) for key in draft.operations],
        places=offered_places(draft, choices),
        may_change=page_request.may(CHANGE_CONFIGURATION),
        saved=page_request.request.query.get("saved") == "1" and page_request.request.method == "GET",
        is_new=not editor.base,
        action=NEW if not editor.base else f"{PATH}/{editor.key}",
        list_path=PATH,
        steps=numbers,
        walked=[
            (number, step, _sentence(step, page_request.language)) for number, step in enumerate(walked, 1)
        ],
        tried={
            **dict.fromkeys(TRIED, ""),
            "at": f"{page_request.now.astimezone(page_request.zone):%Y-%m-%dT%H:%M}",
            "queue": "agent",
            **editor.tried,
        },
        queue_ends=texts.QUEUE_ENDS,
        names={key: name_of(draft, key) for key in draft.operations},
        status=400 if editor.problems or editor.of_operations else 200,
    )


def _offered(choices: Choices) -> Mapping[str, list[tuple[str, str]]]:
    """What may be named, by section. Media files that were made of a text belong to that text."""
    return {
        section: [
            (key, name) for key, name in names.items() if not (section == "media" and key[:4] == "say-")
        ]
        for section, names in choices.names.items()
    }


async def _versions(page_request: PageRequest) -> web.StreamResponse:
    key = page_request.request.match_info["key"]
    scenario = await _scenario(page_request, key)
    found = await versions.list_versions(page_request.db, page_request.account_id, key)
    query = page_request.request.query
    chosen = {name: id_in_text(query.get(name, "")) for name in ("old", "new")}
    shown: tuple[versions.OperationDifference, ...] | None = None
    if chosen["old"] and chosen["new"]:
        old, new = [
            await versions.read_version(page_request.db, page_request.account_id, key, chosen[name] or 0)
            for name in ("old", "new")
        ]
        shown = versions.differences(old, new)
    return page_request.page(
        "scenario_versions.html",
        key=key,
        title=scenario.name or key,
        versions=found,
        chosen=chosen,
        differences=shown,
        kind_name=texts.kind_name,
        field_name=texts.field_name,
        may_change=page_request.may(CHANGE_CONFIGURATION),
        base=versions.fingerprint(scenario),
        list_path=PATH,
    )


async def _restore(page_request: PageRequest) -> web.StreamResponse:
    fields = await page_request.form()
    key = page_request.request.match_info["key"]
    version = id_in_text(fields.get("version", "")) or 0
    draft = await versions.read_version(page_request.db, page_request.account_id, key, version)
    editor = Editor(key, draft, fields.get("base", ""), is_changed=True)
    if await _save(page_request, editor):
        raise page_request.back(f"{PATH}/{key}?saved=1")
    return await _page(page_request, editor)


PAGES = (
    Page(PATH, _list, READ_CONFIGURATION),
    Page(NEW, _new, CHANGE_CONFIGURATION),
    Page(NEW, _change, CHANGE_CONFIGURATION, "POST", Workload.CHANGE),
    Page(f"{PATH}/{{key}}", _show, READ_CONFIGURATION),
    Page(f"{PATH}/{{key}}", _change, CHANGE_CONFIGURATION, "POST", Workload.CHANGE),
    Page(f"{PATH}/{{key}}/versions", _versions, READ_CONFIGURATION),
    Page(f"{PATH}/{{key}}/restore", _restore, CHANGE_CONFIGURATION, "POST", Workload.CHANGE),
)
MENU = (Entry(PATH, _("Scenarios"), lambda caller: caller.may(*READ_CONFIGURATION)),)
ENTRIES = (
    Entry(
        PATH,
        _("Scenarios"),
        lambda caller: caller.may(*READ_CONFIGURATION) and not menu.is_visible(caller),
    ),
)
"""In the navigation of those who do not have the set-up, whose menu has it."""
