"""References between items of a directory: every referenced key must exist. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from pydantic import BaseModel

from trunkline.core.phone import split_number
from trunkline.directory.campaigns.form import CampaignForm
from trunkline.directory.employees.rules import CoachFault, coach_fault
from trunkline.directory.exclusive import Claim, Exclusive, Holder, conflicts
from trunkline.directory.files.form import SECTIONS, Form
from trunkline.directory.forms.entity import Refers, marked
from trunkline.directory.media.store import SYSTEM_SET
from trunkline.directory.model import OperationKind
from trunkline.directory.queues import exits
from trunkline.directory.queues.form import QueueForm
from trunkline.directory.scenarios import form as scenario_schemas
from trunkline.directory.sites.redirects import REDIRECT

_KINDS = {
    "media": "media file",
    "sip_lines": "line",
}
"""What an item of a section is called, where it is not the section's name without its plural."""


def problems_of(
    form: Form,
    more_media: frozenset[str] = frozenset(),
    others: Mapping[str, Collection[str]] | None = None,
    former: Form | None = None,
) -> list[str]:
    """One line for each inconsistency between the items of a directory.

    :param more_media: keys of media files that will be there though the form does not list them.
    :param others: keys of items that are there though the form does not have their section.
    :param former: the directory before: two items that share a value there already (a name, before names were compared)
        are no reason to refuse other changes.
    """
    shared = list(_shared_values(form))
    if shared and former is not None:
        known = set(_shared_values(former))
        shared = [one for one in shared if one not in known]
    return [*_References(form, more_media, others or {}).problems(), *shared]


class _References:
    def __init__(self, form: Form, more_media: frozenset[str], others: Mapping[str, Collection[str]]) -> None:
        self._form = form
        self._others = others
        self._media = {*form.section("media"), *SYSTEM_SET, *more_media}

    def problems(self) -> Iterator[str]:
        form = self._form
        if form.account is not None:
            yield from self._missing(form.account, "account")
        for section in SECTIONS:
            for key, item in form.section(section).items():
                yield from self._missing(item, f"{section}.{key}")
        for key, employee in form.section("employees").items():
            match coach_fault(key, employee.coach, is_always_called=employee.coach_always_enabled):
                case CoachFault.IS_SELF:
                    yield f"employees.{key}.coach: is the employee itself; name another employee"
                case CoachFault.NOT_NAMED:
                    yield f"employees.{key}.coach_always_enabled: name the coach, or write false"
        for key, scenario in form.section("scenarios").items():
            for name, operation in scenario.operations.items():
                yield from self._operation(key, scenario, operation, f"scenarios.{key}.operations.{name}")
            yield from _endless(scenario, f"scenarios.{key}.operations")
        for key, queue in form.section("queues").items():
            yield from self._exits(queue, f"queues.{key}.exits")
        for key, campaign in form.section("campaigns").items():
            yield from self._shown(campaign, f"campaigns.{key}")

    def _missing(self, item: BaseModel, at: str) -> Iterator[str]:
        for where, refers, key in marked(item, at, Refers):
            section = refers.section
            known = self._media if section == "media" else self._keys(section)
            if key not in known:
                kind = _KINDS.get(section, section.removesuffix("s").replace("_", " "))
                yield f"{where}: no such {kind}: {key}"

    def _keys(self, section: str) -> Collection[str]:
        return self._form.section(section) or self._others.get(section, ())

    def _exits(self, queue: QueueForm, at: str) -> Iterator[str]:
        for name, destination in queue.exits.items():
            named = exits.target(destination)
            if named is not None and named[1] not in self._keys(exits.SECTIONS[named[0]]):
                kind = exits.SECTIONS[named[0]].removesuffix("s")
                yield f"{at}.{name}: no such {kind}: {named[1]}"

    def _operation(
        self,
        key: str,
        scenario: scenario_schemas.ScenarioForm,
        operation: scenario_schemas.OperationForm,
        at: str,
    ) -> Iterator[str]:
        for branch, target in scenario_schemas.branches_of(operation).items():
            if target is not None and target not in scenario.operations:
                yield f"{at}.{branch}: no such operation in this scenario: {target}"
        if isinstance(operation, scenario_schemas.ForwardNumberForm) and not key.startswith(REDIRECT):
            number = split_number(operation.number).number
            if number in self._keys("virtual_numbers"):
                yield f"{at}.number: {number} is a virtual number of this account; the call would come back to it"

    def _shown(self, campaign: CampaignForm, at: str) -> Iterator[str]:
        """Blocks in which a campaign shows numbers."""
        for index, number in enumerate(campaign.numbers):
            site = self._form.section("sites").get(number.site)
            if site is not None and number.block not in site.blocks:
                yield f"{at}.numbers[{index}].block: the site has no such block: {number.block}"


_WITHOUT_WAITING = frozenset(
    {
        OperationKind.GREETING, OperationKind.ANNOUNCEMENT, OperationKind.SCHEDULE, OperationKind.TAG, OperationKind.SPLIT,
        OperationKind.NOTIFICATION,
        OperationKind.CONTACT_GROUP, OperationKind.REGION, OperationKind.CALLER_LIST,
    }
)  # fmt: skip
"""Operations that wait for no party. A split takes the same branch again in the same call."""


_CIRCLES_MAX = 20
"""Circles of one scenario that are reported at once; each is found by one walk of all operations."""


def _endless(scenario: scenario_schemas.ScenarioForm, at: str) -> Iterator[str]:
    """Circles of operations that wait for nobody, in which a call would stay until the caller hangs up."""
    following = {
        name: {
            target
            for target in scenario_schemas.branches_of(operation).values()
            if target in scenario.operations
        }
        for name, operation in scenario.operations.items()
        if operation.kind in _WITHOUT_WAITING
    }
    order = {name: place for place, name in enumerate(scenario.operations)}
    for _circle in range(_CIRCLES_MAX):
        try:
            TopologicalSorter(following).prepare()
        except CycleError as error:
            circle = error.args[1][::-1]  # graphlib's order is from an operation to the one that leads to it
            first = min(range(len(circle) - 1), key=lambda place: order[circle[place]])
            path = [*circle[first:-1], *circle[:first]]
            shown = " -> ".join([*path, path[0]])
            yield f"{at}.{path[-1]}: the call would never leave {shown}; let one of them lead to another operation"
            following[path[-1]].discard(path[0])
        else:
            return


def _shared_values(form: Form) -> Iterator[str]:
    """Values that only one item may have."""
    claims = (
        Claim(kind, value, Holder(section, key), where)
        for section in SECTIONS
        for key, item in form.section(section).items()
        for where, kind, value in marked(item, f"{section}.{key}", Exclusive)
    )
    yield from (f"{claim.field}: {problem}" for claim, problem in conflicts(claims))
