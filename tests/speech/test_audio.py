"""Audio conversion by real files of several formats."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream

from trunkline.core.errors import InvalidInput
from trunkline.speech import audio, melody


def sine(hertz: float, seconds: float, rate: int = 48000) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    moments = np.arange(int(seconds * rate)) / rate
    return np.asarray(np.sin(2 * np.pi * hertz * moments) * 12000, dtype=np.int16)


def strongest(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    return float(np.fft.rfftfreq(samples.size, 1 / audio.RATE)[np.argmax(np.abs(np.fft.rfft(samples)))])


def encoded(path: Path, codec: str, *, layout: str = "mono", rate: int = 48000) -> Path:
    """One second of 440 Hz (left) and, in stereo, silence (right)."""
    left = sine(440, 1.0, rate)
    channels = [left] if layout == "mono" else [left, np.zeros_like(left)]
    with av.open(str(path), "w") as container:
        stream = cast(AudioStream, container.add_stream(codec, rate=rate))
        stream.layout = layout
        packed = np.stack(channels, axis=1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            format=stream.format, layout=layout, rate=rate, frame_size=stream.frame_size
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "layout", "rate"),
    [
        ("a.wav", "pcm_s16le", "mono", 44100),
        ("a.wav", "pcm_s16le", "stereo", 8000),
        ("a.mp3", "libmp3lame", "stereo", 44100),
        ("a.ogg", "libopus", "mono", 48000),
        ("a.flac", "flac", "stereo", 48000),
        ("a.m4a", "aac", "mono", 48000),
    ],
)
def test_any_format_becomes_ours(tmp_path: Path, name: str, codec: str, layout: str, rate: int) -> None:
    path = encoded(tmp_path / name, codec, layout=layout, rate=rate)
    for source in (path, path.read_bytes()):
        pcm = audio.decode(source)
        assert audio.duration_ms(pcm) == pytest.approx(1000, abs=60)
        assert strongest(pcm) == pytest.approx(440, abs=3)
        assert not audio.is_silent(pcm)


def test_our_own_format_stays_as_it_is() -> None:
    pcm = melody.tone(440, 0.5)
    assert audio.decode(audio.wav(pcm)) == pcm
    assert audio.pcm_of(audio.wav(pcm)) == pcm
    assert audio.duration_ms(pcm) == 500


@pytest.mark.parametrize("content", [b"", b"no audio", b"RIFF\x00\x00\x00\x00WAVE", bytes(1000)])
def test_what_is_no_audio(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="audio"):
        audio.decode(content)


def test_a_picture_is_no_audio(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "rgb24"
        container.mux(stream.encode(av.VideoFrame(16, 16, "rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(InvalidInput, match="no audio in this file"):
        audio.decode(path)


def test_too_long_audio_is_refused() -> None:
    with pytest.raises(InvalidInput, match="longer than 1 seconds"):
        audio.decode(audio.wav(bytes(audio.RATE * 2 * 3)), max_seconds=1)


def test_the_level_of_silence_and_of_a_sine() -> None:
    assert audio.level_dbfs(bytes(800)) == float("-inf")
    assert audio.is_silent(bytes(800))
    assert audio.is_silent(b"")
    assert audio.level_dbfs(sine(440, 1, audio.RATE).tobytes()) == pytest.approx(-11.7, abs=0.2)


def test_resample() -> None:
    pcm = audio.resample(sine(1000, 1.0, 22050), 22050)
    assert audio.duration_ms(pcm) == pytest.approx(1000, abs=10)
    assert strongest(pcm) == pytest.approx(1000, abs=2)


@pytest.mark.parametrize("tune", [melody.DIALING, melody.HOLD])
def test_music_is_long_loud_enough_and_loops_without_a_click(tune: melody.Tune) -> None:
    pcm = melody.melody(tune)
    samples = np.frombuffer(pcm, "<i2").astype(float)
    assert audio.duration_ms(pcm) >= 20_000
    assert -30 < audio.level_dbfs(pcm) < -14
    assert np.abs(samples).max() < 32767 * 0.5
    steps = np.abs(np.diff(np.concatenate([samples, samples[:1]])))
    assert steps[-1] <= steps.max()
    second = audio.RATE
    assert all(not audio.is_silent(pcm[at : at + 2 * second]) for at in range(0, len(pcm), 2 * second))


def test_a_tone_has_its_pitch_and_its_silence() -> None:
    pcm = melody.tone(425, 1.0, silence=4.0)
    assert audio.duration_ms(pcm) == 5000
    assert strongest(pcm[: 2 * audio.RATE]) == pytest.approx(425, abs=1)
    assert audio.is_silent(pcm[2 * audio.RATE :])


def test_files_appear_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "new" / "sound.wav"
    audio.write_atomically(target, b"first")

    def fail(_descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        audio.write_atomically(target, b"second")
    assert [path.read_bytes() for path in target.parent.iterdir()] == [b"first"]
