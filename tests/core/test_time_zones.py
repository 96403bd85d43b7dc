"""Which names are time zones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trunkline.accounts.administration import AccountProfile, check_profile
from trunkline.core.errors import InvalidInput
from trunkline.core.time_zones import time_zone
from trunkline.directory.agents import rules
from trunkline.directory.forms import fields

NO_ZONES = (
    "posixrules",
    "localtime",
    "Factory",
    "posix/Asia/Dubai",
    "right/UTC",
    "Asia/Dubia",
    "../etc/passwd",
    "",
)


@pytest.mark.parametrize("name", ["Asia/Dubai", "UTC", "Europe/London", "America/Argentina/Salta"])
def test_names_of_the_iana_database(name: str) -> None:
    assert time_zone(name).key == name


@pytest.mark.parametrize("name", NO_ZONES)
@pytest.mark.parametrize("check", [time_zone, rules.time_zone, fields._zone])
def test_files_of_the_system_are_none(check: Callable[[str], object], name: str) -> None:
    with pytest.raises(ValueError):
        check(name)


def test_an_account_needs_one() -> None:
    check_profile(AccountProfile("Example", time_zone="Asia/Dubai"))
    with pytest.raises(InvalidInput):
        check_profile(AccountProfile("Example", time_zone="posixrules"))
