"""Refused requests cost no points; they fill neither the report nor the disk that all tenants share."""

from __future__ import annotations

import secrets

import pytest

from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.apis.service.request_log import DatabaseRequestLog, Entry
from trunkline.db.pool import Database

pytestmark = pytest.mark.attack

REQUESTS = 1500


def _entry(account_id: int, error: str | None) -> Entry:
    return Entry(
        account_id=account_id,
        api_request_id=None,
        api="data_api",
        method="get.tags",
        user_id=1,
        user_login="hostile",
        ip="192.0.2.1",
        points=0,
        error_mnemonic=error,
        request={"bogus": secrets.token_urlsafe(11_000)},
        request_id="1",
        call_session_id=None,
        duration_ms=1,
        requested_at=1_795_251_600.0,
    )


async def _kept(db: Database, account_id: int) -> tuple[int, int]:
    row = await db.fetch_one(
        "select count(*) as rows, coalesce(sum(length(request::text)), 0) as size from api_requests"
        " where account_id = %s",
        (account_id,),
    )
    assert row is not None
    return int(row["rows"]), int(row["size"])


async def test_a_flood_of_refused_requests_adds_little_to_the_report(database: str) -> None:
    async with await Database.open(database) as db:
        administration = Administration(db)
        hostile, victim = [
            (await administration.create_account(AccountProfile(name=name))).account_id for name in ("A", "B")
        ]
        async with DatabaseRequestLog(db) as request_log:
            for _ in range(REQUESTS):
                request_log.write(_entry(hostile, "unexpected_parameters"))
            request_log.write(_entry(hostile, None))
            for _ in range(5):
                request_log.write(_entry(victim, "unexpected_parameters"))
        rows, size = await _kept(db, hostile)
        # the flood may fall into two minutes
        assert rows <= 2 * 600 + 1
        assert size < 1_000_000
        assert await db.fetch_one(
            "select 1 as one from api_requests where account_id = %s and is_success", (hostile,)
        )
        rows, size = await _kept(db, victim)
        assert rows == 5
        assert size > 5 * 11_000
