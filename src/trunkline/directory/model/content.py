"""What calls play and mark: media files, tags, contacts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

SYSTEM_ACCOUNT_ID = 0
"""Owner of the media files that all accounts share."""


class MediaKind(StrEnum):
    SYSTEM = "system"
    USER = "user"


@dataclass(frozen=True, slots=True)
class MediaFile:
    media_file_id: int
    key: str
    name: str
    kind: MediaKind
    path: Path
    """Absolute, without extension, as the engine requires it; the file is ``path`` + ``.wav``."""
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Tag:
    tag_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Contact:
    contact_id: int
    full_name: str
    group_ids: tuple[int, ...] = ()
    manager_id: int | None = None
    """The employee who looks after them."""


@dataclass(frozen=True, slots=True)
class ContactGroup:
    contact_group_id: int
    name: str
