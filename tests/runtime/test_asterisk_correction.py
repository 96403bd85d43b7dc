"""The correction of the fetched Asterisk: of the build that it names, and of no other."""

from __future__ import annotations

import hashlib
import itertools
import json
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from trunkline.core.errors import SetupError
from trunkline.core.settings import EngineSettings, Settings
from trunkline.runtime import asterisk, asterisk_correction
from trunkline.runtime.asterisk import AsteriskInstall, Origin
from trunkline.runtime.asterisk_correction import PROGRAM, Correction, correct

_BEFORE = b"program\x77\x68end"
_AFTER = b"program\xeb\x68end"


def _digest(content: bytes | bytearray) -> str:
    return hashlib.sha256(content).hexdigest()


_CORRECTION = Correction(_digest(_BEFORE), _digest(_AFTER), 7, b"\x77\x68", b"\xeb\x68")


def _copy(root: Path, content: bytes) -> Path:
    program = root / PROGRAM
    program.parent.mkdir(parents=True)
    program.write_bytes(content)
    program.chmod(0o755)
    return program


def test_the_named_build_is_corrected_once(tmp_path: Path) -> None:
    program = _copy(tmp_path, _BEFORE)
    correct(program, (_CORRECTION,))
    assert program.read_bytes() == _AFTER
    assert program.stat().st_mode & 0o777 == 0o755
    changed = program.stat().st_ino
    correct(program, (_CORRECTION,))
    assert program.stat().st_ino == changed
    assert [file.name for file in program.parent.iterdir()] == ["asterisk"]


def test_another_build_is_left_alone(tmp_path: Path) -> None:
    program = _copy(tmp_path, b"another" + _BEFORE)
    correct(program, (_CORRECTION,))
    assert program.read_bytes() == b"another" + _BEFORE


def test_an_unexpected_result_changes_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    program = _copy(tmp_path, _BEFORE)
    wrong = Correction(_digest(_BEFORE), _digest(b"other"), 7, b"\x77\x68", b"\xeb\x68")
    with pytest.raises(SetupError, match="run this again"):
        correct(program, (wrong,))
    assert program.read_bytes() == _BEFORE


def test_corrections_of_one_file_are_applied_in_order(tmp_path: Path) -> None:
    last = b"program\xeb\x68END"
    second = Correction(_digest(_AFTER), _digest(last), 9, b"end", b"END")
    program = _copy(tmp_path, _BEFORE)
    correct(program, (_CORRECTION, second))
    assert program.read_bytes() == last


def test_corrections_replace_what_they_name() -> None:
    for one in (
        *asterisk_correction.CORRECTIONS,
        *asterisk_correction.TRANSFER_CORRECTIONS,
        *asterisk_correction.SIP_CORRECTIONS,
        *asterisk_correction.REGISTRAR_CORRECTIONS,
        *asterisk_correction.SESSION_CORRECTIONS,
        *asterisk_correction.DISTRIBUTOR_CORRECTIONS,
        *itertools.chain(*asterisk_correction.BRIDGE_CORRECTIONS.values()),
    ):
        assert len(one.old) == len(one.new)
        assert one.old != one.new
        assert one.before != one.after


def _undo(file: Path, corrections: Sequence[Correction]) -> None:
    content = bytearray(file.read_bytes())
    for one in corrections:
        content[one.offset : one.offset + len(one.old)] = one.old
    assert _digest(content) == corrections[0].before
    file.write_bytes(content)


@pytest.mark.engine
def test_a_copy_of_an_earlier_version_is_corrected(asterisk_install: AsteriskInstall, tmp_path: Path) -> None:
    if asterisk_install.origin is not Origin.PRIVATE or platform.machine() != "x86_64":
        pytest.skip("this machine has an Asterisk without a correction")
    settings = Settings(runtime_dir=tmp_path, engine=EngineSettings(asterisk="private"))
    root = tmp_path / "asterisk"
    shutil.copytree(asterisk_install.modules_dir.parents[4], root, symlinks=True)
    [correction] = asterisk_correction.CORRECTIONS
    program = root / PROGRAM
    content = bytearray(program.read_bytes())
    assert _digest(content) == correction.after
    content[correction.offset : correction.offset + 2] = correction.old
    program.write_bytes(content)
    [module] = root.glob(f"usr/lib/*/asterisk/modules/{asterisk_correction.TRANSFERS}")
    content = bytearray(module.read_bytes())
    for one in asterisk_correction.TRANSFER_CORRECTIONS:
        content[one.offset : one.offset + len(one.old)] = one.old
    module.write_bytes(content)
    assert not asterisk_correction.are_transfers_corrected(module.parent)
    [library] = root.glob(f"usr/lib/*/{asterisk_correction.SIP_LIBRARY}")
    _undo(library, asterisk_correction.SIP_CORRECTIONS)
    registrar = module.with_name(asterisk_correction.REGISTRAR)
    _undo(registrar, asterisk_correction.REGISTRAR_CORRECTIONS)
    assert not asterisk_correction.is_registrar_corrected(module.parent)
    _undo(module.with_name(asterisk_correction.SESSIONS), asterisk_correction.SESSION_CORRECTIONS)
    assert not asterisk_correction.are_sessions_corrected(module.parent)
    _undo(module.with_name(asterisk_correction.DISTRIBUTOR), asterisk_correction.DISTRIBUTOR_CORRECTIONS)
    assert not asterisk_correction.is_distributor_corrected(module.parent)
    for name, corrections in asterisk_correction.BRIDGE_CORRECTIONS.items():
        _undo(module.with_name(name), corrections)
    assert not asterisk_correction.are_bridges_corrected(module.parent)
    marker = json.loads((root / "installed.json").read_text())
    assert marker.pop("corrections") == asterisk_correction.APPLIED
    (root / "installed.json").write_text(json.dumps(marker))
    assert asterisk.ensure(settings).version == asterisk_install.version
    assert _digest(program.read_bytes()) == correction.after
    assert asterisk_correction.are_transfers_corrected(module.parent)
    assert _digest(library.read_bytes()) == asterisk_correction.SIP_CORRECTIONS[-1].after
    assert asterisk_correction.is_registrar_corrected(module.parent)
    assert asterisk_correction.are_sessions_corrected(module.parent)
    assert asterisk_correction.is_distributor_corrected(module.parent)
    assert asterisk_correction.are_bridges_corrected(module.parent)
    assert json.loads((root / "installed.json").read_text())["corrections"] == asterisk_correction.APPLIED
