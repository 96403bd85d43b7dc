"""The page of sounds: spoken texts, and sounds that came from a file."""

from __future__ import annotations

from tests.console.conftest import Office
from tests.console.test_setup import make, make_one
from trunkline.console.setup.media import MEDIA, merged


def test_a_text_takes_the_place_of_a_file_and_an_empty_one_does_not() -> None:
    file = {"name": "Old", "file": "/media/1.wav"}
    assert merged(file, {"name": "New", "text": None}) == {"name": "New", "file": "/media/1.wav"}
    assert merged(file, {"text": "Hello", "language": None}) == {"name": "Old", "text": "Hello"}
    spoken = {"name": "Old", "text": "Hello", "language": "en"}
    assert merged(spoken, {"text": "Bye"}) == {"name": "Old", "text": "Bye", "language": "en"}
    assert merged(spoken, {"language": None}) == {"name": "Old", "text": "Hello"}


async def test_a_text_is_spoken_again_when_it_changes(office: Office) -> None:
    browser = await office.browser("captain")
    path = f"{MEDIA.path}/{await make_one(browser, MEDIA)}"
    rows = await office.db.fetch_all(
        "select sha256 from media_files where account_id = %s", (office.account_id,)
    )
    page = await browser.get(path)
    assert "/system/media/file/" in page.text
    saved = await browser.send(page, path, text="Good evening to all of you.")
    assert "Saved." in saved.words
    after = await office.db.fetch_all(
        "select sha256 from media_files where account_id = %s", (office.account_id,)
    )
    assert [one["sha256"] for one in after] != [one["sha256"] for one in rows]
    silent = await make(browser, "media", name="Silent", text="...")
    assert silent.status == 422
    empty = await make(browser, "media", name="Empty", text="")
    assert "Fill this in." in empty.words
