"""Customer accounts of a partner account (``agent`` in the API): the partner creates them, sets limits and locks them.

Whether a customer account may work is ``accounts.status``, as for every account: it follows from the administrator's lock
and the partner's, which are separate. ``customers`` has the reason of the partner's lock and the partner's other settings.
A customer account without a row there (created on the command line) has the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import psycopg
from psycopg import sql

from trunkline.accounts import passwords
from trunkline.accounts.administration import AccountProfile, add_account
from trunkline.accounts.support import add_contact_person
from trunkline.contract.columns import FieldSql, field, listed, optional_field
from trunkline.core.errors import InvalidInput, InvalidState, NotFound
from trunkline.core.names import is_email
from trunkline.db.pool import Connection, Database, Row
from trunkline.db.query import Listing
from trunkline.db.rows import transaction


class CustomerStatus(StrEnum):
    WAITING = "waiting"
    """Created, not yet activated."""
    ACTIVE = "active"
    MANUAL_LOCK = "manual_lock"
    LIMIT_LOCK = "limit_lock"
    DEBT_LOCK = "debt_lock"
    ARCHIVE = "archive"
    """Permanently; not listed any more."""


_MOVES: Mapping[CustomerStatus, frozenset[CustomerStatus]] = {
    CustomerStatus.ACTIVE: frozenset({CustomerStatus.WAITING, CustomerStatus.MANUAL_LOCK}),
    CustomerStatus.MANUAL_LOCK: frozenset({CustomerStatus.ACTIVE}),
    CustomerStatus.ARCHIVE: frozenset({CustomerStatus.MANUAL_LOCK}),
}
"""What a partner may set, and from where."""

MAX_NAME, MAX_DESCRIPTION, MAX_EMAIL = 255, 2000, 100
"""Characters."""
MAX_NOTIFY_EMAILS = 5
MAX_AMOUNT = 10**12
"""Of a limit, in the currency of the customer."""
MAX_CALLS = 2**31 - 1

SETTINGS = (
    "description",
    "email",
    "tariff_plan_id",
    "monthly_base_limit",
    "monthly_base_notify_limit",
    "monthly_base_notify_emails",
    "monthly_calls_limit",
    "monthly_calls_notify_limit",
    "monthly_calls_notify_emails",
    "daily_calls_limit",
    "daily_calls_notify_limit",
    "daily_calls_notify_emails",
)
"""Columns of ``customers`` that a partner sets."""

_RESET: Mapping[str, Any] = {"description": ""} | {name: [] for name in SETTINGS if name.endswith("_emails")}
"""What a setting becomes by null; the others become null."""

_STATUS = (
    "case when a.status = 'active' then 'active' when coalesce(c.status, 'active') = 'active' then 'manual_lock'"
    " else c.status end"
)
_OF_CLIENT = "left join customers c on c.account_id = a.parent_account_id and c.customer_id = a.account_id"


def _limits(name: str) -> tuple[FieldSql, ...]:
    shown = "trim_scale(c.{})" if name == "monthly_base" else "c.{}"
    return (
        field(f"{name}_limit", shown.format(f"{name}_limit")),
        field(f"{name}_notify_limit", shown.format(f"{name}_notify_limit")),
        field(f"{name}_notify_emails", f"to_jsonb(c.{name}_notify_emails)"),
    )


CUSTOMERS = Listing(
    name="customers",
    table="accounts a",
    joins=(
        f"{_OF_CLIENT} left join tariff_plans p on p.tariff_plan_id = c.tariff_plan_id"
        " and p.account_id in (0, c.account_id)"
    ),
    where=f"a.parent_account_id = %(account_id)s and {_STATUS} <> 'archive'",
    order="a.account_id",
    columns=listed(
        "get.customers",
        field("id", "a.account_id"),
        field("name", "a.name"),
        optional_field("description", "c.description"),
        field("creation_date_time", "a.created_at"),
        field("status", _STATUS),
        field("status_change_date_time", "coalesce(c.status_changed_at, a.created_at)"),
        *_limits("monthly_base"),
        *_limits("monthly_calls"),
        *_limits("daily_calls"),
        field(
            "sites",
            "(select jsonb_agg(jsonb_build_object('site_id', s.site_id, 'site_domain_name', s.domain_name)"
            " order by s.site_id) from sites s where s.account_id = a.account_id"
            " or (s.account_id = a.parent_account_id and s.child_customer_id = a.account_id))",
        ),
        field("tariff_plan_id", "c.tariff_plan_id"),
        field("tariff_plan_name", "p.name"),
    ),
)

CUSTOMER_USERS = Listing(
    name="customer_users",
    table="users u",
    where=(
        "u.account_id in (select a.account_id from accounts a where a.parent_account_id = %(account_id)s"
        " and a.status = 'active') and u.status = 'active' and (u.call_api_enabled or u.data_api_enabled)"
    ),
    order="u.user_id",
    columns=listed(
        "get.customer_users",
        field("id", "u.user_id"),
        field("login", "u.login"),
        field("description", "u.role"),
        field("name", "coalesce(nullif(u.full_name, ''), u.login)"),
        field("customer_id", "u.account_id"),
    ),
)
"""Users in whose name an agent may ask: those that may use an API and are not locked."""

_PLAN_OFFERED = "p.account_id in (0, %(account_id)s)"

TARIFF_PLANS = Listing(
    name="tariff_plans",
    table="tariff_plans p",
    where=_PLAN_OFFERED,
    order="p.tariff_plan_id",
    columns=listed("get.tariff_plans", field("id", "p.tariff_plan_id"), field("name", "p.name")),
)
"""Plans of the agent and those of the system, which all agents may use."""


async def create_customer(
    database: Database, agent_id: int, name: str, password: str, settings: Mapping[str, Any]
) -> int:
    """Make an account for a client; it waits to be activated. Its id.

    It takes zone, language, currency and country of the agent. Its owner logs in with the e-mail address; no
    address is on its allow-list yet.

    :param settings: values for :data:`SETTINGS`; ``email`` and ``tariff_plan_id`` among them.
    :raises InvalidInput: ``already_in_use``: another user has this address as login; a text that is no e-mail address;
        a password too short or long.
    :raises NotFound: the agent has no such tariff plan.
    """
    passwords.check_strength(password)
    _check_emails(settings)
    async with transaction(database) as connection:
        await _check_plan(connection, agent_id, settings)
        profile = await _profile_like(connection, agent_id, name)
        try:
            made = await add_account(
                connection, profile, login=settings["email"], password=password, with_keys=False
            )
        except InvalidInput as error:
            raise _by_email(error) from error
        customer_id = made.account_id
        await connection.execute(
            "update users set email = %s where account_id = %s and user_id = %s",
            (settings["email"], customer_id, made.user_id),
        )
        await add_contact_person(connection, customer_id, name, emails=[settings["email"]])
        await put_status(connection, agent_id, customer_id, CustomerStatus.WAITING)
        await _put_settings(connection, agent_id, customer_id, settings)
        return customer_id


async def update_customer(
    database: Database, agent_id: int, customer_id: int, changes: Mapping[str, Any]
) -> None:
    """Change what ``changes`` has: ``name``, ``password`` and :data:`SETTINGS`; None resets a setting.

    The owner's e-mail address changes with the client's, and the login if that was the address.

    :raises NotFound: no such client, or tariff plan.
    :raises InvalidInput: as :func:`create_customer`.
    """
    if "password" in changes:
        passwords.check_strength(changes["password"])
    _check_emails(changes)
    async with transaction(database) as connection:
        if await _status_of(connection, agent_id, customer_id, "id") is CustomerStatus.ARCHIVE:
            raise _no_customer(customer_id, "id")
        await _check_plan(connection, agent_id, changes)
        if "name" in changes:
            await connection.execute(
                "update accounts set name = %s where account_id = %s", (changes["name"], customer_id)
            )
        if changes.get("email") is not None:
            await _move_owner(connection, customer_id, changes["email"])
        if "password" in changes:
            await _set_owner_password(connection, customer_id, changes["password"])
        await _put_settings(connection, agent_id, customer_id, changes)


async def set_tariff_plan(database: Database, agent_id: int, customer_id: int, tariff_plan_id: int) -> None:
    """Give a client another tariff plan.

    :raises NotFound: no such client, or tariff plan.
    """
    settings = {"tariff_plan_id": tariff_plan_id}
    async with transaction(database) as connection:
        if await _status_of(connection, agent_id, customer_id, "customer_id") is CustomerStatus.ARCHIVE:
            raise _no_customer(customer_id, "customer_id")
        await _check_plan(connection, agent_id, settings)
        await _put_settings(connection, agent_id, customer_id, settings)


async def set_customer_status(
    database: Database, agent_id: int, customer_id: int, status: CustomerStatus
) -> None:
    """Let a client in, lock it, or archive it; in force at once, also for calls.

    :raises NotFound: no such client.
    :raises InvalidState: not from the present status.
    """
    async with transaction(database) as connection:
        present = await _status_of(connection, agent_id, customer_id, "customer_id")
        if present not in _MOVES[status]:
            raise InvalidState(
                f"a customer that is {present} cannot become {status}", field="status", value=status.value
            )
        if status is CustomerStatus.ACTIVE and await _locked_from_above(connection, customer_id):
            raise InvalidState(
                "the administrator of this installation has locked this account",
                field="status",
                value=status.value,
            )
        await put_status(connection, agent_id, customer_id, status)


async def _status_of(connection: Connection, agent_id: int, customer_id: int, field: str) -> CustomerStatus:
    """The client's status; its row is held until the transaction ends."""
    row = await _one(
        connection,
        f"select {_STATUS} as status from accounts a {_OF_CLIENT}"  # noqa: S608 - our own words
        " where a.parent_account_id = %s and a.account_id = %s for no key update of a",
        (agent_id, customer_id),
    )
    if row is None:
        raise _no_customer(customer_id, field)
    return CustomerStatus(row["status"])


async def _locked_from_above(connection: Connection, customer_id: int) -> bool:
    """Whether the administrator of the installation has locked the account: no agent may undo that."""
    statement = "select from accounts where account_id = %s and locked_by_operator"
    return await _one(connection, statement, (customer_id,)) is not None


async def _check_plan(connection: Connection, agent_id: int, settings: Mapping[str, Any]) -> None:
    plan = settings.get("tariff_plan_id")
    if plan is None:
        return
    params = {"account_id": agent_id, "plan": plan}
    statement = f"select from tariff_plans p where {_PLAN_OFFERED} and p.tariff_plan_id = %(plan)s"
    if await _one(connection, statement, params) is None:
        raise NotFound(
            f"there is no tariff plan {plan} here: see get.tariff_plans", field="tariff_plan_id", value=plan
        )


def _check_emails(settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        addresses = [value] if name == "email" else value if name.endswith("_emails") else []
        for address in addresses or ():
            if address is not None and not is_email(address):
                raise InvalidInput(
                    f"{address!r} is not an e-mail address; send for example layla@example.com",
                    field=name,
                    value=value,
                )


async def _profile_like(connection: Connection, agent_id: int, name: str) -> AccountProfile:
    row = await _one(
        connection,
        "select time_zone, locale, currency, country from accounts where account_id = %s",
        (agent_id,),
    )
    assert row is not None  # the caller exists
    return AccountProfile(name, **row, parent_account_id=agent_id)


async def _put_settings(
    connection: Connection, agent_id: int, customer_id: int, settings: Mapping[str, Any]
) -> None:
    values = {
        name: _RESET.get(name) if settings[name] is None else settings[name]
        for name in SETTINGS
        if name in settings
    }
    # A client that the command line made has no row until now, and is not waiting for anything.
    await connection.execute(
        "insert into customers (account_id, customer_id, status) values (%s, %s, 'active')"
        " on conflict do nothing",
        (agent_id, customer_id),
    )
    if values:
        changes = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values
        )
        statement = sql.SQL(
            "update customers set {} where account_id = %(agent)s and customer_id = %(customer)s"
        ).format(changes)
        await connection.execute(statement, {**values, "agent": agent_id, "customer": customer_id})


async def put_status(connection: Connection, agent_id: int, customer_id: int, status: CustomerStatus) -> None:
    """Set a status in the transaction of the connection, from any status: limits and debts also lock accounts.

    A lock of the administrator stays.
    """
    await connection.execute(
        "insert into customers (account_id, customer_id, status) values (%s, %s, %s)"
        " on conflict (account_id, customer_id) do update"
        " set status = excluded.status, status_changed_at = now()",
        (agent_id, customer_id, status.value),
    )
    await connection.execute(
        "update accounts set locked_by_agent = %s where account_id = %s",
        (status is not CustomerStatus.ACTIVE, customer_id),
    )


_OWNER = (
    "account_id = %(customer)s and user_id = (select min(user_id) from users"
    " where account_id = %(customer)s and role = 'owner')"
)


async def _move_owner(connection: Connection, customer_id: int, email: str) -> None:
    try:
        await connection.execute(
            f"update users set login = case when lower(login) = lower(email) then %(email)s else login end,"  # noqa: S608
            f" email = %(email)s where {_OWNER}".encode(),
            {"customer": customer_id, "email": email},
        )
    except psycopg.errors.UniqueViolation as error:
        raise InvalidInput(
            "another user has this address as login",
            mnemonic="already_in_use",
            field="email",
            value=email,
        ) from error


async def _set_owner_password(connection: Connection, customer_id: int, password: str) -> None:
    """Sessions of the owner end with the old password."""
    params = {"customer": customer_id, "hash": await passwords.hash_of(password)}
    await connection.execute(f"update users set password_hash = %(hash)s where {_OWNER}".encode(), params)  # noqa: S608
    await connection.execute(f"delete from login_sessions where {_OWNER}".encode(), params)  # noqa: S608
    unconfirmed = f"delete from second_factors where {_OWNER} and confirmed_at is null"  # noqa: S608
    await connection.execute(unconfirmed.encode(), params)


async def _one(connection: Connection, statement: str, params: Any) -> Row | None:
    return await (await connection.execute(statement.encode(), params)).fetchone()


def _by_email(error: InvalidInput) -> InvalidInput:
    """A refused login is a refused address here."""
    field = "email" if error.field == "login" else error.field
    return InvalidInput(
        error.message, mnemonic=error.mnemonic, field=field, value=error.value, params=error.params
    )


def _no_customer(customer_id: int, field: str) -> NotFound:
    return NotFound(
        f"there is no customer {customer_id} here: see get.customers", field=field, value=customer_id
    )
