"""Scripts of others for pages in browsers: their packages, versions and digests, from ``assets.toml``. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_LOCK = Path(__file__).with_name("assets.toml")


@dataclass(frozen=True, slots=True)
class AssetPackage:
    """A package of the npm registry.

    :ivar main: path of the module that is meant by the package's name, "" when nothing requires it by name.
    :ivar integrity: of its archive: ``sha512-`` and the digest in base64.
    """

    name: str
    version: str
    license: str
    integrity: str
    main: str = ""

    @property
    def path(self) -> str:
        """Of the archive below the address of a registry."""
        return f"{self.name}/-/{self.name.rpartition('/')[2]}-{self.version}.tgz"


@dataclass(frozen=True, slots=True)
class AssetFile:
    """A file that pages load.

    :ivar source: ``PACKAGE/PATH``.
    :ivar is_bundle: whether it is a module with everything that ``source`` requires, not a copy.
    :ivar sha384: base64.
    """

    name: str
    source: str
    is_bundle: bool
    sha384: str

    @property
    def integrity(self) -> str:
        """For the attribute ``integrity`` of a script."""
        return f"sha384-{self.sha384}"


@dataclass(frozen=True, slots=True)
class AssetLock:
    """:ivar packages: by name.
    :ivar files: by name.
    """

    packages: Mapping[str, AssetPackage]
    files: Mapping[str, AssetFile]


@cache
def asset_lock() -> AssetLock:
    """The lock file of this version."""
    content = tomllib.loads(_LOCK.read_text())
    packages = [AssetPackage(**one) for one in content["packages"].values()]
    files = [
        AssetFile(name, one.get("from") or one["entry"], "entry" in one, one["sha384"])
        for name, one in content["files"].items()
    ]
    return AssetLock({one.name: one for one in packages}, {one.name: one for one in files})
