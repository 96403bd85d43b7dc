"""The process that looks into recordings: its limits end it, and it leaves nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.uploads import sounds
from tests.uploads.rig import children
from trunkline.core.settings import UploadSettings
from trunkline.uploads import decoder_child
from trunkline.uploads.decoder import Decoder
from trunkline.uploads.model import ErrorCode, RecordType, ServerFault, UploadFailed

pytestmark = pytest.mark.shells


@pytest.mark.parametrize(
    "limits",
    [{"decode_timeout": 0.3}, {"decode_cpu": 1}],
    ids=["time", "processor"],
)
async def test_what_costs_too_much_is_ended(tmp_path: Path, limits: dict[str, float]) -> None:
    source = tmp_path / "long.wav"
    source.write_bytes(sounds.long_wav(180))
    family = children()
    decoder = Decoder(UploadSettings.model_validate(limits), 32_000)
    with pytest.raises((UploadFailed, ServerFault)) as failure:
        await decoder.decode(RecordType.WAV, source)
    if isinstance(failure.value, UploadFailed):
        assert failure.value.code is ErrorCode.WAV_PROCESSING
    else:  # others had the processors
        assert "ran for" in str(failure.value)
    assert children() == family


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_a_decoder_that_somebody_stops_or_kills_is_no_fault_of_the_recording(
    tmp_path: Path, number: signal.Signals
) -> None:
    source = tmp_path / "long.wav"
    source.write_bytes(sounds.long_wav(180))
    family = children()
    decoding = asyncio.create_task(
        Decoder(UploadSettings(decode_timeout=3.0), 32_000).decode(RecordType.WAV, source)
    )
    async with asyncio.timeout(PATIENCE):
        while not (new := set(children()) - set(family)):
            await asyncio.sleep(0.01)
    os.kill(new.pop(), number)
    with pytest.raises(ServerFault):
        await decoding
    assert children() == family


async def test_a_full_disk_is_no_fault_of_the_recording(tmp_path: Path) -> None:
    for made in ("fine.made.wav", "fine.made.mp3"):
        source = tmp_path / "fine.wav"
        source.write_bytes(sounds.wav())
        (tmp_path / made).symlink_to("/dev/full")
        with pytest.raises(ServerFault, match="ENOSPC"):
            await Decoder(UploadSettings(), 32_000).decode(RecordType.WAV, source)
        (tmp_path / made).unlink()


@pytest.mark.parametrize("kind", list(RecordType))
async def test_a_fetched_file_that_is_gone_is_no_fault_of_the_recording(
    tmp_path: Path, kind: RecordType
) -> None:
    with pytest.raises(ServerFault, match="ENOENT"):
        await Decoder(UploadSettings(), 32_000).decode(kind, tmp_path / f"gone.{kind}")


@pytest.mark.parametrize(
    ("coding", "bits"),
    [
        ("0000000000001000800000aa00389b72", 16),  # of nobody
        ("0100000000001000800000aa00389b71", 0),
        ("0200000000001000800000aa00389b71", 4),  # ADPCM
        ("0020000000001000800000aa00389b71", 16),  # AC-3
        ("5500000000001000800000aa00389b71", 0),  # MP3
    ],
)
async def test_a_wav_with_another_coding_in_its_extension_is_at_fault(
    tmp_path: Path, coding: str, bits: int
) -> None:
    """The library has no coding for some; the call was tried again without end."""
    source = tmp_path / "coded.wav"
    source.write_bytes(sounds.wav_with_extension(bytes.fromhex(coding), bits))
    with pytest.raises(UploadFailed) as failure:
        await Decoder(UploadSettings(), 32_000).decode(RecordType.WAV, source)
    assert failure.value.code is ErrorCode.WAV_PROCESSING


_WAITS_AT_LONG = """
import io, json, os, runpy, sys
task = sys.stdin.read()
while b"LONG" in open(json.loads(task)["source"], "rb").read() and not os.path.exists({gate!r}):
    pass
sys.stdin = io.StringIO(task)
runpy.run_path({decoder!r}, run_name="__main__")
"""


@pytest.mark.parametrize("accounts", [1, 2])
async def test_long_recordings_of_accounts_do_not_hold_those_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accounts: int
) -> None:
    gate = tmp_path / "gate"
    child = tmp_path / "child.py"
    child.write_text(_WAITS_AT_LONG.format(gate=str(gate), decoder=decoder_child.__file__))
    monkeypatch.setattr(decoder_child, "__file__", str(child))
    decoder = Decoder(UploadSettings(), 32_000)
    long = []
    for number in range(2 * accounts):
        source = tmp_path / f"long{number}.wav"
        source.write_bytes(sounds.wav()[:-4] + b"LONG")
        long.append(asyncio.create_task(decoder.decode(RecordType.WAV, source, number % accounts)))
    await asyncio.sleep(0)
    good = tmp_path / "good.wav"
    good.write_bytes(sounds.wav())
    async with asyncio.timeout(PATIENCE):
        assert (await decoder.decode(RecordType.WAV, good, 99)).duration_ms == 17_000
    assert not any(one.done() for one in long)
    gate.touch()
    async with asyncio.timeout(PATIENCE):
        assert [one.duration_ms for one in await asyncio.gather(*long)] == [17_000] * len(long)


async def test_memory_is_bounded(tmp_path: Path) -> None:
    source = tmp_path / "fine.wav"
    source.write_bytes(sounds.wav())
    settings = UploadSettings.model_construct(**{**UploadSettings().model_dump(), "decode_memory": 48 << 20})
    with pytest.raises((UploadFailed, ServerFault)):  # the decoder may not even start
        await Decoder(settings, 32_000).decode(RecordType.WAV, source)


async def test_what_is_kept_of_a_wav(tmp_path: Path) -> None:
    source = tmp_path / "fine.wav"
    source.write_bytes(sounds.wav(16.0))
    made = await Decoder(UploadSettings(), 32_000).decode(RecordType.WAV, source)
    assert made.wav is not None
    assert abs(made.duration_ms - 16_000) <= 10
    assert (made.source["sample_rate"], made.source["bits"], made.source["channels"]) == (8000, 16, 2)
    again = await Decoder(UploadSettings(), 32_000).decode(RecordType.WAV, _named(made.wav, tmp_path))
    assert again.source["sample_rate"] == 8000
    assert again.duration_ms == made.duration_ms


def _named(path: Path, folder: Path) -> Path:
    return path.rename(folder / "second.wav")
