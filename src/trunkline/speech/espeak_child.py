"""The process that synthesizes texts: ``python espeak_child.py LANGUAGE WORDS_A_MINUTE``.

Reads UTF-8 texts, separated by zero bytes, from standard input; writes for each the sample rate and the number of bytes that
follow (4 bytes each, little-endian), then mono 16-bit PCM of that rate. Exit code 0, or one of those below. Run as a file,
not as a module: it must import nothing heavy.

Of several texts each is synthesized in a fork of its own: the library keeps state, so that a text after another one sounds a
little different.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

NUMBER_BYTES = 4
"""Of the sample rate, and of the length."""
SEPARATOR = b"\0"
FAILED = 70
UNKNOWN_LANGUAGE = 64

# from the public header speak_lib.h of espeak-ng
_OUTPUT_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_RATE = 1
_POS_CHARACTER = 1
_CHARS_UTF8 = 1
_OK = 0
_END_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of Linux."""
_PATH_MAX = 150
"""Its buffers for file names have 160 bytes; a longer data path would be cut short and crash."""

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def speak(texts: Sequence[bytes], language: str, words_a_minute: int) -> int:
    """Write the sounds to standard output; the exit code."""
    import espeakng_loader

    with tempfile.TemporaryDirectory(prefix="speech") as folder:
        data = _short_path(Path(espeakng_loader.get_data_path()), Path(folder))
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        rate = library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, os.fsencode(data), _DONT_EXIT)
        if rate <= 0:
            return FAILED
        if not _choose_voice(library, language):
            return UNKNOWN_LANGUAGE
        library.espeak_SetParameter(_RATE, words_a_minute, 0)
        if len(texts) == 1:
            return _speak_one(library, rate, texts[0])
        return next((code for text in texts if (code := _speak_in_fork(library, rate, text))), 0)


def _speak_in_fork(library: ctypes.CDLL, rate: int, text: bytes) -> int:
    pid = os.fork()
    if pid == 0:
        code = FAILED
        try:
            ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)
            code = _speak_one(library, rate, text)
        finally:
            os._exit(code)
    return 0 if os.waitpid(pid, 0)[1] == 0 else FAILED


def _speak_one(library: ctypes.CDLL, rate: int, text: bytes) -> int:
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
        return FAILED
    pcm = b"".join(chunks)
    for part in (rate.to_bytes(NUMBER_BYTES, "little"), len(pcm).to_bytes(NUMBER_BYTES, "little"), pcm):
        sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()
    return 0


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
    return speak(sys.stdin.buffer.read().split(SEPARATOR), sys.argv[1], int(sys.argv[2]))


if __name__ == "__main__":
    sys.exit(main())
