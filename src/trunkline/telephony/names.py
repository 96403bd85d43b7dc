"""Asterisk's names of channels and endpoints, and what they mean. Pure."""

from __future__ import annotations

import functools

from trunkline.core.engine_values import EndpointName
from trunkline.telephony.config.model import SITE_PREFIX, TRUNK_PREFIX
from trunkline.telephony.config.pjsip import BROWSER_PREFIX
from trunkline.telephony.port import Endpoint, EndpointKind

_TECHNOLOGY = "PJSIP/"


@functools.lru_cache(maxsize=4096)
def endpoint_of_channel(name: str) -> Endpoint | None:
    """The endpoint of ``PJSIP/1001-0000000a``; None for helpers that are no participant (recorders, snoops).

    Each event of a channel has its name, a dozen in a call.
    """
    if not name.startswith(_TECHNOLOGY):
        return None
    bare, _, _counter = name.removeprefix(_TECHNOLOGY).rpartition("-")
    return endpoint_of(bare) if EndpointName.is_good(bare) else None


def endpoint_of(name: str) -> Endpoint:
    """A line for ``1001`` and ``web-1001``, a trunk for ``trunk-7``, a website for ``site-9``."""
    if name.startswith(TRUNK_PREFIX):
        return Endpoint(EndpointKind.TRUNK, EndpointName(name))
    if name.startswith(SITE_PREFIX):
        return Endpoint(EndpointKind.SITE, EndpointName(name))
    return Endpoint(EndpointKind.LINE, EndpointName(name.removeprefix(BROWSER_PREFIX)))
