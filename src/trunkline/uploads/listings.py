"""What can be read of uploads: ``get.uploaded_calls`` and the user fields of offline messages.

Behaviour that the reference leaves open: of an ``ext_id`` that was uploaded again after a failure, the newest upload is
shown; ``call_session_id`` is null until the call is processed; ``error_message``, which only callbacks have in the
reference, is served as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.contract.columns import field, listed, optional_field
from trunkline.db.query import Column, ColumnType, Listing, Page
from trunkline.db.query.columns import (
    nested,
    string,
)
from trunkline.reports.reader import Reader
from trunkline.uploads.model import Channel, ErrorCode, UploadStatus

_NUMBER = ColumnType.NUMBER
_STRING = ColumnType.STRING
_ALL = "filter sort default"

_RECORDS = (
    "(select jsonb_agg(r.item - 'recording_id' order by r.place)"
    " from jsonb_array_elements(u.records) with ordinality as r(item, place))"
)

UPLOADED_CALLS = Listing(
    name="uploaded_calls",
    table="uploaded_calls u",
    where="u.account_id = %(account_id)s",
    order="u.upload_time, u.uploaded_call_id",
    columns=listed(
        "get.uploaded_calls",
        field("ext_id", "u.ext_id"),
        field("ext_request_id", "u.ext_request_id"),
        field("upload_time", "u.upload_time"),
        field("direction", "u.direction"),
        field("calling_phone_number", "u.calling_phone_number"),
        field("called_phone_number", "u.called_phone_number"),
        field("start_time", "u.start_time"),
        field("finish_time", "u.finish_time"),
        field("is_lost", "u.is_lost"),
        field("is_transfer", "u.is_transfer"),
        field("wait_duration", "u.wait_duration"),
        field("talk_duration", "u.talk_duration"),
        field("visitor_session_id", "u.visitor_session_id"),
        field("campaign_id", "u.campaign_id"),
        field("source_id", "u.source_id"),
        field("site_id", "u.site_id"),
        optional_field("comment", "u.comment"),
        field("record_type", "u.record_type"),
        field("status", "u.status"),
        field("error_code", "u.error_code", enum=tuple(ErrorCode)),
        string("error_message", "u.error_message"),
        field("call_session_id", "case u.status when 'processed' then u.session_id end"),
        field(
            "callback",
            "u.callback",
            nested=nested(url=_STRING, events=Column("", ColumnType.ARRAY, enum=tuple(UploadStatus))),
        ),
        field("tags", "u.tags", nested=nested(tag_id=_NUMBER, tag_name=_STRING)),
        field(
            "records",
            _RECORDS,
            nested=nested(
                employee_name=_STRING,
                employee_id=_NUMBER,
                employee_channel=Column("", ColumnType.ENUM, enum=tuple(Channel)),
                record_url=_STRING,
            ),
        ),
    ),
)

_UPLOADED_IN = "u.upload_time >= %(period_start)s and u.upload_time < %(period_end)s"

USER_FIELDS = Listing(
    name="offline_message_user_fields",
    table="offline_message_user_fields f",
    where="f.account_id = %(account_id)s",
    order="f.created_at, f.ext_id",
    columns=listed(
        "get.offline_message_user_fields",
        field("ext_id", "f.ext_id"),
        field("name", "f.name"),
        field("data_type", "f.data_type"),
    ),
)


async def uploaded_calls(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of uploaded calls; ``date_from`` and ``date_till`` are of the upload."""
    return await reader.report(UPLOADED_CALLS, params, _UPLOADED_IN)
