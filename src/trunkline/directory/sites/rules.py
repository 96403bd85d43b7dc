"""What a site may be: the limits, for every interface."""

from __future__ import annotations

import re

from trunkline.directory.campaigns.weights import DEFAULTS
from trunkline.directory.sites.industries import INDUSTRIES

FIRST_BLOCK = "Main block"
"""Of every new site."""

MAX_INDUSTRY = len(INDUSTRIES)
MAX_DAYS = 36_500
MAX_SECONDS = 1_000_000
MAX_PERIOD = 365
MAX_WEIGHT = 100
MAX_CALLS_AT_ONCE = 1000
MAX_CALLS_PER_MINUTE = 10
"""The reference's limit of ``sitePhoneCall``."""
MAX_CALLS_PER_NUMBER = 100
"""In 24 hours."""
MAX_CALLS_PER_ADDRESS = 1000
"""In an hour."""
WEIGHTS = tuple(DEFAULTS)
SITE_KEY = r"^[A-Za-z0-9_]{32}$"

_DOMAIN = re.compile(r"(?=.{1,253}\Z)[^\W_](?:[\w-]*\w)?(?:\.[^\W_](?:[\w-]*\w)?)+\Z")


def domain(text: str) -> str | None:
    """A domain in lower case; None when the text is not a domain (with a protocol or a path)."""
    name = text.strip().rstrip(".").lower()
    return name if _DOMAIN.match(name) else None
