"""Compiled queries on a real PostgreSQL against a plain evaluation of the same request."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.db.query_sample import COLORS, SAMPLE, TABLE, Row, holds
from tests.shared_database import administer
from trunkline.core.errors import InvalidInput, LimitExceeded
from trunkline.db.pool import Database
from trunkline.db.query import Page, compile_request, fetch_page, parse_request
from trunkline.db.query.page import REQUEST_TIMEOUT_MS
from trunkline.runtime.postgres import EmbeddedPostgres

BERLIN = ZoneInfo("Europe/Berlin")
NAMES = ["", "a", "b_c", "50%", "ab", "abc", "A", "x\\y", "Zoë", "971500000010", "Mira Stone"]
TIMES = [
    datetime(2026, 10, 24, 23, 59, 59, tzinfo=UTC) + timedelta(minutes=30 * step, milliseconds=250)
    for step in range(6)
] + [datetime(2026, 3, 29, 0, 30, tzinfo=UTC) + timedelta(minutes=15 * step) for step in range(6)]
NAMED_TIMES = [
    "2026-10-25 01:59:59",
    "2026-10-25 02:29:59",
    "2026-10-25 02:30:00",
    "2026-10-25 02:59:59",
    "2026-10-25 03:29:59",
    "2026-03-29 01:45:00",
    "2026-03-29 02:00:00",
    "2026-03-29 02:45:00",
    "2026-03-29 03:00:00",
    "2026-03-29 03:15:00",
]
IDS = [1, 2, 3, 50]
WORDS = ["a", "ab", "lost", "off-target", "50"]

AMOUNTS = [Decimal(n) for n in ("-1", "0", "1", "1.5", "2", "50", "123456789012")]
ROWS = 150


def random_rows(seed: int, count: int = ROWS) -> list[dict[str, Any]]:
    """Rows out of few values, a third of them null."""
    dice = random.Random(seed)

    def maybe(make: Callable[[], Any]) -> Any:
        return make() if dice.random() < 2 / 3 else None

    def tag() -> dict[str, Any]:
        return {"tag_id": dice.choice(IDS), "tag_name": dice.choice(NAMES)}

    def thing() -> dict[str, Any]:
        return {"thing_id": dice.choice(IDS), "thing_name": dice.choice(WORDS)} if dice.random() < 0.8 else {}

    return [
        {
            "amount": maybe(lambda: dice.choice(AMOUNTS)),
            "name": maybe(lambda: dice.choice(NAMES)),
            "flag": maybe(lambda: dice.random() < 0.5),
            "color": maybe(lambda: dice.choice(COLORS)),
            "at": maybe(lambda: dice.choice(TIMES)),
            "tags": maybe(lambda: [tag() for _ in range(dice.randrange(4))]),
            "words": maybe(lambda: dice.sample(WORDS, dice.randrange(4))),
            "thing": maybe(thing),
        }
        for _ in range(count)
    ]


_patterns = st.sampled_from(
    ["%", "a%", "%b%", "%c", "_", "50\\%", "50%", "%\\%", "b_c", "x\\y", "ab", "97150%", ""]
)
_regexps = st.sampled_from(["^a", "b", "c$", "[0-9]{2}", "^$", "Z|x", "^9715\\d+$", "a.c"])
_numbers = st.sampled_from(AMOUNTS).map(lambda n: float(n) if n % 1 else int(n)) | st.sampled_from(
    ["1.5", "50", "-1", " 2 "]
)


def _jsquery(tree: Any, key: str | None) -> str:
    match tree:
        case ["and" | "or" as word, one, other]:
            return f"({_jsquery(one, key)} {word.upper()} {_jsquery(other, key)})"
        case ["not", one]:
            return f"NOT ({_jsquery(one, key)})"
        case ["has", name, value]:
            path = "#" if name is None else f"#.{name}"
            return f"{path} = {json.dumps(value)}"
    raise AssertionError(tree)


def _trees(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaf,
        lambda inner: (
            st.tuples(st.sampled_from(["and", "or"]), inner, inner).map(list)
            | inner.map(lambda one: ["not", one])
        ),
        max_leaves=4,
    )


def _condition(field: str, operators: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    nulls = st.sampled_from(
        [{"operator": "=null"}, {"operator": "!=null"}, {"operator": "="}, {"operator": "!=", "value": None}]
    )
    parts = [
        st.fixed_dictionaries({"operator": st.just(operator), "value": values})
        for operator, values in operators.items()
    ]
    return st.one_of(nulls, *parts).map(lambda part: {"field": field, **part})


def _all(names: str, values: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    return dict.fromkeys(names.split(), values)


_name = st.sampled_from(NAMES)
_tag_leaf = st.tuples(st.just("has"), st.just("tag_id"), st.sampled_from(IDS)) | st.tuples(
    st.just("has"), st.just("tag_name"), _name
)
_word_leaf = st.tuples(st.just("has"), st.none(), st.sampled_from(WORDS))
_identity = st.sampled_from([*IDS, "1", "50", "a", "lost", "Mira Stone", True])


def _query(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A jsquery followed by its own tree, which the plain evaluation reads."""
    return _trees(leaf.map(list)).map(lambda tree: _jsquery(tree, None) + "\0" + json.dumps(tree))


_conditions = st.one_of(
    _condition(
        "id",
        {**_all("= != < > <= >=", st.integers(0, ROWS)), "in": st.lists(st.integers(0, ROWS), max_size=5)},
    ),
    _condition("amount", {**_all("= != < > <= >=", _numbers), "in": st.lists(_numbers, max_size=4)}),
    _condition(
        "name",
        {**_all("= !=", _name), "like": _patterns, "regexp": _regexps, "in": st.lists(_name, max_size=3)},
    ),
    _condition("flag", _all("= !=", st.booleans())),
    _condition(
        "color",
        {**_all("= !=", st.sampled_from(COLORS)), "in": st.lists(st.sampled_from(COLORS), max_size=2)},
    ),
    _condition("at", _all("= != < > <= >=", st.sampled_from(NAMED_TIMES))),
    _condition(
        "tags",
        {
            **_all("= !=", _identity),
            "in": st.lists(_identity, max_size=3),
            "like": _patterns,
            "regexp": _regexps,
            "jsquery": _query(_tag_leaf),
        },
    ),
    _condition(
        "tag_id",
        {
            **_all("= != < > <= >=", st.sampled_from(IDS)),
            "in": st.lists(st.sampled_from(IDS), max_size=3),
        },
    ),
    _condition(
        "words",
        {**_all("= !=", _identity), "like": _patterns, "regexp": _regexps, "jsquery": _query(_word_leaf)},
    ),
    _condition(
        "thing",
        {
            **_all("= !=", _identity),
            "in": st.lists(_identity, max_size=3),
            "like": _patterns,
            "regexp": _regexps,
        },
    ),
)
_filters: st.SearchStrategy[Any] = st.recursive(
    st.just({}) | _conditions,
    lambda inner: st.fixed_dictionaries(
        {"filters": st.lists(inner, max_size=4)}, optional={"condition": st.sampled_from(["and", "or"])}
    ),
    max_leaves=8,
)


def _sent(node: Any) -> Any:
    """The filter as a client would send it: without the tree behind a jsquery."""
    if "filters" in node:
        return {**node, "filters": [_sent(part) for part in node["filters"]]}
    if node.get("operator") == "jsquery":
        return {**node, "value": node["value"].partition("\0")[0]}
    return node


@pytest.fixture(scope="module")
def sample_database(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """A database with nothing but the sample's table."""
    administer(postgres_server, "create database sample strategy file_copy")
    try:
        dsn = postgres_server.dsn_of("sample")
        with psycopg.connect(dsn) as connection:
            connection.execute(TABLE.encode())
        yield dsn
    finally:
        administer(postgres_server, "drop database sample with (force)")


@pytest.fixture
async def db(sample_database: str) -> AsyncIterator[Database]:
    async with await Database.open(sample_database) as opened:
        await opened.execute("truncate sample")
        await opened.execute("drop sequence if exists q")
        yield opened


async def fill(db: Database, rows: list[dict[str, Any]], account_id: int = 1) -> list[Row]:
    """Store rows, numbered from 1; as the plain evaluation reads them."""
    stored: list[Row] = [{"id": position, **row} for position, row in enumerate(rows, 1)]
    async with db.connection() as connection:
        await connection.execute("delete from sample where account_id = %s", (account_id,))
        await connection.cursor().executemany(
            "insert into sample values (%(account_id)s, %(id)s, %(amount)s, %(name)s, %(flag)s, %(color)s, %(at)s,"
            " %(tags)s, %(words)s, %(thing)s)",
            [
                {**row, "account_id": account_id}
                | {key: None if row[key] is None else Jsonb(row[key]) for key in ("tags", "words", "thing")}
                for row in stored
            ],
        )
    return stored


async def ask(db: Database, params: dict[str, Any], *, timeout_ms: int = REQUEST_TIMEOUT_MS) -> Page:
    query = compile_request(SAMPLE, parse_request(params, SAMPLE, BERLIN), account_id=1, time_zone=BERLIN.key)
    return await fetch_page(db, query, timeout_ms=timeout_ms)


async def ids(db: Database, filter: Any, **params: Any) -> list[int]:
    page = await ask(db, {"fields": ["id"], "filter": filter, **params})
    return [row["id"] for row in json.loads(page.rows)]


def blank(**values: Any) -> dict[str, Any]:
    return {**dict.fromkeys(["amount", "name", "flag", "color", "at", "tags", "words", "thing"]), **values}


_SETTINGS = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking against a database takes minutes
)


@pytest.fixture
async def rows(db: Database) -> list[Row]:
    return await fill(db, random_rows(20260301))


@settings(_SETTINGS, max_examples=300)
@given(node=_filters)
async def test_filters_mean_what_they_say(db: Database, rows: list[Row], node: Any) -> None:
    expected = [row["id"] for row in rows if holds(row, node, BERLIN)]
    assert await ids(db, _sent(node)) == expected


@settings(_SETTINGS, max_examples=60)
@given(
    node=_filters,
    keys=st.lists(st.tuples(st.sampled_from(["amount", "flag", "at", "id"]), st.booleans()), max_size=3),
    limit=st.integers(0, 20),
    offset=st.integers(0, ROWS + 10),
)
async def test_order_pages_and_total(
    db: Database, rows: list[Row], node: Any, keys: list[tuple[str, bool]], limit: int, offset: int
) -> None:
    matching = [row for row in rows if holds(row, node, BERLIN)]
    order: dict[str, bool] = {}
    for name, descending in keys:
        order.setdefault(name, descending)
    for name, descending in reversed(order.items()):
        matching = _sorted(matching, name, descending)
    page = await ask(
        db,
        {
            "fields": ["id"],
            "filter": _sent(node),
            "sort": [{"field": name, "order": "desc" if descending else "asc"} for name, descending in keys],
            "limit": limit,
            "offset": offset,
        },
    )
    shown = [row["id"] for row in json.loads(page.rows)]
    assert page.total_items == len(matching)
    assert page.count == len(shown)
    assert shown == [row["id"] for row in matching[offset : offset + limit]]


def _sorted(rows: list[Row], name: str, descending: bool) -> list[Row]:
    return sorted(rows, key=lambda row: _rank(row[name]), reverse=descending)


def _rank(value: Any) -> tuple[bool, float]:
    """Null comes last in ascending order, as in PostgreSQL."""
    if isinstance(value, datetime):
        return (False, value.timestamp())
    return (value is None, float(value or 0))


async def test_rows_are_shown_in_the_forms_of_the_wire(db: Database) -> None:
    at = datetime(2026, 7, 1, 12, 0, 0, 900_000, tzinfo=UTC)
    await fill(db, [blank(), blank(amount=Decimal("1.50"), name='"', at=at, tags=[{"tag_id": 5}])])
    page = await ask(db, {"fields": ["amount", "name", "at", "tags", "words", "thing", "secret", "tag_id"]})
    assert json.loads(page.rows) == [
        {
            "amount": None,
            "name": None,
            "at": None,
            "tags": [],
            "words": [],
            "thing": {},
            "secret": None,
            "tag_id": None,
        },
        {
            "amount": 1.5,
            "name": '"',
            "at": "2026-07-01 14:00:00",
            "tags": [{"tag_id": 5}],
            "words": [],
            "thing": {},
            "secret": '"',
            "tag_id": 5,
        },
    ]


async def test_another_account_is_never_seen(db: Database) -> None:
    await fill(db, [blank(name="theirs")], account_id=2)
    await fill(db, [blank(name="ours")])
    page = await ask(
        db, {"fields": ["name"], "filter": {"filters": [{"field": "id", "operator": ">", "value": 0}]}}
    )
    assert json.loads(page.rows) == [{"name": "ours"}]
    assert page.total_items == 1


async def test_values_stay_values(db: Database) -> None:
    evil = "'; drop table sample; -- %s %(account_id)s {}"
    await fill(db, [blank(name=evil, words=[evil]), blank(name="x")])
    for operator, value in [("=", evil), ("in", [evil]), ("like", evil)]:
        assert await ids(db, {"field": "name", "operator": operator, "value": value}) == [1]
    for operator, value in [("=", evil), ("jsquery", f"# = {json.dumps(evil)}")]:
        assert await ids(db, {"field": "words", "operator": operator, "value": value}) == [1]


@pytest.mark.parametrize("field", ["id", "amount", "tags", "words", "thing", "tag_id"])
async def test_numbers_of_any_size_only_match_nothing(db: Database, field: str) -> None:
    await fill(db, [blank(amount=Decimal(1), tags=[{"tag_id": 1}], words=["a"], thing={"thing_id": 1})])
    for number in (10**30, -(10**30), 2**63, 0.1, "12345678901234567890", 1e39):
        assert await ids(db, {"field": field, "operator": "=", "value": number}) == []
        assert await ids(db, {"field": field, "operator": "in", "value": [number, 1.5]}) == []
        assert await ids(db, {"field": field, "operator": "!=", "value": number}) == [1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("#.tag_id = 5", [1, 2]),
        ("tag_id = 5", [1, 2]),
        ("#(tag_id = 5 AND tag_name = vip)", [1]),
        ('#(tag_id = 5 & tag_name = "vip") | #.tag_id = 7', [1, 3]),
        ("#.tag_id = 5 AND #.tag_name = vip", [1, 2]),
        ("NOT #.tag_id = 5", [3, 4]),
        ("!(#.tag_id = 5) AND #.tag_id = *", [3]),
        ("#.tag_id IN (6, 7)", [2, 3]),
        ("#.tag_id > 5 AND #.tag_id < 7.5", [2, 3]),
        ("#.tag_id @> [5, 6]", [2]),
        ("#.tag_id && [7, 9]", [3]),
        ("#1.tag_id = 6", [2]),
        ("*.deep = true", [3]),
        ("#.%.deep = true", [3]),
        ("$ IS ARRAY", [1, 2, 3, 4]),
        ("#.tag_name IS NULL", [3]),
        ("#.tag_name = null", [3]),
        ('#."tag_id" >= 7', [3]),
        ("#.tag_id = -1", []),
    ],
)
async def test_jsquery(db: Database, query: str, expected: list[int]) -> None:
    await fill(
        db,
        [
            blank(tags=[{"tag_id": 5, "tag_name": "vip"}]),
            blank(tags=[{"tag_id": 5, "tag_name": "new"}, {"tag_id": 6, "tag_name": "vip"}]),
            blank(tags=[{"tag_id": 7, "tag_name": None, "more": {"deep": True}}]),
            blank(tags=[]),
            blank(),
        ],
    )
    assert await ids(db, {"field": "tags", "operator": "jsquery", "value": query}) == expected


async def test_a_regexp_that_cannot_be_read(db: Database) -> None:
    await fill(db, [blank(name="x")])
    with pytest.raises(InvalidInput) as caught:
        await ids(db, {"field": "name", "operator": "regexp", "value": "(a"})
    assert (caught.value.mnemonic, caught.value.field) == ("invalid_parameter_value", "filter.value")


@pytest.mark.parametrize(
    "pattern",
    [
        "(a*)*b",
        "(a|a)*b",
        "(a+)+(a+)+(a+)+b",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "(.*.*.*.*.*.*.*.*)*b",
        "(((((a*)*)*)*)*)*b",
        "(x?){100}x",
        "(?:(?:a?){10}){10}b",
        "[^a]*" * 40,
        "(a|b|c|d|e)*" * 15 + "z",
        "(?=a)(?!b)a",
        "\\m\\w+\\M",
        "[[:alpha:]]+",
        "(?i)ABC",
        "é*",
    ],
)
async def test_no_pattern_burns_the_database(db: Database, pattern: str) -> None:
    """It is answered, refused, or stopped at the time limit; nothing else, and the next request is served."""
    await fill(db, [blank(name="a" * 1000), blank(name="b")])
    with contextlib.suppress(InvalidInput, LimitExceeded):
        heavy = {"field": "name", "operator": "regexp", "value": pattern}
        assert (await ask(db, {"filter": heavy}, timeout_ms=500)).total_items <= 2
    assert await ids(db, {"field": "name", "operator": "=", "value": "b"}) == [2]


async def test_wildcards_do_not_multiply(db: Database) -> None:
    await fill(db, [blank(name="a" * 1000)])
    assert await ids(db, {"field": "name", "operator": "like", "value": "%a" * 18 + "%b"}) == []
    assert await ids(db, {"field": "name", "operator": "like", "value": "%a" * 19 + "%"}) == [1]


async def test_a_request_that_costs_too_much_is_stopped(db: Database) -> None:
    await fill(db, [blank(name="x" * 1000) for _ in range(2000)])
    heavy = {"field": "name", "operator": "regexp", "value": "(x+x+)+y(x+x+)+y"}
    with pytest.raises(LimitExceeded) as caught:
        await ask(db, {"filter": {"filters": [heavy] * 5, "condition": "or"}}, timeout_ms=1)
    assert caught.value.mnemonic == "error"
    assert caught.value.params["error_message"]
    assert await ids(db, {"field": "id", "operator": "<", "value": 2}) == [1]


async def test_reading_cannot_write(db: Database) -> None:
    await fill(db, [blank()])
    query = compile_request(
        SAMPLE, parse_request({}, SAMPLE, BERLIN), account_id=1, time_zone="UTC", where="nextval('q') > 0"
    )
    await db.execute("create sequence q")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        await fetch_page(db, query)


@pytest.mark.parametrize(("limit", "spent", "limits"), [(1000, False, 0), (2, False, 0), (2, True, 1)])
async def test_only_a_count_after_much_time_needs_the_time_that_is_left(
    db: Database, monkeypatch: pytest.MonkeyPatch, limit: int, spent: bool, limits: int
) -> None:
    """The transaction begins with the time limit of the request; each further one is a round trip."""
    await fill(db, [blank(name="a"), blank(name="b"), blank(name="c")])
    monkeypatch.setattr("trunkline.db.query.page._Budget.is_much_spent", lambda self: spent)
    sent: list[str] = []
    execute = psycopg.AsyncConnection.execute

    async def noted(self: psycopg.AsyncConnection[Any], query: Any, *args: Any, **named: Any) -> Any:
        sent.append(query.as_string(self) if isinstance(query, sql.Composable) else str(query))
        return await execute(self, query, *args, **named)

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", noted)
    assert (await ask(db, {"limit": limit})).total_items == 3
    assert ["statement_timeout" in statement for statement in sent] == [True] * limits
