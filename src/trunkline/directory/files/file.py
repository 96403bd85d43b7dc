"""Directory files: YAML in, a checked :class:`~trunkline.directory.files.form.Form` out, and back.

All scalars but true, false and null are read as text, so that ``0160001`` and ``18:00`` mean what they look
like (plain YAML 1.1 makes an octal number of one and a count of minutes of the other). ``${NAME}`` and
``${NAME:-default}`` in a scalar are replaced from the environment, ``$${`` stands for ``${``. A ``password``
or ``secret`` may be ``env:NAME``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trunkline.core.errors import DirectoryFileError
from trunkline.directory.files.form import SECTIONS, Form
from trunkline.directory.files.references import problems_of
from trunkline.directory.forms.entity import usual_values
from trunkline.directory.forms.fields import Item
from trunkline.directory.model import OperationKind, TalkOptionKind

_ROUNDS = 8
"""How often a file is checked again without the settings that have problems: what cannot do without one is left out, too."""

_ItemT = TypeVar("_ItemT", bound=Item)

_VARIABLE = re.compile(r"\$(\$)?\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_SECRETS = frozenset({"password", "secret"})
_KINDS = {
    "scenarios": frozenset(kind.value for kind in OperationKind),
    "talk_options": frozenset(kind.value for kind in TalkOptionKind),
}
"""Of items whose settings depend on their kind."""
_UNNAMED = frozenset({"virtual_numbers", "sites"})
"""Sections whose items may have no name; those of others have their key as their name."""
HIDDEN = "***"
"""Stands for a header's value that is not shown; applied, it means: keep the present one."""
_SENSITIVE_HEADER = re.compile(r"authorization|cookie|token|secret|key|password", re.IGNORECASE)


class _Loader(yaml.SafeLoader):
    """YAML whose plain scalars are text."""


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:null|~|)$"), ["n", "~", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    written: set[str] = set()
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise DirectoryFileError(f"line {key_node.start_mark.line + 1}: a key must be one word")
        if key_node.value in written:
            line = key_node.start_mark.line + 1
            raise DirectoryFileError(f"line {line}: {key_node.value} is written twice; keep one of them")
        written.add(key_node.value)
    loader.flatten_mapping(node)
    return {str(k.value): loader.construct_object(v, deep=True) for k, v in node.value}


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


@dataclass(frozen=True, slots=True)
class Examined:
    """A YAML file that may have problems: what of it can be used, so that the rest can be checked, too.

    :ivar form: without the settings that have problems, and without items that cannot do without these.
    :ivar problems: a line each, without line numbers.
    :ivar left_out: place of each of them (``sip_lines.0160001``), and its key if it is an item, else "".
    :ivar lines: line of each place; empty when the text is not a file.
    """

    form: Form
    problems: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)

    def refusal(self, more: Iterable[str] = ()) -> DirectoryFileError:
        """All problems as one error.

        :param more: problems of the form, found later. Those that only follow from an item that was left out are not
            among the result.
        """
        found = dict.fromkeys([*self.problems, *(one for one in more if not self._follows(one))])
        return _refusal([_with_line(one, self.lines) for one in found])

    def _follows(self, problem: str) -> bool:
        where, _, rest = problem.partition(": ")
        key = rest.rpartition(": ")[2].partition(" (")[0]
        is_missing = "no such" in rest and key in filter(None, self.left_out.values())
        return is_missing or any(
            where == one or where.startswith((f"{one}.", f"{one}[")) for one in self.left_out
        )


def examine_file(path: Path, environment: Mapping[str, str]) -> Examined:
    """A YAML file with its problems.

    :raises DirectoryFileError: it cannot be read, or is no mapping of YAML.
    """
    text = _text_of(path)
    return replace(_examined(text, environment), lines=_lines_of(text))


def examine_stream(content: bytes, environment: Mapping[str, str]) -> Examined:
    """The bytes of a YAML file with their problems. Errors as :func:`examine_file`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DirectoryFileError("The input is not UTF-8 text.") from error
    return _examined(text, environment)


def read_file(path: Path, environment: Mapping[str, str]) -> Form:
    """The form of a YAML file.

    :raises DirectoryFileError: all problems at once, a line each with its line number in the file
        (``params["problems"]`` is the list).
    """
    return _without_problems(examine_file(path, environment))


def read_stream(content: bytes, environment: Mapping[str, str]) -> Form:
    """The form of the bytes of a YAML file. Errors as :func:`read_file`."""
    return _without_problems(examine_stream(content, environment))


def read_items(path: Path, form: type[_ItemT]) -> _ItemT:
    """A smaller YAML file of another form. Errors as :func:`read_file`."""
    return _validated(form, _mapping_of(_text_of(path), form))


def parse(text: str, environment: Mapping[str, str]) -> Form:
    """The form of YAML text. Relative paths in it stay relative. Errors as :func:`read_file`."""
    return _without_problems(_examined(text, environment))


def _without_problems(examined: Examined) -> Form:
    if examined.problems:
        raise examined.refusal()
    return examined.form


def _examined(text: str, environment: Mapping[str, str]) -> Examined:
    unset: list[str] = []
    filled = _fill(_mapping_of(text, Form), (), environment, unset)
    problems, left_out = list(unset), {one.partition(":")[0]: "" for one in unset}
    unset_places = set(left_out)
    for round_ in range(_ROUNDS):
        try:
            form = Form.model_validate(filled)
            return Examined(named(form), tuple(problems), left_out)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=True, include_input=False)
        for detail in details:
            # Later, something is missing because it was left out.
            problem, is_new = _problem(detail), round_ == 0 or detail["type"] != "missing"
            if is_new and problem not in problems and problem.partition(":")[0] not in unset_places:
                problems.append(problem)
        for path in {_path_of(filled, detail) for detail in details}:
            left_out |= _leave_out(filled, path)
    return Examined(Form(), tuple(problems), {**left_out, **dict.fromkeys(SECTIONS, "")})


def _path_of(filled: Mapping[str, Any], detail: ErrorDetails) -> tuple[str, ...]:
    """The innermost setting of the file that has the problem, or the item around what is missing.

    Of a list it is all of it, because places in it contain positions.
    """
    path: list[str] = []
    inner: Any = filled
    for part in detail["loc"][:-1] if detail["type"] == "missing" else detail["loc"]:
        if isinstance(inner, list):
            break
        if isinstance(inner, dict) and str(part) in inner:  # other parts name branches of a union
            inner = inner[str(part)]
            path.append(str(part))
    return tuple(path)


def _leave_out(filled: dict[str, Any], path: tuple[str, ...]) -> dict[str, str]:
    """Remove what is at this path, if it is still there; the places of what was removed, and keys of items among them."""
    holder: Any = filled
    for part in path[:-1]:
        holder = holder.get(part, {})
    if not path or path[-1] not in holder:
        return {}
    removed = holder.pop(path[-1])
    keys = removed if len(path) == 1 and isinstance(removed, dict) else ()
    return {
        place(path): path[1] if len(path) == 2 else "",
        **{place((path[0], key)): str(key) for key in keys},
    }


def _lines_of(text: str) -> dict[str, int]:
    """The line of each place (:func:`place`) of YAML text."""
    lines: dict[str, int] = {}

    def walk(node: yaml.Node | None, path: tuple[Any, ...]) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = (*path, str(key.value))
                lines[place(inner)] = key.start_mark.line + 1
                walk(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                lines[place((*path, index))] = value.start_mark.line + 1
                walk(value, (*path, index))

    walk(yaml.compose(text, Loader=_Loader), ())
    return lines


def _with_line(problem: str, lines: Mapping[str, int]) -> str:
    """The problem after the line of its place, or of the closest place around it that is in the file."""
    where = problem.partition(": ")[0]
    while where and where not in lines:
        where = where[: max(where.rfind("."), where.rfind("["), 0)]
    return f"line {lines[where]}: {problem}" if where else problem


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise DirectoryFileError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DirectoryFileError(f"{path} is not UTF-8 text; save it as UTF-8.") from error


def _mapping_of(text: str, form: type[Item]) -> dict[str, Any]:
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader with fewer resolvers
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise DirectoryFileError(
            f"{place}this is not valid YAML: {error.problem or error.context}"
        ) from error
    except yaml.YAMLError as error:
        raise DirectoryFileError(f"This is not valid YAML: {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise DirectoryFileError("A directory file is a mapping of sections: " + ", ".join(form.model_fields))
    return data


def _validated(form: type[_ItemT], data: Any) -> _ItemT:
    try:
        return form.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True, include_input=False)
        raise _refusal(list(dict.fromkeys(_problem(each) for each in details))) from error


def named(form: Form) -> Form:
    """The form with names filled in where a name was left out: the item's key."""
    changed: dict[str, Any] = {}
    for section in SECTIONS:
        items = getattr(form, section)
        if items and section not in _UNNAMED:
            changed[section] = {key: _named(item, key) for key, item in items.items()}
    if form.scenarios:
        changed["scenarios"] = {
            key: _named(scenario, key).model_copy(
                update={"operations": {k: _named(o, k) for k, o in scenario.operations.items()}}
            )
            for key, scenario in form.scenarios.items()
        }
    return form.model_copy(update=changed)


def _named(item: Any, key: str) -> Any:
    if getattr(item, "name", None) != "":
        return item
    return item.model_copy(update={"name": item.default_name(key)})


def check(form: Form, spoken_of: Iterable[str] = ()) -> None:
    """Refuse a form whose items refer to missing items (``spoken_of``: further media keys).

    :raises DirectoryFileError: as :func:`read_file`.
    """
    _refuse(problems_of(form, frozenset(spoken_of)))


def to_yaml(form: Form) -> str:
    """YAML text that reads back as the same form, without secrets."""
    data = form.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for section in SECTIONS:
        for key, item in data.get(section, {}).items():
            _without_secrets(item)
            _without_usual(item, form.section(section)[key])
            if section not in _UNNAMED and item.get("name") == form.section(section)[key].default_name(key):
                del item["name"]
    for scenario in data.get("scenarios", {}).values():
        for key, operation in scenario["operations"].items():
            if operation.get("name") == key:
                del operation["name"]
    return yaml.safe_dump(_escaped(data), sort_keys=False, allow_unicode=True, width=100)


def _without_usual(data: dict[str, Any], item: BaseModel) -> None:
    for name, usual in usual_values(type(item)).items():
        if usual is not None and getattr(item, name) == usual:
            del data[name]


def _escaped(value: Any) -> Any:
    """What :func:`_fill` makes of a file must be this value again."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return _VARIABLE.sub(lambda match: f"${match[0]}", value) if isinstance(value, str) else value


def is_sensitive_header(name: str) -> bool:
    """Whether a header's value should not be shown."""
    return bool(_SENSITIVE_HEADER.search(name))


def _without_secrets(item: dict[str, Any]) -> None:
    for name in _SECRETS:
        item.pop(name, None)
    for header in item.get("headers", {}):
        if is_sensitive_header(header):
            item["headers"][header] = HIDDEN


def _fill(value: Any, path: tuple[Any, ...], environment: Mapping[str, str], problems: list[str]) -> Any:
    """The value with variables replaced; what is not set becomes a problem."""
    if isinstance(value, dict):
        return {key: _fill(item, (*path, key), environment, problems) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, (*path, index), environment, problems) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    if path and path[-1] in _SECRETS and value.startswith("env:"):
        return _variable(value.removeprefix("env:"), None, path, environment, problems)

    def replace(match: re.Match[str]) -> str:
        escaped, name, default = match.groups()
        return match[0][1:] if escaped else _variable(name, default, path, environment, problems)

    return _VARIABLE.sub(replace, value)


def _variable(
    name: str, default: str | None, path: tuple[Any, ...], environment: Mapping[str, str], problems: list[str]
) -> str:
    found = environment.get(name) or default
    if found is None:
        problems.append(f"{place(path)}: the environment variable {name} is not set; set it and apply again")
        return ""
    return found


def place(path: Iterable[Any]) -> str:
    """``employees.anna.phones[1].line`` of its parts."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _problem(detail: ErrorDetails) -> str:
    loc = [part for part in detail["loc"] if part != "[key]"]
    kinds = _KINDS.get(str(loc[0]), frozenset()) if loc else frozenset()
    branch = 4 if kinds is _KINDS["scenarios"] else 2
    if len(loc) > branch and loc[branch] in kinds:
        del loc[branch]  # the branch of the union that was looked at, not a place in the file
    where = place(loc)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return f"{where}: is missing"
    if kind == "extra_forbidden":
        if str(loc[-1]) in _FIELD_NAMES:
            return f"{where}: there is no such setting here; items of another kind have it"
        near = difflib.get_close_matches(str(loc[-1]), _FIELD_NAMES, 1)
        return f"{where}: there is no such setting" + (f"; did you mean {near[0]}?" if near else "")
    if kind == "union_tag_not_found":
        return f"{where}: kind is missing; write one of {', '.join(sorted(kinds))}"
    if kind == "union_tag_invalid":
        return f"{where}.kind: no such kind; write one of {', '.join(sorted(kinds))}"
    if kind == "value_error":
        return f"{where}: {context.get('error', detail['msg'])}"
    message = detail["msg"]
    return f"{where}: {message[:1].lower()}{message[1:]}"


def _refusal(problems: list[str]) -> DirectoryFileError:
    return DirectoryFileError("\n".join(problems), params={"problems": problems})


def _refuse(problems: list[str]) -> None:
    if problems:
        raise _refusal(problems)


def _field_names() -> list[str]:
    classes: list[type[BaseModel]] = [Item]
    for each in classes:
        classes += each.__subclasses__()
    return sorted({field.alias or name for each in classes for name, field in each.model_fields.items()})


_FIELD_NAMES = _field_names()
