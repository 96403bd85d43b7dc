"""The process that analyses one recording: ``python -m trunkline.analysis.child PARENT_PID``.

Reads a :class:`~trunkline.analysis.work.Task` as JSON from standard input, writes what
:func:`~trunkline.analysis.work.analyse` returns, or ``{"failure": text}``, to standard output. It runs with low priority
(niceness) and ends with its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1
_NICENESS = 10


def main() -> int:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        return 1
    os.nice(_NICENESS)
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as session:
        session.write(str(_NICENESS))  # the session is its own, and the kernel may select it first
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the output of libraries is not a part of the response
    with answers:
        json.dump(_answer(json.load(sys.stdin)), answers)
    return 0


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    from trunkline.analysis.model import Task
    from trunkline.analysis.silero import SileroDetector
    from trunkline.analysis.transcriber import transcriber_for
    from trunkline.analysis.work import analyse
    from trunkline.core.errors import TrunklineError

    task = Task(**{**asked, "sides": tuple(asked["sides"])})
    transcriber = None
    unavailable = None
    if task.transcribe:
        try:
            transcriber = transcriber_for(task.whisper_model, task.language)
        except TrunklineError as error:
            unavailable = {"status": "unavailable", "failure": error.message}
    try:
        answer = analyse(task, SileroDetector(), transcriber)
    except TrunklineError as error:
        return {"failure": error.message}
    return {**answer, "transcript": unavailable or answer["transcript"]}


if __name__ == "__main__":
    sys.exit(main())
