"""The data folder of Asterisk with short documentation."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from trunkline.runtime.asterisk_documentation import ensure_short_data, short_data

_DOCUMENTATION = """<?xml version="1.0"?>
<docs>
  <application name="Dial" language="en_US" module="app_dial">
    <synopsis>Connect.</synopsis><description><para>At length.</para></description>
  </application>
  <managerEvent name="Hangup" language="en_US"><managerEventInstance><synopsis>Gone.</synopsis></managerEventInstance>
  </managerEvent>
  <module name="app_dial" language="en_US"><support_level>core</support_level></module>
  <configInfo name="res_pjsip" language="en_US">
    <synopsis>SIP</synopsis><description><para>At length.</para></description>
    <configFile name="pjsip.conf">
      <configObject name="endpoint">
        <matchInfo><category match="true">^general$</category></matchInfo>
        <configOption name="allow" default="ulaw"><synopsis>Codecs</synopsis><description/></configOption>
        <configOption name="disallow"/>
      </configObject>
    </configFile>
  </configInfo>
</docs>
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "share" / "asterisk"
    (folder / "documentation" / "thirdparty").mkdir(parents=True)
    (folder / "documentation" / "core-en_US.xml").write_text(_DOCUMENTATION)
    (folder / "rest-api").mkdir()
    (folder / "rest-api" / "resources.json").write_text("{}")
    return folder


def test_names_and_options_stay_and_descriptions_go(data: Path, tmp_path: Path) -> None:
    runtime = tmp_path / "runtime"
    assert short_data(data, runtime) == data
    ensure_short_data(data, runtime)
    short = short_data(data, runtime)
    assert short.is_relative_to(runtime)
    root = ElementTree.parse(short / "documentation" / "core-en_US.xml").getroot()
    assert [(entry.tag, entry.get("name"), entry.get("language"), len(entry)) for entry in root] == [
        ("application", "Dial", "en_US", 1),
        ("managerEvent", "Hangup", "en_US", 1),  # an element without a child counts as absent
        ("configInfo", "res_pjsip", "en_US", 2),
    ]
    assert [option.attrib for option in root.iter("configOption")] == [
        {"name": "allow", "default": "ulaw"},
        {"name": "disallow"},
    ]
    assert root.find(".//matchInfo/category") is not None
    assert root.find(".//description") is None
    assert (short / "rest-api" / "resources.json").read_text() == "{}"
    assert (short / "documentation" / "thirdparty").is_dir()
    assert os.listdir(short.parent) == [short.name]


def test_it_is_made_once_for_each_state_of_the_documentation(data: Path, tmp_path: Path) -> None:
    ensure_short_data(data, tmp_path)
    first = short_data(data, tmp_path)
    made_at = (first / "documentation" / "core-en_US.xml").stat().st_mtime_ns
    ensure_short_data(data, tmp_path)
    assert (first / "documentation" / "core-en_US.xml").stat().st_mtime_ns == made_at
    (data / "documentation" / "core-en_US.xml").write_text("<docs/>")
    assert short_data(data, tmp_path) == data
    ensure_short_data(data, tmp_path)
    assert short_data(data, tmp_path) not in (data, first)


@pytest.mark.parametrize("text", ["<docs>", None])
def test_without_usable_documentation_the_folder_of_the_asterisk_is_used(
    text: str | None, data: Path, tmp_path: Path
) -> None:
    file = data / "documentation" / "core-en_US.xml"
    file.unlink() if text is None else file.write_text(text)
    ensure_short_data(data, tmp_path / "runtime")
    assert short_data(data, tmp_path / "runtime") == data
