"""Sounds that callers hear: spoken from a text, or from a file or phone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trunkline.accounts.permissions import CHANGE_CONFIGURATION, READ_CONFIGURATION
from trunkline.apis.service.request_context import CallerLike
from trunkline.console.languages import translatable
from trunkline.console.page_request import PageRequest
from trunkline.console.setup.controls import Choice, Control, Kind, Row
from trunkline.console.setup.entity import Column, Part, SetupEntity, plain
from trunkline.console.setup.file_writer import FileWriter, Item
from trunkline.directory.media.for_people import MEDIA_FOR_PEOPLE
from trunkline.directory.media.listing import PATH as SOUND

_ = translatable

_LANGUAGES = (
    Choice("en", "English"), Choice("ar", "العربية"), Choice("ru", "Русский"), Choice("de", "Deutsch"),
    Choice("es", "Español"), Choice("fr", "Français"), Choice("hi", "हिन्दी"), Choice("it", "Italiano"),
    Choice("pl", "Polski"), Choice("pt", "Português"), Choice("tr", "Türkçe"), Choice("uk", "Українська"),
)  # fmt: skip
"""In the languages themselves; directory files may have others."""


@dataclass(frozen=True, slots=True)
class _MediaWriter(FileWriter):
    def may(self, caller: CallerLike, action: str) -> bool:
        return caller.may(*CHANGE_CONFIGURATION)


def merged(item: Item, values: Mapping[str, Any]) -> Item:
    """An item with values of the form: a text takes the place of a file, and a file stays where no text is written."""
    result = {**item, **values}
    if result.get("text"):
        result.pop("file", None)
    elif "file" in item:
        result.pop("text", None)
        result.pop("language", None)
    if result.get("language") is None:
        result.pop("language", None)
    return result


def _spoken(row: Row) -> list[Part]:
    return (
        [Part(row["text"])] if row["text"] else [Part(_("From a file or phone"), is_text=True, mood="soft")]
    )


async def _more(page_request: PageRequest, row: Row) -> Mapping[str, Any]:
    return {"sound": f"{SOUND}{row['id']}/"}


MEDIA = SetupEntity(
    name="media",
    title=_("Sounds"),
    new=_("New text to be spoken"),
    about=_("Announcements and music that callers hear."),
    listing=MEDIA_FOR_PEOPLE,
    needs=READ_CONFIGURATION,
    fields=("id", "key", "name", "text", "language", "duration"),
    named="name",
    columns=(Column(_("Text"), _spoken), Column(_("Duration"), plain("duration"))),
    controls=(
        Control("name", _("Name")),
        Control("text", _("Text"), Kind.LONG, hint=_("It is spoken by a synthesizer; listen to it here after saving.")),
        Control("language", _("Language"), Kind.CHOICE, empty=_("That of the account"), choices=_LANGUAGES),
    ),
    writer=_MediaWriter(
        "media", READ_CONFIGURATION[0], MEDIA_FOR_PEOPLE, "name", required=("name", "text"), merge=merged
    ),
    order="name",
    texts=("name", "text"),
    template="setup/media.html",
    more=_more,
    stays=True,
)  # fmt: skip
