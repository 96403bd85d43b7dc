"""Languages of the console, and the catalogues of their texts (``locale/*.po``), read when a process first needs them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

_FOLDER = Path(__file__).parent / "locale"


@dataclass(frozen=True, slots=True)
class Language:
    """:ivar code: of the page (BCP 47).
    :ivar name: in the language itself.
    :ivar direction: ``ltr`` or ``rtl``.
    """

    code: str
    name: str
    direction: str

    @property
    def locale(self) -> Locale:
        """For dates and numbers."""
        return Locale.parse(self.code)

    @property
    def texts(self) -> NullTranslations:
        """The catalogue; English texts are their own."""
        return _catalogue(self.code)


LANGUAGES = {
    one.code: one
    for one in (
        Language("en", "English", "ltr"),
        Language("ru", "Русский", "ltr"),
        Language("ar", "العربية", "rtl"),
    )
}

DEFAULT = LANGUAGES["en"]


def translatable(text: str) -> str:
    """Marks a text that a page translates when it shows it."""
    return text


def choose(chosen: str, accepted: str, of_account: str) -> Language:
    """The language of a page.

    :param chosen: by the person; empty: not yet.
    :param accepted: the header ``Accept-Language``.
    :param of_account: the account's locale; empty: nobody is signed in.
    """
    for code in (chosen, *_accepted(accepted), of_account):
        found = LANGUAGES.get(code.lower().replace("_", "-").partition("-")[0])
        if found is not None:
            return found
    return DEFAULT


def _accepted(header: str) -> list[str]:
    """The languages of the header, the preferred one first."""
    weighted = []
    for place, part in enumerate(header[:500].split(",")):
        code, _, weight = part.partition(";q=")
        try:
            weighted.append((-float(weight or 1), place, code.strip()))
        except ValueError:
            continue
    return [code for _, _, code in sorted(weighted)]


@cache
def _catalogue(code: str) -> NullTranslations:
    path = _FOLDER / f"{code}.po"
    if not path.exists():
        return NullTranslations()
    with path.open("rb") as source:
        catalogue = read_po(source, locale=code)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)
