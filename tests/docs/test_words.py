"""Names, comments and pages use plain technical English: words that were replaced do not come back."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, pages
from tests.docs.sources import syntax_of

pytestmark = pytest.mark.xdist_group("sources")

_SOURCES = ROOT / "src" / "trunkline"
_TESTS = ROOT / "tests"

_REPLACED_NAMES = {
    "Absent": "NoAudio",
    "Admission": "AdmittedCaller",
    "Alarms": "CallTimers",
    "Fault": "UnusableRecording",
    "Aim": "DialTarget",
    "Expected": "PendingTarget",
    "JsonRpcDoor": "JsonRpcEndpoint",
    "LiveLook": "LiveContext",
    "Look": "CallContext",
    "Machine": "Dispatcher",
    "Performer": "EffectExecutor",
    "Repeats": "IdempotencyKeys",
    "RunAgain": "RetryLater",
    "Surface": "ServiceSpec",
    "Parted": "TalkInterrupted",
    "Placing": "Dialling",
    "TakenLate": "ControlledLate",
    "Tally": "Rollup",
    "ToWorld": "ToOutside",
    "Turn": "Decision",
    "Undecided": "UnresolvedLeg",
    "away_since": "unavailable_since",
    "by_hand": "require_user_tag",
    "changing": "transaction",
    "feature_codes": "talk_options",
    "get_lines": "get_fast_logger",
    "hang_up_unknown": "refuse_channel",
    "in_our_hands": "controlled",
    "is_away": "is_unavailable",
    "judged": "caller_of_row",
    "lightly": "without_flush",
    "misplaced": "contract_overrides",
    "must_exist": "lock_row",
}
"""Identifiers of the sources that were replaced, and the present ones."""

_REPLACED = re.compile(rf"\b({'|'.join(_REPLACED_NAMES)})\b")

_WORDS = re.compile(
    r"^(bears?|borne|brake|coat|doomed|doors?|hears?|hush|insisting|journals?|keepers?|pieces|"
    r"strangers?|tales?|tally|tell|teller|tells|told)$"
)
"""Words that no identifier of the sources contains."""

_TEST_WORDS = re.compile(r"^(house|houses|stage|stages|story|stories|tale|tales|tell|teller|tells|told)$")
"""Words that no identifier of the tests contains: a setup, a client, a call and a report have these names."""

_NAME_EXCEPTIONS = {
    "hears": "the test tools measure which party receives whose tone",
    "hears_matrix": "the test tools measure which party receives whose tone",
    "hears_something": "a message or music of a party",
}
"""Identifiers that may contain such a word, and why."""

_PROSE = re.compile(
    r"\b(arrows?|bears? it|borne|doomed|doors?|hush|in our hands|in vain|likewise|nobody's|puts? aside|rooms?|"
    r"(asterisk|database|engine|postgresql|server|switch) (is|was|went) away|handbooks?|numbers? of the world|"
    r"calls? to the world|dead-lettered events?|goes round|he|him|his|last words|ours where|"
    r"(callers|telephones?) of the world|signs? of life|"
    r"(have|has|had) (its|their) turn|round and round|vouch(es)?|witness(es)?|"
    r"stands? back|stools?|tales?|tell|telling|tells|the house|told|twins?|whoever)\b",
    re.IGNORECASE,
)
"""Words that pages, comments and docstrings do not use."""

_MESSAGES = re.compile(
    r"\b(asked here|(ask|the|its) operator (allows|enables|for|grants|of the installation|to)|bear already|herself|himself|"
    r"left alone|look its id up|make room|one of ours|knows no)\b",
    re.IGNORECASE,
)
"""Further words that no text of the sources contains: a message has the administrator of the installation, and where to
look."""

_LABEL = re.compile(r"[A-Za-z_][\w.\-]{2,60}")
"""A text of one word: the name of a log event, a logger, a file, a column."""

_LABEL_EXCEPTIONS = {
    "hears": "the demo measures which party receives whose tone",
    "journal.csv": "the CEL log: a switch after an update reads what Asterisk wrote before it",
}
"""Texts of one word that may contain such a word, and why."""

_PROSE_EXCEPTIONS = {
    "tests/docs/test_words.py": "the list of the replaced words",
    "src/trunkline/db/migrations": "released revisions never change",
}
"""Beginnings of paths whose text is not checked, and why."""


@cache
def _modules() -> tuple[Path, ...]:
    return tuple(sorted(_SOURCES.rglob("*.py")))


def _names(path: Path) -> Iterator[str]:
    """Every name that a module defines, and its own."""
    yield path.stem
    for node in ast.walk(syntax_of(path)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr
            case _:
                pass


def _parts(name: str) -> list[str]:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_").split("_")


def _prose(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of comments and docstrings."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        is_text = token.type == tokenize.STRING and token.string.lstrip("rb").startswith('"""')
        if token.type == tokenize.COMMENT or is_text:
            for number, line in enumerate(token.string.splitlines()):
                yield token.start[0] + number, re.sub(r"``[^`]*``|`[^`]*`", "", line)


def _is_checked(path: Path) -> bool:
    return not str(path.relative_to(ROOT)).startswith(tuple(_PROSE_EXCEPTIONS))


def _may_define(path: Path, words: re.Pattern[str]) -> bool:
    """Whether it is worth parsing a module: a name that it defines is in its text."""
    return bool(words.search(path.stem) or words.search(path.read_text()))


def test_identifiers() -> None:
    # A part of a name is between underscores, or begins with a capital letter.
    words = _WORDS.pattern.strip("^$()").split("|")
    parts = [*words, *(word.capitalize() for word in words)]
    inside = re.compile(rf"(?:(?<![A-Za-z])|(?=[A-Z]))(?:{'|'.join(parts)})(?![a-z])|{_REPLACED.pattern}")
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in _modules()
        if _is_checked(path) and _may_define(path, inside)
        for name in dict.fromkeys(_names(path))
        if name not in _NAME_EXCEPTIONS
        and (name in _REPLACED_NAMES or any(_WORDS.match(part) for part in _parts(name)))
    ]
    assert not found, "\n".join(found)


def test_names_of_tests() -> None:
    """Tests and test tools do not define names that the sources replaced, nor names that are metaphors."""
    inside = re.compile(rf"{_TEST_WORDS.pattern.strip('^$')}|{_REPLACED.pattern}", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted(_TESTS.rglob("*.py"))
        if _may_define(path, inside)
        for name in dict.fromkeys(_names(path))
        if name in _REPLACED_NAMES or any(_TEST_WORDS.match(part) for part in _parts(name))
    ]
    assert not found, "\n".join(found)


def test_comments_and_docstrings() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in (*_modules(), *sorted(_TESTS.rglob("*.py")))
        if _is_checked(path) and _PROSE.search(path.read_text())
        for number, line in _prose(path)
        if _PROSE.search(line)
    ]
    assert not found, "\n".join(found)


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every string constant: messages, log events, names of loggers and files."""
    for node in ast.walk(syntax_of(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _is_wrong_text(text: str) -> bool:
    if _LABEL.fullmatch(text):
        return text not in _LABEL_EXCEPTIONS and any(_WORDS.match(part) for part in re.split(r"[._\-]", text))
    return bool(_MESSAGES.search(text) or _PROSE.search(text))


def test_texts() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {text}"
        for path in _modules()
        if _is_checked(path)
        for number, text in _texts(path)
        if _is_wrong_text(text)
    ]
    assert not found, "\n".join(found)


def test_a_text_with_a_replaced_word_is_found() -> None:
    assert _is_wrong_text("apis.journal")
    assert _is_wrong_text("nobody coaches himself")
    assert _is_wrong_text("what they bear already")
    assert not _is_wrong_text("apis.request_log")


def test_pages() -> None:
    found = [
        f"{page.relative_to(ROOT)}:{number}: {line}"
        for page in pages()
        for number, line in enumerate(page.read_text().splitlines(), 1)
        if _PROSE.search(re.sub(r"`[^`]*`", "", line))
    ]
    assert not found, "\n".join(found)
