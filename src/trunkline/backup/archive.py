"""The file of a backup: a tar archive that is written and read as a stream.

::

    manifest.json           format, version, revision of the schema, fingerprint of the master key
    database/00000000, ...  the custom format of pg_dump in chunks, because a tar archive needs the size of a member first
    spool/, recordings/, media/, certificates/
    settings.encrypted      settings that differ from the defaults, as TOML
    complete.json           number of members and digest of all

Only an archive with a correct last member is complete. The private key of the certificate and the settings are encrypted
with the master key of the installation, which is not in the archive.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Protocol, Self, cast

from trunkline.core.errors import ConfigurationError

FORMAT = 1
"""Of the archive; a program reads those up to its own."""

MANIFEST, COMPLETE = "manifest.json", "complete.json"
DATABASE = "database/"
SETTINGS = "settings.encrypted"
CERTIFICATES = "certificates/"
ENCRYPTED = ".encrypted"
FOLDERS = ("spool", "recordings", "media", "certificates")
"""Folders of the data folder that an archive has, in the order in which they are written."""

_CHUNK = 1 << 20
_DATABASE_CHUNK = 4 << 20
"""Bytes."""


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class Manifest:
    """What a reader must know first.

    :ivar revision: number of the newest migration of the database.
    :ivar key_fingerprint: of the master key that the secrets in the archive are encrypted with.
    :ivar created_at: ISO 8601, UTC.
    """

    format: int
    version: str
    revision: str
    key_fingerprint: str
    created_at: str


def fingerprint(master_key: bytes) -> str:
    """Shows whether a key is the one of an archive. The key has 256 random bits, so nobody can guess it from this."""
    return hashlib.sha256(b"trunkline backup key\n" + master_key.strip()).hexdigest()[:32]


class Writer:
    """Appends members to an archive."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._tar: Any = tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - see finish
        self._digest = hashlib.sha256()
        self.members = 0

    def add_bytes(self, name: str, content: bytes) -> None:
        """Append a member."""
        self._add(name, len(content), io.BytesIO(content), 0)

    def add_manifest(self, manifest: Manifest) -> None:
        """Append the first member."""
        self.add_bytes(MANIFEST, json.dumps(asdict(manifest), indent=1).encode())

    def add_chunks(self, prefix: str, stream: IO[bytes]) -> int:
        """Append a stream of unknown length as numbered members; returns its bytes."""
        total = number = 0
        while chunk := stream.read(_DATABASE_CHUNK):
            self.add_bytes(f"{prefix}{number:08}", chunk)
            number += 1
            total += len(chunk)
        return total

    def add_file(self, name: str, path: Path) -> int:
        """Append a regular file with the size that it has now; returns its bytes. One that was removed is left out."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return 0
        with file:
            status = os.fstat(file.fileno())
            self._add(name, status.st_size, _Exactly(file, status.st_size), int(status.st_mtime))
            return status.st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            # The file is incomplete and is removed. At its own end, tarfile would write to the closed stream.
            self._tar.fileobj.closed = True

    def finish(self) -> None:
        """Append the member that makes the archive complete."""
        content = json.dumps({"members": self.members, "sha256": self._digest.hexdigest()}).encode()
        self._put(COMPLETE, len(content), io.BytesIO(content), 0)
        self._tar.close()

    def _add(self, name: str, size: int, stream: Readable, changed: int) -> None:
        self._digest.update(_head(name, size))
        self.members += 1
        self._put(name, size, _Digesting(stream, self._digest.update), changed)

    def _put(self, name: str, size: int, stream: Readable, changed: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = size, 0o600, changed
        self._tar.addfile(member, stream)
        self._tar.members.clear()  # it would keep all of them in memory


class _Digesting(io.RawIOBase):
    """Passes a stream on, with all its bytes to a digest."""

    def __init__(self, stream: Readable, update: Callable[[bytes], object]) -> None:
        self._stream = stream
        self._update = update

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        self._update(chunk)
        return chunk


class _Exactly(io.RawIOBase):
    """A number of bytes of a file that may change its length meanwhile; zeros where it became shorter."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        chunk = self._stream.read(wanted).ljust(wanted, b"\0")
        self._left -= wanted
        return chunk


def _head(name: str, size: int) -> bytes:
    return f"{name}\n{size}\n".encode()


def members(path: Path) -> Iterator[tuple[str, int, Readable]]:
    """Name, size and content of each member but the last, in the order of the archive.

    A content must be read before the next member is taken; what the reader leaves is skipped.

    :raises ConfigurationError: it is not a complete and unchanged archive. Raised when this is found, so read it all with
        :func:`verify` before you act on it.
    """
    digest, count = hashlib.sha256(), 0
    try:
        with tarfile.open(path, mode="r|") as tar:
            while (member := tar.next()) is not None:
                cast(Any, tar).members.clear()  # it would keep all of them in memory
                stream = tar.extractfile(member) if member.isreg() else None
                if stream is None:
                    raise _damaged(path, f"{member.name} is not a file")
                if member.name == COMPLETE:
                    if json.loads(stream.read()) != {"members": count, "sha256": digest.hexdigest()}:
                        raise _damaged(path, "its content does not match its digest")
                    return
                digest.update(_head(member.name, member.size))
                count += 1
                reader = _Digesting(stream, digest.update)
                yield member.name, member.size, reader
                while reader.read(_CHUNK):
                    pass
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    except FileNotFoundError as error:
        raise ConfigurationError(f"there is no file {path}") from error
    raise _damaged(path, "its end is missing")


def _damaged(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is not a complete backup ({why}); use another backup. Nothing was changed"
    )


def verify(path: Path) -> Manifest:
    """Read the whole archive and return its first member.

    :raises ConfigurationError: it is incomplete or damaged, or has a newer format.
    """
    manifest: Manifest | None = None
    for name, _, stream in members(path):
        if manifest is None:
            if name != MANIFEST:
                raise _damaged(path, "it has no manifest")
            values = json.loads(stream.read())
            if values.get("format", 0) > FORMAT:
                raise ConfigurationError(
                    f"{path} was made by Trunkline {values.get('version')} in a format that this version cannot read; "
                    "install that version or a newer one"
                )
            manifest = Manifest(**values)
        elif not _is_known(name):
            raise _damaged(path, f"unexpected member {name}")
    if manifest is None:
        raise _damaged(path, "it is empty")
    return manifest


def _is_known(name: str) -> bool:
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return False
    return name == SETTINGS or (len(parts) > 1 and parts[0] in (*FOLDERS, DATABASE.rstrip("/")))


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file (mode 0600) that has its name only when the block has ended without an error and all is on the disk.

    Until then it is ``.NAME.partial`` in the same folder; one that a killed process left is overwritten.

    :raises ConfigurationError: another process writes the same file now, or the folder does not permit it.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}); name another file") from error
    with os.fdopen(descriptor, "wb", buffering=_CHUNK) as file:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The process that held the lock may have renamed the file, or removed it.
            if not partial.exists() or partial.stat().st_ino != os.fstat(descriptor).st_ino:
                raise BlockingIOError
        except BlockingIOError:
            raise ConfigurationError(f"another backup to {path} runs at present; wait for its end") from None
        try:
            os.fchmod(descriptor, 0o600)
            os.ftruncate(descriptor, 0)
            yield file
            file.flush()
            os.fsync(descriptor)
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    folder = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
