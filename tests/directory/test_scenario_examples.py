"""The examples of docs/scenarios.md are directory files: they apply, and an export builds the same."""

from __future__ import annotations

import re

import pytest

from tests import scenario_examples
from tests.directory.conftest import Administrator
from trunkline.core.errors import DirectoryFileError, InUse
from trunkline.directory.contacts.groups import delete_group
from trunkline.directory.files.file import parse
from trunkline.directory.files.references import problems_of
from trunkline.directory.live.snapshot import DirectorySnapshot
from trunkline.directory.model import OperationKind
from trunkline.directory.tags.changes import delete_tag


def test_every_kind_of_operation_is_on_the_page() -> None:
    text = scenario_examples.PAGE.read_text("utf-8")
    assert {kind.value for kind in OperationKind if f"`{kind}`" not in text} == set()


def test_every_kind_of_operation_has_an_example() -> None:
    shown = {
        operation["kind"]
        for scenario in scenario_examples.scenarios().values()
        for operation in scenario["operations"].values()
    }
    elsewhere = {"forward_number", "schedule"}
    assert {kind.value for kind in OperationKind} - elsewhere <= shown


async def test_the_examples_apply_one_by_one_and_an_export_builds_the_same(admin: Administrator) -> None:
    for block in scenario_examples.blocks():
        assert not (await admin.apply(block)).plan.is_empty
    exported = await admin.export()
    assert (await admin.plan(exported, delete=True)).lines() == ["no changes"]
    assert (await admin.plan(scenario_examples.whole())).lines() == ["no changes"]


async def test_calls_see_groups_and_managers_of_contacts(admin: Administrator) -> None:
    await admin.apply(scenario_examples.company_block())
    await admin.db.execute(
        """update contacts set personal_manager_id = (select employee_id from employees
           where account_id = %(account)s and key = 'anna') where account_id = %(account)s""",
        {"account": admin.account_id},
    )
    snapshot = DirectorySnapshot(admin.db, admin.cipher, admin.folder)
    await snapshot.start()
    try:
        account = snapshot.current.accounts[admin.account_id]
        contact = account.contacts_by_phone["12025550142"]
        [group] = account.contact_groups.values()
        assert contact.group_ids == (group.contact_group_id,)
        assert contact.manager_id is not None
        assert account.employees[contact.manager_id].full_name == "Berg"
    finally:
        await snapshot.stop()


async def test_what_a_scenario_names_is_not_deleted(admin: Administrator) -> None:
    await admin.apply(scenario_examples.whole())
    group = await admin.db.fetch_one("select contact_group_id from contact_groups where key = 'vip'")
    tag = await admin.db.fetch_one("select tag_id from tags where key = 'important'")
    assert group is not None
    assert tag is not None
    with pytest.raises(InUse, match='operation "known" of the scenario "by_group"'):
        await delete_group(admin.db, admin.account_id, group["contact_group_id"])
    with pytest.raises(InUse, match='operation "mark" of the scenario "tagged"'):
        await delete_tag(admin.db, admin.account_id, tag["tag_id"])


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        ("{kind: tag, tags: [none]}", r"operations.a.tags\[0\]: no such tag: none"),
        ("{kind: split, branches: [{percent: 50}, {percent: 40}]}", "are 90 together; make them 100"),
        (
            "{kind: split, branches: [{percent: 50, next: x}, {percent: 50}]}",
            r"a.branches\[0\].next: no such operation",
        ),
        ("{kind: contact_group, branches: [{group: x}]}", r"a.branches\[0\].group: no such contact group: x"),
        ("{kind: region, branches: [{places: [XX]}]}", "'XX' is no country"),
        ("{kind: region, branches: [{places: [50]}]}", "'50' is no place"),
        ("{kind: caller_list, numbers: ['*1']}", "is no list entry"),
        ("{kind: caller_list, numbers: [], listed: x}", "a.listed: no such operation in this scenario: x"),
        ("{kind: run_scenario, scenario: x}", "a.scenario: no such scenario: x"),
        ("{kind: announcement, text: x, skip_key: '12'}", "'12' is no key of a phone"),
        ("{kind: hangup, cause: tired}", "cause"),
        ("{kind: announcement, text: x, next: a}", "the call would never leave a -> a"),
        (
            "{kind: split, branches: [{percent: 50, next: a}, {percent: 50}]}",
            "the call would never leave a -> a",
        ),
    ],
)
def test_a_fault_has_its_place(operation: str, problem: str) -> None:
    assert re.search(problem, problems(f"scenarios: {{main: {{operations: {{a: {operation}}}}}}}"))


def problems(text: str) -> str:
    try:
        return "\n".join(problems_of(parse(text, {})))
    except DirectoryFileError as error:
        return str(error)
