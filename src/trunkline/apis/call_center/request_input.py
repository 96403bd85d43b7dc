"""Reads what a request sends: the key, the query and the body, in any of the forms that clients use. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from trunkline.apis.service.json_shape import VALUES_MAX, JsonRefused, parse_json
from trunkline.core.errors import InvalidInput

KEY = "api_key"
HEADERS = ("api_key", "api-key", "x-api-key")
"""Headers that may have the key; ``Authorization: Bearer`` may have it, too."""

_KEY_MAX = 512
_FIELDS_MAX = 1000
_KEY_IN_BODY = re.compile(rb'"?\bapi_key"?\s{0,9}[=:]\s{0,9}"?([A-Za-z0-9_-]{1,512})')


def key_of_headers(headers: Mapping[str, str]) -> str:
    """The key of a header, empty without one."""
    for name in HEADERS:
        if found := headers.get(name, "").strip():
            return found
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def likely_key(body: bytes) -> str:
    """What may be the key, found by a search: it decides only on the share of the sender (:mod:`.check_limit`)."""
    found = _KEY_IN_BODY.search(body[:65_536])
    return found[1].decode() if found else ""


def key_of(query: Mapping[str, Any], headers: Mapping[str, str], body: Any) -> str:
    """The key of a request: of the query, a header, or the body; empty without one."""
    sent = query.get(KEY) or key_of_headers(headers) or (body.get(KEY) if isinstance(body, dict) else None)
    return sent if isinstance(sent, str) and len(sent) <= _KEY_MAX else ""


def read_query(text: str) -> dict[str, Any]:
    """The parameters of a query string, or of a form.

    A name with ``[]`` behind it, or one that is written several times, has an array of texts.

    :raises InvalidInput: it is not UTF-8, or has too many parameters.
    """
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX, encoding="utf-8"
        )
    except ValueError as error:
        raise InvalidInput(
            f"The parameters cannot be read ({error}): send at most {_FIELDS_MAX}, percent-encoded in UTF-8."
        ) from None
    return _collected(pairs)


def read_body(body: bytes, content_type: str) -> Any:
    """The value of a body: JSON, ``application/x-www-form-urlencoded`` or ``multipart/form-data``.

    What begins like an array or an object of JSON is JSON, whatever its type is called.

    :raises InvalidInput: it is none of these.
    """
    bare = body.strip(b" \t\r\n\xef\xbb\xbf")
    if not bare:
        return {}
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    if kind == "multipart/form-data":
        return _collected(_parts(body, parameters))
    if bare[:1] in (b"{", b"["):
        return _json(bare)
    if kind == "application/json" or kind.endswith("+json"):
        return _json(bare)
    try:
        return read_query(bare.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidInput("The body is not UTF-8: send JSON or a form in UTF-8.") from None


def _json(body: bytes) -> Any:
    try:
        return parse_json(body)
    except JsonRefused as error:
        raise InvalidInput(f"The body is not JSON that can be read: {error}.") from None


def _collected(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name.endswith("[]"):
            before = found.setdefault(name[:-2], [])
            found[name[:-2]] = [*(before if isinstance(before, list) else [before]), value]
        elif name in found and name != KEY:
            before = found[name]
            found[name] = [*(before if isinstance(before, list) else [before]), value]
        else:
            found[name] = value
    return found


def _parts(body: bytes, parameters: str) -> list[tuple[str, str]]:
    """Fields of ``multipart/form-data``; a file is a field with its content."""
    boundary = re.search(r'boundary="?([^";,\s]{1,200})"?', parameters)
    if boundary is None:
        raise InvalidInput("The body has no boundary: send multipart/form-data; boundary=...")
    found: list[tuple[str, str]] = []
    sections = body.split(b"--" + boundary[1].encode("latin-1", "replace"))
    if len(sections) > _FIELDS_MAX + 2:
        raise InvalidInput(f"The body has too many parts: send at most {_FIELDS_MAX}.")
    for section in sections[1:]:
        if section.startswith(b"--"):
            break
        head, separator, content = section.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"\r\n]{1,255})"', head)
        if not separator or name is None:
            raise InvalidInput(
                'A part of the body has no name: send Content-Disposition: form-data; name="...".'
            )
        try:
            found.append((name[1].decode(), content.removesuffix(b"\r\n").decode()))
        except UnicodeDecodeError:
            raise InvalidInput("A part of the body is not UTF-8: send texts in UTF-8.") from None
    return found


TOO_MANY = f"it has more than {VALUES_MAX} values; send fewer at once"
