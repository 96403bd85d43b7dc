"""No value of one account keeps the changes of another from the engine, and every value that reaches Asterisk arrives as
it is or is refused."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.patience import PATIENCE
from trunkline.core.engine_values import (
    BadEngineValue,
    CallerNumber,
    CallTag,
    Codec,
    ContactUri,
    DialNumber,
    DisplayName,
    EndpointName,
    EngineValue,
    Ha1,
    HostAddress,
    IpNetwork,
    Keys,
    MediaPath,
    PhoneDigits,
    SipLogin,
    SipSecret,
    SipUser,
    TrunkId,
)
from trunkline.core.errors import ConfigurationError, DatabaseUnavailable, EffectRefused, EngineUnavailable
from trunkline.core.settings import Settings
from trunkline.db.pool import Database
from trunkline.directory.model import (
    Account,
    BillingState,
    Directory,
    LineStatus,
    LineType,
    NumberFormat,
    SipLine,
    Transport,
    Trunk,
    TrunkMode,
)
from trunkline.directory.trunks.identification import Identification
from trunkline.engine_configuration import AccountConfig, RefusedRow, account_config, engine_config
from trunkline.roles import configuration
from trunkline.roles.configuration import EngineConfigurator, publish_row_left_out
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.telephony.config import (
    AccountFiles,
    EndpointSet,
    EngineConfig,
    EnginePaths,
    EnginePorts,
    EngineSecrets,
    Kind,
    TrunkConfig,
)
from trunkline.telephony.config import TrunkMode as EngineTrunkMode

pytestmark = pytest.mark.attack

HERE = Path("/nowhere")
CONFIG = EngineConfig(
    EnginePaths(HERE, HERE / "spool", HERE / "modules", HERE / "data"),
    EnginePorts(8088, 5038, 5060, 5060, 9061, 8089, 20000, 20999),
    EngineSecrets("t", "ari-secret", "t", "ami-secret"),
    HERE / "t.crt",
    HERE / "t.key",
)
ODD = [
    "a=b",
    "a%b",
    "a,b",
    "a'b",
    "ü",
    "a(b",
    "a#b",
    "[x]",
    "${X}",
    "a;b",
    'a"b',
    "a\\b",
    "a\n[evil]",
    " a",
    "a ",
    ";--",
]


def parsed(text: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Sections with their settings, as the parser of Asterisk's files reads them (main/config.c): comments, escaped
    semicolons, spaces around a value. Includes and templates are left as they are."""
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for line in text.split("\n"):
        kept, rest = "", line
        while ";" in rest:
            before, _, rest = rest.partition(";")
            if not before.endswith("\\"):
                kept, rest = kept + before, ""
                break
            kept += before[:-1] + ";"
        bare = (kept + rest).strip(" \t\r\v\f")
        if bare.startswith("["):
            found.append((bare[1:].partition("]")[0], []))
        elif bare and not bare.startswith("#"):
            name, _, value = bare.partition("=")
            found[-1][1].append((name.strip(), value.removeprefix(">").strip(" \t\r\v\f")))
    return found


def rendered(directory: EndpointSet) -> str:
    files = AccountFiles(CONFIG)
    files.put("1", directory)
    return "\n".join(text for name, text in files.all_files().items() if name.startswith("accounts/"))


hostile = st.one_of(
    st.text(min_size=1, max_size=40),
    st.text(alphabet="ab1;\\[]=>,&()${}^\"'<>|#!@%:/-~ \n\r\t\x00\x85\u2028ü", min_size=1, max_size=20),
    st.sampled_from(ODD),
)


def register(username: str = "u", password: str = "p", host: str = "192.0.2.1") -> TrunkConfig:
    return TrunkConfig.of(
        "7", EngineTrunkMode.REGISTER, host, username=username, password=password, addresses=["198.51.100.7"],
        server="192.0.2.2",
    )  # fmt: skip


@given(username=hostile, password=hostile, host=st.one_of(st.just("192.0.2.1"), hostile))
@example("a=b", "p;w\\d", "192.0.2.1")
@example("a", "p\\", "sip.example.net")
@example("a;b", ";", "2001:db8::1")
def test_a_trunk_is_read_back_as_it_is_or_refused(username: str, password: str, host: str) -> None:
    try:
        trunk = register(username, password, host)
    except BadEngineValue:
        return
    other = register()
    plain, found = (
        parsed(rendered(EndpointSet(trunks=[other]))),
        parsed(rendered(EndpointSet(trunks=[trunk]))),
    )
    renamed = {other.auth_name: trunk.auth_name}
    assert [(name, sorted({key for key, _ in values})) for name, values in found] == [
        (renamed.get(name, name), sorted({key for key, _ in values})) for name, values in plain
    ]
    values = [pair for _, pairs in found for pair in pairs]
    assert ("username", username) in values
    assert ("password", password) in values
    assert ("from_domain", trunk.host.in_uri) in values
    [client] = [value for key, value in values if key == "client_uri"]
    assert re.fullmatch(r"sip:[A-Za-z0-9\-_.!~*'()&=+$,/%;]+@(\[[0-9a-f:.]+\]|[A-Za-z0-9._-]+):5060", client)


SAFE: Sequence[tuple[type[EngineValue], str]] = [
    # No line break, no end of a section, no comment, no separator of Dial() or of its options.
    (SipLogin, r"[0-9]+"),
    (Ha1, r"[0-9a-f]*"),
    (EndpointName, r"[0-9a-z-]+"),
    (TrunkId, r"[0-9]+"),
    (HostAddress, r"[A-Za-z0-9._:-]+"),
    (IpNetwork, r"[0-9a-f.:/]+"),
    (Codec, r"[a-z0-9]+"),
    (DialNumber, r"[0-9A-Za-z+*#]+"),
    (PhoneDigits, r"[0-9]+"),
    (CallerNumber, r"[0-9A-Za-z+*#]*"),
    (DisplayName, r"[^\x00-\x1f\x7f\"\\<>]*"),
    (ContactUri, r"[^,&()^${}\s\"\\<>|?#]+"),
    (CallTag, r"[0-9A-Za-z_-]*"),
    (Keys, r"[0-9A-Da-d*#.]*"),
    (MediaPath, r"/[^,&()^${}\"\\<>|?#;:\n\r\t]*[^ ]"),
    (SipUser, r"[^\s\x00-\x1f\x7f\"\\<>]+"),
    (SipSecret, r"[^\x00-\x1f\x7f]*"),
]


@given(text=hostile)
@pytest.mark.parametrize(("kind", "safe"), SAFE, ids=lambda one: getattr(one, "__name__", ""))
def test_a_value_is_safe_or_refused(kind: type[EngineValue], safe: str, text: str) -> None:
    for prefix in ("", "1", "/", "sip:1@192.0.2.1"):
        if not kind.is_good(prefix + text):
            with pytest.raises(BadEngineValue) as refused:
                kind(prefix + text)
            assert not kind.secret or repr(text) not in str(refused.value)
            continue
        value = kind(prefix + text)
        assert str(value) == prefix + text
        assert re.fullmatch(safe, value)


@given(text=st.text(max_size=300))
def test_what_a_phone_shows_is_cleaned(text: str) -> None:
    assert re.fullmatch(r"[^\x00-\x1f\x7f\"\\<>]*", DisplayName.cleaned(text))
    assert re.fullmatch(r"[0-9A-Za-z+*#]*", CallerNumber.cleaned(text))
    assert DisplayName.cleaned("Жанна Ünal") == "Жанна Ünal"


# --- one account's rows, and the others -----------------------------------------------------------------


def line(account_id: int, login: str) -> SipLine:
    return SipLine(
        account_id=account_id,
        sip_line_id=int(login) if login.isdecimal() else 1,
        phone_number=login,
        ha1_md5="a" * 32,
        ha1_sha256="b" * 64,
        employee_id=None,
        virtual_number_id=None,
        type=LineType.IN_OUT,
        channels_count=1,
        dial_time=60,
        billing_state=BillingState.ACTIVE,
        status=LineStatus.ACTIVE,
    )


def trunk(account_id: int, trunk_id: int, **other: object) -> Trunk:
    plain = Trunk(
        account_id=account_id,
        trunk_id=trunk_id,
        name="carrier",
        mode=TrunkMode.REGISTER,
        host="192.0.2.1",
        port=5060,
        transport=Transport.UDP,
        username="user",
        password="secret",
        addresses=(),
        codecs=("alaw",),
        max_channels=0,
        number_format=NumberFormat.E164,
        is_active=True,
    )
    return replace(plain, **other)  # type: ignore[arg-type]


def account(account_id: int, lines: Sequence[SipLine] = (), trunks: Sequence[Trunk] = ()) -> Account:
    return Account(
        account_id=account_id,
        name=f"Account {account_id}",
        time_zone=ZoneInfo("UTC"),
        locale="en",
        country="AE",
        is_active=True,
        components=frozenset(),
        security={},
        tts_message_max_length=500,
        lines={one.sip_line_id: one for one in lines},
        trunks={one.trunk_id: one for one in trunks},
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", 'a"b'),
        ("username", "a\n[evil]"),
        ("host", "a:b:c"),
        ("host", "192.0.2.1\n"),
        ("password", "a\nb"),
        ("port", 0),
        ("addresses", ("here",)),
        ("codecs", ("alaw\n",)),
        ("username", None),
    ],
)
def test_a_row_that_cannot_be_configured_is_left_out_alone(field: str, value: object) -> None:
    bad, good = trunk(1, 7, **{field: value}), trunk(1, 8)
    identified = Identification(addresses={7: bad.addresses})
    made = account_config(account(1, [line(1, "1001"), line(1, "10\n01")], [bad, good]), identified)
    assert [one.id for one in made.directory.trunks] == ["8"]
    assert [one.login for one in made.directory.lines] == ["1001"]
    assert {(row.account_id, row.entity, row.id) for row in made.refused} == {
        (1, "trunk", 7),
        (1, "sip_line", 1),
    }
    assert all(row.reason for row in made.refused)


def test_a_folder_that_asterisk_cannot_name_is_refused_at_the_start(tmp_path: Path) -> None:
    install = AsteriskInstall.__new__(AsteriskInstall)
    for name in ("a,b", "a;b", "a&b", "a(b", "a:b"):
        with pytest.raises(ConfigurationError, match="media_dir"):
            engine_config(Settings(data_dir=tmp_path / name), install)


def test_two_accounts_never_have_objects_of_one_name() -> None:
    """Asterisk loads no object at all of a kind that has two of one name."""
    files = AccountFiles(CONFIG)
    one = EndpointSet(trunks=[register()])
    assert files.put("1", one) == frozenset()
    assert files.put("2", one) == {"trunk-7"}
    auth = f"[{register().auth_name}]"
    assert sum(auth in text for name, text in files.all_files().items() if "auths" in name) == 1
    files.remove("1")
    assert files.put("2", one) == frozenset()
    assert auth in files.all_files()["accounts/2-auths.conf"]


def test_a_change_renders_its_account_only() -> None:
    files = AccountFiles(CONFIG)
    for number in range(200):
        files.put(str(number), EndpointSet(trunks=[replace(register(), id=TrunkId(str(number)))]))
    files.written(files.unwritten())
    files.put("7", EndpointSet(trunks=[replace(register(password="new"), id=TrunkId("7"))]))
    kinds = ("auths", "endpoints", "peers")  # what names the credentials differs, too: auth_name
    assert set(files.unwritten()) == {f"accounts/7-{one}.conf" for one in kinds} | {
        f"pjsip_{one}.conf" for one in kinds
    }


class FakeEngine:
    """Counts what is asked of it; fails while ``failure`` is set."""

    def __init__(self) -> None:
        self.files = AccountFiles(CONFIG)
        self.rendered: list[str] = []
        self.applied = ""
        self.applies = 0
        self.failure: Exception | None = None

    async def wait_up(self, timeout: float = 30.0) -> None:
        pass

    def set_account(self, account: str, directory: EndpointSet) -> frozenset[str]:
        self.rendered.append(account)
        return self.files.put(account, directory)

    def remove_account(self, account: str) -> None:
        self.files.remove(account)

    async def apply(self) -> Sequence[str]:
        self.applies += 1
        if self.failure is not None:
            raise self.failure
        self.applied = "\n".join(self.files.all_files().values())
        return [Kind.AUTHS]

    async def remove_stale_files(self) -> None:
        pass


class FakeIdentified:
    current = Identification()

    def subscribe(self, listener: Callable[[], None]) -> None:
        pass


class FakeSnapshot:
    def __init__(self, *accounts: Account) -> None:
        self.current = Directory({one.account_id: one for one in accounts})
        self._listener: Callable[[Directory, frozenset[int]], None] = lambda *_: None

    def subscribe(self, listener: Callable[[Directory, frozenset[int]], None]) -> Callable[[], None]:
        self._listener = listener
        return lambda: None

    def change(self, *accounts: Account) -> None:
        changed = {one.account_id: one for one in accounts}
        self.current = Directory({**self.current.accounts, **changed})
        self._listener(self.current, frozenset(changed))


async def nobody(_row: RefusedRow) -> None:
    pass


@asynccontextmanager
async def configured(
    engine: FakeEngine,
    snapshot: FakeSnapshot,
    monkeypatch: pytest.MonkeyPatch,
    render: Callable[[Account, Identification], AccountConfig] = account_config,
    publish: Callable[[RefusedRow], Awaitable[None]] = nobody,
) -> AsyncIterator[EngineConfigurator]:
    monkeypatch.setattr(configuration, "GATHER_SECONDS", 0.0)
    monkeypatch.setattr(configuration, "RETRY_SECONDS", 0.001)
    configurator = EngineConfigurator(engine, snapshot, FakeIdentified(), render, publish)
    snapshot.subscribe(configurator.note)
    task = asyncio.create_task(configurator.run())
    try:
        yield configurator
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


async def test_changes_of_others_arrive_and_the_row_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    snapshot = FakeSnapshot(account(1, [line(1, "1001")], [trunk(1, 7, host="a:b:c")]), account(2))
    async with configured(engine, snapshot, monkeypatch) as configurator:
        await until(lambda: "[1001]" in engine.applied)
        [row] = configurator.rows_left_out(1)
        assert (row["entity"], row["id"], row["name"]) == ("trunk", 7, "carrier")
        assert "'a:b:c' is no server address" in row["reason"]
        assert configurator.status()["rows_left_out"] == [row]
        assert configurator.rows_left_out(2) == []
        engine.rendered.clear()
        snapshot.change(account(2, [line(2, "2001")]))
        await until(lambda: "[2001]" in engine.applied)
        assert engine.rendered == ["2"]
        snapshot.change(account(1, [line(1, "1001")], [trunk(1, 7)]))
        await until(lambda: "[trunk-7]" in engine.applied)
        assert configurator.status()["rows_left_out"] == []


async def test_an_account_is_reported_once_of_each_fault(database: str) -> None:
    """Also when the switch is started again."""
    db = await Database.open(database)
    try:
        one = RefusedRow(1001, "trunk", 7, "carrier", "'a:b:c' is not a server address")
        for row in (one, one, replace(one, reason="another"), one):
            await publish_row_left_out(db, row)
        rows = await db.fetch_all(
            "select type, data from outbox where account_id = %s order by occurred_at", (1001,)
        )
    finally:
        await db.close()
    assert [(row["type"], row["data"]["reason"]) for row in rows] == [
        ("row_left_out", one.reason),
        ("row_left_out", "another"),
    ]
    assert rows[0]["data"]["entity_id"] == 7


async def test_who_cannot_be_reported_now_is_reported_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the engine is configured meanwhile."""
    engine, reported, is_unavailable = FakeEngine(), [], [True]

    async def publish(row: RefusedRow) -> None:
        if is_unavailable[0]:
            raise DatabaseUnavailable("no server")
        reported.append(row.id)

    snapshot = FakeSnapshot(account(1, [line(1, "1001")], [trunk(1, 7, host="a:b:c")]))
    async with configured(engine, snapshot, monkeypatch, publish=publish) as configurator:
        await until(lambda: "[1001]" in engine.applied)
        assert reported == []
        is_unavailable[0] = False
        configurator.check()
        await until(lambda: reported == [7])


async def test_a_row_whose_event_cannot_be_stored_delays_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    published = []

    async def publish(row: RefusedRow) -> None:
        if row.id == 7:
            raise psycopg.DataError("unsupported Unicode escape sequence")
        published.append(row.id)

    snapshot = FakeSnapshot(account(1, [], [trunk(1, 7, host="a:b:c"), trunk(1, 8, host="a:b:c")]))
    async with configured(FakeEngine(), snapshot, monkeypatch, publish=publish) as configurator:
        await until(lambda: len(configurator.rows_left_out(1)) == 2)
        for _ in range(3):
            configurator.check()
            await asyncio.sleep(0.05)
        await until(lambda: published == [8])


async def test_a_mistake_in_rendering_concerns_one_account(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    snapshot = FakeSnapshot(account(1, [line(1, "1001")]), account(2, [line(2, "2001")]))

    def render(one: Account, identification: Identification) -> AccountConfig:
        if one.account_id == 1:
            raise RuntimeError("a mistake")
        return account_config(one, identification)

    async with configured(engine, snapshot, monkeypatch, render) as configurator:
        await until(lambda: "[2001]" in engine.applied)
        assert [row["entity"] for row in configurator.rows_left_out(1)] == ["account"]
        snapshot.change(account(2, [line(2, "2002")]))
        await until(lambda: "[2002]" in engine.applied)


async def test_a_change_is_not_applied_from_its_first_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    snapshot = FakeSnapshot(account(1, [line(1, "1001")]))
    async with configured(engine, snapshot, monkeypatch) as configurator:
        await until(lambda: configurator.status()["applied"])
        snapshot.change(account(1, [line(1, "1002")]))
        assert not configurator.status()["applied"]
        await until(lambda: configurator.status()["applied"])
        assert "[1002]" in engine.applied


@pytest.mark.parametrize(
    "failure", [EngineUnavailable("no connection"), EffectRefused("not loaded"), OSError("disk full")]
)
async def test_what_is_not_applied_is_tried_until_it_is(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine()
    engine.failure = failure
    snapshot = FakeSnapshot(account(1, [line(1, "1001")]))
    async with configured(engine, snapshot, monkeypatch) as configurator:
        await until(lambda: engine.applies >= 3)
        said = configurator.status()
        assert (said["applied"], said["differs_since"] is not None) == (False, True)
        assert str(failure) in said["error"]
        assert said["failures"] >= 2
        engine.failure = None
        await until(lambda: "[1001]" in engine.applied)
        await until(lambda: configurator.status()["applied"])
        assert configurator.status()["failures"] == 0
