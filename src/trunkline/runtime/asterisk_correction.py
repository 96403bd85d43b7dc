"""One known error of the fetched Asterisk is corrected in its program file.

Debian's package has a patch that upstream does not have (``2016_opus_plc.patch``): a translator drops each frame whose
number is lower than the last one, and all that follow, for up to eleven minutes. So a carrier that changes its media gateway
during a talk is not heard any more. No setting avoids it; decision 0034 has the measurements, 0042 the choice.

A correction names the digest of the file before and after it, so it applies to that very build, or not at all.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from trunkline.core.errors import SetupError

PROGRAM = "usr/sbin/asterisk"
"""The corrected file, in the folder of the private copy."""


@dataclass(frozen=True, slots=True)
class Correction:
    """Bytes that replace others of the same length.

    :ivar before: SHA-256 of the file as it is in the package.
    :ivar after: SHA-256 of the corrected file.
    :ivar offset: of the first byte, from the beginning of the file.
    """

    before: str
    after: str
    offset: int
    old: bytes
    new: bytes


CORRECTIONS = (
    # amd64, ast_translate(): `ja` (no frame came before) becomes `jmp`, as if each frame were the first one.
    Correction(
        before="a0c0bda5092340caed1c754d922951a5a469c996d7566ecdfa92f4db2860c16a",
        after="d62d21f1e81184812a9cbbd44fbfa679ed8fe1176f106ff44d5cc956e6b97184",
        offset=0x24355B,
        old=b"\x77\x68",
        new=b"\xeb\x68",
    ),
)


def correct(root: Path, corrections: tuple[Correction, ...] = CORRECTIONS) -> bool:
    """Whether the program of this copy is a corrected one, and correct it first if a correction is for it.

    The file is replaced by one rename: an interruption leaves the former one, and processes that run go on with theirs.

    :param root: of the private copy.
    :raises SetupError: the corrected file has another digest than it must have; the former one is still there.
    """
    program = root / PROGRAM
    content = bytearray(program.read_bytes())
    digest = hashlib.sha256(content).hexdigest()
    if any(one.after == digest for one in corrections):
        return True
    found = next((one for one in corrections if one.before == digest), None)
    if found is None:
        return False
    content[found.offset : found.offset + len(found.new)] = found.new
    if hashlib.sha256(content).hexdigest() != found.after:
        raise SetupError(
            f"{program} could not be corrected; delete {root} and run this again, so that it is fetched again"
        )
    partial = program.with_name(f"{program.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.chmod(program.stat().st_mode & 0o7777)
    partial.rename(program)
    return True
