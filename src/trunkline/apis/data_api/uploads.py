"""Uploaded calls: ``upload.calls``, ``get.uploaded_calls``."""

from __future__ import annotations

from typing import Any

import orjson

from trunkline.apis.data_api.change_methods import change_method
from trunkline.apis.data_api.lists import PERIOD, list_method, titled
from trunkline.apis.jsonrpc import (
    Params,
    ParamType,
    RequestContext,
)
from trunkline.apis.jsonrpc.derive import override
from trunkline.core.errors import LimitExceeded
from trunkline.db.jobs import Jobs
from trunkline.uploads.accept import Batch, accept_calls
from trunkline.uploads.checks import REQUEST_MAX
from trunkline.uploads.listings import UPLOADED_CALLS, uploaded_calls
from trunkline.uploads.storage import Quota

_STRING, _NUMBER, _BOOLEAN = ParamType.STRING, ParamType.NUMBER, ParamType.BOOLEAN
_DAY = 86_400
_TEXT_MAX = 4000

_RECORD = (override("record_url", description="Where the recording can be fetched."),)

_CALL = (
    override("ext_id", maximum=255, description="The call's id in the other system."),
    override("direction", default="in"),
    override("calling_phone_number", blank=True, description="E.164; empty: hidden (in)."),
    override("called_phone_number", blank=True, description="E.164; may be empty (out)."),
    override("is_transfer", default=False),
    override("wait_duration", minimum=0, maximum=_DAY, description="Seconds until an employee answered."),
    override("talk_duration", minimum=0, maximum=_DAY, description="Seconds of all talks."),
    override("campaign_id", description="Does not count beside visitor_session_id."),
    override("site_id", description="Does not count beside visitor_session_id."),
    override("comment", maximum=_TEXT_MAX),
    override(
        "callback",
        params=(override("events", items=_STRING),),
    ),
    override(
        "tags",
        params=(override("tag_name", unless=("tag_id",), maximum=255),),
    ),
    override(
        "wav_records",
        params=(
            *_RECORD,
            override("employee_name", unless=("employee_id",)),
        ),
        description="Stereo, for speech analytics.",
    ),
    override("mp3_records", params=(*_RECORD,)),
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
            quota=Quota.of(request.services.settings),
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
        params=(override("calls", params=_CALL, description="At most 50."),),
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
