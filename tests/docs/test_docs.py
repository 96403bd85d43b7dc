"""What the pages say is true: links lead somewhere, settings, commands, methods and parameters exist."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from pydantic import BaseModel

from tests.docs.pages import DOCS, ROOT, anchors, blocks, commands, links, name, pages, requests
from trunkline.apis.catalogue import SERVICE_SPECS
from trunkline.apis.jsonrpc.declare import Method, Param
from trunkline.cli.main import COMMANDS
from trunkline.cli.main import commands as trunkline
from trunkline.core.settings import Settings
from trunkline.directory.files import file as directory_file
from trunkline.events.reasons import Reason

_METHODS = {
    f"/v{service_spec.version}": {m.name: m for m in service_spec.methods} for service_spec in SERVICE_SPECS
}
_TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
_UNWANTED = re.compile(re.escape(f"{ROOT}/"))
"""Where this checkout happens to lie is nobody else's business."""

every_page = pytest.mark.parametrize("page", pages(), ids=name)


@every_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


@cache
def _reached() -> set[Path]:
    """The pages that links lead to, from the README."""
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        one = waiting.pop()
        if one in seen or one.suffix != ".md":
            continue
        seen.add(one)
        found = [(one.parent / link.partition("#")[0]).resolve() for link in links(one) if "://" not in link]
        waiting += [target for target in found if target.is_file()]
    return seen


@every_page
def test_every_page_can_be_reached(page: Path) -> None:
    """From the README, by links."""
    assert page in _reached()


@every_page
def test_nothing_that_is_not_ours(page: Path) -> None:
    assert _UNWANTED.findall(page.read_text()) == []


def test_the_pages_have_examples_of_each_language() -> None:
    """The tests of examples check something: the parser finds them."""
    found = Counter(block.language for page in pages() for block in blocks(page))
    assert found["json"] > 2
    assert found["toml"] > 2
    assert found["yaml"] > 5
    assert found["sh"] > 20


@every_page
def test_examples_are_what_they_claim(page: Path) -> None:
    for block in blocks(page):
        match block.language:
            case "json":
                json.loads(block.text)
            case "toml":
                tomllib.loads(block.text)
            case "yaml":
                yaml.safe_load(block.text)


@every_page
def test_requests_name_methods_and_parameters_that_exist(page: Path) -> None:
    for path, body in requests(page):
        if body["method"] == "rpc.discover":
            continue  # of both APIs; it has no parameters
        method = _METHODS[path][body["method"]]
        sent = body["params"]
        assert _unknown(sent, method) == []
        missing = [p.name for p in method.params if p.required and p.name not in sent]
        assert missing == [], f"{method.name} lacks {missing}"
        result = {field.name for field in method.result}
        asked = {*sent.get("fields", ()), *(sort["field"] for sort in sent.get("sort", ()))}
        asked |= set(_filtered(sent.get("filter", {})))
        assert asked <= result, f"{method.name} has no {asked - result}"


def test_requests_are_found() -> None:
    shown = {body["method"] for page in pages() for _, body in requests(page)}
    assert {"start.employee_call", "list.calls", "get.calls_report", "get.employees"} <= shown


@every_page
def test_no_request_escapes_the_tests(page: Path) -> None:
    assert len(list(requests(page))) == page.read_text().count("curl -s ")


@every_page
def test_commands_exist(page: Path) -> None:
    for line in commands(page):
        for command in re.split(r"&&|\|\||;|\||\$\(", line):
            words = command.split()
            match words:
                case ["make", target, *_] if re.match(r"[a-z]+$", target):
                    assert target in _TARGETS, line
                case ["trunkline", *rest]:
                    _check_command(rest, line)


def test_settings_of_the_page_are_the_settings() -> None:
    text = (DOCS / "install.md").read_text()
    table = text.partition("<!-- settings -->")[2].partition("<!-- /settings -->")[0]
    reported = {
        setting: (None if default == "none" else default.strip("`"))
        for setting, default in re.findall(r"^\| `([\w.]+)` \| (none|`[^`]*`) \|", table, re.MULTILINE)
    }
    assert reported == dict(_settings(Settings.model_construct(), ""))


@cache
def _variables() -> set[str]:
    """The settings as environment variables."""
    return {"TRUNKLINE_CONFIG"} | {
        "TRUNKLINE_" + setting.upper().replace(".", "__")
        for setting, _ in _settings(Settings.model_construct(), "")
    }


@every_page
def test_settings_named_in_the_environment_exist(page: Path) -> None:
    assert set(re.findall(r"\bTRUNKLINE_[A-Z_]*[A-Z]\b", page.read_text())) <= _variables()


def test_toml_examples_are_settings() -> None:
    for block in blocks(DOCS / "install.md"):
        if block.language == "toml":
            Settings(**tomllib.loads(block.text))


def test_the_quick_starts_company_can_be_applied() -> None:
    texts = [block.text for block in blocks(DOCS / "quick-start.md") if block.language == "yaml"]
    assert texts
    for text in texts:
        directory_file.check(directory_file.parse(text, {"CARRIER_PASSWORD": "tests-only"}))


def test_decisions_are_numbered_once_and_listed() -> None:
    folder = DOCS / "decisions"
    files = sorted(path.name for path in folder.glob("[0-9]*.md"))
    numbers = [file[:4] for file in files]
    assert len(set(numbers)) == len(numbers)
    assert sorted(link for link in links(folder / "README.md")) == files
    for file in files:
        assert (folder / file).read_text().startswith(f"# {file[:4]}: ")


def _unknown(sent: dict[str, Any], method: Method) -> list[str]:
    forms = [form.params for form in method.forms if form.applies(sent)] or [method.params]
    return [name for params in forms for name in _unknown_of(sent, params)]


def _unknown_of(sent: dict[str, Any], params: tuple[Param, ...], at: str = "") -> Iterator[str]:
    known = {param.name: param for param in params}
    for key, value in sent.items():
        if key not in known:
            yield at + key
        elif known[key].params and isinstance(value, dict):
            yield from _unknown_of(value, known[key].params, f"{at}{key}.")


def _filtered(condition: dict[str, Any]) -> Iterator[str]:
    if "field" in condition:
        yield condition["field"]
    for inner in condition.get("filters", ()):
        yield from _filtered(inner)


def _check_command(words: list[str], line: str) -> None:
    """The command, its sub-command and its options exist."""
    context = click.Context(trunkline)
    command: click.Command | None = trunkline
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    for word in words:
        if not isinstance(command, click.Group) or not re.match(r"[a-z][a-z-]*$", word):
            break
        if command is trunkline and word == "bench":
            assert word in COMMANDS
            return
        command = command.get_command(context, word)
        assert command is not None, line
    if command is None or isinstance(command, click.Group):
        return
    known = {option for param in command.params for option in param.opts}
    assert set(options) <= known | {"--help"}, line


def _settings(model: BaseModel, prefix: str) -> Iterator[tuple[str, str | None]]:
    """Dotted name and default of each setting, as the page writes them."""
    for key, info in type(model).model_fields.items():
        value = info.get_default(call_default_factory=True)
        if isinstance(value, BaseModel):
            yield from _settings(value, f"{prefix}{key}.")
        else:
            yield prefix + key, _written(value)


def _written(value: Any) -> str | None:
    if value is None:
        return None
    return json.dumps(value) if isinstance(value, list) else str(value)


def test_every_finish_reason_is_explained() -> None:
    page = (DOCS / "operations" / "troubleshooting.md").read_text()
    table = page[page.index("| reason | cause |") : page.index("## An API returns an error")]
    explained = [
        one for row in table.splitlines()[2:] if row for one in re.findall(r"`(\w+)`", row.split("|")[1])
    ]
    assert sorted(explained) == sorted(reason.value for reason in Reason)
