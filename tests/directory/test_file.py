"""Directory files as text: parsing and error messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trunkline.core.errors import DirectoryFileError
from trunkline.directory.files.file import check, parse, read_file, to_yaml
from trunkline.directory.files.form import Form
from trunkline.directory.files.references import problems_of
from trunkline.directory.model import OperationKind
from trunkline.directory.model.limits import MAX_OPERATIONS
from trunkline.directory.scenarios import form as scenario_form


def problems(text: str, **environment: str) -> list[str]:
    with pytest.raises(DirectoryFileError) as caught:
        check(parse(text, environment))
    found = caught.value.params.get("problems", [caught.value.message])
    assert isinstance(found, list)
    return found


def test_numbers_and_times_mean_what_they_look_like() -> None:
    form = parse(
        """
account: {country: NO}
sip_lines: {0160001: {channels: 3}, 0160002: }
schedules: {office: {open: [{days: [mon, wed-fri, 7], from: 9:05, till: 18:00}]}}
employees: {anna: {last_name: null_and_void, extension: 0101, active: false}}
blacklist: [+1 (202) 555-0110]
tags: {vip: VIP}
""",
        {},
    )
    assert form.account is not None
    assert form.account.country == "NO"
    assert list(form.section("sip_lines")) == ["0160001", "0160002"]
    interval = form.section("schedules")["office"].open[0]
    assert (interval.days, interval.from_, interval.till) == ((1, 3, 4, 5, 7), "09:05", "18:00")
    assert form.section("employees")["anna"].extension == "0101"
    assert form.section("employees")["anna"].active is False
    assert list(form.section("blacklist")) == ["12025550110"]
    assert form.section("tags")["vip"].name == "VIP"
    assert form.section("schedules")["office"].name == "office"


def test_variables() -> None:
    text = "trunks: {c: {host: '${HOST:-192.0.2.1}', port: '${PORT}', name: '$${HOST}'}}"
    trunk = parse(text, {"PORT": "5070"}).section("trunks")["c"]
    assert (trunk.host, trunk.port, trunk.name) == ("192.0.2.1", 5070, "${HOST}")
    assert problems(text) == [
        "trunks.c.port: the environment variable PORT is not set; set it and apply again"
    ]


def test_secrets_come_from_the_environment_and_empty_ones_are_none() -> None:
    text = "sip_lines: {0160001: {password: 'env:LINE'}, 0160002: {password: ''}}"
    lines = parse(text, {"LINE": "top-secret"}).section("sip_lines")
    assert lines["0160001"].password.get_secret_value() == "top-secret"
    assert lines["0160002"].password is None
    assert "top-secret" not in repr(lines)
    assert problems(text) == [
        "sip_lines.0160001.password: the environment variable LINE is not set; set it and apply again"
    ]


def test_all_mistakes_are_reported_at_once_with_their_places() -> None:
    assert problems(
        """
account: {time_zone: Asia/Dubia}
virtual_numbers: {12: {}}
sip_lines: {abc: {}}
employees:
  anna: {last_name: A, phones: [{line: 0160001, number: +12025550110}, {}], exten: 1}
  Boris: {}
trunks: {c: {mode: register, host: 192.0.2.1}}
schedules: {s: {open: [{days: someday, from: 25:00, till: 18:00}], exceptions: [{date: 2026-02-30, closed: true}]}}
scenarios: {m: {operations: {a: {kind: greeting}, b: {kind: dance}, c: {}, d: {kind: hangup, nxt: a}}}}
"""
    ) == [
        "account.time_zone: 'Asia/Dubia' is not a time zone; write an IANA name like Asia/Dubai",
        "schedules.s.open[0].days: 'someday' is not a day; write mon, tue, wed, thu, fri, sat, sun",
        "schedules.s.open[0].from: '25:00' is not a time of day; write HH:MM between 00:00 and 24:00",
        "schedules.s.exceptions[0].date: input should be a valid date or datetime, day value is outside expected range",
        "trunks.c: a trunk that registers needs username and password",
        "sip_lines.abc: 'abc' is not a SIP login; use 3 to 15 digits",
        "virtual_numbers.12: '12' is not a telephone number; write it in full, for example +12025550110",
        "employees.anna.phones[0]: write either line or number",
        "employees.anna.phones[1]: write either line or number",
        "employees.anna.exten: there is no such setting; did you mean extension?",
        "employees.Boris: 'Boris' is not a key; use small letters, digits, - and _ (at most 64)",
        "employees.Boris.last_name: is missing",
        "scenarios.m.operations.a: a greeting needs text or media",
        "scenarios.m.operations.b.kind: no such kind; write one of " + ", ".join(sorted(OperationKind)),
        "scenarios.m.operations.c: kind is missing; write one of " + ", ".join(sorted(OperationKind)),
        "scenarios.m.operations.d.nxt: there is no such setting; did you mean next?",
    ]


def test_references_are_checked() -> None:
    assert problems(
        """
virtual_numbers: {971500000010: {trunk: t, default_line: 0160009, rules: [{scenario: x, schedule: y}]}}
sip_lines: {0160001: {virtual_number: 971500000011}}
employees:
  anna: {last_name: A, extension: 101, schedule: s, phones: [{line: 0160001}, {line: 0160007}]}
  boris: {last_name: B, extension: 101, phones: [{line: 0160001}]}
groups: {sales: {extension: 101, members: [anna, carl]}}
tags: {a: {name: Same}, b: {name: Same}}
queues: {first: {name: Support}, second: {name: Support}}
scenarios:
  m:
    operations:
      a: {kind: greeting, media: [closed, nothing], next: z}
      b: {kind: schedule, schedule: s, open: a, closed: q}
      c: {kind: voicemail, group: nobody, employee: nobody}
      d: {kind: forward_employee, employee: anna, music: noise}
      e: {kind: forward_number, number: 971500000010...17, music: noise}
"""
    ) == [
        "sip_lines.0160001.virtual_number: no such virtual number: 971500000011",
        "virtual_numbers.971500000010.trunk: no such trunk: t",
        "virtual_numbers.971500000010.default_line: no such line: 0160009",
        "virtual_numbers.971500000010.rules[0].scenario: no such scenario: x",
        "virtual_numbers.971500000010.rules[0].schedule: no such schedule: y",
        "employees.anna.phones[1].line: no such line: 0160007",
        "employees.anna.schedule: no such schedule: s",
        "groups.sales.members[1]: no such employee: carl",
        "scenarios.m.operations.a.media[1]: no such media file: nothing",
        "scenarios.m.operations.b.schedule: no such schedule: s",
        "scenarios.m.operations.c.employee: no such employee: nobody",
        "scenarios.m.operations.c.group: no such group: nobody",
        "scenarios.m.operations.d.music: no such media file: noise",
        "scenarios.m.operations.e.music: no such media file: noise",
        "scenarios.m.operations.a.next: no such operation in this scenario: z",
        "scenarios.m.operations.b.closed: no such operation in this scenario: q",
        "scenarios.m.operations.e.number: 971500000010 is a virtual number of this account; the call would come back to it",
        "tags.b.name: the name Same is already that of tags.a",
        "employees.boris.extension: the short number 101 is already that of employees.anna",
        "employees.boris.phones[0].line: the SIP line 0160001 is already that of employees.anna",
        "groups.sales.extension: the short number 101 is already that of employees.anna",
        "queues.second.name: the name Support is already that of queues.first",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tags: {a: A, a: B}", "line 1: a is written twice; keep one of them"),
        ("tags: [a", "line 1, column 9: this is not valid YAML: "),
        ("- a", "A directory file is a mapping of sections: "),
        (
            "tags: !!python/object:os.system {}",
            "line 1, column 7: this is not valid YAML: could not determine a constructor",
        ),
        ("tags: {[a]: b}", "line 1: a key must be one word"),
        (
            "queues: {q: {name: Q, wrap_up_time: 5}}",
            "queues.q.wrap_up_time: there is no such setting here; items of another kind have it",
        ),
        ("tgas: {}", "tgas: there is no such setting; did you mean tags?"),
    ],
)
def test_what_is_no_directory_file(text: str, message: str) -> None:
    assert problems(text)[0].startswith(message)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DirectoryFileError, match="cannot be read"):
        read_file(tmp_path / "absent.yaml", {})
    (tmp_path / "latin.yaml").write_bytes(b"tags: {a: \xe9}")
    with pytest.raises(DirectoryFileError, match="UTF-8"):
        read_file(tmp_path / "latin.yaml", {})


def test_an_empty_file_wants_nothing() -> None:
    assert parse("# nothing", {}).model_dump(exclude_none=True) == {}


def test_yaml_anchors_and_merges() -> None:
    text = """
employees:
  anna: &person {last_name: A, call_recording: in}
  boris: {<<: *person, last_name: B}
"""
    boris = parse(text, {}).section("employees")["boris"]
    assert (boris.last_name, boris.call_recording) == ("B", "in")


def test_demo_file_is_whole_and_reads_back() -> None:
    path = Path(__file__).parents[2] / "src/trunkline/directory/demo.yaml"
    form = read_file(path, {"DEMO_CARRIER_PORT": "6123", "DEMO_LINE_PASSWORD": "not-shown"})
    assert problems_of(form) == []
    assert form.section("trunks")["carrier"].port == 6123
    text = to_yaml(form)
    assert "not-shown" not in text
    again = parse(text, {})
    assert to_yaml(again) == text
    assert again.scenarios == form.scenarios


_CIRCLE = """
schedules: {office: {open: [{days: mon-fri, from: "09:00", till: "18:00"}]}}
scenarios:
  sales:
    operations:
      welcome: {kind: greeting, text: Hello., next: %s}
      hours: {kind: schedule, schedule: office, open: ring, closed: closed}
      closed: {kind: greeting, text: We are closed., next: %s}
      ring: {kind: hangup}
"""


def test_greetings_that_never_end_are_refused() -> None:
    assert problems(_CIRCLE % ("welcome", "ring")) == [
        "scenarios.sales.operations.welcome: the call would never leave welcome -> welcome;"
        " let one of them lead to another operation"
    ]
    [found] = problems(_CIRCLE % ("hours", "hours"))
    assert "the call would never leave hours -> closed -> hours" in found
    assert problems_of(parse(_CIRCLE % ("hours", "ring"), {})) == []


def test_calls_may_go_round_when_phones_ring_in_between() -> None:
    text = """
employees: {layla: {last_name: Haddad}}
groups: {sales: {members: [layla]}}
scenarios:
  sales:
    operations:
      welcome: {kind: greeting, text: Hello., next: ring}
      ring: {kind: forward_group, group: sales, next: welcome}
"""
    assert problems_of(parse(text, {})) == []


def test_locales_and_addresses() -> None:
    text = "account: {locale: english}\nemployees: {layla: {last_name: Haddad, email: layla}}"
    assert problems(text) == [
        "account.locale: 'english' is not a locale; write en or en-GB",
        "employees.layla.email: 'layla' is not an e-mail address; write layla@example.com",
    ]


def test_all_problems_of_a_file_are_reported_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "company.yaml"
    file.write_text(
        """account:
  locale: english
trunks:
  carrier: {host: "${HOST}", prot: 5060}
employees:
  layla:
    phones: [{line: "0160001", dial_time: soon}]
"""
    )
    with pytest.raises(DirectoryFileError) as caught:
        read_file(file, {})
    found = caught.value.params["problems"]
    assert [each.partition(": ")[0] for each in found] == ["line 4", "line 2", "line 4", "line 6", "line 7"]
    assert [each.split(": ")[1] for each in found] == [
        "trunks.carrier.host",
        "account.locale",
        "trunks.carrier.prot",
        "employees.layla.last_name",
        "employees.layla.phones[0].dial_time",
    ]


def test_a_long_chain_of_operations_is_checked_in_linear_time() -> None:
    """The steps of the check are counted, not its time: each operation is asked for its branches once."""
    asked: list[str] = []
    branches = scenario_form.branches_of

    def counted(operation: Any) -> dict[str, str | None]:
        asked.append(operation.name)
        return branches(operation)

    count = MAX_OPERATIONS
    operations = {
        f"o{number}": {
            "kind": "greeting",
            "text": "a",
            "next": f"o{number + 1}" if number + 1 < count else None,
        }
        for number in range(count)
    }
    form = Form.model_validate({"scenarios": {"long": {"operations": operations}}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenario_form, "branches_of", counted)
        assert not [one for one in problems_of(form) if "never leave" in one]
    assert len(asked) <= 2 * count
    operations["more"] = {"kind": "greeting", "text": "a"}
    with pytest.raises(ValueError, match="at most 500 operations"):
        Form.model_validate({"scenarios": {"long": {"operations": operations}}})
