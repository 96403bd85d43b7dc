"""With what browsers of a website's visitors authenticate to the engine.

The password is random and nobody sees it: pages get its HA1 digest, which is valid for the endpoint of this website alone,
and that endpoint reaches nothing without a ticket of the switch. After :data:`HOURS` the next visitor gets another one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trunkline.db.pool import Database
from trunkline.db.rows import transaction
from trunkline.directory.lines.digest import REALM, ha1, new_password

HOURS = 12

_FIND = """
select phone_ha1_md5, phone_renewed_at > now() - make_interval(hours => %(hours)s) as is_good from sites
where account_id = %(account_id)s and site_id = %(site_id)s and phone_scenario_id is not null and calls_enabled
"""


@dataclass(frozen=True, slots=True)
class SiteCredential:
    """:ivar user: of the SIP address, and what authenticates.
    :ivar ha1: MD5 digest, lower-case hexadecimal.
    :ivar is_new: made now: the engine has it a moment later.
    """

    user: str
    realm: str
    ha1: str = field(repr=False)
    is_new: bool


def endpoint_of_site(site_id: int) -> str:
    """The name of the website's visitors in the engine."""
    return f"site-{site_id}"


async def site_credential(db: Database, account_id: int, site_id: int) -> SiteCredential | None:
    """The present credential, made when there is none or it is too old; None: browsers cannot call this website."""
    params = {"account_id": account_id, "site_id": site_id, "hours": HOURS}
    user = endpoint_of_site(site_id)
    found = await db.fetch_one(_FIND, params)
    if found is None:
        return None
    if found["is_good"]:
        return SiteCredential(user, REALM, found["phone_ha1_md5"], False)
    async with transaction(db) as connection:
        cursor = await connection.execute(_FIND + " for update", params)
        found = await cursor.fetchone()
        if found is None or found["is_good"]:
            return None if found is None else SiteCredential(user, REALM, found["phone_ha1_md5"], False)
        digest = ha1(user, new_password())
        await connection.execute(
            """update sites set phone_ha1_md5 = %s, phone_ha1_sha256 = %s, phone_renewed_at = now()
               where account_id = %s and site_id = %s""",
            (digest.md5, digest.sha256, account_id, site_id),
        )
    return SiteCredential(user, REALM, digest.md5, True)
