"""The request to another system about a call. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from trunkline.directory.model import RequestParameter

NO_INPUT = "None"
"""What existing receivers expect for no keys."""


def parameters(values: Mapping[RequestParameter, Any], chosen: Iterable[str]) -> dict[str, str]:
    """The chosen parameters, in the order of the mnemonics; None is empty."""
    names = set(chosen)
    return {
        name.value: "" if values[name] is None else str(values[name])
        for name in RequestParameter
        if name.value in names and name in values
    }


def with_query(url: str, sent: Mapping[str, str]) -> str:
    """A URL with further parameters behind those that it has; a fragment is left out."""
    base = url.partition("#")[0]
    query = urlencode(sent)
    if not query:
        return base
    separator = "" if base.endswith(("?", "&")) else "&" if "?" in base else "?"
    return f"{base}{separator}{query}"


def shown(url: str) -> str:
    """A URL for logs: without user, password and query, which may have keys of the other system."""
    scheme, _, rest = url.partition("://")
    host = rest.partition("?")[0].partition("#")[0]
    place, slash, path = host.partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}"
