"""``GET /phones/{token}/{file}``: the configuration file of a phone.

The token in the path is the credential; a wrong one, and a file that is not the phone's, are 404 and count for the limits
of unauthenticated clients. Over HTTPS only: plain HTTP is served to this machine, and to trusted proxies whose client used
HTTPS (``X-Forwarded-Proto: https``).
"""

from __future__ import annotations

from ipaddress import ip_address

from aiohttp import web

from trunkline.apis.address import AddressOf, networks
from trunkline.apis.request_share import CHECK
from trunkline.core.errors import InvalidInput
from trunkline.core.settings import Settings
from trunkline.provisioning.phones import Phones
from trunkline.provisioning.server import Transport, sip_host, sip_port


def routes(phones: Phones, settings: Settings, address_of: AddressOf) -> list[web.RouteDef]:
    """The route, for the application of the web role."""
    proxies = networks(settings.web.trusted_proxies)
    server: dict[Transport, tuple[str, int]] = {}
    for transport in Transport:
        try:
            server[transport] = (sip_host(settings, transport), sip_port(settings, transport))
        except InvalidInput:
            continue  # turned off

    def is_private(request: web.Request) -> bool:
        if request.secure:
            return True
        peer = ip_address(request.remote or "127.0.0.1")
        if not peer.is_loopback and not any(peer in network for network in proxies):
            return False
        # Of a proxy: what the client used. Without the header it is a request of this machine.
        return (
            request.headers.get("X-Forwarded-Proto", "https" if peer.is_loopback else "").lower() == "https"
        )

    async def send(request: web.Request) -> web.StreamResponse:
        if not is_private(request):
            raise web.HTTPNotFound(text="Configurations of phones are served over HTTPS only.")
        fetched = await phones.fetch(
            request.match_info["token"],
            request.match_info["file"],
            server,
            address_of(request),
            request.headers.get("User-Agent", ""),
        )
        if fetched is None:
            raise web.HTTPNotFound(text="Not found")
        request[CHECK].identified(fetched.account_id)
        if fetched.file is None:
            raise web.HTTPGone(text=fetched.refusal)
        return web.Response(
            body=fetched.file.content,
            headers={
                "Content-Type": fetched.file.content_type,
                "Cache-Control": "no-store",
                "Referrer-Policy": "no-referrer",
            },
        )

    return [web.get("/phones/{token}/{file}", send)]
