"""Users of an account, their permissions and keys."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from trunkline.accounts import passwords, tokens
from trunkline.accounts.model import METERED, Action, Api, NewKey, Status
from trunkline.accounts.permissions import (
    CALL_CENTER,
    CONTROL_CALLS,
    RESOURCES,
    WATCH_CALLS,
    Permission,
    Role,
    role_permits,
)
from trunkline.accounts.second_factor import remove_second_factor
from trunkline.core import names
from trunkline.core.errors import Duplicate, InvalidInput, InvalidState, NotFound
from trunkline.db.pool import Connection, Database, Row

_LONGEST_LOGIN = 100


class Users:
    """Changes users; errors are :class:`InvalidInput` and :class:`NotFound`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def create(
        self,
        account_id: int,
        login: str,
        password: str | None = None,
        *,
        full_name: str = "",
        email: str | None = None,
        role: Role | None = Role.MEMBER,
        apis: Iterable[Api] = (),
        employee_id: int | None = None,
    ) -> int:
        """Make a user; returns ``user_id``.

        :param role: None: a member; with ``apis``, an integrator, who may also control calls if the Call API is one of
            them and manage all modules of the Call Center API if that is one of them, because a member may use no method.

        :param login: unique over the installation, capitals do not matter.
        :param password: None = may not log in by password.
        :param apis: what this user may call (:data:`~trunkline.accounts.model.METERED`).
        """
        enabled = frozenset(apis)
        given = role or (Role.INTEGRATOR if enabled else Role.MEMBER)
        async with self._db.connection() as connection:
            if employee_id is not None:
                await _check_employee(connection, account_id, employee_id)
            user_id = await add_user(
                connection, account_id, login, password,
                full_name=full_name, email=email, role=given, apis=enabled, employee_id=employee_id,
            )  # fmt: skip
            if role is None and Api.CALL_API in enabled:
                await _grant(connection, account_id, user_id, (WATCH_CALLS, CONTROL_CALLS))
            if role is None and Api.CALL_CENTER in enabled:
                await _grant(connection, account_id, user_id, CALL_CENTER)
            return user_id

    async def list_users(self, account_id: int) -> list[Row]:
        """The users of an account without their secrets."""
        return await self._db.fetch_all(
            "select user_id, login, full_name, email, role, status, employee_id, call_api_enabled,"
            " data_api_enabled, call_center_enabled, created_at from users where account_id = %s order by user_id",
            (account_id,),
        )

    async def set_password(self, account_id: int, user_id: int, password: str) -> None:
        """Change a password; the user's sessions end, keys stay."""
        passwords.check_strength(password)
        stored = await passwords.hash_of(password)
        async with self._db.connection() as connection:
            cursor = await connection.execute(
                "update users set password_hash = %s where account_id = %s and user_id = %s",
                (stored, account_id, user_id),
            )
            _check_found(cursor.rowcount, user_id)
            await _end_sessions(connection, account_id, user_id)

    async def remove_second_factor(self, account_id: int, user_id: int) -> None:
        """The user signs in with the password alone from now on.

        :raises NotFound: the user has no second factor.
        """
        _check_found(await remove_second_factor(self._db, account_id, user_id), user_id)

    async def set_status(self, account_id: int, user_id: int, status: Status) -> None:
        """Disable a user (sessions end, keys are refused as blocked) or enable the user."""
        async with self._db.connection() as connection:
            cursor = await connection.execute(
                "update users set status = %s where account_id = %s and user_id = %s",
                (status.value, account_id, user_id),
            )
            _check_found(cursor.rowcount, user_id)
            if status is Status.DISABLED:
                await _end_sessions(connection, account_id, user_id)

    async def set_apis(self, account_id: int, user_id: int, apis: Iterable[Api]) -> None:
        """Which APIs the user may call from now on."""
        enabled = frozenset(apis)
        count = await self._db.execute(
            "update users set call_api_enabled = %s, data_api_enabled = %s, call_center_enabled = %s"
            " where account_id = %s and user_id = %s",
            (*(api in enabled for api in METERED), account_id, user_id),
        )
        _check_found(count, user_id)

    async def set_role(self, account_id: int, user_id: int, role: Role) -> None:
        """Give a user another role; permissions granted one by one stay.

        :raises InvalidState: the account would have no owner left.
        """
        async with self._db.connection() as connection:
            cursor = await connection.execute(
                "select user_id from users where account_id = %s and role = 'owner' for update", (account_id,)
            )
            owners = [row["user_id"] for row in await cursor.fetchall()]
            if owners == [user_id] and role is not Role.OWNER:
                raise InvalidState(
                    "the account has no other owner; make another user its owner first",
                    field="role",
                    value=role,
                )
            cursor = await connection.execute(
                "update users set role = %s where account_id = %s and user_id = %s",
                (role.value, account_id, user_id),
            )
            _check_found(cursor.rowcount, user_id)

    async def set_permission(
        self, account_id: int, user_id: int, resource: str, action: Action, granted: bool
    ) -> None:
        """Grant a user a permission ``[resource: action]`` in addition to those of the role, or revoke it.

        :raises InvalidInput: no method names this resource; one granted earlier can still be taken away.
        """
        await self._check_user(account_id, user_id)
        known = resource in RESOURCES
        changed = (
            0
            if granted and not known
            else await self._db.execute(
                "insert into user_permissions (account_id, user_id, resource, action) values (%s, %s, %s, %s)"
                " on conflict do nothing"
                if granted
                else "delete from user_permissions"
                " where account_id = %s and user_id = %s and resource = %s and action = %s",
                (account_id, user_id, resource, action.value),
            )
        )
        if not known and not changed:  # one granted by an earlier version can be taken away
            near = difflib.get_close_matches(resource, RESOURCES, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise InvalidInput(
                f"there is no resource {resource!r}; {hint}There are {', '.join(RESOURCES)}",
                field="resource",
                value=resource,
            )

    async def create_key(
        self, account_id: int, user_id: int, name: str = "", expires_at: datetime | None = None
    ) -> NewKey:
        """Make a key: permanent, or temporary with an (aware, future) end. The token is seen this once.

        :param name: for lists; by default the APIs that the key opens (:func:`key_name`).
        """
        if expires_at is not None:
            if expires_at.tzinfo is None:
                raise InvalidInput("the end of a key needs a time zone", field="expires_at")
            if expires_at <= datetime.now(UTC):
                raise InvalidInput("the end of a key must be in the future", field="expires_at")
        opened = await self.apis(account_id, user_id)
        async with self._db.connection() as connection:
            return await add_key(
                connection, account_id, user_id, name.strip() or key_name(opened), expires_at
            )

    async def apis(self, account_id: int, user_id: int) -> tuple[Api, ...]:
        """The APIs that a user, and so each key of the user, may use; :class:`NotFound`."""
        row = await self._db.fetch_one(
            "select call_api_enabled, data_api_enabled, call_center_enabled from users"
            " where account_id = %s and user_id = %s",
            (account_id, user_id),
        )
        _check_found(int(row is not None), user_id)
        assert row is not None
        return tuple(api for api in METERED if row[f"{api.value}_enabled"])

    async def block_key(self, account_id: int, key_id: int) -> None:
        """Block a key for good; twice is fine."""
        count = await self._db.execute(
            "update api_keys set blocked_at = coalesce(blocked_at, now())"
            " where account_id = %s and key_id = %s",
            (account_id, key_id),
        )
        if count == 0:
            raise NotFound(
                f"account {account_id} has no key {key_id}; see `trunkline key list`",
                field="key_id",
                value=key_id,
            )

    async def delete_key(self, account_id: int, key_id: int) -> None:
        """Delete a key that is blocked or has expired.

        :raises NotFound: no such key.
        :raises InvalidState: it can still be used.
        """
        row = await self._db.fetch_one(
            "select blocked_at is not null or expires_at <= now() as is_over from api_keys"
            " where account_id = %s and key_id = %s",
            (account_id, key_id),
        )
        if row is None:
            raise NotFound(f"account {account_id} has no key {key_id}", field="key_id", value=key_id)
        if not row["is_over"]:
            raise InvalidState("the key can still be used: block it first", field="key_id", value=key_id)
        await self._db.execute(
            "delete from api_keys where account_id = %s and key_id = %s", (account_id, key_id)
        )

    async def rights(self, account_id: int, user_id: int) -> frozenset[Permission]:
        """All permissions of a user: of the role, of the permission group, and granted one by one; :class:`NotFound`."""
        row = await self._db.fetch_one(
            "select u.role, array(select p.resource || ':' || p.action from user_permissions p"
            " where p.account_id = u.account_id and p.user_id = u.user_id"
            " union select unnest(g.permissions) from permission_groups g"
            " where g.account_id = u.account_id and g.pgroup_id = u.pgroup_id) as permissions"
            " from users u where u.account_id = %s and u.user_id = %s",
            (account_id, user_id),
        )
        _check_found(int(row is not None), user_id)
        assert row is not None
        granted = {(one.partition(":")[0], one.partition(":")[2]) for one in row["permissions"]}
        return frozenset(granted) | frozenset(
            (resource, action.value)
            for resource in RESOURCES
            for action in Action
            if role_permits(Role(row["role"]), resource, action)
        )

    async def list_keys(self, account_id: int) -> list[Row]:
        """The keys of an account, with name and the token's last characters."""
        return await self._db.fetch_all(
            "select key_id, user_id, name, token_hint, expires_at, blocked_at, created_at, last_used_at"
            " from api_keys where account_id = %s order by key_id",
            (account_id,),
        )

    async def find(self, login: str) -> Row | None:
        """``account_id`` and ``user_id`` behind a login, which is unique over the installation."""
        return await self._db.fetch_one(
            "select account_id, user_id from users where lower(login) = lower(%s)", (login.strip(),)
        )

    async def _check_user(self, account_id: int, user_id: int) -> None:
        row = await self._db.fetch_one(
            "select from users where account_id = %s and user_id = %s", (account_id, user_id)
        )
        _check_found(int(row is not None), user_id)


async def add_user(
    connection: Connection,
    account_id: int,
    login: str,
    password: str | None,
    *,
    full_name: str = "",
    email: str | None = None,
    role: Role = Role.MEMBER,
    apis: Iterable[Api] = (),
    employee_id: int | None = None,
) -> int:
    """Make a user in the transaction of the connection; see :meth:`Users.create`."""
    login = _checked_login(login)
    if password is not None:
        passwords.check_strength(password)
    if email is not None:
        _check_email(email)
    enabled = frozenset(apis)
    try:
        cursor = await connection.execute(
            "insert into users (account_id, login, password_hash, full_name, email, role, employee_id,"
            " call_api_enabled, data_api_enabled, call_center_enabled)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " returning user_id",
            (
                account_id,
                login,
                await passwords.hash_of(password) if password is not None else None,
                full_name,
                email,
                role.value,
                employee_id,
                *(api in enabled for api in METERED),
            ),
        )
    except psycopg.errors.UniqueViolation as error:
        raise _login_taken(login) from error
    except psycopg.errors.ForeignKeyViolation as error:
        raise NotFound(
            f"there is no account {account_id}; see `trunkline account list`", field="account_id"
        ) from error
    row = await cursor.fetchone()
    assert row is not None  # "returning" gives a row or an error
    user_id: int = row["user_id"]
    return user_id


async def change_user(
    connection: Connection, account_id: int, user_id: int, values: Mapping[str, Any]
) -> None:
    """Change a user in the transaction of the connection; what is left out stays.

    :param values: any of ``login``, ``password`` (the user's sessions end), ``full_name``, ``email``, ``status``
        (``disabled`` ends the sessions), ``geo_limit``, ``session_ttl``, ``call_center_enabled``, ``pgroup_id``.
    :raises InvalidInput: a value that cannot be; ``already_in_use``: another user's login.
    """
    columns = {name: value for name, value in values.items() if name != "password"}
    if "login" in columns:
        columns["login"] = _checked_login(columns["login"])
    if columns.get("email") is not None:
        _check_email(columns["email"])
    if "password" in values:
        passwords.check_strength(values["password"])
        columns["password_hash"] = await passwords.hash_of(values["password"])
    if not columns:
        return
    statement = sql.SQL(
        "update users set {} where account_id = %(account_id)s and user_id = %(user_id)s"
    ).format(
        sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(f"new_{name}"))
            for name in columns
        )
    )
    params = {f"new_{name}": value for name, value in columns.items()}
    try:
        cursor = await connection.execute(statement, {**params, "account_id": account_id, "user_id": user_id})
    except psycopg.errors.UniqueViolation as error:
        raise _login_taken(columns["login"]) from error
    _check_found(cursor.rowcount, user_id)
    if "password" in values or columns.get("status") == Status.DISABLED.value:
        await _end_sessions(connection, account_id, user_id)


async def put_permissions(
    connection: Connection, account_id: int, user_id: int, permissions: Iterable[Permission]
) -> None:
    """Give a user exactly these permissions in addition to those of the role."""
    await connection.execute(
        "delete from user_permissions where account_id = %s and user_id = %s", (account_id, user_id)
    )
    await _grant(connection, account_id, user_id, permissions)


async def delete_user(connection: Connection, account_id: int, user_id: int) -> None:
    """Delete a user with keys, sessions and permissions.

    :raises InvalidState: the account would have no owner left.
    """
    cursor = await connection.execute(
        "select user_id from users where account_id = %s and role = 'owner' for update", (account_id,)
    )
    if [row["user_id"] for row in await cursor.fetchall()] == [user_id]:
        raise InvalidState("The account has no other owner: make another user its owner first.")
    await _end_sessions(connection, account_id, user_id)
    cursor = await connection.execute(
        "delete from users where account_id = %s and user_id = %s", (account_id, user_id)
    )
    _check_found(cursor.rowcount, user_id)


def _checked_login(login: str) -> str:
    login = login.strip()
    if not login or len(login) > _LONGEST_LOGIN or any(c.isspace() or not c.isprintable() for c in login):
        raise InvalidInput(
            f"a login has 1 to {_LONGEST_LOGIN} characters and no blanks", field="login", value=login
        )
    return login


def _check_email(email: str) -> None:
    try:
        names.email(email)
    except ValueError as error:
        raise InvalidInput(str(error), field="email", value=email) from error


def _login_taken(login: str) -> Duplicate:
    return Duplicate(
        f"the login {login} is taken in this installation; choose another",
        mnemonic="already_in_use",
        field="login",
        value=login,
    )


def key_name(apis: Iterable[Api]) -> str:
    """The name of a key without one of its own: the APIs that it opens, which are those of its user."""
    return ", ".join(api.value for api in apis) or "no API"


async def add_key(
    connection: Connection, account_id: int, user_id: int, name: str, expires_at: datetime | None
) -> NewKey:
    """Make a key in the transaction of the connection; see :meth:`Users.create_key`."""
    token = tokens.new_token()
    cursor = await connection.execute(
        "insert into api_keys (account_id, user_id, name, token_hash, token_hint, expires_at)"
        " values (%s, %s, %s, %s, %s, %s) returning key_id",
        (account_id, user_id, name, tokens.hash_of(token), tokens.hint_of(token), expires_at),
    )
    row = await cursor.fetchone()
    assert row is not None  # "returning" gives a row or an error
    return NewKey(row["key_id"], name, token, expires_at)


async def _check_employee(connection: Connection, account_id: int, employee_id: int) -> None:
    cursor = await connection.execute(
        "select from employees where account_id = %s and employee_id = %s", (account_id, employee_id)
    )
    if await cursor.fetchone() is None:
        raise NotFound(
            f"account {account_id} has no employee {employee_id}", field="employee_id", value=employee_id
        )


async def _grant(
    connection: Connection, account_id: int, user_id: int, permissions: Iterable[Permission]
) -> None:
    for resource, action in permissions:
        await connection.execute(
            "insert into user_permissions (account_id, user_id, resource, action) values (%s, %s, %s, %s)"
            " on conflict do nothing",
            (account_id, user_id, resource, action),
        )


async def _end_sessions(connection: Connection, account_id: int, user_id: int) -> None:
    """With what they began: a secret of codes that nobody has confirmed was shown in one of them, and the credential of the
    phone in the browser, which the worker takes from the line (:mod:`trunkline.provisioning.browser_lines`)."""
    who = (account_id, user_id)
    await connection.execute(
        """update browser_lines b set expires_at = now() from users u
           where u.account_id = %s and u.user_id = %s and b.account_id = u.account_id
               and b.employee_id = u.employee_id and b.expires_at > now()""",
        who,
    )
    await connection.execute("delete from login_sessions where account_id = %s and user_id = %s", who)
    await connection.execute(
        "delete from second_factors where account_id = %s and user_id = %s and confirmed_at is null", who
    )


def _check_found(count: int, user_id: int) -> None:
    if count == 0:
        raise NotFound(
            f"there is no user {user_id} in this account; see `trunkline user list`",
            field="user_id",
            value=user_id,
        )
