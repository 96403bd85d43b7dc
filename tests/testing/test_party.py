"""What a simulated phone could not do is an error of the wait for its call, at once and with the cause."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from trunkline.demo import tones
from trunkline.demo.outside import Answer, party
from trunkline.demo.outside.party import Call, Line, What
from trunkline.telephony.ami import AmiTimeout

TONE = 1120.0


class _Interface:
    """Takes every command, but these actions."""

    def __init__(self, *failing: str) -> None:
        self._failing = failing

    async def post(self, *_: Any, **__: Any) -> None:
        pass

    async def get(self, path: str) -> dict[str, int]:
        return {"rxcount": 7, "txcount": 8} if path.endswith("/rtp_statistics") else {}

    async def action(self, name: str, *_: Any) -> None:
        if name in self._failing:
            raise AmiTimeout(f"Asterisk did not answer {name} within 5 s")


def _call(folder: Path, *failing: str) -> Call:
    line = Line(_Interface(), _Interface(*failing), folder)  # type: ignore[arg-type]
    return Call("anna", 1010.0, line, "channel-1", "971500000010", "")


async def test_a_phone_whose_sound_is_not_recorded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test waited for the whole limit, and its message was that of a talk without sound."""
    monkeypatch.setattr(party, "_END_SECONDS", 0.05)
    call = _call(tmp_path, "MixMonitor")
    await call.behave(Answer(), "PJSIP/anna")
    with pytest.raises(TimeoutError, match="did not answer MixMonitor"):
        await call.hears(TONE, timeout=30)
    with pytest.raises(TimeoutError, match="did not answer MixMonitor"):
        await call.wait(What.ENDED, timeout=30)


async def test_a_call_that_has_ended_takes_no_commands(tmp_path: Path) -> None:
    """Its end may be reported later than that."""
    call = _call(tmp_path, "MixMonitor")
    asyncio.get_running_loop().call_later(0.1, call.note, What.ENDED)
    await call.behave(Answer(), "PJSIP/anna")
    await call.ended()
    assert call.failure is None


@pytest.mark.parametrize(
    ("sound", "message"),
    [
        (None, r"nothing was recorded"),
        (tones.silence(2.0), r"2\.0 s of silence"),
        (
            tones.sine(1340.0, 2.0),
            r"2\.0 s, 2\.0 s of them audible, most at 1340 Hz; its phone got 7 packets and sent 8",
        ),
    ],
)
async def test_what_was_heard_instead_is_named(
    tmp_path: Path, sound: tones.Sound | None, message: str
) -> None:
    call = _call(tmp_path)
    await call.behave(Answer(), "PJSIP/anna")
    if sound is not None:
        file, content = tmp_path / "channel-1.sln", tones.to_pcm(sound)
        asyncio.get_running_loop().call_later(0.05, file.write_bytes, content)
    with pytest.raises(TimeoutError, match=message):
        await call.hears(TONE, timeout=0.5)
