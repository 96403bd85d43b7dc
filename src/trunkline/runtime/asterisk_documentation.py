"""A data folder of Asterisk with short documentation.

At each start Asterisk reads the descriptions of all applications, functions and events (1.6 MB of XML), and searches them
for each option of its configuration: three quarters of the processor time of a start, and half of its memory. It needs the
options, without which PJSIP and ARI do not load. Of the rest it needs the names: it logs a warning for each that it does not
find.

The folder has these in place of ``documentation``; everything else in it is a link. It is made once for an Asterisk, below
the folder of downloaded programs, and may be deleted at any time. The Asterisk itself is not changed (decision 0072).
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

_FOLDER = "asterisk-data"
_DOCUMENTATION, _FILE = "documentation", "core-en_US.xml"
_FORM = 1
"""Increased when the short form changes, so that folders of former versions are not used."""

_CONFIGURATION = frozenset({"configFile", "configObject", "configOption"})
_NAMED = frozenset({"application", "function", "manager", "managerEvent", "agi", "info"})


def short_data(data: Path, runtime: Path) -> Path:
    """The folder with short documentation for ``astdatadir``, if it was made; else ``data``, the one of the Asterisk."""
    found = _folder(data, runtime)
    return found if found is not None and found.is_dir() else data


def ensure_short_data(data: Path, runtime: Path) -> None:
    """Make the folder unless it is there. Where it cannot be made, Asterisk reads its whole documentation."""
    final = _folder(data, runtime)
    if final is None or final.is_dir():
        return
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=final.parent, ignore_cleanup_errors=True) as work:
            made = Path(work) / final.name
            _make(data.absolute(), made)
            made.rename(final)
    except (OSError, ElementTree.ParseError):
        return


def _folder(data: Path, runtime: Path) -> Path | None:
    """Another one for each state of the documentation; None: there is none."""
    try:
        file = (data / _DOCUMENTATION / _FILE).stat()
    except OSError:
        return None
    state = f"{_FORM} {data.absolute()} {file.st_mtime_ns} {file.st_size}"
    return runtime.absolute() / _FOLDER / hashlib.sha256(state.encode()).hexdigest()[:16]


def _make(data: Path, folder: Path) -> None:
    folder.mkdir()
    for entry in data.iterdir():
        if entry.name != _DOCUMENTATION:
            (folder / entry.name).symlink_to(entry)
    (folder / _DOCUMENTATION).mkdir()
    for entry in (data / _DOCUMENTATION).iterdir():
        if entry.name == _FILE:
            short = shortened(ElementTree.parse(entry).getroot())  # noqa: S314 - of the Asterisk that we run
            ElementTree.ElementTree(short).write(folder / _DOCUMENTATION / _FILE, encoding="utf-8")
        elif entry.suffix != ".xml":
            (folder / _DOCUMENTATION / entry.name).symlink_to(entry)
    shutil.copymode(data, folder)


def shortened(documentation: Element) -> Element:
    """What Asterisk needs of its documentation."""
    short = Element(documentation.tag, documentation.attrib)
    for entry in documentation:
        if entry.tag == "configInfo":
            short.append(_options(entry))
        elif entry.tag in _NAMED:
            short.append(_name(entry))
    return short


def _options(entry: Element) -> Element:
    kept = Element(entry.tag, entry.attrib)
    for child in entry:
        if child.tag in _CONFIGURATION:
            kept.append(_options(child))
        elif child.tag in ("matchInfo", "synopsis"):
            kept.append(child)
    return kept


def _name(entry: Element) -> Element:
    kept = Element(entry.tag, entry.attrib)
    # An element that is empty counts as absent.
    synopsis = entry.find("synopsis")
    kept.append(Element("synopsis") if synopsis is None else synopsis)
    return kept
