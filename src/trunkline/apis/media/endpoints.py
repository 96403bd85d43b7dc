"""Recordings and media files over HTTP, under the addresses that lists, reports and notifications give.

::

    GET /system/media/talk/{communication_id}/{recording_id}/          MP3
    GET /system/media/talk/{communication_id}/{recording_id}.mp3       the same; so is voice_mail
    GET /system/media/wav/{communication_id}/{recording_id}/           WAV
    GET /system/media/voice_mail/{communication_id}/{recording_id}/    MP3 of a message
    GET /media/{communication_id}/{recording_id}                       MP3, never with a token
    GET /system/media/file/{media_file_id}/                            WAV of a media file, always with a token

While ``open_recording_links`` of the account is on, the address of a recording is enough: its id is 256 random bits.
While it is off, and whenever a request has a token, the token decides. A token is a key or session of the recording's
account: parameter ``access_token``, ``Authorization: Bearer`` or the console's cookie (which may be an expired one, so it
does not count while links are open); its address must be on the allow-list, and its user needs the permission
``reports: select`` for recordings, ``configuration: select`` for media files. Every refusal is 404 for every reason.
``HEAD`` and ``Range`` are supported; ``?download=1`` saves instead of playing.
"""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from trunkline.accounts.model import Api, Caller, CallerKind
from trunkline.accounts.permissions import READ_CONFIGURATION, READ_REPORTS, Permission
from trunkline.accounts.service import Accounts
from trunkline.apis.address import AddressOf
from trunkline.apis.request_share import CHECK, SESSION_COOKIE, token_of
from trunkline.core.errors import Refused
from trunkline.directory.media.listing import PATH, MediaFiles
from trunkline.recordings.library import Found, Library
from trunkline.recordings.links import RecordingKind

_TYPES = {".mp3": "audio/mpeg", ".wav": "audio/wav"}

_KEY = r"{communication_id:\d{1,18}}/{recording_id}"


def routes(
    library: Library, media_files: MediaFiles, accounts: Accounts, address_of: AddressOf
) -> list[web.RouteDef]:
    """The routes, for the application of the web role."""
    endpoint = _MediaEndpoints(library, media_files, accounts, address_of)
    guarded = {"talk": endpoint.talk, "wav": endpoint.wav, "voice_mail": endpoint.voice_mail}
    found = [web.get(f"/media/{_KEY}{slash}", endpoint.full) for slash in ("", "/")]
    named = _KEY.replace("{recording_id}", "{recording_id:[0-9a-f]{64}}")
    found += [web.get(f"/system/media/{name}/{named}.mp3", guarded[name]) for name in ("talk", "voice_mail")]
    for name, handler in guarded.items():
        found += [web.get(f"/system/media/{name}/{_KEY}{slash}", handler) for slash in ("", "/")]
    file = PATH + r"{media_file_id:\d{1,18}}"
    found += [web.get(file + slash, endpoint.media_file) for slash in ("", "/")]
    return found


class _MediaEndpoints:
    def __init__(
        self, library: Library, media_files: MediaFiles, accounts: Accounts, address_of: AddressOf
    ) -> None:
        self._library = library
        self._media_files = media_files
        self._accounts = accounts
        self._address_of = address_of

    async def talk(self, request: web.Request) -> web.StreamResponse:
        found = await self._permitted(request)
        return _send(
            request, f"call-{found.call_session_id}", found.mp3 if found.kind is RecordingKind.TALK else None
        )

    async def wav(self, request: web.Request) -> web.StreamResponse:
        found = await self._permitted(request)
        return _send(request, f"call-{found.call_session_id}", found.wav)

    async def voice_mail(self, request: web.Request) -> web.StreamResponse:
        found = await self._permitted(request)
        return _send(
            request,
            f"call-{found.call_session_id}",
            found.mp3 if found.kind is RecordingKind.VOICE_MAIL else None,
        )

    async def media_file(self, request: web.Request) -> web.StreamResponse:
        media_file_id = int(request.match_info["media_file_id"])
        async with request[CHECK]:
            account_id = await self._account_of(request, READ_CONFIGURATION)
            if account_id is None:
                raise _nothing()
            path = await self._media_files.find(account_id, media_file_id)
        return _send(request, f"media-{media_file_id}", path)

    async def full(self, request: web.Request) -> web.StreamResponse:
        async with request[CHECK]:
            found = await self._find(request)
        if found is None or not found.is_open:
            raise _nothing()
        return _send(request, f"call-{found.call_session_id}", found.mp3)

    async def _permitted(self, request: web.Request) -> Found:
        async with request[CHECK]:
            return await self._permitted_now(request)

    async def _permitted_now(self, request: web.Request) -> Found:
        found = await self._find(request)
        if found is not None and found.is_open and not token_of(request):
            return found
        account_id = await self._account_of(request, READ_REPORTS)
        if account_id is None or found is None or found.account_id != account_id:
            raise _nothing()
        return found

    async def _find(self, request: web.Request) -> Found | None:
        key = request.match_info
        return await self._library.find(int(key["communication_id"]), key["recording_id"])

    async def _account_of(self, request: web.Request, needed: Permission) -> int | None:
        """The account whose key or session the request carries, when it comes from an allowed address and its user
        has the permission."""
        token = _token_of(request)
        if not token:
            return None
        address = self._address_of(request)
        for api in (Api.DATA_API, Api.CALL_API, Api.CONSOLE):
            try:
                caller = await self._accounts.authenticate(token, api)
                if not _may_use(caller, api):
                    continue
                self._accounts.check_address(caller, address)
            except Refused:
                continue
            request[CHECK].identified(caller.account_id)
            if caller.may(*needed):
                return caller.account_id
        return None


def _may_use(caller: Caller, api: Api) -> bool:
    if api is Api.DATA_API:
        return caller.data_api_enabled
    if api is Api.CALL_API:
        return caller.call_api_enabled
    return caller.kind is CallerKind.SESSION  # keys are for the APIs


def _token_of(request: web.Request) -> str | None:
    return token_of(request) or request.cookies.get(SESSION_COOKIE)


def _send(request: web.Request, name: str, path: Path | None) -> web.StreamResponse:
    if path is None or not path.is_file():
        raise _nothing()
    disposition = "attachment" if request.query.get("download") else "inline"
    return web.FileResponse(
        path,
        headers={
            "Content-Type": _TYPES[path.suffix],
            "Content-Disposition": f'{disposition}; filename="{name}{path.suffix}"',
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, max-age=3600",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _nothing() -> web.HTTPNotFound:
    return web.HTTPNotFound(text="Not found")
