"""Templates of notification bodies and addresses: text with ``{{name}}`` placeholders. Pure.

In JSON a placeholder inside a string is inserted escaped; an unquoted one becomes a separate JSON value
(string quoted, number, boolean, null, array), so the result is valid JSON for all values. Elsewhere, XML included,
lists are comma separated and what has no value is empty. A template is checked when it is saved: an unknown
variable, an unfinished placeholder or a frame that is not valid JSON is refused with its place."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, quote_plus, urlsplit

from trunkline.core.errors import InvalidInput
from trunkline.notifications import xml_templates
from trunkline.notifications.variables import VARIABLES, Value

_PLACEHOLDER = re.compile(r"\{\{\s*(?:([A-Za-z0-9_.-]+)\s*)?\}\}")
_OPENING = "{{"
_UNICODE_ESCAPE = re.compile(r"\\u[0-9A-Fa-f]{4}")

MAX_TEMPLATE_LENGTH = 65_536
"""Characters."""


class Format(StrEnum):
    """How values are written into a text."""

    JSON = "json"
    FORM = "form"
    XML = "xml"
    TEXT = "text"
    URL = "url"


CONTENT_TYPES = {
    Format.JSON: "application/json",
    Format.FORM: "application/x-www-form-urlencoded",
    Format.XML: "application/xml; charset=utf-8",
    Format.TEXT: "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A variable's place in a template. ``quoted``: inside a JSON string."""

    name: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Template:
    """A checked template: literal texts and placeholders in turn."""

    format: Format
    parts: tuple[str | Placeholder, ...]

    @property
    def names(self) -> frozenset[str]:
        """The variables that it uses."""
        return frozenset(part.name for part in self.parts if isinstance(part, Placeholder))

    def render(self, values: Mapping[str, Value]) -> str:
        """The text with the values in their places; a variable without a value may be missing from
        ``values``."""
        return "".join(
            part if isinstance(part, str) else _write(self.format, part.quoted, values.get(part.name))
            for part in self.parts
        )


def format_of(text: str, content_type: str | None) -> Format:
    """What a body template is: by its Content-Type header when there is one, else JSON if it begins like
    that, or XML by its declaration."""
    if content_type:
        bare = content_type.partition(";")[0].strip().lower()
        if bare == "application/json" or bare.endswith("+json"):
            return Format.JSON
        if bare in ("application/xml", "text/xml") or bare.endswith("+xml"):
            return Format.XML
        return Format.FORM if bare == "application/x-www-form-urlencoded" else Format.TEXT
    if text.startswith("<?xml"):
        return Format.XML
    return Format.JSON if text.lstrip()[:1] in ("{", "[") else Format.TEXT


def parse_body(text: str, content_type: str | None = None, *, field: str = "body_template") -> Template:
    """Check a body template and parse it.

    :param content_type: of the subscription's own headers, if it has one.
    :param field: named in errors.
    :raises InvalidInput: an unknown variable, an unfinished placeholder, or not JSON or XML where that is meant.
    """
    if len(text) > MAX_TEMPLATE_LENGTH:
        raise InvalidInput(
            f"The template is {len(text)} characters long; shorten it to {MAX_TEMPLATE_LENGTH}.", field=field
        )
    format_ = format_of(text, content_type)
    if format_ is Format.XML:
        template = Template(format_, _split(text, field))
        _check_xml(template, field)
        return template
    if format_ is not Format.JSON:
        return Template(format_, _split(text, field))
    template = Template(format_, _split_json(text, field))
    _check_json(template, text, field)
    return template


def parse_url(text: str, *, field: str = "url") -> Template:
    """Check an address template: ``http`` or ``https``, placeholders in path, query and fragment only.

    :raises InvalidInput: not such an address.
    """
    parts = _split(text, field)
    if any(character.isspace() or ord(character) < 32 for character in _PLACEHOLDER.sub("", text)):
        raise InvalidInput("The address contains a space or line break; remove it.", field=field, value=text)
    try:
        address = urlsplit(text)
        host, _port = address.hostname, address.port
    except ValueError as error:
        raise InvalidInput(f"This is not an address: {error}.", field=field, value=text) from error
    if address.scheme not in ("http", "https") or not host:
        raise InvalidInput(
            "An address begins with http:// or https:// and the host's name.", field=field, value=text
        )
    if _OPENING in address.netloc:
        raise InvalidInput(
            "A placeholder may be in the path or the query, not in the host name.",
            field=field,
            value=text,
        )
    return Template(Format.URL, parts)


def default_body(values: Mapping[str, Value]) -> str:
    """The body of a subscription without a template: all variables as one JSON object."""
    return _json({name: _finite(value) for name, value in values.items()})


def _split(text: str, field: str) -> tuple[str | Placeholder, ...]:
    parts: list[str | Placeholder] = []
    position = 0
    while (start := text.find(_OPENING, position)) >= 0:
        while text.startswith(
            _OPENING, start + 1
        ):  # of more than two braces, the last two open a placeholder
            start += 1
        parts.append(text[position:start])
        placeholder, position = _placeholder_at(text, start, field, quoted=False)
        parts.append(placeholder)
    parts.append(text[position:])
    return tuple(part for part in parts if part != "")


def _split_json(text: str, field: str) -> tuple[str | Placeholder, ...]:
    parts: list[str | Placeholder] = []
    literal_start = position = 0
    in_string = False
    while position < len(text):
        character = text[position]
        if in_string and character == "\\":
            unicode_escape = _UNICODE_ESCAPE.match(text, position)
            if text[position + 1 : position + 2] == "u" and unicode_escape is None:
                raise InvalidInput(
                    f"An unfinished \\u escape {_place(text, position)}; write four hexadecimal digits.",
                    field=field,
                )
            position = unicode_escape.end() if unicode_escape else position + 2
        elif text.startswith(_OPENING, position) and not text.startswith(_OPENING, position + 1):
            # No JSON has two opening braces in a row outside a string.
            parts.append(text[literal_start:position])
            placeholder, position = _placeholder_at(text, position, field, quoted=in_string)
            parts.append(placeholder)
            literal_start = position
        else:
            if character == '"':
                in_string = not in_string
            position += 1
    parts.append(text[literal_start:])
    return tuple(part for part in parts if part != "")


def _placeholder_at(text: str, start: int, field: str, *, quoted: bool) -> tuple[Placeholder, int]:
    match = _PLACEHOLDER.match(text, start)
    if match is None:
        raise InvalidInput(
            f"A placeholder {_place(text, start)} is not finished; write it as {{{{name}}}}.", field=field
        )
    name = match.group(1) or ""
    if name not in VARIABLES:
        raise InvalidInput(
            f"There is no variable {name!r} ({_place(text, start)}); see the list of variables.",
            field=field,
            value=name,
            params={"position": start},
        )
    return Placeholder(name, quoted), match.end()


def _place(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    return f"in line {line}, column {column}"


def _check_json(template: Template, text: str, field: str) -> None:
    # With null for every unquoted placeholder: null is a complete JSON value and cannot join its context, so a frame
    # that is valid with it is valid with every other value in its place.
    sample = template.render({})
    try:
        json.loads(sample, parse_constant=_refuse_constant)
    except ValueError as error:
        raise InvalidInput(
            f"The template is not valid JSON: {error}. Placeholders count as null there; put quotation marks around"
            " one only to make it a part of a string.",
            field=field,
            value=text[:200],
        ) from error
    except RecursionError as error:
        raise InvalidInput("The template is nested too deeply; flatten it.", field=field) from error


def _check_xml(template: Template, field: str) -> None:
    def with_text(text: str) -> str:
        return "".join(part if isinstance(part, str) else text for part in template.parts)

    placeholders = [part for part in template.parts if isinstance(part, Placeholder)]
    try:
        xml_templates.check(with_text, len(placeholders))
    except xml_templates.InvalidXmlTemplate as error:
        raise InvalidInput(f"The template is no XML: {error}.", field=field) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _write(format_: Format, quoted: bool, value: Value) -> str:
    value = _finite(value)
    if format_ is Format.JSON:
        return _json(plain(value))[1:-1] if quoted else _json(value)
    return _WRITERS[format_](plain(value))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def plain(value: Value) -> str:
    """A value in ordinary text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return str(value)


def _finite(value: Value) -> Value:
    """JSON has no infinity and no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _quote_all(text: str) -> str:
    return quote(text, safe="")


def _same(text: str) -> str:
    return text


_WRITERS: dict[Format, Callable[[str], str]] = {
    Format.FORM: quote_plus,
    Format.XML: xml_templates.write,
    Format.TEXT: _same,
    Format.URL: _quote_all,
}
