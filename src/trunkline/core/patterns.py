"""Regular expressions that a client writes, matched by an engine whose time grows with the text alone.

The APIs document POSIX expressions, and PostgreSQL's advanced ones were accepted before: a pattern is read in that
syntax, translated to RE2's and compiled there. RE2 never backtracks, so no pattern takes more than the size of the
compiled pattern times the length of the text.

What a pattern may contain: literals, ``.`` (any character, a line break too), ``^`` and ``$`` (begin and end of the
whole text), brackets with ranges and classes (``[[:alpha:]]``), ``( )``, ``(?: )``, ``|``, ``* + ? {m} {m,} {m,n}``
and their non-greedy forms, ``\\d \\w \\s \\D \\W \\S`` (letters of all scripts, digits 0-9), ``\\A \\Z``, word
boundaries ``\\m \\M \\y \\Y``, the escapes of characters, and ``(?i)`` at the start. Not supported: back-references,
lookahead and lookbehind, directors (``***``), other embedded options.

``\\m`` and ``\\y`` as the first step of a pattern and ``\\M`` and ``\\y`` as the last one respect letters of all
scripts; elsewhere, and for ``\\Y``, only ASCII letters count.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, ParamSpec, TypeVar

import re2

from trunkline.core.threads import working_threads

LENGTH_MAX = 200
"""Characters of a pattern."""

REPEAT_MAX = 100
"""Largest product of the bounds ``{m,n}`` in one pattern: the engine unrolls them."""

_MEMORY = 1 << 20
"""Bytes of one compiled pattern with its caches; a pattern that needs more is refused."""

_P = ParamSpec("_P")
_T = TypeVar("_T")

_THREADS = working_threads("patterns", 16)
"""A pool of their own, so that the threads of the event loop, which resolve names, do not wait for patterns. As many as
concurrent requests with patterns at most."""

_LETTER = r"\p{L}\p{M}\p{Nl}"
_CLASSES = {
    "alpha": _LETTER,
    "digit": "0-9",
    "alnum": _LETTER + "0-9",
    "word": _LETTER + "0-9_",
    "upper": r"\p{Lu}",
    "lower": r"\p{Ll}",
    "space": r"\t-\r \x{85}\x{1680}\x{2000}-\x{2006}\x{2008}-\x{200a}\x{2028}\x{2029}\x{205f}\x{3000}",
    "blank": r"\t \x{1680}\x{2000}-\x{2006}\x{2008}-\x{200a}\x{205f}\x{3000}",
    "punct": r"\p{P}\p{S}",
    "cntrl": r"\p{Cc}",
    "xdigit": "0-9A-Fa-f",
    "graph": r"\p{L}\p{M}\p{N}\p{P}\p{S}",
    "print": r" \p{L}\p{M}\p{N}\p{P}\p{S}",
    "ascii": r"\x00-\x7f",
}
_SHORT = {"d": "digit", "w": "word", "s": "space"}
_CONTROLS = {"a": 7, "b": 8, "e": 27, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_HEX_DIGITS = {"x": (1, 8), "u": (4, 4), "U": (8, 8)}

_NOT_WORD = f"[^{_CLASSES['word']}]"
_QUANTIFIER = re.compile(r"[*+?]|\{([0-9]+)(?:(,)([0-9]*))?\}")
_CLASS = re.compile(r"\[(:\^?\w+:|:<:|:>:|\..\.|=.=)\]", re.DOTALL)
_OPTIONS = re.compile(r"\(\?([a-z]*)\)")


class PatternError(ValueError):
    """The text is not a pattern that is supported; the message has the reason."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. Its methods release the interpreter's lock, so that a thread may do the work."""

    text: str
    size: int
    """Instructions of the compiled program: the cost of one character at worst."""
    _compiled: Any

    def matches(self, text: str) -> bool:
        """Whether some part of the text matches."""
        return self._compiled.search(text) is not None

    def split(self, texts: Iterable[str]) -> tuple[list[str], list[str]]:
        """The texts that match and those that do not."""
        search = self._compiled.search
        yes: list[str] = []
        no: list[str] = []
        for text in texts:
            (yes if search(text) is not None else no).append(text)
        return yes, no


async def in_thread(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Do work with patterns in the pool for patterns."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(work, *args, **kwargs))


@lru_cache(maxsize=256)
def compile_pattern(text: str) -> Pattern:
    """Read a pattern.

    :raises PatternError: it is too long, too large, not well-formed or uses what is not supported.
    """
    translated = translate(text)
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    options.never_capture = True
    options.max_mem = _MEMORY
    try:
        compiled = re2.compile(translated, options)
    except re2.error as error:
        raise PatternError(_reason(error)) from None
    return Pattern(text, compiled.programsize, compiled)


def translate(text: str) -> str:
    """The pattern in RE2's syntax.

    :raises PatternError: see :func:`compile_pattern`.
    """
    if len(text) > LENGTH_MAX:
        raise PatternError(f"a pattern has at most {LENGTH_MAX} characters")
    if "\x00" in text:
        raise PatternError("a pattern cannot contain the character U+0000")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise PatternError("a pattern cannot contain half of a surrogate pair")
    if text.startswith("***"):
        raise PatternError("directors (***) are not supported")
    return _Reader(text).read()


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    words = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    return words.split(":")[0].strip() or "it cannot be read"


class _Reader:
    """Reads a pattern once, from left to right, and puts RE2's spelling together."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._parts: list[str] = []
        self._product = 1
        self._quantifiable = False

    def read(self) -> str:
        self._read_options()
        first = self._at
        while self._at < len(self._text):
            self._step(first)
        return "".join(self._parts)

    def _read_options(self) -> None:
        found = _OPTIONS.match(self._text)
        if found is None:
            return
        letters = found[1]
        if not set(letters) <= set("ices"):
            raise PatternError("of the embedded options only (?i), (?c), (?e) and (?s) are supported")
        for letter in letters:
            if letter in "ic":
                self._parts = ["(?i)"] if letter == "i" else []
        self._at = found.end()

    def _step(self, first: int) -> None:
        text, at = self._text, self._at
        character = text[at]
        if character == "\\":
            self._escape(first)
        elif character == "[":
            self._bracket()
        elif character == "(":
            self._open()
        elif character in "*+?" or (character == "{" and text[at + 1 : at + 2].isdigit()):
            self._quantify()
        else:
            # A brace that begins no bound is itself.
            self._add("\\" + character if character in "{}]" else character)
            self._at += 1
            self._quantifiable = character not in "|^$"

    def _add(self, part: str) -> None:
        self._parts.append(part)
        self._quantifiable = True

    def _open(self) -> None:
        if self._text.startswith("(?", self._at):
            if not self._text.startswith("(?:", self._at):
                raise PatternError("lookahead, lookbehind, named groups and inner options are not supported")
            self._at += 3
        else:
            self._at += 1
        self._parts.append("(?:")
        self._quantifiable = False

    def _quantify(self) -> None:
        found = _QUANTIFIER.match(self._text, self._at)
        if found is None:
            raise PatternError("a repetition {m,n} is not complete")
        if not self._quantifiable:
            raise PatternError("a repetition has nothing to repeat")
        self._at = found.end()
        spelled = found[0]
        if spelled[0] == "{":
            bounds = [bound for bound in (found[1], found[3]) if bound]
            if any(len(bound.lstrip("0")) > 3 for bound in bounds):
                raise PatternError(f"a repetition is at most {REPEAT_MAX}")
            numbers = [int(bound) for bound in bounds]
            if len(numbers) == 2 and numbers[0] > numbers[1]:
                raise PatternError("in a repetition {m,n} m is larger than n")
            self._product *= max(*numbers, 1)
            if self._product > REPEAT_MAX:
                raise PatternError(f"the repetitions of a pattern multiply to at most {REPEAT_MAX}")
            spelled = "{" + str(numbers[0]) + (found[2] or "") + ",".join(map(str, numbers[1:])) + "}"
        if self._text.startswith("?", self._at):  # non-greedy: the same texts match
            self._at += 1
        self._parts.append(spelled)
        self._quantifiable = False

    def _escape(self, first: int) -> None:
        at = self._at
        if at + 1 >= len(self._text):
            raise PatternError("it ends with a backslash")
        letter = self._text[at + 1]
        if letter in "mMyY":
            self._at += 2
            self._parts.append(self._boundary(letter, at == first, self._at == len(self._text)))
            self._quantifiable = False
        elif letter in "AZ":
            self._at += 2
            self._parts.append("^" if letter == "A" else "$")
            self._quantifiable = False
        elif letter.lower() in _SHORT:
            self._at += 2
            negated = "^" if letter.isupper() else ""
            self._add(f"[{negated}{_CLASSES[_SHORT[letter.lower()]]}]")
        else:
            self._add(_literal(self._character()))

    @staticmethod
    def _boundary(letter: str, is_first: bool, is_last: bool) -> str:
        if letter in "my" and is_first:
            return f"(?:^|{_NOT_WORD})"
        if letter in "My" and is_last:
            return f"(?:$|{_NOT_WORD})"
        return r"\B" if letter == "Y" else r"\b"

    def _character(self) -> str:
        """The character that an escape at the current place means."""
        letter = self._text[self._at + 1]
        self._at += 2
        if letter in _CONTROLS:
            return chr(_CONTROLS[letter])
        if letter == "B":
            return "\\"
        if letter == "c":
            if self._at >= len(self._text):
                raise PatternError("\\c needs a character")
            self._at += 1
            return chr(ord(self._text[self._at - 1]) & 0x1F)
        if letter in _HEX_DIGITS:
            least, most = _HEX_DIGITS[letter]
            digits = re.compile(f"[0-9A-Fa-f]{{{least},{most}}}").match(self._text, self._at)
            if digits is None:
                raise PatternError(f"\\{letter} needs {least} hexadecimal digits")
            self._at = digits.end()
            return _code_point(int(digits[0], 16))
        if letter.isdigit():
            raise PatternError("back-references are not supported")
        if letter.isalnum() and letter.isascii():
            raise PatternError(f"\\{letter} is not an escape that is supported")
        return letter

    def _bracket(self) -> None:
        text = self._text
        for spelled, boundary in (("[[:<:]]", "m"), ("[[:>:]]", "M")):
            if text.startswith(spelled, self._at):
                at = self._at
                self._at += len(spelled)
                self._parts.append(self._boundary(boundary, at == 0, self._at == len(text)))
                self._quantifiable = False
                return
        self._at += 1
        negated = text.startswith("^", self._at)
        self._at += negated
        items: list[str] = []
        begins = True
        while begins or not text.startswith("]", self._at):
            begins = False
            if self._at >= len(text):
                raise PatternError("a bracket is not closed")
            items.append(self._item())
        self._at += 1
        self._add(f"[{'^' if negated else ''}{''.join(items)}]")

    def _item(self) -> str:
        """A class, a range or a character between brackets."""
        text = self._text
        known = _CLASS.match(text, self._at)
        if known is not None and known[1][0] == ":":
            name = known[1].strip(":")
            if name not in _CLASSES:
                raise PatternError(f"[:{name}:] is not a class of characters")
            self._at = known.end()
            return _CLASSES[name]
        if text[self._at] == "\\" and text[self._at + 1 : self._at + 2].lower() in tuple(_SHORT):
            letter = text[self._at + 1]
            if letter.isupper():
                raise PatternError(f"\\{letter} is not supported between brackets")
            self._at += 2
            return _CLASSES[_SHORT[letter]]
        low = self._end_of_range()
        if not (text.startswith("-", self._at) and text[self._at + 1 : self._at + 2] not in ("", "]")):
            return _literal(low)
        self._at += 1
        high = self._end_of_range()
        if high < low:
            raise PatternError("a range between brackets ends before it begins")
        return f"{_literal(low)}-{_literal(high)}"

    def _end_of_range(self) -> str:
        text = self._text
        known = _CLASS.match(text, self._at)
        if known is not None and known[1][0] in ".=":
            self._at = known.end()
            return known[1][1]
        if text[self._at] == "\\":
            if self._at + 1 >= len(text):
                raise PatternError("a bracket is not closed")
            return self._character()
        self._at += 1
        return text[self._at - 1]


def _code_point(number: int) -> str:
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF or number == 0:
        raise PatternError("an escape names a character that does not exist")
    return chr(number)


def _literal(character: str) -> str:
    return f"\\x{{{ord(character):x}}}"
