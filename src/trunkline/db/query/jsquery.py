"""A subset of the jsquery language, translated to PostgreSQL's jsonpath.

::

    query  = or
    or     = and { OR and }          (also |)
    and    = not { AND not }         (also &)
    not    = NOT not | "(" or ")" | path "(" or ")" | path test      (NOT also !)
    path   = step { "." step }
    step   = key | "quoted key" | #  any element of an array | #N  its N-th element (from 0)
           | %  any key of an object | *  anything below, at any depth | $  the value itself
    test   = "=" value | "=" "*" (it exists) | < > <= >= number
           | IN (value, ...) | @> [value, ...] (has all of them) | && [value, ...] (has one of them)
           | IS (ARRAY | OBJECT | STRING | NUMERIC | BOOLEAN | NULL)
    value  = "string" | bare word | number | true | false | null

``#.tag_id = 5``, ``#(tag_id = 5 AND tag_type = "manual")``, ``#.tag_name IN ("vip", "new")``,
``NOT # = "lost"``. Unlike the extension, a path without ``#`` also looks into the elements of an array
(``tag_id = 5`` finds it in an array of tags). The "every element" forms (``#:``, ``%:``, ``*:``), ``<@`` and
index hints are not supported. A path, with the paths around it, has at most 16 steps and two ``*``; a query has at most
eight ``*``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal

from trunkline.core.storable_text import is_storable

MAX_TOKENS = 400
MAX_DEPTH = 16
MAX_STEPS = 16
"""Steps of one path, with those of the paths around it."""
MAX_DESCENTS = 2
"""Steps ``*`` among them: each multiplies the work by the size of the value."""
MAX_ALL_DESCENTS = 8
"""Steps ``*`` of a whole query."""

JsonScalar = str | int | Decimal | bool | None


class JsqueryError(ValueError):
    """The text is not a query of the subset; the message has the position."""


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query.

    :ivar jsonpath: a predicate for the operator ``@@``, which an index may serve.
    :ivar keys: the keys that it names; None when a step may be any key.
    """

    jsonpath: str
    keys: frozenset[str] | None = frozenset()


_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\\x00-\x1f]|\\.)*")
      | (?P<number>[+-]?\d{1,30}(?:\.\d{1,30})?(?![\w.]))
      | (?P<index>\#\d{1,6})
      | (?P<mark><=|>=|@>|&&|[=<>().,\[\]\#%*$!&|])
      | (?P<word>[^\W\d]\w*)
    )""",
    re.VERBOSE,
)
_TYPES = {
    "ARRAY": "array",
    "OBJECT": "object",
    "STRING": "string",
    "NUMERIC": "number",
    "BOOLEAN": "boolean",
    "NULL": "null",
}
_RESERVED = frozenset({"AND", "OR", "NOT", "IN", "IS"})


def parse(text: str) -> Query:
    """Translate a query.

    :raises JsqueryError: it is not of the subset.
    """
    tokens = _tokens(text)
    parser = _Parser(tokens)
    predicate = parser.any_of("$", 1)
    parser.end()
    return Query(predicate, None if parser.any_key else frozenset(parser.keys))


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        if not found or found.lastgroup is None:
            raise JsqueryError(f"cannot read '{text[position : position + 20].strip()}'")
        tokens.append(_Token(found.lastgroup, found[found.lastgroup]))
        position = found.end()
        if len(tokens) > MAX_TOKENS:
            raise JsqueryError(f"it has more than {MAX_TOKENS} words")
    if not tokens:
        raise JsqueryError("it is empty")
    return tokens


class _Parser:
    """Recursive descent; each method returns a jsonpath predicate about ``root`` (``$`` or ``@``)."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self.keys: set[str] = set()
        self.any_key = False
        self._at = 0
        self._steps = 0
        self._descents = 0
        self._all_descents = 0

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise JsqueryError(f"'{self._tokens[self._at].text}' is not expected here")

    def any_of(self, root: str, depth: int) -> str:
        parts = [self._all_of(root, depth)]
        while self._take_word("OR") or self._take("|"):
            parts.append(self._all_of(root, depth))
        return parts[0] if len(parts) == 1 else "(" + " || ".join(parts) + ")"

    def _all_of(self, root: str, depth: int) -> str:
        parts = [self._single(root, depth)]
        while self._take_word("AND") or self._take("&"):
            parts.append(self._single(root, depth))
        return parts[0] if len(parts) == 1 else "(" + " && ".join(parts) + ")"

    def _single(self, root: str, depth: int) -> str:
        if depth > MAX_DEPTH:
            raise JsqueryError(f"it is nested deeper than {MAX_DEPTH} levels")
        if self._take_word("NOT") or self._take("!"):
            return f"!({self._single(root, depth + 1)})"
        if self._take("("):
            inner = self.any_of(root, depth + 1)
            self._expect(")")
            return inner if inner.startswith("(") else f"({inner})"
        outside = self._steps, self._descents
        path = root + self._path()
        if self._take("("):
            inner = self.any_of("@", depth + 1)
            self._expect(")")
            found = f"exists({path} ? ({inner}))"
        else:
            found = self._test(path)
        self._steps, self._descents = outside
        return found

    def _path(self) -> str:
        steps = [self._step()]
        while self._take("."):
            steps.append(self._step())
        return "".join(steps)

    def _step(self) -> str:
        token = self._next("a path")
        self._count(token)
        if token.kind == "string":
            return self._key(_unquoted(token.text))
        if token.kind == "word" and token.text.upper() not in _RESERVED:
            return self._key(token.text)
        if token.kind == "index":
            return f"[{int(token.text[1:])}]"
        marks = {"#": "[*]", "%": ".*", "*": ".**", "$": ""}
        if token.kind == "mark" and token.text in marks:
            self.any_key |= token.text in "%*"
            return marks[token.text]
        raise JsqueryError(f"'{token.text}' is not a step of a path")

    def _key(self, name: str) -> str:
        self.keys.add(name)
        return "." + json.dumps(name, ensure_ascii=False)

    def _count(self, step: _Token) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise JsqueryError(f"a path has more than {MAX_STEPS} steps")
        if step == _Token("mark", "*"):
            self._descents += 1
            self._all_descents += 1
            if self._descents > MAX_DESCENTS:
                raise JsqueryError(f"a path has more than {MAX_DESCENTS} steps '*'")
            if self._all_descents > MAX_ALL_DESCENTS:
                raise JsqueryError(f"it has more than {MAX_ALL_DESCENTS} steps '*'")

    def _test(self, path: str) -> str:
        if self._take_word("IN"):
            values = self._list("(", ")")
            return _exists(path, " || ".join(f"@ == {value}" for value in values))
        if self._take_word("IS"):
            word = self._next("a type").text.upper()
            if word not in _TYPES:
                raise JsqueryError("IS takes " + ", ".join(_TYPES))
            return f'({path}.type() == "{_TYPES[word]}")'
        token = self._next("an operator")
        match token.text:
            case "=":
                if self._take("*"):
                    return f"exists({path})"
                return _exists(path, f"@ == {self._value()}")
            case "<" | ">" | "<=" | ">=":
                number = self._next("a number")
                if number.kind != "number":
                    raise JsqueryError(f"'{token.text}' takes a number")
                return _exists(path, f"@ {token.text} {_number(number.text)}")
            case "&&":
                return _exists(path, " || ".join(f"@ == {value}" for value in self._list("[", "]")))
            case "@>":
                return "(" + " && ".join(_exists(path, f"@ == {v}") for v in self._list("[", "]")) + ")"
        raise JsqueryError(f"'{token.text}' is not an operator")

    def _list(self, opening: str, closing: str) -> list[str]:
        self._expect(opening)
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._expect(closing)
        return values

    def _value(self) -> str:
        token = self._next("a value")
        if token.kind == "string":
            return json.dumps(_unquoted(token.text), ensure_ascii=False)
        if token.kind == "number":
            return _number(token.text)
        if token.kind == "word":
            if token.text in ("true", "false", "null"):
                return token.text
            return json.dumps(token.text, ensure_ascii=False)
        raise JsqueryError(f"'{token.text}' is not a value")

    def _take(self, mark: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == _Token("mark", mark):
            self._at += 1
            return True
        return False

    def _take_word(self, word: str) -> bool:
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind == "word" and token.text.upper() == word:
                self._at += 1
                return True
        return False

    def _expect(self, mark: str) -> None:
        if not self._take(mark):
            raise JsqueryError(f"'{mark}' is missing")

    def _next(self, what: str) -> _Token:
        if self._at >= len(self._tokens):
            raise JsqueryError(f"it ends where {what} is expected")
        self._at += 1
        return self._tokens[self._at - 1]


def _exists(path: str, test: str) -> str:
    return f"exists({path} ? ({test}))"


def _number(text: str) -> str:
    return format(Decimal(text), "f")


def _unquoted(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise JsqueryError(f"cannot read the string {text[:40]}") from error
    if not isinstance(value, str) or not is_storable(value):
        raise JsqueryError("a string contains a character that cannot be stored")
    return value
