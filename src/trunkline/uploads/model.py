"""Types of uploaded calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum


class UploadStatus(StrEnum):
    NEW = "new"
    """Accepted, waiting for a worker."""
    IN_PROCESS = "in_process"
    NOT_PROCESSED = "not_processed"
    CANCELLED = "cancelled"
    PROCESSED = "processed"
    """It is a call session with playable recordings."""
    ERROR = "error"
    """It failed; the same ``ext_id`` may be uploaded again, see :data:`MAX_FAILURES`."""


CALLBACK_EVENTS = (UploadStatus.PROCESSED, UploadStatus.IN_PROCESS, UploadStatus.ERROR)
"""Events of callbacks."""

MAX_FAILURES = 3
"""Failed uploads of an ``ext_id`` after which it is not taken any more."""


MAX_DECODER_FAULTS = 8
"""Attempts of one upload at which the decoder ended without a result, after which the recording is at fault."""


class ErrorCode(StrEnum):
    """Why an upload failed. The two pages of the reference differ; this is what either has."""

    INTERNAL = "internal_error"
    DOWNLOAD = "download_error"
    CONNECTION = "connection_download_error"
    HTTP_STATUS = "http_status_download_error"
    CONTENT_TYPE = "http_content_type_download_error"
    FILE_SIZE = "max_file_size_download_error"
    TIMEOUT = "timeout_download_error"
    DECODE = "decode_error"
    PROCESSING = "processing_error"
    WAV_DURATION = "wav_min_duration_processing_error"
    WAV_CHANNELS = "wav_channels_processing_error"
    WAV_PROCESSING = "wav_processing_error"


class UploadFailed(Exception):  # noqa: N818 - a result that is returned to the client
    """An uploaded call that cannot become a call session; ``message`` is what its uploader reads."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class ServerFault(Exception):  # noqa: N818 - the upload is not at fault
    """This installation could not do its part: a frozen process, a missing folder, a full disk.

    The call stays in process and is tried again."""


class DecoderFault(ServerFault):
    """The decoder ended at a recording, and it is not known whether the recording caused it.

    After :data:`MAX_DECODER_FAULTS` of them the recording did.

    :ivar code: of the error that the call has then.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class RecordType(StrEnum):
    WAV = "wav"
    """For speech analytics: stereo, who is on which channel is known; an MP3 is made of it."""
    MP3 = "mp3"
    """For playback."""


class Channel(StrEnum):
    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Record:
    """One recording of a call, and its speaker. Either both of the employee are unknown, or the name is known."""

    url: str
    recording_id: str
    employee_id: int | None = None
    employee_name: str | None = None
    employee_channel: Channel | None = None
    """WAV only."""


@dataclass(frozen=True, slots=True)
class UploadedCall:
    """A call as it was uploaded. Durations in whole seconds, as sent."""

    account_id: int
    uploaded_call_id: int
    session_id: int
    ext_id: str
    direction: str
    calling_phone_number: str
    called_phone_number: str
    start_time: datetime
    finish_time: datetime
    is_lost: bool
    is_transfer: bool
    wait_duration: int | None
    talk_duration: int | None
    visitor_session_id: int | None
    campaign_id: int | None
    source_id: int | None
    site_id: int | None
    comment: str | None
    tags: Sequence[dict[str, object]]
    """``{"tag_id", "tag_name"}``; a tag without id is found by its name, or made."""
    record_type: RecordType | None
    records: Sequence[Record]

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Columns of ``uploaded_calls`` that are fields without conversion: all but the recordings."""
        return tuple(one.name for one in fields(cls) if one.name not in ("record_type", "records"))

    @property
    def contact_phone_number(self) -> str | None:
        """The other side's number; None when it was hidden."""
        number = self.calling_phone_number if self.direction == "in" else self.called_phone_number
        return number or None

    @property
    def our_phone_number(self) -> str | None:
        number = self.called_phone_number if self.direction == "in" else self.calling_phone_number
        return number or None
