"""Calls that Asterisk refuses with 488 because of SRTP or codecs are in the log and in the status."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.calls.company import company
from tests.patience import PATIENCE
from trunkline.calls.switch import refused_media
from trunkline.calls.switch.refused_media import RefusedCall, RefusedCalls, RefusedFor, RefusedMedia
from trunkline.directory.model import Directory

LINE = (
    "[2026-11-21 20:06:39.870] ERROR[7217] res_pjsip_session.c:  {name}: Couldn't negotiate stream"
    " 0:audio-0:audio:sendrecv (nothing)\n"
)


def test_the_lines_of_asterisk() -> None:
    log = (
        LINE.format(name="0550001")
        + "other\n"
        + LINE.format(name="trunk-7").replace("7217]", "7217][C-0000000a]:")
    )
    srtp = [RefusedCall(name, RefusedFor.SRTP) for name in ("0550001", "trunk-7")]
    assert RefusedCalls().of(log) == srtp
    assert RefusedCalls().of("x: Couldn't negotiate stream 0:audio\n") == []


NO_CODEC = "[2026-11-22 12:06:39.870] NOTICE[{thread}] res_pjsip_session.c:  {name}: Handled? no\n"


def test_the_lines_of_the_corrected_asterisk() -> None:
    calls = RefusedCalls()
    # Of one call; and another thread's between the two.
    log = (
        LINE.format(name="0550001")
        + NO_CODEC.format(thread=11, name="0550001")
        + NO_CODEC.format(thread=7217, name="0550001")
    )
    assert calls.of(log) == [RefusedCall("0550001", why) for why in (RefusedFor.SRTP, RefusedFor.CODEC)]
    assert calls.of(NO_CODEC.format(thread=7217, name="0550001")) == [
        RefusedCall("0550001", RefusedFor.CODEC)
    ]
    assert calls.of(LINE.format(name="0550001")) == [RefusedCall("0550001", RefusedFor.SRTP)]
    assert calls.of(NO_CODEC.format(thread=7217, name="0550001")) == []
    # An offer in a call, and one that is taken.
    assert calls.of(NO_CODEC.format(thread=1, name="PJSIP/0550001-0000001")) == []
    assert calls.of(NO_CODEC.format(thread=1, name="0550001").replace("no", "yes")) == []


async def test_they_are_counted_and_logged_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused_media, "PERIOD_SECONDS", 0.01)
    account = company()
    login = next(iter(account.lines.values())).phone_number
    trunk = next(iter(account.trunks.values()))
    file = tmp_path / "asterisk.log"
    file.write_text(LINE.format(name=login))  # from before the start
    now = 1000.0
    refused = RefusedMedia(
        file, lambda: Directory({account.account_id: account}), lambda _line: ["192.0.2.9"], lambda: now
    )
    with structlog.testing.capture_logs() as logs:
        reading = asyncio.create_task(refused.run())
        with file.open("a") as log:
            log.write(LINE.format(name=login) * 3 + LINE.format(name="9999999"))
            log.write(LINE.format(name=f"trunk-{trunk.trunk_id}")[:40])
            log.flush()
            await _until(lambda: len(refused.status()) == 1)
            log.write(LINE.format(name=f"trunk-{trunk.trunk_id}")[40:])
        await _until(lambda: len(refused.status()) == 2)
        file.rename(tmp_path / "asterisk.log.1")
        now += 61
        file.write_text(LINE.format(name=login))
        await _until(lambda: refused.status()[0]["count"] == 4)
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
    assert refused.status() == [
        {"account_id": account.account_id, "kind": "line", "name": login, "cause": "srtp", "count": 4},
        {"account_id": account.account_id, "kind": "trunk", "name": trunk.name, "cause": "srtp", "count": 1},
    ]
    lines = [one for one in logs if one["event"] == "call_media_refused"]
    assert [(one.get("line"), one.get("trunk"), one["calls"]) for one in lines] == [
        (login, None, 1),
        (None, trunk.name, 1),
        (login, None, 3),
    ]
    assert lines[0]["addresses"] == ["192.0.2.9"]
    assert "SRTP" in lines[0]["remedy"]
    assert lines[0]["account_id"] == account.account_id


def test_no_common_codec_of_a_line_and_of_a_trunk(tmp_path: Path) -> None:
    """Each has its own line of the log, apart from the line's calls that are refused because of SRTP."""
    account = company()
    login = next(iter(account.lines.values())).phone_number
    trunk = next(iter(account.trunks.values()))
    refused = RefusedMedia(
        tmp_path / "asterisk.log", lambda: Directory({account.account_id: account}), lambda _line: []
    )
    with structlog.testing.capture_logs() as logs:
        for name in (login, f"trunk-{trunk.trunk_id}", f"trunk-{trunk.trunk_id}-ip"):
            refused.handle(NO_CODEC.format(thread=1, name=name))
        refused.handle(LINE.format(name=login))
    assert [(one.get("line"), one.get("trunk"), one["cause"]) for one in logs] == [
        (login, None, "codec"),
        (None, trunk.name, "codec"),
        (login, None, "srtp"),
    ]
    assert "G.711" in logs[0]["remedy"]
    assert {
        "account_id": account.account_id,
        "kind": "trunk",
        "name": trunk.name,
        "cause": "codec",
        "count": 2,
    } in refused.status()


async def _until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


NO_LINE = (
    "[2026-11-22 05:50:48.475] WARNING[23081] res_pjsip_registrar.c: Endpoint '{name}' ({ip}:52746) has no"
    " configured AORs\n"
)


def test_a_login_that_is_no_line_from_an_address_of_a_trunk(tmp_path: Path) -> None:
    """Asterisk identifies the request as the trunk's and refuses it (403) without an event."""
    account = company()
    trunk = next(iter(account.trunks.values()))
    now = 1000.0
    refused = RefusedMedia(
        tmp_path / "asterisk.log",
        lambda: Directory({account.account_id: account}),
        lambda _line: [],
        lambda: now,
    )
    text = NO_LINE.format(name=f"trunk-{trunk.trunk_id}-ip", ip="192.0.2.9")
    with structlog.testing.capture_logs() as logs:
        refused.handle(text * 3 + NO_LINE.format(name="trunk-999", ip="192.0.2.8") + "x" + text)
        now += 61
        refused.handle(text)
    assert [(one["event"], one["trunk"], one["ip"]) for one in logs] == [
        ("login_unknown", trunk.name, "192.0.2.9")
    ] * 2
