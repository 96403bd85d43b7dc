"""Links to the wall-board of an account, for screens without a keyboard: they open the figures of queues, and nothing else.

A link does not expire, because a screen on a wall cannot sign in again; it ends when it is deleted. Its token is shown once,
and its hash is kept. It is accepted from the networks from which people of the account may sign in to the console.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from trunkline.accounts import networks, tokens
from trunkline.accounts.model import Api, Status
from trunkline.core.errors import InvalidInput, NotFound, QuotaReached
from trunkline.core.id_text import id_in_text
from trunkline.db.pool import Database
from trunkline.db.rows import one_at_a_time, transaction

LINKS_MAX = 50
"""Of one account."""

NAME_MAX = 100


@dataclass(frozen=True, slots=True)
class WallboardLink:
    """A link.

    :ivar queue_ids: shown queues; empty: all.
    :ivar created_by: login.
    """

    account_id: int
    link_id: int
    name: str
    language: str
    queue_ids: tuple[int, ...]
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """A link that a screen has opened.

    :ivar time_zone: of the account.
    """

    link: WallboardLink
    time_zone: ZoneInfo


_COLUMNS = "l.account_id, l.link_id, l.name, l.language, l.queue_ids, l.created_by, l.created_at"


async def create_link(
    db: Database, account_id: int, *, name: str, language: str, queue_ids: Sequence[int], login: str
) -> str:
    """The token of a new link, which nobody can read again.

    :raises InvalidInput: no name, or one that is too long.
    :raises QuotaReached: the account has :data:`LINKS_MAX`.
    """
    name = " ".join(name.replace("\0", "").split())
    if not 1 <= len(name) <= NAME_MAX:
        raise InvalidInput(f"A link needs a name of at most {NAME_MAX} characters.", field="name")
    token = f"{account_id}.{tokens.new_token()}"
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        cursor = await connection.execute(
            "select count(*) as count from wallboard_links where account_id = %s", (account_id,)
        )
        row = await cursor.fetchone()
        if row is not None and row["count"] >= LINKS_MAX:
            raise QuotaReached(f"An account has at most {LINKS_MAX} links: delete one that is not used.")
        await connection.execute(
            "insert into wallboard_links (account_id, name, token_hash, language, queue_ids, created_by)"
            " values (%s, %s, %s, %s, %s, %s)",
            (account_id, name, tokens.hash_of(token), language, sorted(set(queue_ids)), login),
        )
    return token


async def links_of(db: Database, account_id: int) -> list[WallboardLink]:
    """The links of an account, by name."""
    rows = await db.fetch_all(
        f"select {_COLUMNS} from wallboard_links l where l.account_id = %s order by l.name, l.link_id",  # noqa: S608
        (account_id,),
    )
    return [WallboardLink(**{**row, "queue_ids": tuple(row["queue_ids"])}) for row in rows]


async def delete_link(db: Database, account_id: int, link_id: int) -> None:
    """End a link: screens that have it open lose it within a minute.

    :raises NotFound: there is none.
    """
    count = await db.execute(
        "delete from wallboard_links where account_id = %s and link_id = %s", (account_id, link_id)
    )
    if count == 0:
        raise NotFound("There is no such link.", field="link_id", value=link_id)


async def open_link(db: Database, token: str, ip: str) -> OpenedLink | None:
    """The link of a token; None: there is none, the account is blocked, or the address is not permitted."""
    account_id = id_in_text(token.partition(".")[0])
    if account_id is None:
        return None
    row = await db.fetch_one(
        f"select {_COLUMNS}, a.time_zone, a.status, array(select n.network from allowed_addresses n"  # noqa: S608
        " where n.account_id = l.account_id and n.api = %(api)s) as networks"
        " from wallboard_links l join accounts a on a.account_id = l.account_id"
        " where l.account_id = %(account_id)s and l.token_hash = %(hash)s",
        {"account_id": account_id, "hash": tokens.hash_of(token), "api": Api.CONSOLE.value},
    )
    address = networks.parse_address(ip)
    if row is None or row["status"] != Status.ACTIVE or address is None:
        return None
    if not networks.admits(tuple(row["networks"]), address):
        return None
    rest = {name: row[name] for name in row if name not in ("time_zone", "status", "networks")}
    return OpenedLink(
        WallboardLink(**{**rest, "queue_ids": tuple(row["queue_ids"])}), ZoneInfo(row["time_zone"])
    )
