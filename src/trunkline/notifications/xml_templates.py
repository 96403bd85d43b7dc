"""XML bodies of notifications: what a value looks like there, and whether a template stays well-formed with any. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.parsers import expat
from xml.sax.saxutils import escape

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document may hold, not even as a reference."""

_QUOTES = {'"': "&quot;", "'": "&apos;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
"""Inside attributes, parsers make spaces of line ends and tabs that are not references."""


class InvalidXmlTemplate(ValueError):  # noqa: N818 - reads as what it is
    """The message says why."""


def write(text: str) -> str:
    """A text as character data or as a part of a quoted attribute."""
    return escape(_NOT_XML.sub("\ufffd", text), _QUOTES)


def check(render: Callable[[str], str], count: int) -> None:
    """Whether a template is well-formed with any value.

    :param render: the document with the same text in the place of each placeholder.
    :param count: of its placeholders.
    :raises InvalidXmlTemplate: it is not, or a placeholder is where no value can be: in a name, a comment, a CDATA
        section or outside the root element.
    """
    mark = "placeholder"
    while mark in render(""):
        mark += "s"
    parser = expat.ParserCreate("utf-8")
    found: list[str] = []

    def refuse_declarations(*_arguments: object) -> None:
        raise InvalidXmlTemplate("a document type declaration has no place in it; remove it")

    def check_encoding(_version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() != "utf-8":
            raise InvalidXmlTemplate("it is sent in UTF-8; name no other encoding")

    def refuse_section() -> None:
        raise InvalidXmlTemplate("a CDATA section cannot be used; write the text without it")

    parser.buffer_text = True
    parser.XmlDeclHandler = check_encoding
    parser.StartDoctypeDeclHandler = refuse_declarations
    parser.StartCdataSectionHandler = refuse_section
    parser.CharacterDataHandler = found.append
    parser.StartElementHandler = lambda _name, attributes: found.extend(attributes.values())
    try:
        parser.Parse(render(mark).encode(), True)
    except expat.ExpatError as error:
        raise InvalidXmlTemplate(f"it is not well-formed: {error}") from error
    except ValueError as error:
        if isinstance(error, InvalidXmlTemplate):
            raise
        raise InvalidXmlTemplate("it is not Unicode text") from error
    if sum(text.count(mark) for text in found) != count:
        raise InvalidXmlTemplate("a placeholder can be in a text or in an attribute only")
