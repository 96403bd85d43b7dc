"""The pages, and what stands in them: links, headings, fenced blocks, requests with curl."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_CURL = re.compile(r"curl -s http://127\.0\.0\.1:8080(/\S*)(?: -H '[^']*')*(?: -d '([^']*)')?")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    language: str
    text: str


@cache
def pages() -> tuple[Path, ...]:
    return (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    return tuple(Block(page, language, text) for language, text in _FENCE.findall(page.read_text()))


@cache
def prose(page: Path) -> str:
    """The text without fenced blocks."""
    return _FENCE.sub("", page.read_text())


@cache
def links(page: Path) -> tuple[str, ...]:
    return tuple(_LINK.findall(prose(page)))


@cache
def anchors(page: Path) -> frozenset[str]:
    """The headings, in the form in which links name them."""
    return frozenset(
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        for heading in _HEADING.findall(prose(page))
    )


def requests(page: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and body of each request with curl; a body that is not valid JSON raises ``ValueError``."""
    for block in blocks(page):
        for path, body in _CURL.findall(block.text):
            if body:
                yield path, json.loads(body)


def commands(page: Path) -> Iterator[str]:
    """Command lines: of shell blocks, and of code spans that begin with ``make`` or ``trunkline``."""
    for block in blocks(page):
        if block.language == "sh":
            for line in block.text.splitlines():
                yield re.sub(r"^(?:\w+=\S+ )+", "", line.partition(" #")[0].strip())
    yield from re.findall(r"`((?:make|trunkline)[^`]*)`", prose(page))
