"""Recordings of calls (``/api/cdr/recordings``)."""

from __future__ import annotations

from trunkline.accounts.permissions import READ_REPORTS
from trunkline.apis.call_center.declaration import Arguments, FileOfAnswer, Operation, file, text
from trunkline.apis.service.request_context import RequestContext
from trunkline.core.call_uuids import identifier_of
from trunkline.core.errors import NotFound
from trunkline.recordings.library import Library

_MP3 = "audio/mpeg"


async def _recording(request: RequestContext, args: Arguments) -> FileOfAnswer:
    uuid = args.path["uuid"]
    identifier = identifier_of(uuid)
    library = Library(request.services.db, request.services.settings.recordings_dir)
    found = None if identifier is None else await library.find_of_call(request.account_id, identifier)
    if found is None or found.mp3 is None or not found.mp3.is_file():
        raise NotFound(
            f"There is no recording of a call {uuid}: it was not recorded, is not ready yet, or was deleted.",
            field="uuid",
            value=uuid,
        )
    return FileOfAnswer(found.mp3, _MP3, f"{uuid}.mp3")


OPERATIONS = (
    Operation(
        "GET",
        "/api/cdr/recordings/{uuid}.mp3",
        "The recording of a call; a part of it with Range.",
        _recording,
        READ_REPORTS,
        path_fields=(
            text("uuid", "UUID of the call, as originate and active_calls have it.", required=True),
        ),
        answer=file(_MP3),
    ),
)
