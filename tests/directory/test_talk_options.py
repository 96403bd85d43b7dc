"""Talk options, coaches, number groups, default number, messages to employees: file, database, snapshot."""

from __future__ import annotations

import orjson
import pytest

from tests.directory.conftest import Administrator
from trunkline.core.errors import DirectoryFileError
from trunkline.directory.files.file import parse
from trunkline.directory.files.plan import Action
from trunkline.directory.live.load import load_accounts
from trunkline.directory.model import Account, TalkOption, TalkOptionKind
from trunkline.directory.numbers.choice import candidates

COMPANY = """
account: {default_number: "+971500000011"}
virtual_numbers:
  971500000010: {number_group: sales}
  971500000011: {number_group: sales}
  971500000012: {}
employees:
  anna: {last_name: Ivanova, extension: 101, coach: boris, coach_always_enabled: true}
  boris: {last_name: Petrov, extension: 102, coach: anna}
  clara: {last_name: Weber}
groups:
  sales: {extension: 200, members: [anna]}
tags: {hot: Hot lead}
contacts:
  cafe: {last_name: Cafe, phones: [971500000055]}
contact_groups:
  vip: {name: Best customers, members: [cafe]}
scenarios:
  main:
    name: Main
    operations:
      anna:
        kind: forward_employee
        employee: anna
        employee_message: A call from the shop
        show_number: virtual
        next: team
      team:
        kind: forward_group
        group: sales
        employee_message: {media: [beep, dialing_music]}
talk_options:
  1: {kind: tag_call, tag: hot, name: Hot}
  2: {kind: run_scenario, scenario: main}
  3: {kind: transfer_call, employee: boris}
  4: {kind: transfer_call, group: sales}
  5: {kind: transfer_call, number: "+12025550110"}
  "*": {kind: save_numa, contact_group: vip}
  "#": save_numa
  "*0": finish_conversation
  "##": {kind: record_talk}
  6: call_coach
  7: receive_fax
"""


async def account_of(admin: Administrator) -> Account:
    async with admin.db.connection() as connection:
        loaded = await load_accounts(connection, admin.cipher, admin.media_dir, [admin.account_id])
    assert not loaded.broken
    return loaded.accounts[admin.account_id]


async def test_the_file_round_trips(admin: Administrator) -> None:
    await admin.apply(COMPANY)
    assert (await admin.plan(COMPANY)).lines() == ["no changes"]
    exported = await admin.export()
    assert (await admin.plan(exported, delete=True)).lines() == ["no changes"]
    before, after = parse(COMPANY, {}), parse(exported, {})
    assert after.talk_options == before.talk_options
    assert after.contact_groups == before.contact_groups
    assert after.employees is not None
    assert after.employees["anna"].coach == "boris"
    assert "record_talk" in exported
    assert "Voice recorder" not in exported  # the default name


async def test_what_the_switch_sees(admin: Administrator) -> None:
    await admin.apply(COMPANY)
    account = await account_of(admin)
    people = {each.extension: each for each in account.employees.values()}
    anna, boris, clara = people["101"], people["102"], people[None]
    assert (anna.coach_id, anna.coach_always_enabled) == (boris.employee_id, True)
    assert (boris.coach_id, boris.coach_always_enabled) == (anna.employee_id, False)
    assert clara.coach_id is None
    [tag] = account.tags.values()
    [group] = account.groups.values()
    [scenario] = account.scenarios.values()
    [vip] = account.contact_groups.values()
    kind = TalkOptionKind
    main, hot = scenario.scenario_id, tag.tag_id
    to_group = {"contact_group_id": vip.contact_group_id}
    save = "Save caller ID to group"
    expected = [
        TalkOption("1", kind.TAG_CALL, "Hot", {"tag_id": hot}, hot, "Hot lead"),
        TalkOption("2", kind.RUN_SCENARIO, "Run a scenario", {"scenario_id": main}, main, "Main"),
        _transfer("3", {"employee_id": boris.employee_id}, boris.employee_id, "Petrov"),
        _transfer("4", {"group_id": group.group_id}, group.group_id, "sales"),
        _transfer("5", {"number": "12025550110"}, None, "12025550110"),
        TalkOption("*", kind.SAVE_NUMA, save, to_group, vip.contact_group_id, "Best customers"),
        TalkOption("#", kind.SAVE_NUMA, save, {"contact_group_id": None}),
        TalkOption("*0", kind.FINISH_CONVERSATION, "End the conversation", {}),
        TalkOption("##", kind.RECORD_TALK, "Voice recorder", {}),
        TalkOption("6", kind.CALL_COACH, "Call the coach", {}),
        TalkOption("7", kind.RECEIVE_FAX, "Receive a fax", {}),
    ]
    assert account.talk_options == {option.button: option for option in expected}


def _transfer(button: str, settings: dict[str, object], value: int | None, name: str) -> TalkOption:
    return TalkOption(button, TalkOptionKind.TRANSFER_CALL, "Transfer", settings, value, name)


async def test_forwards_carry_message_and_shown_number(admin: Administrator) -> None:
    await admin.apply(COMPANY)
    account = await account_of(admin)
    [scenario] = account.scenarios.values()
    to_anna, to_team = (operation.settings for operation in scenario.operations)
    [spoken] = to_anna["employee_message_media_file_ids"]
    assert account.media[spoken].path.with_suffix(".wav").is_file()
    assert to_anna["shown_number"] == "virtual"
    keys = [account.media[each].key for each in to_team["employee_message_media_file_ids"]]
    assert keys == ["beep", "dialing_music"]
    assert to_team["shown_number"] == "contact"
    # the spoken text goes when nothing speaks it any more
    plan = (await admin.apply(COMPANY.replace("        employee_message: A call from the shop\n", ""))).plan
    assert any(change.section == "media" and change.action is Action.DELETE for change in plan.changes)


async def test_scenarios_written_before_there_were_messages_need_no_change(admin: Administrator) -> None:
    text = """
employees: {anna: {last_name: Ivanova}}
scenarios: {main: {operations: {anna: {kind: forward_employee, employee: anna}}}}
"""
    await admin.apply(text)
    await admin.db.execute(
        "update scenario_operations"
        " set settings = settings - 'employee_message_media_file_ids' - 'shown_number'"
    )
    assert (await admin.plan(text)).is_empty
    await admin.apply(text.replace("employee: anna", "employee: anna, show_number: virtual"))
    row = await admin.db.fetch_one("select settings->>'shown_number' as shown from scenario_operations")
    assert row is not None
    assert row["shown"] == "virtual"


async def test_the_default_number(admin: Administrator) -> None:
    await admin.apply("virtual_numbers: {971500000010: {}, 971500000011: {}}")
    account = await account_of(admin)
    assert account.default_number is account.number_by_phone("971500000010")
    await admin.apply(COMPANY)
    account = await account_of(admin)
    assert account.default_number is account.number_by_phone("971500000011")
    await admin.apply("account: {name: Renamed}")  # left out: stays
    assert (await account_of(admin)).default_virtual_number_id == account.default_virtual_number_id
    await admin.db.execute(
        "update virtual_numbers set status = 'limit_lock' where phone_number = '971500000011'"
    )
    account = await account_of(admin)
    assert account.default_number is account.number_by_phone("971500000010")
    await admin.apply("virtual_numbers: {971500000012: {}}", delete=True)
    account = await account_of(admin)
    assert account.default_number is account.number_by_phone("971500000012")
    await admin.apply("virtual_numbers: {}", delete=True)
    assert (await account_of(admin)).default_number is None


async def test_numbers_of_a_group(admin: Administrator) -> None:
    await admin.apply(COMPANY)
    account = await account_of(admin)
    named = account.number_by_phone("971500000011")
    assert named is not None
    assert [each.phone_number for each in candidates(account, named)] == ["971500000010", "971500000011"]
    loner = account.number_by_phone("971500000012")
    assert loner is not None
    assert candidates(account, loner) == (loner,)


async def test_an_option_keeps_its_id_while_it_changes(admin: Administrator) -> None:
    await admin.apply(COMPANY)
    ids = "select button, talk_option_id from talk_options order by 1"
    before = await admin.db.fetch_all(ids)
    changed = COMPANY.replace("employee: boris}", "number: '+12025550111'}").replace(
        "6: call_coach", "6: record_talk"
    )
    plan = (await admin.apply(changed)).plan
    assert [change.where for change in plan.changes] == ["talk_options.3", "talk_options.6"]
    assert await admin.db.fetch_all(ids) == before
    plan = (await admin.apply("talk_options: {1: call_coach}", delete=True)).plan
    assert len(plan.of(Action.DELETE, "talk_options")) == 10
    assert list((await account_of(admin)).talk_options) == ["1"]


async def test_an_option_whose_target_is_gone_has_no_value(admin: Administrator) -> None:
    await admin.apply(COMPANY)
    await admin.db.execute("delete from tags where account_id = %s", (admin.account_id,))
    option = (await account_of(admin)).talk_options["1"]
    assert (option.value_id, option.value_name) == (None, None)
    await admin.db.execute(
        "update talk_options set settings = %s where button = '1'",
        (orjson.dumps({"tag_id": None}).decode(),),
    )
    assert (await account_of(admin)).talk_options["1"].value_id is None


async def test_who_is_coach_or_target_is_not_deleted(admin: Administrator) -> None:
    await admin.apply(COMPANY)
    with pytest.raises(DirectoryFileError) as refused:
        await admin.apply("employees: {anna: {last_name: Ivanova, coach: boris}}", delete=True)
    assert refused.value.params["problems"] == [
        "employees.anna.coach: no such employee: boris (employees.boris would be deleted)",
        "talk_options.3.employee: no such employee: boris (employees.boris would be deleted)",
    ]
    # two who coach each other may go together
    await admin.apply(
        "{employees: {clara: {last_name: Weber}}, groups: {}, scenarios: {}, talk_options: {}}", delete=True
    )
    assert [each.full_name for each in (await account_of(admin)).employees.values()] == ["Weber"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("talk_options: {1: dance}", "talk_options.1.kind: no such kind; write one of call_coach, finish_"),
        ("talk_options: {1: {name: One}}", "talk_options.1: kind is missing; write one of call_coach"),
        ("talk_options: {1: tag_call}", "talk_options.1.tag: is missing"),
        ("talk_options: {1: {kind: tag_call, tag: x}}", "talk_options.1.tag: no such tag: x"),
        ("talk_options: {1: {kind: call_coach, tag: x}}", "talk_options.1.tag: there is no such setting"),
        ("talk_options: {1: transfer_call}", "talk_options.1: write one of employee, group and number"),
        ("talk_options: {123: call_coach}", "'123' is not a button"),
        ("talk_options: {1: {kind: run_scenario, scenario: x}}", "no such scenario: x"),
        ("talk_options: {1: {kind: save_numa, contact_group: x}}", "no such contact group: x"),
        ("contact_groups: {vip: {members: [x]}}", "contact_groups.vip.members[0]: no such contact: x"),
        ("employees: {a: {last_name: A, coach: a}}", "employees.a.coach: is the employee itself"),
        (
            "employees: {a: {last_name: A, coach_always_enabled: true}}",
            "employees.a.coach_always_enabled: name the coach, or write false",
        ),
        ("employees: {a: {last_name: A, coach: x}}", "employees.a.coach: no such employee: x"),
        ("account: {default_number: 971500000019}", "account.default_number: no such virtual number"),
        (
            "{employees: {a: {last_name: A}}, scenarios: {m: {operations: {o: {kind: forward_employee,"
            " employee: a, employee_message: {media: [x]}}}}}}",
            "scenarios.m.operations.o.employee_message.media[0]: no such media file: x",
        ),
        (
            "scenarios: {m: {operations: {o: {kind: forward_employee, employee: a, employee_message: {}}}}}",
            "scenarios.m.operations.o.employee_message: a message needs text or media",
        ),
    ],
)
async def test_mistakes_are_reported_with_their_place(admin: Administrator, text: str, problem: str) -> None:
    with pytest.raises(DirectoryFileError) as refused:
        await admin.apply(text)
    assert problem in str(refused.value)
