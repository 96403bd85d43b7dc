"""Secrets and certificates: made once, private, never overwritten."""

from __future__ import annotations

import re
import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from trunkline.cli.main import commands
from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import Settings
from trunkline.runtime import certificates, secrets


def _settings(folder: Path) -> Settings:
    return Settings(data_dir=folder / "data")


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    first = secrets.ensure(settings)
    assert secrets.ensure(settings) == first == secrets.load(settings)
    assert stat.S_IMODE(settings.secrets_dir.stat().st_mode) == 0o700
    assert sorted(path.name for path in settings.secrets_dir.iterdir()) == [
        "control.token", "engine.json", "master.key",
    ]  # fmt: skip
    for file in settings.secrets_dir.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_secrets_differ_between_instances_and_do_not_show(tmp_path: Path) -> None:
    one, other = secrets.ensure(_settings(tmp_path / "a")), secrets.ensure(_settings(tmp_path / "b"))
    assert one.master_key != other.master_key
    assert one.ari.password != other.ari.password != one.ami.password
    for hidden in (one.master_key.decode(), one.ari.password, one.ami.password, one.control_token):
        assert hidden not in repr(one)


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: secrets.ensure(settings), range(8)))
    assert all(each == seen[0] for each in seen)


def test_missing_and_damaged_secrets_are_said(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    settings.secrets_dir.mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"master\.key is missing"):
        secrets.load(settings)
    secrets.ensure(settings)
    (settings.secrets_dir / "engine.json").write_text("{")
    with pytest.raises(ConfigurationError, match="damaged"):
        secrets.load(settings)


def test_an_own_certificate_that_servers_can_use(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    certificates.ensure(settings)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate_file(settings), certificates.key_file(settings))
    assert stat.S_IMODE(certificates.key_file(settings).stat().st_mode) == 0o600
    parsed = x509.load_pem_x509_certificate(certificates.certificate_file(settings).read_bytes())
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)


def test_an_admins_certificate_stays(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    settings.certificates_dir.mkdir(parents=True)
    certificates.certificate_file(settings).write_text("his")
    with pytest.raises(ConfigurationError, match=r"no trunkline\.key next to it"):
        certificates.ensure(settings)
    certificates.key_file(settings).write_text("his key")
    certificates.ensure(settings)
    assert certificates.certificate_file(settings).read_text() == "his"
    assert certificates.key_file(settings).read_text() == "his key"


def test_the_engine_gets_only_what_fits_together(tmp_path: Path) -> None:
    settings, other = Settings(data_dir=tmp_path / "own"), Settings(data_dir=tmp_path / "other")
    for each in (settings, other):
        certificates.ensure(each)
    assert certificates.publish(settings)
    assert not certificates.publish(settings)
    copy = settings.engine_certificate
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    before = copy.read_bytes()
    certificates.key_file(settings).write_bytes(certificates.key_file(other).read_bytes())
    for certificate in (certificates.certificate_file(settings).read_bytes(), b"garbage", b""):
        certificates.certificate_file(settings).write_bytes(certificate)
        with pytest.raises(ConfigurationError, match=r"trunkline\.crt and trunkline\.key"):
            certificates.publish(settings)
        assert copy.read_bytes() == before
        assert [file.name for file in copy.parent.iterdir()] == ["tls.pem"]
    certificates.certificate_file(settings).write_bytes(certificates.certificate_file(other).read_bytes())
    assert certificates.publish(settings)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(copy)


def test_a_key_with_a_password_is_refused_and_not_asked_for(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    certificates.ensure(settings)
    key = serialization.load_pem_private_key(certificates.key_file(settings).read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    certificates.key_file(settings).write_bytes(locked)
    with pytest.raises(ConfigurationError, match="without a password"):
        certificates.publish(settings)


def test_an_interruption_between_key_and_certificate_is_mended(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    certificates.ensure(settings)
    key = certificates.key_file(settings).read_bytes()
    certificates.certificate_file(settings).unlink()
    certificates.ensure(settings)
    assert certificates.key_file(settings).read_bytes() == key
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate_file(settings), certificates.key_file(settings))


def test_a_command_in_another_folder_names_the_folder_and_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", "data")
    for name in ("TRUNKLINE_CONFIG", "TRUNKLINE_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    sentence = rf"no instance in {tmp_path}/data; set TRUNKLINE_CONFIG or TRUNKLINE_DATA_DIR"
    for command in (["account", "list"], ["demo", "load"], ["ban", "list"]):
        with pytest.raises(ConfigurationError, match=sentence):
            CliRunner().invoke(commands, command, catch_exceptions=False)
    shown = CliRunner().invoke(commands, ["status"], catch_exceptions=False)
    assert shown.exit_code == 3
    assert re.search(sentence, shown.output)
    assert "not running" not in shown.output
