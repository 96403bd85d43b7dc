"""What the interfaces we are compatible with promise, as data: every method's parameters, fields and errors.

``contract.facts.json`` is a list of ``{"api", "version", "method", "page", "envelope", "params": [{"name",
"type", "required", "enum"}], "result": [{"name", "type", "filterable", "sortable", "default_response",
"enum"}], "errors": [{"code", "mnemonic"}]}``; names are dotted. ``common_errors.json`` is ``{api: {list:
[{"code", "mnemonic", "message"}]}}``. :mod:`trunkline.apis.contract_coverage` sets our declarations against the facts.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def load_facts() -> list[dict[str, Any]]:
    """All method pages of the reference, in its order; a name may be on two pages."""
    facts: list[dict[str, Any]] = json.loads((files(__package__) / "contract.facts.json").read_bytes())
    return facts


@cache
def load_common_errors() -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The lists of errors shared by methods, by API and list."""
    lists: dict[str, dict[str, list[dict[str, Any]]]] = json.loads(
        (files(__package__) / "common_errors.json").read_bytes()
    )
    return lists
