"""A certificate that many instances on this machine share: a new key takes a third of a second of processor time."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from trunkline.core.settings import Settings
from trunkline.runtime import certificates
from trunkline.runtime.files import private_folder


def certify(settings: Settings) -> None:
    """As :func:`trunkline.runtime.certificates.ensure`, but all instances of this process get the same."""
    key, certificate = _pair()
    private_folder(settings.certificates_dir)
    files = {certificates.key_file(settings): key, certificates.certificate_file(settings): certificate}
    for file, content in files.items():
        file.write_bytes(content)
        file.chmod(0o600)


@cache
def _pair() -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        own = Settings(data_dir=Path(folder))
        certificates.ensure(own)
        return certificates.key_file(own).read_bytes(), certificates.certificate_file(own).read_bytes()
