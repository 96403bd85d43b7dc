"""Runs the jobs: analyses a recording in a separate process and stores the results in one transaction.

A job may be interrupted at any point and is then repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from psycopg.types.json import Jsonb

from trunkline.analysis.model import Side, Status, Task, TranscriptStatus
from trunkline.core.log import get_logger
from trunkline.core.settings import AnalysisSettings, Settings
from trunkline.db.pool import Connection, Database

_log = get_logger("analysis")

_ROW = """
select analysis.status, analysis.transcript_status, recording.wav_path, recording.channels, recording.source_format,
    recording.call_session_id
from call_analyses analysis join recordings recording using (account_id, recording_id)
where analysis.account_id = %s and analysis.recording_id = %s
"""

_READY = """
update call_analyses set status = 'ready', figures = %(figures)s, requirements = %(requirements)s, failure = null,
    ready_at = now()
where account_id = %(account_id)s and recording_id = %(recording_id)s returning call_session_id
"""

_FAILED = """
update call_analyses set status = 'failed', failure = %(failure)s,
    transcript_status = case when transcript_status = 'pending' then 'failed' else transcript_status end
where account_id = %(account_id)s and recording_id = %(recording_id)s
"""

_TRANSCRIBED = """
update call_analyses set transcript_status = %(status)s, transcriber = %(transcriber)s, summary = %(summary)s,
    transcript_failure = %(failure)s
where account_id = %(account_id)s and recording_id = %(recording_id)s
"""

_FORGET = "delete from speech_phrases where account_id = %s and recording_id = %s"

_PHRASES = """
insert into speech_phrases (account_id, recording_id, call_session_id, is_operator, start_ms, end_ms, phrase)
select %(account_id)s, %(recording_id)s, %(call_session_id)s, said.side = %(employee)s, round(said.start * 1000),
    round(said."end" * 1000), said.text
from jsonb_to_recordset(%(phrases)s) as said(side text, start double precision, "end" double precision, text text)
order by said.start
"""

_LIMITS = "The recording could not be analysed within the limits of time and memory."


class Engine(Protocol):
    async def run(self, task: Task) -> dict[str, Any]:
        """What :func:`trunkline.analysis.work.analyse` returns, or ``{"failure": text}``."""
        ...


class ChildEngine:
    """A process for each recording.

    :param timeout: seconds that one may take.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    async def run(self, task: Task) -> dict[str, Any]:
        """See :class:`Engine`. The process has ended when this returns or raises."""
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-m",
            "trunkline.analysis.child",
            str(os.getpid()),
            env={"PATH": os.defpath},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        output = b""
        try:
            async with asyncio.timeout(self._timeout):
                output, _ = await child.communicate(json.dumps(asdict(task)).encode())
        except TimeoutError:
            _log.warning(
                "analysis_took_too_long",
                path=task.path,
                consequence="the process of the analysis is ended, and the recording gets no analysis",
            )
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await asyncio.shield(child.wait())
        if child.returncode != 0:
            _log.warning(
                "analysis_process_ended",
                exit_code=child.returncode,
                path=task.path,
                consequence="the recording gets no analysis; the recording itself is complete",
            )
            return {"failure": _LIMITS}
        answer: dict[str, Any] = json.loads(output)
        return answer


class Analyst:
    """Carries out the jobs; one in each worker process."""

    def __init__(self, db: Database, settings: Settings, engine: Engine | None = None) -> None:
        self._db = db
        self._recordings = settings.recordings_dir
        self._settings: AnalysisSettings = settings.analysis
        self._engine = engine or ChildEngine(settings.analysis.timeout)

    async def analyse_recording(self, account_id: int, recording_id: str) -> None:
        """Do what is missing for one recording; nothing when it is analysed or deleted."""
        row = await self._db.fetch_one(_ROW, (account_id, recording_id))
        if row is None or not _is_open(row):
            return
        answer = await self._engine.run(self._task(row))
        ids = {"account_id": account_id, "recording_id": recording_id}
        async with self._db.connection() as connection:
            if "failure" in answer:
                _log.warning(
                    "analysis_failed",
                    **ids,
                    call_session_id=row["call_session_id"],
                    reason=answer["failure"],
                    consequence="the recording gets no analysis; the recording itself is complete",
                )
                await connection.execute(_FAILED, {**ids, "failure": answer["failure"]})
            else:
                await _store(connection, ids, answer)

    def _task(self, row: Mapping[str, Any]) -> Task:
        model: Path | None = self._settings.whisper_model
        first, second = row["channels"]
        return Task(
            path=str(self._recordings / row["wav_path"]),
            sides=(first, second),
            came_as=row["source_format"],
            transcribe=row["transcript_status"] == TranscriptStatus.PENDING,
            whisper_model=None if model is None else str(model),
            language=self._settings.language,
        )


def _is_open(row: Mapping[str, Any]) -> bool:
    return bool(row["status"] == Status.PENDING or row["transcript_status"] == TranscriptStatus.PENDING)


async def _store(connection: Connection, ids: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    found = {"figures": Jsonb(answer["figures"]), "requirements": Jsonb(answer["requirements"])}
    row = await (await connection.execute(_READY, {**ids, **found})).fetchone()
    transcript = answer["transcript"]
    if row is None or transcript is None:
        return
    nothing = {"transcriber": None, "summary": None, "failure": None}
    await connection.execute(_TRANSCRIBED, {**nothing, **transcript, **ids})
    await connection.execute(_FORGET, (ids["account_id"], ids["recording_id"]))
    if transcript.get("phrases"):
        await connection.execute(
            _PHRASES,
            {
                **ids,
                "call_session_id": row["call_session_id"],
                "employee": Side.EMPLOYEE.value,
                "phrases": Jsonb(transcript["phrases"]),
            },
        )
