"""Patterns find what PostgreSQL's ``~`` finds, and what they do not support is an error of the client's."""

from __future__ import annotations

import psycopg
import pytest

from trunkline.core.patterns import PatternError, compile_pattern

_TEXTS = (
    "",
    "a",
    "b\nc",
    "971500000012",
    "+971 50 000 0012",
    "anna@example.com",
    "Анна Петрова",
    "ANNA",
    "علي حسن",
    "a.b",
    "a]b[c",
    "x{1}y",
    "tab\there",
    "under_score",
    "back\\slash",
    "99 bottles",
    "naïve café",
    "^$",
    "a-b",
    "٣٤",
)

_PATTERNS = (
    "",
    "a",
    "^a",
    "a$",
    "^$",
    "^.$",
    "b.c",
    "^971[0-9]{9}$",
    r"^9715\d+$",
    r"\d{2,}",
    r"\s",
    r"\S+@\S+",
    r"^\w+$",
    r"^\W",
    r"\D",
    "[[:alpha:]]+ [[:alpha:]]+",
    "[[:upper:]]",
    "^[[:lower:]]+$",
    "[[:punct:]]",
    "[[:digit:][:space:]]{3}",
    "[^[:alnum:]]",
    "[]]",
    "[^]a]",
    "[a-]",
    r"[\w-]+-",
    r"[\]]",
    r"[\s\d]",
    "anna|bottles",
    "(a|b)\n?c",
    "(?:ab?)+",
    "a*?b",
    "(?i)anna",
    "(?i)АННА",
    r"\mанна|Петрова\M",
    r"\yAnna",
    r"\mПет",
    r"бе\M|ровА\M|рова\M",
    r"[[:<:]]example",
    r"\Aa\Z",
    r"x\{1\}y",
    "x[{]1}",
    "{",
    r"\\",
    r"\B",
    r"\t",
    r"\u0410",
    r"\x41",
    r"a\.b",
    "a.b",
    r"\^\$",
    "[.]",
    "[[.-.]]",
    "[+-]",
    "é",
    "[à-ü]",
    "(99|98) b(o)t{2}les?",
    "a{0}",
    "a|",
    "()",
)


async def test_the_same_texts_match_as_in_the_database(database: str) -> None:
    wrong = []
    async with await psycopg.AsyncConnection.connect(database) as connection:
        for pattern in _PATTERNS:
            cursor = await connection.execute(
                "select t from unnest(%s::text[]) t where t ~ %s", (list(_TEXTS), pattern)
            )
            expected = {row[0] for row in await cursor.fetchall()}
            found, others = compile_pattern(pattern).split(_TEXTS)
            assert len(found) + len(others) == len(_TEXTS)
            if set(found) != expected:
                wrong.append((pattern, set(found) ^ expected))
    assert wrong == []


@pytest.mark.isolation
@pytest.mark.parametrize(
    "pattern",
    [
        "a{4294967296}",
        "a{1,4294967296}",
        "a{101}",
        "(a{11}){11}",
        "a{2,1}",
        "a{1",
        r"(a)\1",
        r"(a*)*\1\1",
        "(?=a)",
        "(?!a)",
        "(?<=a)b",
        "(?P<name>a)",
        "a(?i)b",
        "***=a",
        "*a",
        "a**",
        "(a",
        "a)",
        "[a",
        "[z-a]",
        "[[:nothing:]]",
        "a\\",
        r"\q",
        r"\u12",
        r"\x{110000}",
        "a" * 201,
        "a\0b",
        "\ud800",
        r"\w" * 100,
    ],
)
def test_what_is_not_supported_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["((((.?){9}.?){9}))[0-9]*x", "(a*)*b", "(x+x+)+y(x+x+)+y", "(((((a*)*)*)*)*)*b", "(.*.*.*.*.*.*.*)*b"],
)
def test_no_pattern_costs_more_than_its_size_for_each_character(pattern: str) -> None:
    """The engine keeps no stack of choices: what it does is bounded by the program's size, which is bounded itself."""
    compiled = compile_pattern(pattern)
    assert compiled.size < 10_000
    assert not compiled.matches("a" * 100_000)
