"""Scripts of others for pages in browsers, fetched from the npm registry when the product is set up.

The digests are fixed (:mod:`trunkline.core.assets`): of each archive and of each file that is made of them. They decide
what is taken, not the connection. The folder appears by one rename and may be deleted at any time: it is fetched again.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import io
import shutil
import ssl
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from trunkline.core.assets import AssetFile, AssetLock, AssetPackage, asset_lock
from trunkline.core.errors import SetupError
from trunkline.core.settings import Settings
from trunkline.runtime.asset_bundle import bundle
from trunkline.runtime.progress import Progress, Step, silent

REGISTRY = "https://registry.npmjs.org/"
_ATTEMPTS = 4
_TIMEOUT = 30.0
_ARCHIVE_MAX = 40_000_000
"""Bytes; the largest has 0.4 million."""


def ensure(settings: Settings, progress: Progress = silent, lock: AssetLock | None = None) -> Path:
    """The folder with the files of the lock file, fetched first if need be (1 MB).

    :param lock: default: that of this version.
    :raises SetupError: what is missing, and the remedy.
    """
    wanted = lock or asset_lock()
    place = settings.assets_dir
    if is_complete(place, wanted):
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name("assets.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not is_complete(place, wanted):
            _fetch(settings, wanted, place, progress)
    return place


def is_complete(place: Path, lock: AssetLock) -> bool:
    """Whether the folder has each file, with its digest."""
    try:
        return all(_sha384((place / name).read_bytes()) == one.sha384 for name, one in lock.files.items())
    except OSError:
        return False


def _fetch(settings: Settings, lock: AssetLock, place: Path, progress: Progress) -> None:
    registry = settings.web.asset_registry or REGISTRY
    contents: dict[str, dict[str, bytes]] = {}
    for count, package in enumerate(lock.packages.values()):
        progress(Step("fetching scripts of pages", count, len(lock.packages), "packages"))
        contents[package.name] = _unpacked(_archive(package, registry))
    partial = place.with_name("assets.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for name, file in lock.files.items():
        made = _made(file, lock, contents)
        if (digest := _sha384(made)) != file.sha384:
            raise SetupError(f"{name} has the SHA-384 digest {digest}, and assets.toml has {file.sha384!r}")
        (partial / name).write_bytes(made)
    shutil.rmtree(place, ignore_errors=True)
    partial.rename(place)
    progress(Step("fetching scripts of pages", len(lock.packages), len(lock.packages), "packages"))


def _made(file: AssetFile, lock: AssetLock, contents: dict[str, dict[str, bytes]]) -> bytes:
    def read(path: str) -> bytes | None:
        for name, files in contents.items():
            if path.startswith(f"{name}/"):
                return files.get(path.removeprefix(f"{name}/"))
        return None

    if not file.is_bundle:
        found = read(file.source)
        if found is None:
            raise SetupError(f"the packages of assets.toml have no file {file.source}")
        return found
    mains = {one.name: one.main for one in lock.packages.values() if one.main}
    own = {file.source.partition("/")[0], *mains}
    notices = [
        f"{one.name} {one.version} ({one.license})\n{_licence(contents[one.name])}"
        for name, one in lock.packages.items()
        if name in own
    ]

    def text(path: str) -> str | None:
        found = read(path)
        return None if found is None else found.decode()

    return bundle(file.source, text, mains, notices).encode()


def _licence(files: dict[str, bytes]) -> str:
    names = sorted(name for name in files if name.lower().partition(".")[0] in ("license", "licence"))
    return files[names[0]].decode() if names else ""


def _archive(package: AssetPackage, registry: str) -> bytes:
    address = registry.rstrip("/") + "/" + package.path
    archive = _download(address)
    digest = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if digest != package.integrity:
        raise SetupError(
            f"{address} has the digest {digest}, but this version of Trunkline was tested with {package.integrity}; nothing"
            " was installed. Run the same command again; if the digest still differs, do not use this registry: set"
            " web.asset_registry to another one"
        )
    return archive


def _download(address: str) -> bytes:
    failure: Exception | None = None
    # The digest is compared, so a machine without root certificates needs none.
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(2 ** (attempt - 1))
        try:
            with urllib.request.urlopen(address, timeout=_TIMEOUT, context=unverified) as response:  # noqa: S310 - a setting
                return bytes(response.read(_ARCHIVE_MAX))
        except urllib.error.HTTPError as error:
            failure = error
            if error.code < 500:
                break
        except (OSError, ValueError) as error:
            failure = error
    raise SetupError(
        f"{address} cannot be fetched ({failure}); check the network (https_proxy is used when set), or set"
        " web.asset_registry to another npm registry, then run the same command again"
    )


def _unpacked(archive: bytes) -> dict[str, bytes]:
    """Path to content; each path of an npm archive begins with one folder."""
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        for member in opened:
            extracted = opened.extractfile(member) if member.isfile() else None
            if extracted is not None:
                files[member.name.partition("/")[2]] = extracted.read()
    return files


def _sha384(content: bytes) -> str:
    return base64.b64encode(hashlib.sha384(content).digest()).decode()
