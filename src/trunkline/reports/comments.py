"""Comments on communications: written by people, the newest is shown in reports."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from trunkline.core.errors import NotFound
from trunkline.db.pool import Database, Row
from trunkline.db.rows import transaction
from trunkline.reports.communications import TABLES, Kind

COMMENTED = (Kind.CALL, Kind.OFFLINE_MESSAGE, Kind.CHAT, Kind.EMAIL)
MAX_LENGTH = 4000


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes, and how others read who it was."""

    account_id: int
    user_id: int
    login: str


async def add_comment(
    database: Database, author: Author, kind: Kind, communication_id: int, comment: str
) -> None:
    """Comment a communication of the author's account.

    :raises NotFound: there is no such communication.
    """
    table, key, _ = TABLES[kind]
    look = sql.SQL("select from {} where account_id = %s and {} = %s").format(
        sql.Identifier(table), sql.Identifier(key)
    )
    async with transaction(database) as connection:
        found = await (await connection.execute(look, (author.account_id, communication_id))).fetchone()
        if found is None:
            raise NotFound(
                f"No {kind} has the id {communication_id}. The reports list the ids.",
                field="communication_id",
                value=communication_id,
            )
        await connection.execute(
            "insert into communication_comments"
            " (account_id, communication_type, communication_id, comment, user_id, author)"
            " select %(account_id)s, %(kind)s, %(id)s, %(comment)s, %(user_id)s, coalesce((select"
            " nullif(full_name, '') from users where account_id = %(account_id)s and user_id = %(user_id)s), %(login)s)",
            {
                "account_id": author.account_id,
                "kind": str(kind),
                "id": communication_id,
                "comment": comment,
                "user_id": author.user_id,
                "login": author.login,
            },
        )


def newest(column: str, kind: str, communication_id: str) -> str:
    """SQL of a column (``comment``, ``author``) of the newest comment of a communication.

    :param kind: SQL of its kind; ``communication_id``: of its id.
    """
    return (
        f"(select x.{column} from communication_comments x where x.account_id = s.account_id"
        f" and x.communication_type = {kind} and x.communication_id = {communication_id}"
        " order by x.comment_id desc limit 1)"
    )


async def comments_of(database: Database, account_id: int, kind: Kind, communication_id: int) -> list[Row]:
    """The comments on a communication, the newest first: ``comment``, ``author``, ``created_at``."""
    return await database.fetch_all(
        "select comment, author, created_at from communication_comments where account_id = %s"
        " and communication_type = %s and communication_id = %s order by comment_id desc limit 100",
        (account_id, str(kind), communication_id),
    )
