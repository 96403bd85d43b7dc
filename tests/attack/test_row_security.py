"""PostgreSQL itself keeps a tenant's request to the rows of its account, also where a statement omits the account."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest

from tests.apis.support import CALLER, ApisOnFakes, mnemonic
from trunkline.apis.catalogue import DATA_API
from trunkline.apis.jsonrpc import ACCESS_TOKEN, Api, Envelope, Method, Params, RequestContext, Result
from trunkline.core.errors import InUse, LimitExceeded
from trunkline.db import migrate, partitions, row_security
from trunkline.db.pool import Database, whole_installation
from trunkline.directory.numbers import verification

pytestmark = pytest.mark.attack

MINE, OTHER, AGENT, CLIENT = 1001, 1002, 1003, 1004

TABLES = """
select c.oid::regclass::text as name, c.relrowsecurity as enabled, c.relforcerowsecurity as forced,
    array(select p.polname from pg_policy p where p.polrelid = c.oid) as policies
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relkind in ('r', 'p') and exists (
    select from pg_attribute a where a.attrelid = c.oid and a.attname = 'account_id' and not a.attisdropped)
"""


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with await Database.open(database) as db:
        await db.execute(
            "insert into accounts (account_id, name, is_agent, parent_account_id) values"
            " (1001, 'Mine', false, null), (1002, 'Other', false, null), (1003, 'Agent', true, null),"
            " (1004, 'Client', false, 1003)"
        )
        yield db


async def _accounts(db: Database) -> list[int]:
    return [row["account_id"] for row in await db.fetch_all("select account_id from accounts order by 1")]


async def test_every_table_with_an_account_is_secured(db: Database) -> None:
    async with db.connection() as connection:
        await partitions.ensure_partitions(
            connection, datetime(2031, 5, 1, tzinfo=UTC)
        )  # made later than the schema
        await connection.execute(TABLES.encode())
        rows = await (await connection.execute(TABLES.encode())).fetchall()
    names = {row["name"] for row in rows}
    assert {"accounts", "call_sessions", "call_events_2031_05", "leg_charges_2031_07"} <= names
    open_ones = [
        row["name"]
        for row in rows
        if not (
            row["enabled"] and row["forced"] and any(name.startswith("tenant") for name in row["policies"])
        )
    ]
    assert open_ones == []


async def test_a_statement_without_an_account_sees_and_changes_one(db: Database) -> None:
    """Over every table that has rows of several accounts."""
    tenant = db.for_account(MINE)
    async with db.connection() as connection:
        tables = [row["name"] for row in await (await connection.execute(TABLES.encode())).fetchall()]
    several = []
    for table in tables:
        everybody = await db.fetch_all(f"select distinct account_id from {table}".encode())
        seen = await tenant.fetch_all(f"select distinct account_id from {table}".encode())
        shared = {0} if table in row_security.SHARED else set()
        assert {row["account_id"] for row in seen} <= {MINE} | shared, table
        if len(everybody) > 1:
            several.append(table)
    assert {"accounts", "tags", "campaigns", "contact_groups"} <= set(several)
    assert await _accounts(tenant) == [MINE]
    assert await tenant.execute("update accounts set name = 'Taken'") == 1
    assert await tenant.execute("delete from tags") == 1
    kept = await db.fetch_all("select account_id, name from accounts order by 1")
    assert [row["name"] for row in kept] == ["Taken", "Other", "Agent", "Client"]
    assert len(await db.fetch_all("select from tags")) == 3


async def test_a_row_cannot_be_given_to_another_account(db: Database) -> None:
    tenant = db.for_account(MINE)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await tenant.execute("insert into tags (account_id, key, name) values (1002, 'x', 'X')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await tenant.execute("update tags set account_id = 1002")
    assert await tenant.execute("insert into tags (account_id, key, name) values (1001, 'x', 'X')") == 1


async def test_the_role_without_an_account_sees_nothing(db: Database) -> None:
    """A request that forgot to say whose it is, and each partition by its own name."""
    async with db.connection() as connection:
        await connection.execute(f"set local role {row_security.TENANT}".encode())
        for table in ("accounts", "users", "call_sessions", "tags", "media_files"):
            rows = await (await connection.execute(f"select * from {table}".encode())).fetchall()
            assert [row for row in rows if row["account_id"] != 0] == [], table
    for table in ("login_failures", "schema_migrations", "procrastinate_events"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await db.for_account(MINE).fetch_all(f"select * from {table}".encode())
    role = await db.fetch_one(
        "select rolsuper, rolbypassrls, rolcanlogin from pg_roles where rolname = %s", (row_security.TENANT,)
    )
    assert role == {"rolsuper": False, "rolbypassrls": False, "rolcanlogin": False}


async def _fail_within_a_transaction(tenant: Database) -> None:
    async with tenant.connection() as connection:
        rows = await (await connection.execute("select account_id from accounts")).fetchall()
        assert [row["account_id"] for row in rows] == [MINE]
        await connection.execute("select 1 / 0")


async def test_what_a_request_set_ends_with_its_transaction(db: Database) -> None:
    """Also after errors, and however the connection was used before."""
    for _ in range(3):
        tenant = db.for_account(MINE)
        await tenant.fetch_all("select from tags")
        with pytest.raises(psycopg.errors.UndefinedTable):
            await tenant.fetch_all("select from no_such_table")
        with pytest.raises(psycopg.errors.DivisionByZero):
            await _fail_within_a_transaction(tenant)
        assert await _accounts(db) == [MINE, OTHER, AGENT, CLIENT]
        assert await _accounts(db.for_account(OTHER)) == [OTHER]
    async with tenant.connection() as connection:
        await connection.execute("update accounts set name = 'Kept'")
    assert (await db.fetch_one("select name from accounts where account_id = 1001")) == {"name": "Kept"}
    async with tenant.connection() as connection:
        async with whole_installation(connection):
            assert len(await (await connection.execute("select from accounts")).fetchall()) == 4
        assert len(await (await connection.execute("select from accounts")).fetchall()) == 1


async def test_an_agent_sees_its_clients_where_it_works_with_them(db: Database) -> None:
    assert await _accounts(db.for_account(AGENT)) == [AGENT]
    with_clients = db.for_account(AGENT, with_clients=True)
    assert await _accounts(with_clients) == [AGENT, CLIENT]
    tags = await with_clients.fetch_all("select distinct account_id from tags order by 1")
    assert [row["account_id"] for row in tags] == [AGENT, CLIENT]
    assert await _accounts(db.for_account(CLIENT)) == [CLIENT]


async def test_a_handler_gets_a_database_of_its_account_alone(db: Database) -> None:
    """The connection that a method works with, through the whole API; its statement omits the account."""
    seen: list[list[int]] = []

    async def careless(request: RequestContext, _params: Params) -> Result:
        rows = await request.services.db.fetch_all("select account_id from accounts order by 1")
        async with request.services.db.connection() as connection:
            again = await (await connection.execute("select account_id from accounts order by 1")).fetchall()
        assert again == rows
        seen.append([row["account_id"] for row in rows])
        return Result({})

    method = Method(
        Api.DATA, "get.careless", "For tests.", (ACCESS_TOKEN,), (), Envelope.DATA_OBJECT, careless,
        permissions=(("va", "select"),),
    )  # fmt: skip
    fakes = ApisOnFakes(database=db, extra=[method])
    assert mnemonic(await fakes.ask(DATA_API.api, "get.careless")) == "ok"
    assert seen == [[CALLER.account_id]]


# --- a server where the owner may not make roles --------------------------------------------------------------


async def test_an_owner_that_makes_no_roles_is_kept_to_the_account_by_the_setting(database: str) -> None:
    """As on a server of the operator's own: the owner is not a superuser and has no createrole."""
    with psycopg.connect(database, autocommit=True) as administrator:
        administrator.execute("drop owned by trunkline_tenant, trunkline_agent")
        administrator.execute("create role plain_owner login nosuperuser nocreaterole")
        try:
            administrator.execute("drop schema public cascade")
            administrator.execute("create schema public authorization plain_owner")
            administrator.execute("set session authorization plain_owner")
            administrator.execute("create table accounts (account_id bigint, parent_account_id bigint)")
            administrator.execute("create table tags (account_id bigint, name text)")
            administrator.execute("create table media_files (account_id bigint, name text)")
            administrator.execute(
                "create table virtual_numbers (account_id bigint, phone_number text, is_verified boolean)"
            )
            administrator.execute("create table procrastinate_jobs (id bigint)")
            administrator.execute("create table procrastinate_events (id bigint)")
            for step in row_security.steps(administrator):
                step()
            administrator.execute("insert into accounts values (1, null), (2, null)")
            administrator.execute("insert into tags values (1, 'a'), (2, 'b')")
            administrator.execute("insert into media_files values (0, 'a'), (1, 'b'), (2, 'c')")
            administrator.execute("insert into virtual_numbers values (2, '12025550110', true)")
            settings = row_security.Scope(1).settings(has_roles=False)
            with administrator.transaction():
                administrator.execute(row_security.local_settings_query(settings))
                assert administrator.execute("select name from tags").fetchall() == [("a",)]
                held = administrator.execute(
                    "select number_is_held('12025550110'), number_is_held('12025550111')"
                )
                assert held.fetchall() == [(True, False)]
                assert administrator.execute("select name from tags").fetchall() == [("a",)]
                assert administrator.execute("select account_id from media_files order by 1").fetchall() == [
                    (0,),
                    (1,),
                ]
            assert administrator.execute("select count(*) from tags").fetchone() == (2,), (
                "the system sees all"
            )
        finally:
            administrator.execute("reset session authorization")
            administrator.execute("drop owned by plain_owner cascade")
            administrator.execute("drop role plain_owner")


def test_an_upgrade_secures_what_a_later_schema_adds(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create table something_new (account_id bigint, value text)")
        assert migrate.upgrade(database) == []
        [row] = connection.execute(
            "select relrowsecurity, relforcerowsecurity from pg_class where relname = 'something_new'"
        ).fetchall()
    assert row == (True, True)


async def test_a_number_of_another_account_is_known_to_be_taken(db: Database) -> None:
    """A question whose answer lies with others is still answered, and the answer has nothing else."""
    await db.execute(
        "insert into virtual_numbers (account_id, phone_number, is_verified) values"
        " (1002, '12025550110', true), (1001, '12025550110', false), (1001, '12025550111', false)"
    )
    tenant = db.for_account(MINE)
    now = datetime.now(UTC)
    with pytest.raises(InUse):
        await verification.new_code(tenant, MINE, "12025550110", now)
    await db.execute(
        "insert into number_verification_calls (account_id, phone_number, called_at)"
        " select 1002, '12025550111', %s from generate_series(1, 100)",
        (now,),
    )
    with pytest.raises(LimitExceeded):
        await verification.new_code(tenant, MINE, "12025550111", now)
