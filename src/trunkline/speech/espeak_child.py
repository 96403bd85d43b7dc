"""The process that synthesizes one text: ``python espeak_child.py LANGUAGE WORDS_A_MINUTE``.

Reads UTF-8 text from standard input; writes the sample rate (4 bytes, little-endian), then mono 16-bit PCM of
that rate. Exit code 0, or one of those below. Run as a file, not as a module: it must import nothing heavy.
"""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from pathlib import Path

SAMPLE_RATE_BYTES = 4
FAILED = 70
UNKNOWN_LANGUAGE = 64

# from the public header speak_lib.h of espeak-ng
_OUTPUT_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_RATE = 1
_POS_CHARACTER = 1
_CHARS_UTF8 = 1
_OK = 0
_PATH_MAX = 150
"""Its buffers for file names have 160 bytes; a longer data path would be cut short and crash."""

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def speak(text: bytes, language: str, words_a_minute: int) -> tuple[int, bytes]:
    """Exit code, and sample rate and PCM together as written."""
    import espeakng_loader

    with tempfile.TemporaryDirectory(prefix="speech") as folder:
        data = _short_path(Path(espeakng_loader.get_data_path()), Path(folder))
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        rate = library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, os.fsencode(data), _DONT_EXIT)
        if rate <= 0:
            return FAILED, b""
        if not _choose_voice(library, language):
            return UNKNOWN_LANGUAGE, b""
        library.espeak_SetParameter(_RATE, words_a_minute, 0)
        chunks: list[bytes] = []

        def on_samples(samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int | None) -> int:
            if samples and count > 0:
                chunks.append(ctypes.string_at(samples, count * 2))
            return 0

        callback = _Callback(on_samples)
        library.espeak_SetSynthCallback(callback)
        # size_t and unsigned int arguments: ctypes would pass ints as C int, which fits all of these
        result = library.espeak_Synth(
            text, ctypes.c_size_t(len(text) + 1), 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None
        )
        if result != _OK or library.espeak_Synchronize() != _OK:
            return FAILED, b""
    return 0, rate.to_bytes(SAMPLE_RATE_BYTES, "little") + b"".join(chunks)


def _short_path(data: Path, folder: Path) -> Path:
    """The data folder, or a link to it in ``folder`` when its path is too long for the library."""
    if len(os.fsencode(data)) < _PATH_MAX:
        return data
    link = folder / data.name
    link.symlink_to(data, target_is_directory=True)
    return link


def _choose_voice(library: ctypes.CDLL, language: str) -> bool:
    """The voice of the language, else of the language without its region (``en-AE`` -> ``en``)."""
    wanted = language.lower().replace("_", "-")
    if not wanted.replace("-", "").isalnum() or not wanted.isascii():
        return False  # voice names are file names in the library: nothing but a language tag may reach it
    return any(
        library.espeak_SetVoiceByName(name.encode()) == _OK for name in (wanted, wanted.partition("-")[0])
    )


def main() -> int:
    code, output = speak(sys.stdin.buffer.read(), sys.argv[1], int(sys.argv[2]))
    sys.stdout.buffer.write(output)
    sys.stdout.buffer.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
