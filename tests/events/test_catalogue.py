"""The catalogue of events documents each key that an event is written with."""

from __future__ import annotations

import ast

from tests.docs.pages import ROOT
from tests.events.documented_keys import DOCUMENTED_KEYS
from trunkline.events.catalogue import EventType

_SOURCES = ROOT / "src" / "trunkline"


def test_each_event_has_a_description() -> None:
    assert set(DOCUMENTED_KEYS) == set(EventType)


def test_each_key_of_an_event_is_documented() -> None:
    """Those that the sources name; the simulations of calls check the others (``tests/calls/simulation.py``)."""
    emitted, missing = 0, []
    for path in sorted(_SOURCES.rglob("*.py")):
        text = path.read_text()
        if ".emit(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="emit"), args=[ast.Attribute(ast.Name("EventType"), name), *_]
                ):
                    emitted += 1
                    keys = {keyword.arg for keyword in node.keywords if keyword.arg} - {"at"}
                    missing += [
                        f"{path.relative_to(ROOT)}:{node.lineno}: {name} {key}"
                        for key in sorted(keys - DOCUMENTED_KEYS[EventType[name]])
                    ]
                case _:
                    pass
    assert emitted > 30
    assert not missing, "\n".join(missing)
