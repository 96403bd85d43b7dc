"""The examples of the page about scenarios: what the tests of files apply, and the tests of calls play."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

PAGE = Path(__file__).parents[1] / "docs/scenarios.md"


def blocks() -> list[str]:
    """The YAML examples; the first is the company."""
    return re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def company_block() -> str:
    return blocks()[0]


def scenarios() -> dict[str, Any]:
    """All scenarios of the page by key, with scalars as text where YAML would make numbers of them."""
    found: dict[str, Any] = {}
    for block in blocks()[1:]:
        given = yaml.load(block, Loader=yaml.BaseLoader)["scenarios"]
        assert not found.keys() & given.keys(), "two examples have scenarios of one key"
        found |= given
    return found


def whole() -> str:
    """The company and all scenarios as one directory file."""
    company = yaml.load(company_block(), Loader=yaml.BaseLoader)
    return yaml.safe_dump({**company, "scenarios": scenarios()}, sort_keys=False)
