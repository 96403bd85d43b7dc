from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drills.own_server import fill, needs_root, small_disk
from trunkline.core.clock import Instant
from trunkline.core.engine_values import EndpointName
from trunkline.telephony import cel_log
from trunkline.telephony.port import (
    Answered,
    Arrived,
    Bridge,
    Channel,
    Ended,
    Endpoint,
    EndpointKind,
    Joined,
    Left,
    TargetStarted,
)

TRUNK = Endpoint(EndpointKind.TRUNK, EndpointName("trunk-7"))
LINE = Endpoint.line("1001")


def row(
    event: str, at: float, channel: str, name: str, exten: str = "", extra: str = "", alias: str = ""
) -> str:
    quoted = extra.replace('"', '""')
    return f'"{event}","{at}","{channel}","1.1","{name}","77","{alias}","12025550110","{exten}","{quoted}"\n'


CALL = [
    row("CHAN_START", 10.1, "1.1", "PJSIP/trunk-7-0000000a", "442079460100"),
    row("CHAN_START", 10.2, "1.2", "PJSIP/web-1001-0000000b", "s"),
    row("ANSWER", 12.0, "1.2", "PJSIP/web-1001-0000000b"),
    row("BRIDGE_ENTER", 12.1, "1.2", "PJSIP/web-1001-0000000b", extra='{"bridge_id":"b"}'),
    row("BRIDGE_EXIT", 20.0, "1.2", "PJSIP/web-1001-0000000b", extra='{"bridge_id":"b"}'),
    row(
        "HANGUP", 20.1, "1.2", "PJSIP/web-1001-0000000b",
        extra='{"hangupcause":16,"hangupsource":"PJSIP/web-1001-0000000b","dialstatus":""}',
    ),
    row(
        "HANGUP", 20.2, "1.1", "PJSIP/trunk-7-0000000a",
        extra='{"hangupcause":16,"hangupsource":"PJSIP/web-1001-0000000b","dialstatus":"ANSWER"}',
    ),
    row("HANGUP", 20.3, "1.9", "Local/x-00000001;1"),
]  # fmt: skip


def test_a_call_reads_as_it_happened() -> None:
    first, second = Channel("1.1"), Channel("1.2")
    assert cel_log.signals(list(cel_log.parse(CALL))) == [
        Arrived(first, Instant(10.1), TRUNK, "442079460100", "12025550110", "", Instant(10.1)),
        TargetStarted(second, Instant(10.2), first, LINE, None),
        Answered(second, Instant(12.0)),
        Joined(second, Instant(12.1), Bridge("b")),
        Left(second, Instant(20.0), Bridge("b")),
        Ended(second, Instant(20.1), 16, True),
        Ended(first, Instant(20.2), 16, False),
    ]


@pytest.mark.parametrize("tag", ["77", ""])
def test_a_call_that_the_dialplan_connected_has_no_tag(tag: str) -> None:
    line = row("BRIDGE_ENTER", 1.0, "1.1", "PJSIP/1001-00000001", extra='{"bridge_id":"b"}')
    [joined] = cel_log.signals(list(cel_log.parse([line.replace('"77"', f'"{tag}"')])))
    assert isinstance(joined, Joined)
    assert joined.by_switch is bool(tag)


def test_an_alias_stands_for_its_channel() -> None:
    line = row("ANSWER", 1.0, "x~2", "PJSIP/1001-00000001", alias="x")
    assert cel_log.signals(list(cel_log.parse([line]))) == [Answered(Channel("x"), Instant(1.0))]


def device(event: str, at: float, number: int) -> str:
    """A line of a device that was called together with others, under the id ``x``."""
    extra = '{"hangupcause":16,"hangupsource":""}' if event == "HANGUP" else ""
    return row(event, at, f"x~{number}", f"PJSIP/1001-0000000{number}", alias="x", extra=extra)


def test_devices_called_together_are_one_participant() -> None:
    lines = [device("ANSWER", 1.0, 1), device("ANSWER", 1.1, 2), device("HANGUP", 1.2, 2)]
    entries = list(cel_log.parse(lines))
    assert cel_log.signals(entries) == [Answered(Channel("x"), Instant(1.0))]
    ended = [*entries, *cel_log.parse([device("HANGUP", 9.0, 1)])]
    assert cel_log.signals(ended)[1:] == [Ended(Channel("x"), Instant(9.0), 16, False)]


def test_while_no_device_has_answered_the_last_one_ends_the_participant() -> None:
    lines = [device("HANGUP", 1.0, 1), device("HANGUP", 2.0, 2)]
    assert cel_log.signals(list(cel_log.parse(lines))) == [Ended(Channel("x"), Instant(2.0), 16, False)]
    assert cel_log.signals(list(cel_log.parse(lines[:1])), alive={Channel("x"): {"x~2"}}) == []


def test_a_device_that_answered_before_is_the_participant() -> None:
    entries = list(cel_log.parse([device("HANGUP", 1.0, 2)]))
    assert cel_log.signals(entries, winning={Channel("x"): "x~1"}, alive={Channel("x"): {"x~1"}}) == []


@given(st.lists(st.text(alphabet='",\\{}0aHANGUP\n'), max_size=20))
def test_damaged_lines_are_skipped(garbage: list[str]) -> None:
    for entry in cel_log.parse(line.replace("\n", "") + "\n" for line in garbage):
        cel_log.signals([entry])


@pytest.mark.durability
@given(cut=st.integers(1, len(CALL[6]) - 2), after=st.sampled_from(CALL))
def test_an_entry_behind_one_that_was_cut_off_is_read(cut: int, after: str) -> None:
    """A full disk ends a line in its middle, and Asterisk appends the next one to it."""
    bad: list[str] = []
    before = CALL[0]
    found = list(cel_log.parse([before, CALL[6][:cut] + after, before], bad.append))
    assert [cel_log.signals([one]) for one in found] == [
        cel_log.signals(list(cel_log.parse([line]))) for line in (before, after, before)
    ]
    assert bad == [CALL[6][:cut]]


@pytest.mark.parametrize(
    "name", ["ANSWER", 'x""ANSWER"",""1.5"",""1.2"",""1.1', 'ANSWER","1.5","1.2","1.1","PJSIP/1001-0000000b']
)
def test_what_a_phone_sent_is_no_entry_within_a_damaged_line(name: str) -> None:
    """Its quotation marks are doubled; a field that looks like the start of an entry has too few fields behind it."""
    sent = row("CHAN_START", 1.0, "1.1", "PJSIP/trunk-7-0000000a", "1.5").replace(
        "12025550110", name.replace('"', '""')
    )
    damaged = sent.replace('"CHAN_START"', '"CHAN', 1)
    assert list(cel_log.parse([CALL[0], damaged, damaged.rstrip() + damaged])) == list(
        cel_log.parse([CALL[0]])
    )


@needs_root
@pytest.mark.durability
def test_entries_are_written_on_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "log", 12) as disk:
        path = disk / "cel.csv"
        assert cel_log.reserve(path)
        assert path.stat().st_size == 0
        ballast = fill(disk)
        with path.open("a") as file:
            file.writelines(CALL)
        for _ in range(5000):
            with path.open("a") as file:  # as Asterisk does
                file.writelines(CALL[-1:])
        assert len(cel_log.read(path, Instant(0.0))) == len(CALL) + 5000
        with pytest.raises(OSError, match="No space"):  # what is reserved is not given up for a new file
            cel_log.rotate(path, larger_than=10)
        assert sorted(one.name for one in disk.iterdir()) == ["ballast", "cel.csv"]
        ballast.unlink()
        assert cel_log.rotate(path, larger_than=10)
        fill(disk)
        with path.open("a") as file:
            file.writelines(CALL)
        assert len(cel_log.read(path, Instant(0.0))) == 2 * len(CALL) + 5000


def test_reading_from_an_instant_over_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "cel_log.csv"
    assert cel_log.read(path, Instant(0.0)) == []
    assert not cel_log.rotate(path)
    path.write_text("".join(CALL[:4]))
    assert not cel_log.rotate(path, larger_than=1 << 20)
    assert cel_log.rotate(path, larger_than=10)
    assert path.stat().st_size == 0
    path.write_text("".join(CALL[4:]) + CALL[0][:20])
    assert len(cel_log.read(path, Instant(0.0))) == len(CALL)
    assert [entry.at for entry in cel_log.read(path, Instant(12.1))] == [12.1, 20.0, 20.1, 20.2, 20.3]
    assert cel_log.rotate(path, larger_than=10)
    assert len(cel_log.read(path, Instant(0.0))) == len(CALL) - 4


@given(times=st.lists(st.floats(1000.0, 2000.0), min_size=1, max_size=400), since=st.floats(900.0, 2100.0))
def test_reading_from_a_time_finds_all_since(
    times: list[float], since: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("log") / "cel.csv"
    extra = "x" * 400  # so that the place to begin at is searched
    lines = [
        row("ANSWER", at, f"1.{n}", "PJSIP/1001-0000000b", extra=extra) for n, at in enumerate(sorted(times))
    ]
    path.write_text("".join(lines))
    found = cel_log.read(path, Instant(since))
    assert [entry.at for entry in found] == [at for at in sorted(times) if at >= since]


def test_reading_the_end_of_a_long_log_does_not_read_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cel.csv"
    count = 50_000
    path.write_text("".join(row("ANSWER", float(n), f"1.{n}", "PJSIP/1001-0000000b") for n in range(count)))
    read = 0
    parse = cel_log.parse

    def counted(lines: Iterable[str], *_: object) -> Iterator[cel_log.Entry]:
        def each() -> Iterator[str]:
            nonlocal read
            for line in lines:
                read += 1
                yield line

        return parse(each())

    monkeypatch.setattr(cel_log, "parse", counted)
    found = cel_log.read(path, Instant(count - 100.0))
    assert [entry.at for entry in found] == [float(n) for n in range(count - 100, count)]
    assert read < count / 20
