"""Where browsers reach SIP."""

from __future__ import annotations

from trunkline.core.errors import Unavailable


def sip_websocket_url(port: int, host: str | None) -> str:
    """Address of the secure WebSocket of SIP.

    :param port: ``sip.wss_port`` of the settings; 0 = turned off.
    :param host: by which the page reached us, an IPv6 address without brackets.
    :raises Unavailable: it is turned off.
    """
    if not port or not host:
        raise Unavailable("SIP for browsers is turned off: the administrator can set sip.wss_port.")
    return f"wss://{f'[{host}]' if ':' in host else host}:{port}/ws"
