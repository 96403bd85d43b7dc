"""Faults of settings, files and folders as one sentence of a command; where commands look for an instance."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trunkline.cli import main
from trunkline.cli.settings import load_settings
from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import Settings


def _fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> str:
    file = tmp_path / "settings.toml"
    file.write_bytes(content)
    monkeypatch.setenv("TRUNKLINE_CONFIG", str(file))
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    return caught.value.message


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"web = \n", "is not TOML"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"[web]\nhttp_prot = 1\n", "web.http_prot: there is no such setting; did you mean web.http_port?"),
        (b"[wbe]\nhttp_port = 1\n", "wbe: there is no such setting; did you mean web?"),
        (b"[web]\nhttp_port = -1\n", "web.http_port: "),
    ],
)
def test_faults_of_the_settings_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, text: str
) -> None:
    assert text in _fault(tmp_path, monkeypatch, content)


def _line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["trunkline", *words])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 1
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    return text


def test_a_data_folder_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path / "file"))
    monkeypatch.setattr("trunkline.cli.system._fetch", lambda _settings: None)
    monkeypatch.setattr("trunkline.cli.system._fetch_assets", lambda _settings: None)
    text = _line(monkeypatch, capsys, "up")
    assert f"{tmp_path}/file/run: Not a directory" in text
    assert "TRUNKLINE_DATA_DIR" in text


def test_an_export_that_cannot_be_written(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["trunkline", "account", "create", "--name", "Example"])
    with pytest.raises(SystemExit):
        main.main()
    capsys.readouterr()
    text = _line(monkeypatch, capsys, "export", str(tmp_path / "none" / "company.yaml"))
    assert "none/company.yaml: No such file or directory; create the folder" in text


def test_the_instance_is_found_from_a_folder_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "trunkline.toml").write_text('runtime_dir = "programs"\n[web]\nhttp_port = 8123\n')
    for folder in (tmp_path, below):
        monkeypatch.chdir(folder)
        settings = Settings()
        assert settings.data == tmp_path / ".trunkline" / "data"
        assert settings.runtime == tmp_path / "programs"
        assert settings.web.http_port == 8123


def test_without_an_instance_the_checkout_of_the_program_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src" / "trunkline").mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert Settings().data == tmp_path / ".trunkline" / "data"


def test_the_log_of_a_process_that_there_is_none_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["trunkline", "tail", "--role", "swich"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code
    assert "'switch', 'web', 'worker'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'[sip]\nudp_port = "abc"\n', "sip.udp_port: write a whole number"),
        (b'[sip]\nlogin_bans = "perhaps"\n', "sip.login_bans: write true or false"),
        (b"[web]\ntrusted_proxies = 5\n", "web.trusted_proxies: write a list of texts"),
    ],
)
def test_a_value_of_another_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, text: str
) -> None:
    assert text in _fault(tmp_path, monkeypatch, content)
