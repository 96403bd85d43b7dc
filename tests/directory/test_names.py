"""A name of an entity is one line: forms check those of directory files and of the console, rows those of the APIs."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.directory.conftest import Administrator, new_account
from trunkline.core import names
from trunkline.core.errors import DirectoryFileError, InvalidInput
from trunkline.db.pool import Database
from trunkline.directory.files.entities import ENTITIES
from trunkline.directory.forms.fields import PRESENT, Item
from trunkline.directory.tags.changes import create_tag, rename_tag
from trunkline.uploads.people import tag_named

BAD = ["two\nlines", "two\r\nlines", "tab\there", "\x1b[31m", "\x85", "\u2028", "\x7f"]


@pytest.mark.parametrize("text", BAD)
def test_control_characters_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        names.one_line(text)


@pytest.mark.parametrize("text", ["", " edge ", "Ünal", "متجر", "a\u200db", "🙂"])
def test_other_texts_are_names(text: str) -> None:
    assert names.one_line(text) == text


FORMS = [
    pytest.param(entity.form, name, id=f"{section}.{name}")
    for section, entity in ENTITIES.items()
    if entity.form is not None and issubclass(entity.form, Item)
    for name in names.COLUMNS
    if name in entity.form.model_fields
]


def test_most_entities_have_a_name() -> None:
    assert len(FORMS) > 12


@pytest.mark.parametrize(("form", "name"), FORMS)
def test_every_form_refuses_them(form: type[Item], name: str) -> None:
    """A stored row that has one from before is read nevertheless."""

    def complaints(**context: bool) -> list[str]:
        try:
            form.model_validate({name: BAD[0]}, context=context)
        except ValidationError as error:
            return [one["msg"] for one in error.errors() if one["loc"] == (name,)]
        return []

    assert ["one line" in one for one in complaints()] == [True]
    assert complaints(**{PRESENT: True}) == []


async def test_the_rows_of_the_apis_refuse_them(database: str) -> None:
    async with await Database.open(database) as db:
        account_id = await new_account(db, "Sample Ltd")
        tag_id = await create_tag(db, account_id, "One line")
        with pytest.raises(InvalidInput, match="one line") as refused:
            await create_tag(db, account_id, BAD[0])
        assert (refused.value.field, refused.value.mnemonic) == ("name", "invalid_parameter_value")
        with pytest.raises(InvalidInput):
            await rename_tag(db, account_id, tag_id, BAD[1])
        rows = await db.fetch_all(
            "select name from tags where account_id = %s and not is_system", (account_id,)
        )
        assert [row["name"] for row in rows] == ["One line"]


async def test_a_name_from_before_disturbs_no_other_change(admin: Administrator) -> None:
    """Its item is refused when a file has it; a file without it is applied."""
    db, account_id = admin.db, admin.account_id
    await db.execute("insert into tags (account_id, key, name) values (%s, 'old', %s)", (account_id, BAD[0]))
    await admin.apply("tags: {new: {name: New}}")
    with pytest.raises(DirectoryFileError, match=r"tags\.old\.name: a name is one line"):
        await admin.apply(await admin.export())
    async with db.connection() as connection:
        for bad in BAD[:2]:
            await tag_named(connection, account_id, bad)
    rows = await db.fetch_all("select name from tags where account_id = %s order by name", (account_id,))
    assert [row["name"] for row in rows] == ["New", "Sale", BAD[0], "two  lines", "two lines"]
