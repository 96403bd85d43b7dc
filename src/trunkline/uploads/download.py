"""Fetches one recording from a customer's server, which can be slow, faulty or hostile."""

from __future__ import annotations

import asyncio
import errno
import ssl
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

import aiohttp
from yarl import URL

from trunkline.core.pauses import Pauses
from trunkline.core.settings import UploadSettings
from trunkline.outbound import Allowed, ForbiddenAddress, guarded_session
from trunkline.uploads.model import ErrorCode, RecordType, ServerFault, UploadFailed
from trunkline.uploads.storage import CheckSpace

CONTENT_TYPES = {
    RecordType.WAV: frozenset({"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"}),
    RecordType.MP3: frozenset({"audio/mpeg", "audio/mp3", "audio/x-mp3"}),
}

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REDIRECTS_MAX = 5
_CHUNK = 65_536
_CHECK_EVERY = 4_194_304
"""Bytes between two checks whether the disk has space."""
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENETDOWN})
"""Errors of a connection that say nothing of the other side."""

_PAUSED_SECONDS, _PAUSED_PART = 1.0, 0.1
"""Pauses of this process, in seconds and as part of the time limit, from which a broken download is its fault."""

_SETTING = "uploads.allowed_private_networks"


def allowed_by(settings: UploadSettings, closed_ports: Collection[int] = ()) -> Allowed:
    """Where recordings may be fetched from and callbacks may go.

    :param closed_ports: ports on loopback that no request may reach.
    """
    return Allowed(settings.allowed_private_networks, _SETTING, closed_ports)


def open_session(settings: UploadSettings, allowed: Allowed) -> aiohttp.ClientSession:
    """A client session that reaches only what is allowed; to be closed by the caller. Reads the certificates."""
    trust = ssl.create_default_context()
    if settings.trusted_certificates is not None:
        trust.load_verify_locations(settings.trusted_certificates)
    return guarded_session(
        allowed, timeout=aiohttp.ClientTimeout(total=None), trust=trust, auto_decompress=False
    )


class Downloader:
    """Fetches; keeps connections between. Close it at the end.

    :param check_space: called before each few megabytes are written.
    """

    def __init__(
        self,
        settings: UploadSettings,
        closed_ports: Collection[int] = (),
        check_space: CheckSpace = lambda _: None,
    ) -> None:
        self._settings = settings
        self._check_space = check_space
        self._allowed = allowed_by(settings, closed_ports)
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str, kind: RecordType, target: Path, most: int | None = None) -> int:
        """Put what is at a URL into a new file; its bytes.

        :param most: bytes of the file; None: as many as the setting allows.

        A few redirects are followed, each with the same checks. Compressed responses are decompressed only up to the limit.

        :raises UploadFailed: with the code of what went wrong; the file may hold a part then.
        :raises ServerFault: this process was frozen meanwhile, or has no free descriptor, memory or disk.
        :raises OSError: the file cannot be written.
        """
        if self._session is None:
            self._session = open_session(self._settings, self._allowed)
        limit = self._settings.download_timeout
        with Pauses() as pauses:
            try:
                async with asyncio.timeout(limit):
                    address = URL(url, encoded=url.isascii())
                    largest = self._settings.file_max if most is None else most
                    return await self._fetch(address, kind, target, self._session, largest)
            except TimeoutError as error:
                _check_paused(pauses, limit, error)
                raise UploadFailed(
                    ErrorCode.TIMEOUT, f"The recording did not arrive within {limit:g} s."
                ) from None
            except (
                aiohttp.ClientError,
                ssl.SSLError,
                ValueError,
                ForbiddenAddress,
                ConnectionError,
            ) as error:
                if getattr(getattr(error, "os_error", error), "errno", None) in _OURS:
                    raise ServerFault(f"no connection can be opened: {_words(error)}") from error
                _check_paused(pauses, limit, error)
                raise UploadFailed(ErrorCode.CONNECTION, _words(error)) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _fetch(
        self, url: URL, kind: RecordType, target: Path, session: aiohttp.ClientSession, most: int
    ) -> int:
        for _ in range(_REDIRECTS_MAX + 1):
            self._allowed.check_url(url)
            async with session.get(
                url, allow_redirects=False, headers={"Accept-Encoding": "identity"}
            ) as response:
                if response.status not in _REDIRECTS:
                    self._check(response, kind, most)
                    with target.open("xb") as file:
                        return await self._save(response, file, most)
                url = _next(url, response)
        raise UploadFailed(ErrorCode.HTTP_STATUS, f"The server redirects more than {_REDIRECTS_MAX} times.")

    def _check(self, response: aiohttp.ClientResponse, kind: RecordType, most: int) -> None:
        if response.status != 200:
            raise UploadFailed(ErrorCode.HTTP_STATUS, f"The server answered HTTP {response.status}, not 200.")
        if response.content_type not in CONTENT_TYPES[kind]:
            wanted = "audio/wav" if kind is RecordType.WAV else "audio/mpeg"
            raise UploadFailed(
                ErrorCode.CONTENT_TYPE, f"The server sent Content-Type {response.content_type}, not {wanted}."
            )
        if (response.content_length or 0) > most:
            raise _too_large(most)

    async def _save(self, response: aiohttp.ClientResponse, file: BinaryIO, most: int) -> int:
        coding = response.headers.get("Content-Encoding", "identity").lower()
        inflater = None if coding == "identity" else _inflater(coding)
        size = checked = 0
        async for chunk in response.content.iter_chunked(_CHUNK):
            for piece in [chunk] if inflater is None else _inflated(inflater, chunk):
                size += len(piece)
                if size > most:
                    response.close()
                    raise _too_large(most)
                if size >= checked:
                    self._check_space(_CHECK_EVERY)
                    checked = size + _CHECK_EVERY
                file.write(piece)
        if inflater is not None and not inflater.eof:
            raise UploadFailed(ErrorCode.CONNECTION, "The compressed answer ends before its end.")
        return size


def _too_large(most: int) -> UploadFailed:
    return UploadFailed(ErrorCode.FILE_SIZE, f"The recording is larger than {most} bytes.")


def _check_paused(pauses: Pauses, limit: float, error: Exception) -> None:
    """:raises ServerFault: this process did not run for a part of the time."""
    if pauses.seconds > max(_PAUSED_SECONDS, limit * _PAUSED_PART):
        raise ServerFault(f"the process did not run for {pauses.seconds:.1f} s of a download") from error


def _next(url: URL, response: aiohttp.ClientResponse) -> URL:
    """Where a redirect leads: never from HTTPS to less."""
    place = response.headers.get("Location")
    if not place:
        raise UploadFailed(
            ErrorCode.HTTP_STATUS, f"The server answered HTTP {response.status} and no Location."
        )
    following = url.join(URL(place))
    if following.scheme not in ("http", "https") or (url.scheme == "https" and following.scheme == "http"):
        raise UploadFailed(
            ErrorCode.HTTP_STATUS,
            f"The server redirects from {url.scheme} to {following.scheme}: not followed.",
        )
    return following


def _inflater(coding: str) -> zlib._Decompress:
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise UploadFailed(ErrorCode.CONTENT_TYPE, f"The server sent Content-Encoding {coding}; send none.")
    return zlib.decompressobj(zlib.MAX_WBITS | 32)


def _inflated(inflater: zlib._Decompress, chunk: bytes) -> Iterator[bytes]:
    """Piece by piece, so that a few bytes never become gigabytes in memory."""
    try:
        while chunk:
            yield inflater.decompress(chunk, _CHUNK)
            chunk = inflater.unconsumed_tail
    except zlib.error as error:
        raise UploadFailed(ErrorCode.CONNECTION, "The compressed answer cannot be inflated.") from error


def _words(error: Exception) -> str:
    """The reason, not the client library's wrapping of it."""
    inner: BaseException = getattr(error, "os_error", None) or error
    return f"The server cannot be reached: {str(inner) or type(inner).__name__}"[:300]
