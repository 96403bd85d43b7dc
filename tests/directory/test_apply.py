"""Directory files over a real database: idempotent, all or nothing, ids kept, secrets hidden."""

from __future__ import annotations

import re
import wave
from pathlib import Path

import orjson
import pytest

from tests.directory.conftest import Administrator, new_account
from trunkline.core.errors import DirectoryFileError, NotFound
from trunkline.directory.blacklist.changes import block, block_digits
from trunkline.directory.contacts.changes import create_contact
from trunkline.directory.contacts.groups import create_group
from trunkline.directory.contacts.organizations import create_organization
from trunkline.directory.files.file import parse, to_yaml
from trunkline.directory.files.form import SECTIONS, Form
from trunkline.directory.files.plan import Action
from trunkline.directory.files.prepare import Request
from trunkline.directory.lines.digest import Ha1
from trunkline.directory.tags.changes import create_tag
from trunkline.directory.trunks.allowed import allow

PHONE = "971500000010"
DEMO = Path(__file__).parents[2] / "src/trunkline/directory/demo.yaml"

SMALL = """
trunks:
  carrier: {host: 192.0.2.10}
sip_lines:
  0160001: {virtual_number: +971 50 000 0010}
  0160002: {}
virtual_numbers:
  971500000010: {trunk: carrier, default_line: 0160001, rules: [{scenario: main}]}
employees:
  anna: {last_name: Ivanova, extension: 101, phones: [{line: 0160001}, {number: "+12025550110"}]}
  boris: {last_name: Petrov, extension: 102, phones: [{line: 0160002}]}
groups:
  sales: {extension: 200, members: [anna, boris]}
scenarios:
  main:
    operations:
      hello: {kind: greeting, text: Good day, next: team}
      team: {kind: forward_group, group: sales, music: dialing_music}
"""


QUEUES = """
employees:
  anna: {last_name: Ivanova}
groups:
  sales: {members: [anna]}
scenarios:
  closed: {operations: {end: {kind: hangup}}}
  wait: {operations: {wait: {kind: queue, queue: support}}}
queues:
  other: {name: Other}
  support:
    name: Support
    exits:
      "1": scenario:closed
      "2": queue:other
      "3": queue:support
      "4": employee:anna
      "5": group:sales
      "6": voicemail:anna
      "7": voicemail
      "8": number:12025550110
      "#": hangup
      timeout: scenario:wait
"""


async def test_exits_of_queues_are_keys_in_a_file_and_ids_in_the_database(admin: Administrator) -> None:
    await admin.apply(QUEUES)
    assert (await admin.apply(QUEUES)).plan.changes == ()
    queues = await admin.db.fetch_all(
        "select key, queue_id, exits from queues where account_id = %s order by key", (admin.account_id,)
    )
    other, support = queues
    scenarios = {
        row["key"]: row["scenario_id"]
        for row in await admin.db.fetch_all(
            "select key, scenario_id from scenarios where account_id = %s", (admin.account_id,)
        )
    }
    assert support["exits"]["1"] == f"scenario:{scenarios['closed']}"
    assert support["exits"]["2"] == f"queue:{other['queue_id']}"
    assert support["exits"]["3"] == f"queue:{support['queue_id']}"
    assert (support["exits"]["7"], support["exits"]["#"]) == ("voicemail", "hangup")
    text = to_yaml(await admin.files.export(admin.account_id))
    for line in ("'1': scenario:closed", "'6': voicemail:anna", "timeout: scenario:wait"):
        assert line in text.replace('"', "'")
    there = await new_account(admin.db, "There")
    await admin.files.apply(await admin.files.prepare(Request(there, parse(text, {}), Path())))
    assert to_yaml(await admin.files.export(there)) == text


@pytest.mark.parametrize(
    ("exits", "problem"),
    [
        ("{'1': scenario:99999}", "queues.support.exits.1: no such scenario: 99999"),
        ('\'{"1": "employee:boris"}\'', "queues.support.exits.1: no such employee: boris"),
        ("{'4': blah}", "'blah' is no destination"),
        ("{'99': hangup}", "'99' is no exit"),
        ("blah", "write names and destinations"),
    ],
)
async def test_exits_of_a_file_are_checked(admin: Administrator, exits: str, problem: str) -> None:
    with pytest.raises(DirectoryFileError, match=re.escape(problem)):
        await admin.apply(f"queues: {{support: {{name: Support, exits: {exits}}}}}")


async def test_an_employee_who_is_an_exit_is_not_deleted_by_a_file(admin: Administrator) -> None:
    await admin.apply(QUEUES)
    with pytest.raises(DirectoryFileError, match=r"queues\.support\.exits\.4: no such employee: anna"):
        await admin.apply("employees: {boris: {last_name: Petrov}}", delete=True)


NAMED = ("queues", "groups", "schedules", "contact_groups", "tags")
"""Sections in which a name is that of one item."""


@pytest.mark.parametrize("section", NAMED)
async def test_a_file_cannot_add_an_item_with_the_name_of_another(admin: Administrator, section: str) -> None:
    """Also of one that the file does not list; as the APIs refuse it."""
    await admin.apply(f"{section}: {{support: {{name: Support}}}}")
    with pytest.raises(DirectoryFileError, match=rf"the name Support is already that of {section}\.sup"):
        await admin.apply(f"{section}: {{sup2: {{name: Support}}}}")


async def test_names_that_two_items_have_already_stop_no_other_change(admin: Administrator) -> None:
    await admin.apply("groups: {a: {name: Sales}, b: {name: Support}}\n")
    await admin.db.execute(
        "update employee_groups set name = 'Sales' where account_id = %s", (admin.account_id,)
    )
    assert not (await admin.apply("groups: {c: {name: Night}}\n")).plan.is_empty
    with pytest.raises(DirectoryFileError, match="Sales"):
        await admin.apply("groups: {d: {name: Sales}}\n")


async def test_items_of_different_sections_may_have_one_name(admin: Administrator) -> None:
    text = "\n".join(f"{section}: {{support: {{name: Support}}}}" for section in NAMED)
    await admin.apply(text)
    assert not (await admin.plan(text)).changes


async def counts(admin: Administrator, *tables: str) -> list[int]:
    """Rows of each table; those that every account has by itself do not count."""
    found = []
    for table in tables:
        own = "and not is_system" if table == "tags" else ""
        row = await admin.db.fetch_one(
            f"select count(*) as n from {table} where account_id = %s {own}",
            (admin.account_id,),
        )
        assert row is not None
        found.append(row["n"])
    return found


async def test_demo_company_applies_and_a_second_apply_changes_nothing(admin: Administrator) -> None:
    text = DEMO.read_text("utf-8")
    applied = await admin.apply(text)
    assert not applied.plan.is_empty
    assert sorted(applied.passwords) == [f"016000{n}" for n in range(1, 7)]
    assert await counts(admin, "employees", "sip_lines", "virtual_numbers", "trunks", "subscriptions") == [
        6,
        6,
        4,
        1,
        1,
    ]
    again = await admin.apply(text)
    assert again.plan.lines() == ["no changes"]
    assert not again.passwords


async def test_export_applies_without_a_change(admin: Administrator) -> None:
    await admin.apply(DEMO.read_text("utf-8"))
    exported = await admin.export()
    assert (await admin.plan(exported, delete=True)).lines() == ["no changes"]
    assert await admin.export() == exported


async def test_export_of_one_account_builds_another_alike(admin: Administrator) -> None:
    await admin.apply(SMALL)
    exported = await admin.export()
    await admin.apply(
        "{sip_lines: {}, virtual_numbers: {}, employees: {}, groups: {}, scenarios: {}}", delete=True
    )
    other = await new_account(admin.db, "Other")
    await allow(admin.db, other, "192.0.2.10")  # both have this carrier
    request = Request(other, parse(exported, {}), admin.folder)
    await admin.files.apply(await admin.files.prepare(request))
    theirs = parse(to_yaml(await admin.files.export(other)), {})
    assert theirs.employees == parse(exported, {}).employees
    assert theirs.scenarios == parse(exported, {}).scenarios


async def test_rename_keeps_ids(admin: Administrator) -> None:
    await admin.apply(SMALL)
    before = await admin.db.fetch_all("select phone_id, position from employee_phones order by phone_id")
    operations = await admin.db.fetch_all("select operation_id from scenario_operations order by 1")
    plan = (await admin.apply(SMALL.replace("Ivanova", "Sidorova").replace("Good day", "Hello"))).plan
    assert [(c.action, c.where) for c in plan.changes] == [
        (Action.CREATE, plan.changes[0].where),
        (Action.DELETE, plan.changes[1].where),
        (Action.UPDATE, "employees.anna"),
        (Action.UPDATE, "scenarios.main"),
    ]
    assert plan.changes[2].fields[0].new == "Sidorova"
    assert await admin.db.fetch_all("select phone_id, position from employee_phones order by 1") == before
    assert await admin.db.fetch_all("select operation_id from scenario_operations order by 1") == operations
    row = await admin.db.fetch_one("select full_name from employees where key = 'anna'")
    assert row is not None
    assert row["full_name"] == "Sidorova"


async def test_short_numbers_may_be_exchanged(admin: Administrator) -> None:
    await admin.apply(SMALL)
    swapped = SMALL.replace("101", "###").replace("102", "101").replace("###", "102")
    await admin.apply(swapped)
    rows = await admin.db.fetch_all("select key, extension from employees order by key")
    assert [row["extension"] for row in rows] == ["102", "101"]


async def test_a_line_changes_hands_while_its_owner_goes(admin: Administrator) -> None:
    await admin.apply(SMALL)
    text = """
employees:
  boris: {last_name: Petrov, extension: 102, phones: [{line: 0160002}, {line: 0160001}]}
groups:
  sales: {extension: 200, members: [boris]}
"""
    plan = (await admin.apply(text, delete=True)).plan
    assert "- employees.anna  Ivanova (101)" in plan.lines()
    rows = await admin.db.fetch_all(
        "select l.phone_number, e.key from sip_lines l left join employees e using (account_id, employee_id)"
        " order by 1"
    )
    assert [(row["phone_number"], row["key"]) for row in rows] == [("0160001", "boris"), ("0160002", "boris")]


async def test_one_item_is_removed_whatever_is_added_meanwhile(admin: Administrator) -> None:
    await admin.apply(SMALL)
    request = Request(admin.account_id, Form(), Path(), removed={"groups": frozenset({"sales", "gone"})})
    with pytest.raises(DirectoryFileError, match="no such group: sales"):
        await admin.files.prepare(request)
    await admin.apply(SMALL.partition("groups:")[0] + "groups: {night: {members: [anna]}}\n")
    prepared = await admin.files.prepare(
        Request(admin.account_id, Form(), Path(), removed={"groups": frozenset({"night"})})
    )
    assert [change.where for change in prepared.plan.changes] == ["groups.night"]
    await admin.apply("groups: {late: {members: [boris]}}\n")
    await admin.files.apply(prepared)
    assert set((await admin.files.export(admin.account_id)).section("groups")) == {"late", "sales"}


async def test_items_not_in_the_file_stay_and_are_reported(admin: Administrator) -> None:
    await admin.apply(SMALL)
    plan = (await admin.apply("employees: {boris: {last_name: Petrov, extension: 102}}")).plan
    assert [line for line in plan.lines() if "employees.anna" in line] == [
        "  employees.anna: not in the file; stays (--delete removes it)"
    ]
    assert await counts(admin, "employees") == [2]


async def test_deleting_what_is_used_is_refused_with_its_places(admin: Administrator) -> None:
    await admin.apply(SMALL)
    with pytest.raises(DirectoryFileError) as caught:
        await admin.apply("employees: {boris: {last_name: Petrov, extension: 102}}", delete=True)
    assert caught.value.params["problems"] == [
        "groups.sales.members[0]: no such employee: anna (employees.anna would be deleted)"
    ]
    assert await counts(admin, "employees") == [2]


async def test_everything_can_go(admin: Administrator) -> None:
    await admin.apply(DEMO.read_text("utf-8"))
    await admin.apply("".join(f"{section}: {{}}\n" for section in SECTIONS), delete=True)
    tables = "schedules tags contacts contact_phones blacklist trunks sip_lines virtual_numbers employees"
    more = "employee_phones employee_groups group_members scenarios scenario_operations subscriptions media_files"
    assert set(await counts(admin, *tables.split(), *more.split())) == {0}


async def test_a_half_broken_file_changes_nothing(admin: Administrator) -> None:
    await admin.apply(SMALL)
    before = await admin.export()
    broken = SMALL.replace("Ivanova", "Sidorova").replace("group: sales", "group: sails")
    with pytest.raises(DirectoryFileError, match=r"operations\.team\.group: no such group: sails"):
        await admin.apply(broken)
    assert await admin.export() == before


async def test_a_login_of_another_account_is_refused_and_nothing_changes(admin: Administrator) -> None:
    other = await new_account(admin.db, "Other")
    request = Request(other, parse("sip_lines: {0160009: {}}", {}), admin.folder)
    await admin.files.apply(await admin.files.prepare(request))
    with pytest.raises(DirectoryFileError, match="taken by another account"):
        await admin.apply("tags: {vip: VIP}\nsip_lines: {0160009: {}}")
    assert await counts(admin, "tags", "sip_lines") == [0, 0]


async def test_an_older_website_cannot_get_the_key_of_another_accounts(admin: Administrator) -> None:
    """A page names its website by the key alone, and anybody can read it there."""
    site = "sites: {%s: {industry_id: 1, site_key: %s}}"
    await admin.apply("sites: {older.example.com: {industry_id: 1}}")
    other, key = await new_account(admin.db, "Other"), "k" * 32
    request = Request(other, parse(site % ("younger.example.com", key), {}), admin.folder)
    await admin.files.apply(await admin.files.prepare(request))
    with pytest.raises(DirectoryFileError, match=f"another website has the site_key {key}"):
        await admin.apply(site % ("older.example.com", key))


async def test_a_change_between_look_and_apply_is_refused(admin: Administrator) -> None:
    prepared = await admin.files.prepare(Request(admin.account_id, parse(SMALL, {}), admin.folder))
    await admin.apply("trunks: {carrier: {host: 192.0.2.99}}")
    with pytest.raises(DirectoryFileError, match="was changed meanwhile"):
        await admin.files.apply(prepared)
    assert await counts(admin, "employees") == [0]


async def test_passwords_of_lines(admin: Administrator) -> None:
    applied = await admin.apply(
        "sip_lines: {0160001: {}, 0160002: {password: 'env:LINE'}}", env={"LINE": "Kettle-9-marble-A"}
    )
    assert list(applied.passwords) == ["0160001"]
    digests = {
        row["phone_number"]: Ha1(row["ha1_md5"], row["ha1_sha256"])
        for row in await admin.db.fetch_all(
            "select * from sip_lines where account_id = %s", (admin.account_id,)
        )
    }
    assert digests["0160001"].fits("0160001", applied.passwords["0160001"])
    assert digests["0160002"].fits("0160002", "Kettle-9-marble-A")
    assert (await admin.plan("sip_lines: {0160001: {}, 0160002: {}}")).is_empty
    changed = await admin.plan("sip_lines: {0160002: {password: Kettle-9-marble-B}}")
    assert "    password: changed" in changed.lines()


async def test_rows_that_other_commands_made_are_in_the_file(admin: Administrator) -> None:
    """``trunkline notification add`` makes keys of URLs, ``block.contact`` blocks lines and short numbers, too."""
    for number in ("0160002", "102", "012345678901"):
        assert await block_digits(admin.db, admin.account_id, 0, number, "")
    await admin.apply(
        "notifications: {crm.example/hook: {url: 'https://crm.example/hook', events: [lost_call]}}"
    )
    assert "crm.example/hook:" in await admin.export()
    assert (await admin.plan("blacklist: {0160002: '', '102': ''}")).is_empty


async def test_secrets_are_shown_nowhere(admin: Administrator, caplog: pytest.LogCaptureFixture) -> None:
    text = """
sip_lines: {0160001: {password: line-pass-kD8fm2Qz}}
trunks: {carrier: {host: 192.0.2.10, mode: register, username: me, password: trunk-pass-1}}
notifications:
  crm:
    url: https://crm.example/hook
    events: [call_session_finished]
    secret: signing-secret-0001
    headers: {Authorization: Bearer token-77777, X-Plain: seen}
"""
    request = Request(admin.account_id, parse(text, {}), admin.folder)
    prepared = await admin.files.prepare(request)
    applied = await admin.files.apply(prepared)
    exported = await admin.export()
    changed = await admin.plan(text.replace("77777", "88888"))
    shown = "".join(
        [
            repr(request),
            repr(prepared),
            repr(applied),
            exported,
            "\n".join(prepared.plan.lines() + changed.lines()),
            orjson.dumps(prepared.plan.as_json()).decode(),
            orjson.dumps(changed.as_json()).decode(),
            caplog.text,
        ]
    )
    for secret in ("line-pass-kD8fm2Qz", "trunk-pass-1", "signing-secret-0001"):
        assert secret not in shown
    assert "token-77777" not in exported + "\n".join(changed.lines())
    assert "X-Plain: seen" in exported
    row = await admin.db.fetch_one("select password_encrypted from trunks where key = 'carrier'")
    assert row is not None
    assert admin.cipher.decrypt(row["password_encrypted"]) == "trunk-pass-1"
    # what export hides is kept when the export is applied
    assert (await admin.apply(exported)).plan.is_empty
    row = await admin.db.fetch_one("select headers from subscriptions where key = 'crm'")
    assert row is not None
    assert row["headers"]["Authorization"] == "Bearer token-77777"


async def test_sounds(admin: Administrator) -> None:
    with wave.open(str(admin.folder / "jingle.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"\x00\x10\x00\x20" * 16000)
    text = "media: {jingle: {file: jingle.wav}, hello: {text: Hello, language: en}}"
    await admin.apply(text)
    rows = {
        row["key"]: row for row in await admin.db.fetch_all("select * from media_files where account_id <> 0")
    }
    assert rows["jingle"]["duration_ms"] == pytest.approx(1000, abs=5)
    assert rows["hello"]["spoken_text"] == "Hello"
    for row in rows.values():
        with wave.open(str(admin.media_dir / f"{row['sha256']}.wav")) as stored:
            assert (stored.getnchannels(), stored.getsampwidth(), stored.getframerate()) == (1, 2, 8000)
    assert (await admin.plan(text)).is_empty
    with pytest.raises(DirectoryFileError, match=r"media\.jingle: "):
        await admin.plan("media: {jingle: {file: nowhere.wav}}")
    (admin.folder / "text.wav").write_text("no sound at all")
    with pytest.raises(DirectoryFileError, match=r"media\.jingle: This is not an audio"):
        await admin.plan("media: {jingle: {file: text.wav}}")


async def test_a_text_that_nothing_speaks_any_more_goes(admin: Administrator) -> None:
    await admin.apply(SMALL)
    assert await counts(admin, "media_files") == [1]
    await admin.apply(SMALL.replace("kind: greeting, text: Good day", "kind: greeting, media: [closed]"))
    assert await counts(admin, "media_files") == [0]


async def test_what_is_missing_of_the_sounds_comes_back(admin: Administrator) -> None:
    await admin.db.execute("delete from media_files where account_id = 0")
    await admin.apply(SMALL)
    system = await admin.db.fetch_all("select key from media_files where account_id = 0")
    assert "dialing_music" in {row["key"] for row in system}
    (row,) = await admin.db.fetch_all("select sha256 from media_files where account_id <> 0")
    spoken = admin.media_dir / f"{row['sha256']}.wav"
    content = spoken.read_bytes()
    spoken.unlink()
    assert (await admin.apply(SMALL)).plan.is_empty
    assert spoken.read_bytes() == content


async def test_account_settings_not_named_stay(admin: Administrator) -> None:
    await admin.apply(
        """
account:
  name: Palm
  components: [va, call_api_base]
  security: {international: true}
  allow: {call_api: [127.0.0.1, "2001:db8::/32"], data_api: [10.0.0.0/8]}
  tts_message_max_length: 300
"""
    )
    plan = await admin.plan("account: {allow: {call_api: [127.0.0.1]}}")
    assert [(f.path, f.new) for f in plan.changes[0].fields] == [("allow.call_api", ["127.0.0.1/32"])]
    await admin.apply("account: {allow: {call_api: [127.0.0.1]}, components: [va]}")
    exported = (await admin.files.export(admin.account_id)).account
    assert exported is not None
    assert exported.components == ("va",)
    assert exported.allow == {"call_api": ("127.0.0.1/32",), "data_api": ("10.0.0.0/8",)}
    assert exported.security == {"international": True}
    assert exported.tts_message_max_length == 300


async def test_unknown_account(admin: Administrator) -> None:
    with pytest.raises(NotFound, match="There is no account 99"):
        await admin.files.prepare(Request(99, parse("tags: {a: A}", {}), admin.folder))


async def test_rows_of_the_api_round_trip(admin: Administrator) -> None:
    """Also what a file cannot say of them stays."""
    firm = await create_organization(admin.db, admin.account_id, "Example Trading")
    person = {
        "last_name": "Ivanova",
        "phone_numbers": [PHONE, "12025550111"],
        "emails": ["a@example.com"],
        "organization_id": firm,
    }
    contact = await create_contact(admin.db, admin.account_id, person)
    await create_group(admin.db, admin.account_id, "Partners", [contact])
    tag = await create_tag(admin.db, admin.account_id, "Important")
    await block(admin.db, admin.account_id, 1, "12025550119", "spam")
    written = await admin.export()
    assert f"api-{contact}" in written
    assert "system-" not in written
    assert (await admin.plan(written, delete=True)).is_empty
    await admin.apply(written.replace("Ivanova", "Petrova").replace("Important", "Urgent"), delete=True)
    row = await admin.db.fetch_one(
        """select c.last_name, c.emails, c.organization_id, t.name as tag from contacts c, tags t
           where c.account_id = %s and c.contact_id = %s and t.account_id = c.account_id and t.tag_id = %s""",
        (admin.account_id, contact, tag),
    )
    assert row == {
        "last_name": "Petrova",
        "emails": ["a@example.com"],
        "organization_id": firm,
        "tag": "Urgent",
    }


async def test_the_name_of_a_systems_tag_is_taken(admin: Administrator) -> None:
    with pytest.raises(DirectoryFileError, match="a tag of the system has this name"):
        await admin.apply("tags: {sale: Sale}")


async def test_outside_numbers(admin: Administrator) -> None:
    """Written as people write them, kept as they are dialled; the export builds the same again."""
    first = await admin.apply(
        """
        media: {tune: {text: La la la}}
        employees: {anna: {last_name: Berg, phones: [{number: "+44 20 7946 0100 ...17", dial_time: 9}]}}
        scenarios:
          main:
            operations:
              partner: {kind: forward_number, number: "+44 20 7946 0101..2#", channels: 2, music: tune, next: again}
              again: {kind: forward_number, number: "+44 20 7946 0102"}
        """
    )
    assert not first.plan.is_empty
    rows = await admin.db.fetch_all("select settings from scenario_operations order by position")
    tune = (await admin.db.fetch_all("select media_file_id from media_files where key = 'tune'"))[0][
        "media_file_id"
    ]
    assert [row["settings"] for row in rows] == [
        {
            "number": "442079460101..2#",
            "ring_seconds": 60,
            "channels": 2,
            "music_media_file_id": tune,
            "next": "again",
        },
        {
            "number": "442079460102",
            "ring_seconds": 60,
            "channels": None,
            "music_media_file_id": None,
            "next": None,
        },
    ]
    phones = await admin.db.fetch_all("select external_number from employee_phones")
    assert phones == [{"external_number": "442079460100...17"}]
    assert (await admin.plan(await admin.export(), delete=True)).lines() == ["no changes"]


async def test_rules_of_the_methods_apply_to_files(admin: Administrator) -> None:
    phones = ", ".join(f"{{number: 1202555011{digit}}}" for digit in range(10))
    eleven = f"{phones}, {{number: 12025550120}}"
    with pytest.raises(DirectoryFileError, match="at most 10 phones"):
        await admin.apply(f"employees: {{anna: {{last_name: A, phones: [{eleven}]}}}}")
    await admin.apply(f"employees: {{anna: {{last_name: A, phones: [{phones}]}}}}")
    campaign = """
virtual_numbers: {971500000010: {type: call_tracking}, 971500000011: {}}
sites: {shop.example: {industry_id: 1}}
campaigns:
  spring:
    site: shop.example
    numbers: [{site: shop.example, block: Main block, number: 971500000010%s}]
"""
    with pytest.raises(DirectoryFileError, match="Say to which number calls on a call tracking number go"):
        await admin.apply(campaign % "")
    await admin.apply(campaign % ", redirection: 971500000011")
    assert (await admin.plan(await admin.export(), delete=True)).lines() == ["no changes"]


async def test_two_campaigns_exchange_their_numbers(admin: Administrator) -> None:
    text = """
virtual_numbers: {971500000010: {type: call_tracking}, 971500000012: {type: call_tracking}, 971500000011: {}}
sites: {shop.example: {industry_id: 1}}
campaigns:
  spring: {site: shop.example, numbers: [{site: shop.example, block: Main block, number: %s, redirection: 971500000011}]}
  autumn: {site: shop.example, numbers: [{site: shop.example, block: Main block, number: %s, redirection: 971500000011}]}
"""
    await admin.apply(text % ("971500000010", "971500000012"))
    await admin.apply(text % ("971500000012", "971500000010"))
    assert (await admin.plan(text % ("971500000012", "971500000010"))).lines() == ["no changes"]
