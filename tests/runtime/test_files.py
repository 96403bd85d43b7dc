"""No part of a file is left beside it: not after an error, nor when its process is killed."""

from __future__ import annotations

import errno
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import pytest

from trunkline.runtime import files

pytestmark = pytest.mark.durability

WRITERS: list[Callable[[Path], Any]] = [
    lambda path: files.create_once(path, b"new", 0o600),
    lambda path: files.write_atomically(path, b"new", 0o600),
]


def test_of_two_writers_one_creates_the_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert files.create_once(path, b"first", 0o600)
    assert not files.create_once(path, b"second", 0o600)
    assert path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["key"]


@pytest.mark.parametrize("write", WRITERS)
def test_on_a_full_disk_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], Any]
) -> None:
    def is_full(_descriptor: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", is_full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "state.json")
    assert os.listdir(tmp_path) == []


def _create_and_be_killed(path: Path) -> None:
    with mock.patch("os.fsync", side_effect=lambda _descriptor: os._exit(9)):
        files.create_once(path, b"new", 0o600)


def test_a_process_that_is_killed_before_the_file_is_complete_leaves_nothing(tmp_path: Path) -> None:
    """As a killed ``trunkline backup --key`` does."""
    process = multiprocessing.get_context("fork").Process(
        target=_create_and_be_killed, args=(tmp_path / "key",)
    )
    process.start()
    process.join(10)
    assert process.exitcode == 9
    assert os.listdir(tmp_path) == []


def test_a_file_system_without_files_that_have_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as NFS."""
    opened = os.open

    def refuse(path: Any, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    path = tmp_path / "key"
    assert files.create_once(path, b"first", 0o600)
    assert not files.create_once(path, b"second", 0o600)
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["key"]
