"""``trunkline certificate install`` by hand and as the deploy hook of certbot and lego."""

from __future__ import annotations

import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from trunkline.cli.main import commands
from trunkline.core.settings import Settings
from trunkline.runtime import certificates


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, Settings]:
    """An instance, and another one whose certificate is installed in the first."""
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path / "data"))
    for name in ("RENEWED_LINEAGE", "LEGO_CERT_PATH", "LEGO_CERT_KEY_PATH"):
        monkeypatch.delenv(name, raising=False)
    own, other = Settings(), Settings(data_dir=tmp_path / "other")
    certificates.ensure(own)
    certificates.ensure(other)
    return own, other


def _install(*options: str) -> Result:
    return CliRunner().invoke(commands, ["certificate", "install", *options])


@pytest.mark.parametrize("by", ["options", "certbot", "lego"])
def test_a_pair_is_put_in_place(
    made: tuple[Settings, Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by: str
) -> None:
    own, other = made
    chain, key = certificates.certificate_file(other), certificates.key_file(other)
    options: list[str] = []
    if by == "options":
        options = ["--certificate", str(chain), "--key", str(key)]
    elif by == "certbot":
        (tmp_path / "live").mkdir()
        shutil.copy(chain, tmp_path / "live" / "fullchain.pem")
        shutil.copy(key, tmp_path / "live" / "privkey.pem")
        monkeypatch.setenv("RENEWED_LINEAGE", str(tmp_path / "live"))
    else:
        monkeypatch.setenv("LEGO_CERT_PATH", str(chain))
        monkeypatch.setenv("LEGO_CERT_KEY_PATH", str(key))
    assert _install(*options).exit_code == 0
    assert certificates.certificate_file(own).read_bytes() == chain.read_bytes()
    assert certificates.key_file(own).read_bytes() == key.read_bytes()
    assert stat.S_IMODE(certificates.key_file(own).stat().st_mode) == 0o600
    assert certificates.publish(own)


def test_a_certificate_that_has_ended_is_refused(made: tuple[Settings, Settings], tmp_path: Path) -> None:
    own, _ = made
    before = certificates.certificate_file(own).read_bytes()
    former = Settings(data_dir=tmp_path / "former")
    certificates.ensure(former, now=datetime.now(UTC) - timedelta(days=3651))
    chain, key = certificates.certificate_file(former), certificates.key_file(former)
    result = _install("--certificate", str(chain), "--key", str(key))
    assert result.exit_code == 1
    assert "has ended" in str(result.exception)
    assert certificates.certificate_file(own).read_bytes() == before


def test_what_is_no_pair_changes_nothing(made: tuple[Settings, Settings]) -> None:
    own, other = made
    before = certificates.certificate_file(own).read_bytes(), certificates.key_file(own).read_bytes()
    chain, key = certificates.certificate_file(other), certificates.key_file(own)
    result = _install("--certificate", str(chain), "--key", str(key))
    assert result.exit_code == 1
    assert "cannot be used together" in str(result.exception)
    assert (
        certificates.certificate_file(own).read_bytes(),
        certificates.key_file(own).read_bytes(),
    ) == before
    assert "--certificate FILE" in str(_install().exception)
