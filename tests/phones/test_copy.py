"""The private copies of foreign programs run on a machine that has nothing of theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.runtime import debian
from trunkline.testing.foreign import ForeignPhones

pytestmark = [pytest.mark.phones, pytest.mark.xdist_group("phones")]


def test_the_phones_use_no_library_of_the_machine(foreign_phones: ForeignPhones) -> None:
    *through, sipp = foreign_phones.sipp
    if not through:
        pytest.skip("this machine has phones of its own")
    root = Path(sipp).parents[2]
    for program in (sipp, foreign_phones.baresip[-1]):
        assert debian.is_self_contained(Path(program), through, root)


def test_a_copy_that_borrows_from_the_machine_is_noticed(
    foreign_phones: ForeignPhones, tmp_path: Path
) -> None:
    *through, sipp = foreign_phones.sipp
    if not through:
        pytest.skip("this machine has phones of its own")
    assert not debian.is_self_contained(Path(sipp), through, tmp_path)
