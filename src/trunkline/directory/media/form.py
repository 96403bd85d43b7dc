"""A sound in a directory file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from trunkline.db.pool import Row
from trunkline.directory.forms.entity import Elsewhere, Entity, ReadContext
from trunkline.directory.forms.fields import Item
from trunkline.directory.media.store import StoredSound
from trunkline.directory.model import MediaKind
from trunkline.speech import audio

if TYPE_CHECKING:
    from trunkline.directory.forms.write_context import WriteContext


class MediaForm(Item):
    """A sound: from a file, or synthesized from a text."""

    name: str = ""
    file: Annotated[str | None, Elsewhere()] = None
    """Path, relative to the directory file."""
    text: Annotated[Annotated[str, Field(min_length=1, max_length=5000)] | None, Elsewhere()] = None
    language: Annotated[str | None, Elsewhere()] = None
    """Of the text; default: the account's locale."""

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.file is None) == (self.text is None):
            raise ValueError("write either file or text")
        return self


def _read(context: ReadContext, row: Row) -> Mapping[str, Any]:
    if row["spoken_text"] is not None:
        return {"text": row["spoken_text"], "language": row["spoken_language"]}
    return {"file": str(context.media_dir / f"{row['sha256']}.wav")}


def _values(context: WriteContext, key: str) -> Mapping[str, Any]:
    item: MediaForm = context.item("media", key)
    columns = {
        "kind": MediaKind.USER.value,
        "spoken_text": item.text,
        "spoken_language": item.language if item.text is not None else None,
    }
    if key not in context.sounds:
        return columns
    sound = context.sounds[key]
    stored = StoredSound(sound.sha256, audio.duration_ms(audio.pcm_of(sound.wav)), len(sound.wav))
    return columns | {
        "sha256": stored.sha256,
        "duration_ms": stored.duration_ms,
        "size_bytes": stored.size_bytes,
    }


ENTITIES = (Entity("media", MediaForm, "media_files", "media_file_id", read=_read, values=_values),)
