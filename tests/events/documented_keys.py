"""The keys of the data of each event, as the catalogue of events documents them."""

from __future__ import annotations

import ast
import inspect
import re

from trunkline.events.catalogue import EventType


def _documented() -> dict[EventType, frozenset[str]]:
    [catalogue] = ast.parse(inspect.getsource(EventType)).body
    assert isinstance(catalogue, ast.ClassDef)
    found = {}
    for member, text in zip(catalogue.body, catalogue.body[1:], strict=False):
        match member, text:
            case ast.Assign(targets=[ast.Name(name)]), ast.Expr(value=ast.Constant(str(words))):
                found[EventType[name]] = frozenset(re.findall(r"\w+", words))
            case _:
                pass
    return found


DOCUMENTED_KEYS = _documented()
