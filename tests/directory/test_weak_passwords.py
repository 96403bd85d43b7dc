"""A SIP password that a person chooses withstands guessing, by whichever way it is set; weak ones in use are reported."""

from __future__ import annotations

import pytest

from tests.directory.conftest import Administrator
from trunkline.cli.directory import warnings_of
from trunkline.core.errors import DirectoryFileError
from trunkline.directory.files import csv_file
from trunkline.directory.files.apply import DirectoryFiles
from trunkline.directory.files.csv_file import Section
from trunkline.directory.files.file import parse
from trunkline.directory.files.prepare import Request
from trunkline.directory.lines.changes import change_password
from trunkline.directory.lines.digest import ha1, new_password
from trunkline.directory.lines.password_strength import STRENGTH_MIN, Weakness, strength, weakness_of_digest
from trunkline.directory.lines.weak_passwords import weak_lines
from trunkline.roles.weak_passwords import report_weak_passwords
from trunkline.speech import NullSpeech

pytestmark = pytest.mark.attack

LINE = "0160001"
WEAK = [
    "secret", "qwertyuiop123", "Password2026!", LINE, f"sip{LINE}", f"Zk7-{LINE}-mQ9wBx", LINE[::-1], "tel-4711-kQ9#Lm2vX8",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "hX7pLq92", "20261121", "1" * 500,
]  # fmt: skip
EMPLOYEE = f"employees: {{anna: {{last_name: Example, extension: '4711', phones: [{{line: '{LINE}'}}]}}}}\n"


def file(password: str) -> str:
    return EMPLOYEE + f"sip_lines: {{'{LINE}': {{password: '{password}'}}}}"


@pytest.mark.parametrize("password", WEAK)
async def test_a_directory_file_with_a_weak_password_is_refused(admin: Administrator, password: str) -> None:
    with pytest.raises(DirectoryFileError) as refused:
        await admin.plan(file(password))
    assert str(refused.value).startswith(f"sip_lines.{LINE}.password: the password can be guessed")
    assert "leave it out and a random one is made" in str(refused.value)
    assert password == LINE or password not in str(refused.value)


async def test_a_csv_file_with_a_weak_password_is_refused(admin: Administrator) -> None:
    table = csv_file.read(
        Section.SIP_LINES,
        f"login,password\n{LINE},secret\n".encode(),
        await admin.files.export(admin.account_id),
    )
    with pytest.raises(DirectoryFileError) as refused:
        await admin.files.prepare(Request(admin.account_id, table.form, admin.folder))
    [problem] = table.problems_of(refused.value)
    assert (problem.line, "can be guessed" in problem.message) == (2, True)


@pytest.mark.parametrize(
    "password", ["correct horse battery staple", "kD8-fm2QzPwX7", "48392017465298", "ünïcode pässwörd"]
)
async def test_strong_passwords_are_accepted(admin: Administrator, password: str) -> None:
    await admin.apply(file(password))
    assert await weak_lines(admin.db) == []


def test_random_passwords_of_lines_suffice() -> None:
    found = [strength(new_password(), LINE, ["4711"]) for _ in range(200)]
    assert all(one.suffices(STRENGTH_MIN) for one in found)


async def test_a_weak_password_that_is_allowed_is_reported_and_kept(admin: Administrator) -> None:
    """The setting for companies that carry over the passwords of their phones."""
    migrating = DirectoryFiles(admin.db, admin.cipher, NullSpeech(), admin.media_dir, password_strength_min=0)
    old, admin.files = admin.files, migrating
    await admin.apply(file("secret"))
    [weak] = await weak_lines(admin.db, admin.account_id)
    assert (weak.login, weak.weakness) == (LINE, Weakness.GUESSABLE)

    # It stays usable when the setting is strict again, with a warning, and another weak one is refused.
    admin.files = old
    prepared = await admin.files.prepare(Request(admin.account_id, parse(file("secret"), {}), admin.folder))
    assert prepared.plan.is_empty
    assert any("can be guessed" in one for one in warnings_of(prepared))
    with pytest.raises(DirectoryFileError):
        await admin.plan(file("secret2"))

    for _ in range(2):  # published once
        assert len(await report_weak_passwords(admin.db)) == 1
    rows = await admin.db.fetch_all("select account_id, data from outbox where type = 'sip_password_weak'")
    assert [(row["account_id"], row["data"]["entity_name"]) for row in rows] == [(admin.account_id, LINE)]

    await change_password(admin.db, admin.account_id, weak.sip_line_id)
    assert await weak_lines(admin.db) == []


async def test_a_minimum_between_is_compared_with_the_guesses(admin: Administrator) -> None:
    admin.files = DirectoryFiles(
        admin.db, admin.cipher, NullSpeech(), admin.media_dir, password_strength_min=8
    )
    await admin.apply(file("hX7pLq92"))
    with pytest.raises(DirectoryFileError, match=r"10\^8 is the minimum"):
        await admin.plan(file("secret"))


async def test_weak_passwords_of_an_older_version_are_found(admin: Administrator) -> None:
    """Only digests are known: common passwords and those made of the login are tried."""
    await admin.apply("sip_lines: {'0160001': {}, '0160002': {}, '0160003': {}}")
    for login, password in (("0160001", "sip0160001"), ("0160002", "qwerty123")):
        digest = ha1(login, password)
        await admin.db.execute(
            "update sip_lines set ha1_md5 = %s, ha1_sha256 = %s where account_id = %s and phone_number = %s",
            (digest.md5, digest.sha256, admin.account_id, login),
        )
    await admin.db.execute(
        "update sip_lines set password_weakness = null where account_id = %s", (admin.account_id,)
    )
    found = {line.login: line.weakness for line in await report_weak_passwords(admin.db)}
    assert found == {"0160001": Weakness.CONTAINS_LOGIN, "0160002": Weakness.COMMON}
    assert weakness_of_digest("0160003", ha1("0160003", new_password())) is None
