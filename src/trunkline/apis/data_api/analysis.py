"""Voice analysis: ``create.call_session_recognition_task``, ``getobj.call_session_recognition_info``, and
``getobj.call_analysis``, an extension: the reference has no method for the figures."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from trunkline.analysis import jobs, reading
from trunkline.apis.data_api.change_methods import change_method
from trunkline.apis.data_api.lists import titled
from trunkline.apis.data_api.numbers import ENTITY_NOT_FOUND
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    USER_ID,
    Api,
    Envelope,
    Field,
    FieldType,
    Method,
    Param,
    Params,
    ParamType,
    RequestContext,
    Result,
)
from trunkline.apis.jsonrpc.derive import contract_method, override
from trunkline.db.jobs import Jobs
from trunkline.recordings.links import LinkMaker, RecordingKind, base_url

_NUMBER, _STRING, _BOOLEAN = FieldType.NUMBER, FieldType.STRING, FieldType.BOOLEAN
_ARRAY = FieldType.ARRAY
_SESSION = Param(
    "call_session_id", ParamType.NUMBER, required=True, description="Number of the call session."
)


async def _enqueue(request: RequestContext, params: Params) -> dict[str, str]:
    db = request.services.db
    await jobs.enqueue_recognition(db, Jobs(db.dsn), request.account_id, params["call_session_id"])
    return {"success": "true"}


async def _recognition(request: RequestContext, params: Params) -> Result:
    session = params["call_session_id"]
    found = await reading.recognition(
        request.services.db, request.account_id, session, params.get("search_text")
    )
    web = request.services.settings.web
    links = LinkMaker(base_url(web.public_url, web.http_bind, web.http_port))
    return Result(
        {
            "speech_phrases": [
                {
                    "id": row["phrase_id"],
                    "ext_id": None,
                    "speech_id": row["phrase_id"],
                    "phrase": row["phrase"],
                    "start_time": _local(request, row["said_at"]),
                    "is_operator": row["is_operator"],
                    "edited_phrase": None,
                }
                for row in found.phrases
            ],
            "recognition_worker_type": found.transcriber,
            "call_records": [links.of(session, one, RecordingKind.TALK).file for one in found.recordings],
            "call_start_date_time": _local(request, found.start_time),
            "contact_phone_number": found.contact_phone_number,
        }
    )


async def _analysis(request: RequestContext, params: Params) -> Result:
    session = params["call_session_id"]
    rows = await reading.analyses(request.services.db, request.account_id, session)
    return Result({"call_session_id": session, "recordings": [_analysed(row) for row in rows]})


def _analysed(row: dict[str, Any]) -> dict[str, Any]:
    figures = row.pop("figures") or dict.fromkeys(_FIGURE_NAMES)
    return {**row, **figures}


def _local(request: RequestContext, moment: datetime) -> str:
    return f"{moment.astimezone(request.caller.time_zone):%Y-%m-%d %H:%M:%S}"


_SIDE = ("contact", "employee")

_CHANNEL = (
    Field("side", FieldType.ENUM, enum=_SIDE),
    Field("speech_duration", _NUMBER, description="Seconds."),
    Field("speech_ratio", _NUMBER, description="Of the recording, 0 to 1."),
    Field("longest_monologue", _NUMBER, description="Seconds."),
    Field("signal_to_noise", _NUMBER, description="dB within 330-3400 Hz; null without speech."),
    Field("frequency_low", _NUMBER, description="Hz."),
    Field("frequency_high", _NUMBER, description="Hz."),
    Field("level", _NUMBER, description="Loudness of speech, dB below full scale."),
    Field("clipped_ratio", _NUMBER, description="Part of the samples that are clipped, 0 to 1."),
    Field("speech", _ARRAY, description="Spans of speech: beginning and end, seconds."),
)

_FIGURES = (
    Field("duration", _NUMBER, description="Seconds."),
    Field("talk_ratio", _NUMBER, description="The employee's part of what was spoken, 0 to 1."),
    Field("listen_ratio", _NUMBER, description="The contact's part."),
    Field("spoke_first", FieldType.ENUM, enum=_SIDE),
    Field("spoke_last", FieldType.ENUM, enum=_SIDE),
    Field("overlap_count", _NUMBER, description="How often both spoke."),
    Field("overlap_duration", _NUMBER, description="Seconds."),
    Field("silence_count", _NUMBER, description="How often nobody spoke."),
    Field("silence_duration", _NUMBER, description="Seconds."),
    Field("longest_silence", _NUMBER, description="Seconds."),
    Field("channels", _ARRAY, fields=_CHANNEL, description="Left, right."),
)
_FIGURE_NAMES = tuple(field.name for field in _FIGURES)

_RECORDING = (
    Field("recording_id", _STRING),
    Field("status", FieldType.ENUM, enum=("pending", "ready", "failed")),
    Field("failure", _STRING, description="Why there are no figures."),
    *_FIGURES,
    Field(
        "requirements",
        _ARRAY,
        fields=(
            Field("name", _STRING),
            Field("required", _STRING),
            Field("measured", _STRING, description="With its unit; null when it could not be measured."),
            Field("is_met", _BOOLEAN),
        ),
        description="Those of upload.calls for WAV files, one by one.",
    ),
    Field(
        "transcript_status", FieldType.ENUM, enum=("not_asked", "pending", "ready", "unavailable", "failed")
    ),
    Field("transcript_failure", _STRING, description="Why there are no phrases, and what to do."),
    Field("summary", _STRING, description="The most informative phrases."),
)

METHODS = (
    change_method(
        "create.call_session_recognition_task",
        "Has the recordings of a call analysed and what was said written down.",
        _enqueue,
        params=(_SESSION,),
        components=titled(jobs.COMPONENT),
    ),
    contract_method(
        api=Api.DATA,
        name="getobj.call_session_recognition_info",
        summary="What was said in a call.",
        params=(
            ACCESS_TOKEN,
            USER_ID,
            _SESSION,
            override("search_text", items=ParamType.STRING, description="Only phrases with one of these."),
        ),
        result=(
            override(
                "speech_phrases",
                params=(
                    override("ext_id", description="Always null: phrases come from nowhere else."),
                    override("speech_id", description="The same as id."),
                    override("edited_phrase", description="Always null: nothing edits phrases."),
                ),
            ),
            override("recognition_worker_type", description="The transcriber; null: none has run."),
            override("call_records", description="Addresses of the recordings."),
        ),
        components=titled("data_api_base"),
        errors=(ENTITY_NOT_FOUND,),
        complete=True,
        handler=_recognition,
    ),
    Method(
        api=Api.DATA,
        name="getobj.call_analysis",
        summary="Figures of a call's recordings: who spoke when, and how well it can be heard.",
        params=(ACCESS_TOKEN, USER_ID, _SESSION),
        result=(Field("call_session_id", _NUMBER), Field("recordings", _ARRAY, fields=_RECORDING)),
        envelope=Envelope.DATA_OBJECT,
        components=titled(jobs.COMPONENT),
        errors=(ENTITY_NOT_FOUND,),
        complete=True,
        handler=_analysis,
    ),
)
