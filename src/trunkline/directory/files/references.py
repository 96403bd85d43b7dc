"""References between items of a directory: every referenced key must exist. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from trunkline.core.phone import dialled
from trunkline.directory.files.form import Form
from trunkline.directory.media.store import SYSTEM_SET
from trunkline.directory.model import OperationKind
from trunkline.directory.scenarios import form as scenario_schemas

_KINDS = {
    "tags": "tag",
    "contacts": "contact",
    "contact_groups": "contact group",
    "schedules": "schedule",
    "media": "media file",
    "trunks": "trunk",
    "sip_lines": "line",
    "virtual_numbers": "virtual number",
    "employees": "employee",
    "groups": "group",
    "scenarios": "scenario",
}


_OPERATION_REFERENCES = {
    "employee": "employees",
    "group": "groups",
    "schedule": "schedules",
    "scenario": "scenarios",
}


_OPTION_REFERENCES = {
    "tag": "tags",
    "scenario": "scenarios",
    "employee": "employees",
    "group": "groups",
    "contact_group": "contact_groups",
}


def problems_of(form: Form, more_media: frozenset[str] = frozenset()) -> list[str]:
    """One line for each inconsistency between the items of a directory.

    :param more_media: keys of media files that will be there though the form does not list them.
    """
    return [*_References(form, more_media).problems(), *_shared_lines(form), *_extensions(form)]


class _References:
    def __init__(self, form: Form, more_media: frozenset[str]) -> None:
        self._form = form
        self._media = {*form.section("media"), *SYSTEM_SET, *more_media}

    def problems(self) -> Iterator[str]:
        form = self._form
        if form.account is not None:
            yield from self._there("virtual_numbers", form.account.default_number, "account.default_number")
        yield from self._numbers()
        for key, contact_group in form.section("contact_groups").items():
            for index, member in enumerate(contact_group.members or ()):
                yield from self._there("contacts", member, f"contact_groups.{key}.members[{index}]")
        yield from self._people()
        for key, scenario in form.section("scenarios").items():
            for name, operation in scenario.operations.items():
                yield from self._operation(scenario, operation, f"scenarios.{key}.operations.{name}")
            yield from _endless(scenario, f"scenarios.{key}.operations")
        for key, option in form.section("talk_options").items():
            for field, section in _OPTION_REFERENCES.items():
                yield from self._there(section, getattr(option, field, None), f"talk_options.{key}.{field}")

    def _numbers(self) -> Iterator[str]:
        form = self._form
        for key, number in form.section("virtual_numbers").items():
            at = f"virtual_numbers.{key}"
            yield from self._there("trunks", number.trunk, f"{at}.trunk")
            yield from self._there("sip_lines", number.default_line, f"{at}.default_line")
            for index, rule in enumerate(number.rules):
                yield from self._there("scenarios", rule.scenario, f"{at}.rules[{index}].scenario")
                yield from self._there("schedules", rule.schedule, f"{at}.rules[{index}].schedule")
        for key, line in form.section("sip_lines").items():
            where = f"sip_lines.{key}.virtual_number"
            yield from self._there("virtual_numbers", line.virtual_number, where)

    def _people(self) -> Iterator[str]:
        form = self._form
        for key, employee in form.section("employees").items():
            yield from self._there("schedules", employee.schedule, f"employees.{key}.schedule")
            yield from self._there("employees", employee.coach, f"employees.{key}.coach")
            if employee.coach == key:
                yield f"employees.{key}.coach: nobody coaches himself; name another employee"
            for index, phone in enumerate(employee.phones):
                yield from self._there("sip_lines", phone.line, f"employees.{key}.phones[{index}].line")
        for key, group in form.section("groups").items():
            yield from self._there("schedules", group.schedule, f"groups.{key}.schedule")
            for index, member in enumerate(group.members):
                yield from self._there("employees", member, f"groups.{key}.members[{index}]")

    def _there(self, section: str, key: str | None, where: str) -> Iterator[str]:
        known = self._media if section == "media" else self._form.section(section)
        if key is not None and key not in known:
            yield f"{where}: no such {_KINDS[section]}: {key}"

    def _operation(
        self, scenario: scenario_schemas.ScenarioForm, operation: scenario_schemas.OperationForm, at: str
    ) -> Iterator[str]:
        for branch, target in scenario_schemas.branches_of(operation).items():
            if target is not None and target not in scenario.operations:
                yield f"{at}.{branch}: no such operation in this scenario: {target}"
        for field, section in _OPERATION_REFERENCES.items():
            yield from self._there(section, getattr(operation, field, None), f"{at}.{field}")
        tags: Iterable[str] = getattr(operation, "tags", ())
        for index, key in enumerate(tags):
            yield from self._there("tags", key, f"{at}.tags[{index}]")
        if isinstance(operation, scenario_schemas.ContactGroupForm):
            for index, branch_form in enumerate(operation.branches):
                yield from self._there("contact_groups", branch_form.group, f"{at}.branches[{index}].group")
        if isinstance(operation, scenario_schemas.ForwardNumberForm):
            number = dialled(operation.number).number
            if number in self._form.section("virtual_numbers"):
                yield f"{at}.number: {number} is a virtual number of this account; the call would come back to it"
        yield from self._there("media", getattr(operation, "music", None), f"{at}.music")
        media: Iterable[str] = getattr(operation, "media", ())
        for index, key in enumerate(media):
            yield from self._there("media", key, f"{at}.media[{index}]")
        for name in ("employee_message", "invalid_message"):
            message: scenario_schemas.EmployeeMessageForm | None = getattr(operation, name, None)
            for index, key in enumerate(message.media if message else ()):
                yield from self._there("media", key, f"{at}.{name}.media[{index}]")


_WITHOUT_WAITING = frozenset(
    {
        OperationKind.GREETING, OperationKind.ANNOUNCEMENT, OperationKind.SCHEDULE, OperationKind.TAG, OperationKind.SPLIT,
        OperationKind.CONTACT_GROUP, OperationKind.REGION, OperationKind.CALLER_LIST,
    }
)  # fmt: skip
"""Operations that wait for no party. A split takes the same branch again in the same call."""


def _endless(scenario: scenario_schemas.ScenarioForm, at: str) -> Iterator[str]:
    """Circles of operations that wait for nobody, in which a call would stay until the caller hangs up."""

    def following(name: str) -> list[str]:
        operation = scenario.operations[name]
        if operation.kind not in _WITHOUT_WAITING:
            return []
        targets = scenario_schemas.branches_of(operation).values()
        return [target for target in targets if target in scenario.operations]

    found: set[frozenset[str]] = set()
    for first in scenario.operations:
        paths = [[first]]
        seen = {first}
        while paths:
            path = paths.pop()
            for target in following(path[-1]):
                if target == first and frozenset(path) not in found:
                    found.add(frozenset(path))
                    circle = " -> ".join([*path, first])
                    yield f"{at}.{path[-1]}: the call would never leave {circle}; let one of them lead to another operation"
                elif target not in seen:
                    seen.add(target)
                    paths.append([*path, target])


def _shared_lines(form: Form) -> Iterator[str]:
    """A line has one employee: else a call from it would be anybody's."""
    owners: dict[str, str] = {}
    for key, employee in form.section("employees").items():
        for index, phone in enumerate(employee.phones):
            if phone.line is None:
                continue
            owner = owners.setdefault(phone.line, key)
            if owner != key:
                yield f"employees.{key}.phones[{index}].line: {phone.line} is already a phone of {owner}"


def _extensions(form: Form) -> Iterator[str]:
    """Employees and groups share one set of short numbers."""
    taken: dict[str, str] = {}
    for section in ("employees", "groups"):
        for key, item in form.section(section).items():
            if item.extension is None:
                continue
            holder = taken.setdefault(item.extension, f"{section}.{key}")
            if holder != f"{section}.{key}":
                yield f"{section}.{key}.extension: {item.extension} is already that of {holder}"
    names = Counter(tag.name for tag in form.section("tags").values())
    yield from (f"tags: two tags are named {name!r}" for name, count in names.items() if count > 1)
