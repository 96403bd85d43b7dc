"""Row-level security: PostgreSQL restricts the request of a tenant to the rows of its account.

Every table with a column ``account_id``, and every partition of one, has row-level security enabled and forced, with these
policies:

- ``system``: the role that owns the tables sees all. Migrations, the switch, the worker and the look-up of a token use it.
- ``tenant``: the role :data:`TENANT` sees rows whose ``account_id`` is the setting :data:`SETTING` of its transaction.
  Without the setting it sees nothing.
- ``agent``: the role :data:`AGENT` sees its clients' rows, too. Only methods of agents about their clients use it.
- ``shared``: both may read rows of the whole installation (account 0) and of the account's agent in the tables
  :data:`SHARED`.

Handlers get a database that takes the role and the setting for each transaction (:meth:`.pool.Database.for_account`), with
their first statement, so no round trip is added.

Where the owner may not make roles (a configured PostgreSQL server, without ``createrole``), the policy ``system`` of the
owner restricts it to the account of the setting while that is set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from trunkline.db.one_trip import BoundStatement

TENANT = "trunkline_tenant"
AGENT = "trunkline_agent"
SETTING = "trunkline.account_id"

SHARED = (
    "employee_statuses",
    "media_files",
    "number_inventory",
    "tariff_plans",
    "tariff_prices",
    "tariff_rates",
    "trunk_addresses",
)
"""Tables in which account 0 has rows for all accounts, and an agent rows for its clients."""

_VERSION = 1
"""Of the policies below; a change of it replaces them at the next upgrade."""

_CURRENT = f"nullif(current_setting('{SETTING}', true), '')::bigint"

_ROLES = f"""
do $$ declare missing text; begin
    foreach missing in array array['{TENANT}', '{AGENT}'] loop
        if not exists (select from pg_roles where rolname = missing) then
            begin
                execute format('create role %I nologin nosuperuser nobypassrls', missing);
            exception
                when duplicate_object or unique_violation then null;
                when insufficient_privilege then continue;
            end;
        end if;
        if not pg_has_role(current_user, missing, 'set') then
            begin
                execute format('grant %I to current_user', missing);
            exception when insufficient_privilege then null;
            end;
        end if;
    end loop;
end $$;
"""

_FUNCTIONS = f"""
create or replace function has_tenant_roles() returns boolean language sql stable as $$
    select count(*) = 2 from pg_roles
    where rolname in ('{TENANT}', '{AGENT}') and pg_has_role(current_user, oid, 'set')
$$;

create or replace function is_client(client bigint) returns boolean
language sql stable security definer set search_path from current as $$
    select exists (select from accounts where account_id = client and parent_account_id = {_CURRENT})
$$;

-- The few queries of a tenant that need rows of others.
create or replace function number_is_held(number text) returns boolean
language plpgsql stable security definer set search_path from current as $$
declare
    account text := coalesce(current_setting('{SETTING}', true), '');
    held boolean;
begin
    perform set_config('{SETTING}', '', true);      -- where the owner itself is kept to the setting
    held := exists (select from virtual_numbers where phone_number = number and is_verified);
    perform set_config('{SETTING}', account, true);
    return held;
end $$;

create or replace function secure_table(target regclass) returns void language plpgsql as $fn$
declare
    old record;
    kind text := (select relname from pg_class
        where oid = coalesce((select inhparent from pg_inherits where inhrelid = target limit 1), target));
    shared boolean := kind = any('{{{",".join(SHARED)}}}');
    readable text := 'account_id = 0 or account_id = (select a.parent_account_id from accounts a'
        ' where a.account_id = {_CURRENT.replace("'", "''")})';
begin
    for old in select polname from pg_policy where polrelid = target loop
        execute format('drop policy %I on %s', old.polname, target);
    end loop;
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    if not has_tenant_roles() then
        execute format('create policy system_v{_VERSION} on %s to current_user using ({_CURRENT.replace("'", "''")} is null'
            ' or account_id = {_CURRENT.replace("'", "''")})', target);
        if shared then
            execute format('create policy shared_v{_VERSION} on %s for select to current_user using (%s)',
                target, readable);
        end if;
        return;
    end if;
    execute format('create policy system_v{_VERSION} on %s to current_user using (true)', target);
    execute format('create policy tenant_v{_VERSION} on %s to {TENANT}, {AGENT}'
        ' using (account_id = {_CURRENT.replace("'", "''")})', target);
    if kind = 'accounts' then
        execute format('create policy agent_v{_VERSION} on %s to {AGENT}'
            ' using (parent_account_id = {_CURRENT.replace("'", "''")})', target);
    else
        execute format('create policy agent_v{_VERSION} on %s to {AGENT} using (is_client(account_id))', target);
    end if;
    if shared then
        execute format('create policy shared_v{_VERSION} on %s for select to {TENANT}, {AGENT} using (%s)',
            target, readable);
    end if;
    execute format('grant select, insert, update, delete on %s to {TENANT}, {AGENT}', target);
end $fn$;
"""  # noqa: S608 - our own words

_UNSECURED = f"""
select c.oid::regclass::text from pg_class c
where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
    and exists (select from pg_attribute a
        where a.attrelid = c.oid and a.attname = 'account_id' and not a.attisdropped)
    and not (c.relrowsecurity and c.relforcerowsecurity and exists (select from pg_policy p
        where p.polrelid = c.oid
            and p.polname = case when has_tenant_roles() then 'tenant_v{_VERSION}' else 'system_v{_VERSION}' end))
order by c.relispartition, c.oid
"""  # noqa: S608 - our own words

_GRANTS = f"""
do $$ declare target text; begin
    if has_tenant_roles() then
        -- Views with the rights of who reads them: the policies of their tables apply.
        for target in select c.oid::regclass::text from pg_class c
            where c.relnamespace = current_schema()::regnamespace and c.relkind = 'v'
                and 'security_invoker=true' = any(c.reloptions)
        loop
            execute format('grant select on %s to {TENANT}, {AGENT}', target);
        end loop;
        grant usage on all sequences in schema public to {TENANT}, {AGENT};
        -- Jobs have no account: a handler may add one and read its number.
        grant insert, select (id) on procrastinate_jobs to {TENANT}, {AGENT};
        grant insert on procrastinate_events to {TENANT}, {AGENT};
    end if;
end $$;
"""  # noqa: S608 - our own words


_LEAKPROOF = """
do $$ begin
    alter function pg_catalog.jsonb_contains(jsonb, jsonb) leakproof;
    alter function pg_catalog.jsonb_path_exists_opr(jsonb, jsonpath) leakproof;
    alter function pg_catalog.jsonb_path_match_opr(jsonb, jsonpath) leakproof;
exception when insufficient_privilege then null;
end $$;
"""
"""The operators ``@>``, ``@?`` and ``@@`` raise no error that depends on a row, so the server may look rows up by their
indexes before it applies a policy. Only a superuser may declare it; elsewhere these filters read all rows of the period."""


def steps(connection: psycopg.Connection[Any]) -> Iterator[Callable[[], object]]:
    """Make the roles, and secure each table that is not secured yet: each step is a transaction that holds one lock.

    Run them after each change of the schema.
    """
    yield lambda: connection.execute(_ROLES.encode())
    yield lambda: connection.execute(_FUNCTIONS.encode())
    for (table,) in connection.execute(_UNSECURED.encode()).fetchall():
        yield partial(connection.execute, "select secure_table(%s::text::regclass)", (table,))
    yield lambda: connection.execute(_GRANTS.encode())
    yield lambda: connection.execute(_LEAKPROOF.encode())


def make_roles(connection: psycopg.Connection[Any]) -> None:
    """Make the roles of tenants where the owner may and they do not exist."""
    connection.execute(_ROLES.encode())


def has_roles(connection: psycopg.Connection[Any]) -> bool:
    """Whether the owner may take the roles of tenants."""
    row = connection.execute("select has_tenant_roles()").fetchone()
    return bool(row and row[0])


def secured(partition: sql.Composable) -> sql.Composed:
    """PL/pgSQL that secures a new table, in a schema that has the function (an older one has not).

    :param partition: a literal with its name.
    """
    return sql.SQL(
        "if to_regprocedure('secure_table(regclass)') is not null then perform secure_table({}::regclass); end if;"
    ).format(partition)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a transaction is restricted to.

    :ivar account_id: whose rows are seen.
    :ivar with_clients: an agent's request about its clients: their rows, too.
    """

    account_id: int
    with_clients: bool = False

    def settings(self, *, has_roles: bool) -> dict[str, str]:
        """Settings of the server that keep a transaction to it; none where the server cannot.

        :param has_roles: False: the owner could not make the roles.
        """
        account = {SETTING: str(self.account_id)}
        if has_roles:
            return {"role": AGENT if self.with_clients else TENANT, **account}
        return {} if self.with_clients else account


def begin(settings: Mapping[str, str], mode: LiteralString = "") -> sql.Composed:
    """The script that begins a transaction with these settings.

    Its statements are no queries, so the isolation level may still be set.

    :param mode: of the transaction, such as ``read only``.
    """
    steps = [
        sql.SQL("; set local {} = {}").format(_name(name), sql.Literal(value))
        for name, value in settings.items()
    ]
    return sql.SQL("begin ") + sql.SQL(mode) + sql.Composed(steps)


def local_settings_query(settings: Mapping[str, str]) -> sql.Composed:
    """The same as one query, for a pipeline, whose implicit transaction refuses the statements."""
    calls = [
        sql.SQL("set_config({}, {}, true)").format(sql.Literal(name), sql.Literal(value))
        for name, value in settings.items()
    ]
    return sql.SQL("select {}").format(sql.SQL(", ").join(calls))


def local_settings_statement(settings: Mapping[str, str]) -> BoundStatement:
    """The same as a statement that can be kept prepared: its text does not depend on the values."""
    values = {f"s{number}": value for number, value in enumerate(settings.values())}
    return BoundStatement(_settings_text(tuple(settings)), values)


@cache
def _settings_text(names: tuple[str, ...]) -> bytes:
    calls = [f"set_config('{name}', %(s{n})s, true)" for n, name in enumerate(names)]
    return f"select {', '.join(calls)}".encode()


def _name(name: str) -> sql.Composable:
    return sql.SQL(name) if name == "role" else sql.SQL(".").join(map(sql.Identifier, name.split(".")))


LEAVING = f"select set_config('role', 'none', true), set_config('{SETTING}', '', true)"
"""Ends it within the transaction."""

HAS_ROLES = (
    f"select coalesce((select count(*) = 2 from pg_roles where rolname in ('{TENANT}', '{AGENT}')"  # noqa: S608
    " and pg_has_role(current_user, oid, 'set')"
    " and to_regprocedure('secure_table(regclass)') is not null), false) as has_roles"
)
"""Whether this connection may take the roles, in a schema whose tables have policies for them."""
