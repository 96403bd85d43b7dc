"""The registered devices of a SIP line."""

from __future__ import annotations

from typing import Any

from trunkline.db.pool import Database
from trunkline.directory.lines.listing import LIVE

_DEVICES = f"""
select host(r.ip) as ip, r.port, r.transport, r.user_agent, r.contact_uri, r.registered_at, r.reachable
from sip_lines l, lateral (select r.* {LIVE}) r
where l.account_id = %(account_id)s and l.sip_line_id = %(sip_line_id)s
order by r.registered_at desc, r.contact_uri
"""  # noqa: S608 - consists of constants


async def devices_of(db: Database, account_id: int, sip_line_id: int) -> list[dict[str, Any]]:
    """The devices of a line, the latest first: ``ip``, ``port``, ``transport``, ``user_agent``, ``contact_uri``,
    ``registered_at`` (aware), ``reachable`` (None: not probed yet)."""
    return await db.fetch_all(_DEVICES, {"account_id": account_id, "sip_line_id": sip_line_id})
