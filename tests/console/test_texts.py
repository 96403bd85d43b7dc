"""Each text of the console is in the catalogue of each language, with the same values in it."""

from __future__ import annotations

import re

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from tests.console.conftest import Office
from tests.console.texts import FOLDER, texts
from trunkline.console.languages import LANGUAGES, choose

_VALUE = re.compile(r"%\((\w+)\)s")
_RANGE = re.compile(r"\d[:-]\d")
_ISOLATED = re.compile("\u2066[^\u2069]*\u2069")
"""Text between LEFT-TO-RIGHT ISOLATE and POP DIRECTIONAL ISOLATE."""


def _catalogue(code: str) -> Catalog:
    with (FOLDER / "locale" / f"{code}.po").open("rb") as source:
        return read_po(source, locale=code)


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code != "en"])
def test_catalogues_are_complete(code: str) -> None:
    catalogue, known = _catalogue(code), texts()
    assert len(known) > 300
    wrong = []
    for text, form in known.items():
        message = catalogue.get(text)
        if message is None or not message.string:
            wrong.append(f"no translation: {text}")
            continue
        assert isinstance(form, tuple) == isinstance(message.string, tuple), text
        strings = [message.string] if isinstance(message.string, str) else list(message.string)
        wrong += [f"{text} -> {one}" for one in strings if not _fits(text, str(one))]
    unused = [message.id for message in catalogue if message.id and _first(message.id) not in known]
    assert not wrong, "\n".join(wrong)
    assert not unused, unused


def test_dates_and_times_are_not_reordered_in_right_to_left_text() -> None:
    """Digits and hyphens between Arabic words: without an isolate 09:00-13:00 is shown from right to left."""
    strings = [str(one.string) for one in _catalogue("ar") if one.id]
    assert any(_RANGE.search(one) for one in strings)
    assert [one for one in strings if _RANGE.search(_ISOLATED.sub("", one))] == []


def _fits(text: str, translated: str) -> bool:
    """Whether a translation has the same values as the text, and no further percent sign."""
    is_same = set(_VALUE.findall(translated)) == set(_VALUE.findall(text))
    return bool(translated) and is_same and "%" not in _VALUE.sub("", translated)


def _first(identifier: str | tuple[str, ...] | list[str]) -> str:
    return identifier if isinstance(identifier, str) else identifier[0]


@pytest.mark.parametrize(
    ("chosen", "accepted", "account", "language"),
    [
        ("", "", "", "en"),
        ("ru", "ar", "en", "ru"),
        ("xx", "de, ar;q=0.8, ru;q=0.9", "en", "ru"),
        ("", "ar-AE,en;q=0.1", "", "ar"),
        ("", "de;q=x, *", "ru", "ru"),
        ("", "de", "fr_FR", "en"),
    ],
)
def test_the_language_of_a_page(chosen: str, accepted: str, account: str, language: str) -> None:
    assert choose(chosen, accepted, account).code == language


async def test_pages_in_each_language(office: Office) -> None:
    for code, word in (("ru", "Входящие по часам"), ("ar", "الواردة بحسب الساعة")):
        browser = await office.browser("captain", code)
        page = await browser.get("/console/")
        assert word in page.words
        assert f'dir="{LANGUAGES[code].direction}"' in page.text
        for path in (
            "/console/calls",
            "/console/contacts",
            "/console/employees",
            "/console/lines",
            "/console/x",
        ):
            assert (await browser.get(path)).status in (200, 404), path
    refused = await (await office.browser(None, "ru")).sign_in("captain", "wrong")
    assert "неверный логин, пароль или код" in refused.words
