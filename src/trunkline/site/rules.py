"""Which pages may ask, what their addresses say about the visit, and tokens of visits. Pure."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qsl, urlsplit

from trunkline.core.storable_text import storable

VALUE_MAX = 500
"""Characters of a text that is kept of a visit."""

MARKS = (
    *(f"utm_{name}" for name in ("source", "medium", "term", "content", "campaign", "referrer", "expid")),
    *(f"openstat_{name}" for name in ("ad", "campaign", "service", "source")),
    "gclid",
    "yclid",
    "ymclid",
    "ef_id",
    "cm_id",
    "tag_from",
)
"""Parameters of a page's address that reports have fields for."""

_SEARCH_ENGINES = {
    "google": ("google.com", "q"),
    "bing": ("bing.com", "q"),
    "yandex": ("yandex", "text"),
    "yahoo": ("yahoo.com", "p"),
}
"""By a label of the host: the name in the reports, and the parameter with the words."""

_BROWSERS = (
    ("Edge", re.compile(r"Edg(?:A|iOS)?/([\d.]+)")),
    ("Opera", re.compile(r"OPR/([\d.]+)")),
    ("Firefox", re.compile(r"(?:Firefox|FxiOS)/([\d.]+)")),
    ("Chrome", re.compile(r"(?:Chrome|CriOS)/([\d.]+)")),
    ("Safari", re.compile(r"Version/([\d.]+).*Safari/")),
)
_SYSTEMS = (
    ("Android", re.compile(r"Android ?([\d.]*)")),
    ("iOS", re.compile(r"(?:iPhone|iPad).*? OS ([\d_]+)")),
    ("Windows", re.compile(r"Windows NT ([\d.]+)")),
    ("macOS", re.compile(r"Mac OS X ([\d_.]+)")),
    ("Linux", re.compile(r"Linux()")),
)


def permits(origins: Sequence[str], domain: str, subdomains: bool, origin: str | None) -> bool:
    """Whether pages of an origin may ask for a website.

    :param origins: those that the website names; none: its domain over HTTPS, with and without ``www.``.
    :param subdomains: whether its subdomains count, where it names no origins.
    :param origin: of the request (``https://www.example.com``); None: it has none, so no page sent it.
    """
    if origin is None or origin == "null":
        return False
    own = origin.lower()
    if origins:
        return "*" in origins or own in {one.lower() for one in origins}
    scheme, _, host = own.partition("://")
    domain = domain.lower()
    return scheme == "https" and (
        host in (domain, f"www.{domain}") or (subdomains and host.endswith(f".{domain}"))
    )


def _parameters(query: str) -> list[tuple[str, str]]:
    """Decoded; what cannot be stored may appear only then (``%00``).

    :raises ValueError: there are too many.
    """
    return [(name, storable(value)) for name, value in parse_qsl(query, max_num_fields=100)]


def marks_of(url: str) -> dict[str, str]:
    """The parameters of :data:`MARKS` in the address of a page, each with its first value; empty ones are left out."""
    try:
        found = _parameters(urlsplit(url).query)
    except ValueError:
        return {}
    marks: dict[str, str] = {}
    for name, value in found:
        if name in MARKS and value:
            marks.setdefault(name, value[:VALUE_MAX])
    return marks


def search_of(referrer: str) -> dict[str, str]:
    """``search_engine`` and ``search_query`` of the page before, where it is one of a search engine."""
    try:
        parts = urlsplit(referrer)
        words = dict(_parameters(parts.query))
    except ValueError:
        return {}
    for label in (parts.hostname or "").split("."):
        if label in _SEARCH_ENGINES:
            name, parameter = _SEARCH_ENGINES[label]
            query = words.get(parameter, "")[:VALUE_MAX]
            return {"search_engine": name, **({"search_query": query} if query else {})}
    return {}


def device_of(agent: str) -> dict[str, str]:
    """``visitor_device``, ``visitor_browser_*`` and ``visitor_os_*`` by the header ``User-Agent``, as far as they show."""
    agent = agent[:VALUE_MAX]
    found = {"visitor_device": _device(agent)}
    for kind, table in (("browser", _BROWSERS), ("os", _SYSTEMS)):
        for name, pattern in table:
            if match := pattern.search(agent):
                found[f"visitor_{kind}_name"] = name
                if match[1]:
                    found[f"visitor_{kind}_version"] = match[1].replace("_", ".")
                break
    return found


def _device(agent: str) -> str:
    if "iPad" in agent or ("Android" in agent and "Mobile" not in agent):
        return "tablet"
    if "Mobile" in agent or "iPhone" in agent:
        return "mobile"
    return "desktop" if re.search("Windows|Macintosh|X11|CrOS", agent) else "other"


@dataclass(frozen=True, slots=True)
class VisitIds:
    """A visit that was begun here."""

    visitor_id: int
    visitor_session_id: int


def visit_token(key: str, site_id: int, ids: VisitIds) -> str:
    """What a page stores of its visit: the ids, and a mark that only this server can make."""
    return f"{ids.visitor_id}.{ids.visitor_session_id}.{_mark(key, site_id, ids)}"


def ids_of(key: str, site_id: int, token: str | None) -> VisitIds | None:
    """The visit of a token; None: it is not of this server and website."""
    found = re.fullmatch(r"([1-9][0-9]{0,17})\.([1-9][0-9]{0,17})\.([0-9a-f]{32})", token or "")
    if found is None:
        return None
    ids = VisitIds(int(found[1]), int(found[2]))
    return ids if hmac.compare_digest(found[3], _mark(key, site_id, ids)) else None


def _mark(key: str, site_id: int, ids: VisitIds) -> str:
    text = f"{site_id}.{ids.visitor_id}.{ids.visitor_session_id}"
    return hmac.new(key.encode(), text.encode(), sha256).hexdigest()[:32]


def changed(
    properties: Mapping[str, str | None], name: str, value: str | None, most: int
) -> dict[str, str | None]:
    """The properties with one more; a new one is left out when there are ``most``."""
    if name not in properties and len(properties) >= most:
        return dict(properties)
    return {**properties, name: value}
