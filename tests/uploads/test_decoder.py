"""The process that looks into recordings: its limits end it, and it leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.uploads import sounds
from tests.uploads.rig import children
from trunkline.core.settings import UploadSettings
from trunkline.uploads.decoder import Decoder
from trunkline.uploads.model import ErrorCode, RecordType, UploadFailed


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
    with pytest.raises(UploadFailed) as failure:
        await decoder.decode(RecordType.WAV, source)
    assert failure.value.code is ErrorCode.WAV_PROCESSING
    assert children() == family


async def test_memory_is_bounded(tmp_path: Path) -> None:
    source = tmp_path / "fine.wav"
    source.write_bytes(sounds.wav())
    settings = UploadSettings.model_construct(**{**UploadSettings().model_dump(), "decode_memory": 48 << 20})
    with pytest.raises(UploadFailed) as failure:
        await Decoder(settings, 32_000).decode(RecordType.WAV, source)
    assert failure.value.code is ErrorCode.WAV_PROCESSING


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
