"""Reads from the marks which state of the accounts' configuration Asterisk has loaded, and reloads what differs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping

from trunkline.telephony.ami import AmiClient
from trunkline.telephony.ari import AriClient, AriError
from trunkline.telephony.config import MARK, Kind

_SIP = "res_pjsip.so"
_MODULES: Mapping[Kind, tuple[str, ...]] = {
    Kind.AUTHS: (_SIP,),
    Kind.AORS: (_SIP,),
    Kind.ENDPOINTS: (_SIP,),
    Kind.PEERS: (
        _SIP,
        "res_pjsip_endpoint_identifier_ip.so",
        "res_pjsip_outbound_registration.so",
    ),
    Kind.ROUTES: ("pbx_config.so",),
    Kind.MUSIC: ("res_musiconhold.so",),
}
_OBJECTS: Mapping[Kind, tuple[str, str]] = {
    Kind.AUTHS: ("auth", "username"),
    Kind.AORS: ("aor", "voicemail_extension"),
    Kind.ENDPOINTS: ("endpoint", "accountcode"),
    Kind.PEERS: ("domain_alias", "domain"),
}
"""Type of the mark, and the attribute that has the digest."""
_CLASS = re.compile(rf"{MARK}-([0-9a-f]+)")
_BUSY = 409
_BUSY_TRIES = 20
_BUSY_PAUSE = 0.1


async def applied_digests(ari: AriClient, ami: AmiClient) -> dict[Kind, str | None]:
    """The digest that each kind has in Asterisk; None where there is none.

    :raises AriError, AmiError: Asterisk does not respond.
    """
    objects, routes, classes = await asyncio.gather(
        asyncio.gather(*(_object(ari, *where) for where in _OBJECTS.values())),
        ari.get("/asterisk/variable", variable="TL_APPLIED"),
        ami.command("moh show classes"),
    )
    music = _CLASS.search(classes)
    return {
        **dict(zip(_OBJECTS, objects, strict=True)),
        Kind.ROUTES: routes.get("value") or None,
        Kind.MUSIC: music[1] if music else None,
    }


def differences(wanted: Mapping[Kind, str], applied: Mapping[Kind, str | None]) -> list[Kind]:
    """Kinds whose state in Asterisk differs from the wanted one."""
    return [kind for kind, digest in wanted.items() if applied.get(kind) != digest]


async def reload(ari: AriClient, kinds: Iterable[Kind]) -> None:
    """Have Asterisk load these kinds again. Calls stay, and other commands are carried out meanwhile.

    :raises AriError: refused, or not done in time; it may still be done.
    """
    for module in dict.fromkeys(module for kind in kinds for module in _MODULES[kind]):
        for attempt in range(_BUSY_TRIES):
            try:
                await ari.put(f"/asterisk/modules/{module}")
                break
            except AriError as error:
                if error.status != _BUSY or attempt == _BUSY_TRIES - 1:
                    raise
                await asyncio.sleep(_BUSY_PAUSE)  # another reload is under way


async def _object(ari: AriClient, type_: str, attribute: str) -> str | None:
    try:
        found = await ari.get(f"/asterisk/config/dynamic/res_pjsip/{type_}/{MARK}")
    except AriError as error:
        if error.status != 404:
            raise
        return None
    return next((one["value"] for one in found if one["attribute"] == attribute), None)
