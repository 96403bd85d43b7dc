"""From a token to the caller. One statement, nothing cached: a change by an administrator takes effect at once."""

from __future__ import annotations

from datetime import datetime
from typing import LiteralString
from zoneinfo import ZoneInfo

from trunkline.accounts import tokens
from trunkline.accounts.model import Caller, CallerKind, Status
from trunkline.accounts.permissions import Role
from trunkline.core.errors import AuthenticationFailed, PermissionDenied
from trunkline.db.pool import Database, Row

_USER: LiteralString = """
    u.account_id, u.user_id, u.login, u.employee_id, u.role, u.status as user_status,
    u.call_api_enabled, u.data_api_enabled, u.call_center_enabled, u.geo_limit, a.cors_origins,
    a.status as account_status, a.time_zone, a.locale, a.is_agent,
    array(select p.resource || ':' || p.action from user_permissions p
          where p.account_id = u.account_id and p.user_id = u.user_id
          union select unnest(g.permissions) from permission_groups g
          where g.account_id = u.account_id and g.pgroup_id = u.pgroup_id) as permissions,
    array(select c.component from account_components c where c.account_id = u.account_id) as components,
    array(select n.network from allowed_addresses n
          where n.account_id = u.account_id and n.api = %(api)s) as networks,
    (select jsonb_object_agg(w.method, w.weight) from method_weights w
     where w.account_id = u.account_id and w.api = %(api)s) as weights
"""

# The token finds its account, so this is the one look-up that cannot name it.
BY_TOKEN: LiteralString = f"""
    with found as (
        select account_id, user_id, 'key' as kind, key_id, null as api, expires_at, blocked_at, last_used_at
        from api_keys where token_hash = %(hash)s
        union all
        select account_id, user_id, 'session', null, api, expires_at, null, null
        from login_sessions where token_hash = %(hash)s
    )
    select found.kind, found.key_id, found.api, found.expires_at, found.blocked_at, found.last_used_at,
        {_USER}
    from found join users u using (account_id, user_id) join accounts a using (account_id)
"""  # noqa: S608 - consists of constants

_CLIENT_USER: LiteralString = f"""
    select {_USER}
    from users u join accounts a using (account_id)
    where a.parent_account_id = %(agent)s and u.user_id = %(user_id)s
"""  # noqa: S608 - consists of constants

_KEY_USE_STEP = 60
"""Seconds: ``last_used_at`` of a key is no more precise than this, which spares a write a request."""


async def find_caller(db: Database, token: str, api: str, now: datetime) -> Caller:
    """Who holds the token.

    :raises AuthenticationFailed: ``access_token_invalid`` (no such token, or a session of another API),
        ``access_token_expired``, ``access_token_blocked`` (the key, or its user, was blocked).
    :raises PermissionDenied: ``account_inactive``.
    """
    return await caller_of_row(
        db, await db.fetch_one(BY_TOKEN, {"hash": tokens.hash_of(token), "api": api}), api, now
    )


async def caller_of_row(db: Database, row: Row | None, api: str, now: datetime) -> Caller:
    """The caller of a row of :data:`BY_TOKEN`; errors as of :func:`find_caller`."""
    if row is None or (row["api"] is not None and row["api"] != api):
        raise AuthenticationFailed(
            "the access token is not known here; log in again or use a key of this installation",
            mnemonic="access_token_invalid",
        )
    if row["blocked_at"] is not None or row["user_status"] != Status.ACTIVE:
        raise AuthenticationFailed(
            "the key or its user was blocked; ask an admin of the account", mnemonic="access_token_blocked"
        )
    if row["expires_at"] is not None and row["expires_at"] <= now:
        raise AuthenticationFailed(
            "the access token has expired; log in again or ask for a new key", mnemonic="access_token_expired"
        )
    check_account(row)
    await _note_use(db, row, now)
    return _caller(row, CallerKind(row["kind"]), api)


async def find_client_user(db: Database, agent: Caller, user_id: int) -> Caller:
    """The client's user that an agent acts for; kind stays the agent's.

    :raises PermissionDenied: ``forbidden`` when there is no such active user among the agent's clients, or
        the agent's own user may not see its clients; ``account_inactive``.
    """
    row = None
    if agent.is_agent and agent.may("client_user", "select"):
        row = await db.fetch_one(
            _CLIENT_USER, {"agent": agent.account_id, "user_id": user_id, "api": agent.api}
        )
    if row is None or row["user_status"] != Status.ACTIVE:
        raise PermissionDenied(
            "user_id is not an active user of a client of this agent account; see get.customer_users",
            field="user_id",
            value=user_id,
        )
    check_account(row)
    return _caller(row, agent.kind, agent.api)


def check_account(row: Row) -> None:
    """:class:`PermissionDenied` ``account_inactive`` when the row's account is disabled."""
    if row["account_status"] != Status.ACTIVE:
        raise PermissionDenied(
            "the account is disabled; ask the administrator of this installation", mnemonic="account_inactive"
        )


async def _note_use(db: Database, row: Row, now: datetime) -> None:
    last = row["last_used_at"]
    if row["key_id"] is None or (last is not None and (now - last).total_seconds() < _KEY_USE_STEP):
        return
    await db.execute(
        "update api_keys set last_used_at = %s where account_id = %s and key_id = %s",
        (now, row["account_id"], row["key_id"]),
    )


def _caller(row: Row, kind: CallerKind, api: str) -> Caller:
    return Caller(
        account_id=row["account_id"],
        user_id=row["user_id"],
        login=row["login"],
        employee_id=row["employee_id"],
        time_zone=ZoneInfo(row["time_zone"]),
        locale=row["locale"],
        kind=kind,
        role=Role(row["role"]),
        permissions=frozenset(row["permissions"]),
        components=frozenset(row["components"]),
        call_api_enabled=row["call_api_enabled"],
        data_api_enabled=row["data_api_enabled"],
        is_agent=row["is_agent"],
        call_center_enabled=row["call_center_enabled"],
        geo_limit=frozenset(row["geo_limit"]),
        cors_origins=tuple(row["cors_origins"]),
        api=api,
        networks=tuple(row["networks"]),
        weights=row["weights"] or {},
    )
