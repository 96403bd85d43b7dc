"""HA1 digests and passwords of SIP lines."""

from __future__ import annotations

import hashlib

from trunkline.directory.lines.digest import PASSWORD_LENGTH, Ha1, ha1, new_password


def test_ha1_is_the_hash_of_login_realm_and_password() -> None:
    digest = ha1("0160001", "päss")
    assert digest.md5 == hashlib.md5("0160001:trunkline:päss".encode()).hexdigest()
    assert digest.sha256 == hashlib.sha256("0160001:trunkline:päss".encode()).hexdigest()


def test_fits() -> None:
    digest = ha1("0160001", "secret")
    assert digest.fits("0160001", "secret")
    assert not digest.fits("0160001", "Secret")
    assert not digest.fits("0160002", "secret")


def test_a_digest_does_not_show_itself() -> None:
    assert repr(Ha1("aa", "bb")) == "Ha1()"


def test_new_passwords_differ_and_are_easy_to_type() -> None:
    made = {new_password() for _ in range(200)}
    assert len(made) == 200
    assert all(len(each) == PASSWORD_LENGTH and each.isalnum() for each in made)
    assert not set("".join(made)) & set("0O1lI")
