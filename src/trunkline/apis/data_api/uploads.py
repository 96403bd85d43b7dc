"""Uploaded calls: ``upload.calls``, ``get.uploaded_calls``."""

from __future__ import annotations

from typing import Any

import orjson

from trunkline.apis.data_api.change_methods import change_method
from trunkline.apis.data_api.lists import PERIOD, list_method, titled
from trunkline.apis.jsonrpc import (
    Envelope,
    Field,
    FieldType,
    Param,
    Params,
    ParamType,
    RequestContext,
)
from trunkline.core.errors import LimitExceeded
from trunkline.db.jobs import Jobs
from trunkline.uploads.accept import Batch, accept_calls
from trunkline.uploads.checks import REQUEST_MAX
from trunkline.uploads.listings import UPLOADED_CALLS, uploaded_calls
from trunkline.uploads.model import CALLBACK_EVENTS, Channel

_STRING, _NUMBER, _BOOLEAN = ParamType.STRING, ParamType.NUMBER, ParamType.BOOLEAN
_DAY = 86_400
_TEXT_MAX = 4000

_RECORD = (
    Param("employee_id", _NUMBER),
    Param("record_url", _STRING, required=True, description="Where the recording can be fetched."),
)

_CALL = (
    Param("ext_id", _STRING, required=True, maximum=255, description="The call's id in the other system."),
    Param("direction", ParamType.ENUM, enum=("in", "out"), default="in"),
    Param(
        "calling_phone_number", _STRING, required=True, blank=True, description="E.164; empty: hidden (in)."
    ),
    Param(
        "called_phone_number", _STRING, required=True, blank=True, description="E.164; may be empty (out)."
    ),
    Param("start_time", ParamType.ISO8601, required=True),
    Param("finish_time", ParamType.ISO8601, required=True),
    Param("is_lost", _BOOLEAN, required=True),
    Param("is_transfer", _BOOLEAN, default=False),
    Param(
        "wait_duration", _NUMBER, minimum=0, maximum=_DAY, description="Seconds until an employee answered."
    ),
    Param("talk_duration", _NUMBER, minimum=0, maximum=_DAY, description="Seconds of all talks."),
    Param("visitor_session_id", _NUMBER),
    Param("campaign_id", _NUMBER, description="Does not count beside visitor_session_id."),
    Param("source_id", _NUMBER),
    Param("site_id", _NUMBER, description="Does not count beside visitor_session_id."),
    Param("comment", _STRING, maximum=_TEXT_MAX),
    Param(
        "callback",
        ParamType.OBJECT,
        params=(
            Param("url", _STRING, required=True),
            Param("events", ParamType.ARRAY, required=True, items=_STRING, enum=tuple(CALLBACK_EVENTS)),
        ),
    ),
    Param(
        "tags",
        ParamType.ARRAY,
        params=(
            Param("tag_id", _NUMBER),
            Param("tag_name", _STRING, required=True, unless=("tag_id",), maximum=255),
        ),
    ),
    Param(
        "wav_records",
        ParamType.ARRAY,
        params=(
            *_RECORD,
            Param("employee_name", _STRING, required=True, unless=("employee_id",)),
            Param("employee_channel", ParamType.ENUM, required=True, enum=tuple(Channel)),
        ),
        description="Stereo, for speech analytics.",
    ),
    Param("mp3_records", ParamType.ARRAY, params=(*_RECORD, Param("employee_name", _STRING))),
)


def check_size(sent: Any, field: str) -> None:
    """Refuse a request whose JSON is too large.

    :raises LimitExceeded: mnemonic ``data_limit_exceeded``.
    """
    if len(orjson.dumps(sent)) > REQUEST_MAX:
        raise LimitExceeded(
            "the request is too large: send fewer at once",
            mnemonic="data_limit_exceeded",
            field=field,
            params={"limit": REQUEST_MAX},
        )


async def _upload(request: RequestContext, params: Params) -> dict[str, bool]:
    check_size(params["calls"], "calls")
    db = request.services.db
    await accept_calls(
        db,
        Jobs(db.dsn),
        Batch(
            account_id=request.account_id,
            zone=request.caller.time_zone,
            components=request.caller.components,
            request_id=str(request.request_id),
            calls=params["calls"],
        ),
    )
    return {"success": True}


_CONTRACT_OVERRIDES = {
    "tags.tag_id": "tag_id",
    "records.employee_name": "employee_name",
    "records.employee_id": "employee_id",
    "records.employee_channel": "employee_channel",
    "records.record_url": "record_url",
}

METHODS = (
    change_method(
        "upload.calls",
        "Takes calls of another system, with their recordings.",
        _upload,
        params=(Param("calls", ParamType.ARRAY, required=True, params=_CALL, description="At most 50."),),
        result=(Field("success", FieldType.BOOLEAN),),
        envelope=Envelope.DATA_OBJECT,
        components=titled("upload_calls"),
        weight=5,
    ),
    list_method(
        "get.uploaded_calls",
        "What became of uploaded calls.",
        UPLOADED_CALLS,
        read=uploaded_calls,
        params=PERIOD,
        contract_overrides=_CONTRACT_OVERRIDES,
    ),
)
