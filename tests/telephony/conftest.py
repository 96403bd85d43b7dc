"""A PBX (Asterisk under our engine) and the outside world, for real calls."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import TypeVar

import pytest

from tests.patience import PATIENCE
from trunkline.core.clock import Instant
from trunkline.core.settings import Settings
from trunkline.demo.certificate import certify
from trunkline.demo.outside import OutsideWorld, Registrar, choose_ports
from trunkline.runtime import certificates
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.ports import free_media_ports, free_ports, published_media_ports
from trunkline.runtime.program import Program
from trunkline.telephony import cel_log
from trunkline.telephony.config import (
    DefaultRoute,
    EndpointSet,
    EngineConfig,
    EnginePaths,
    EnginePorts,
    EngineSecrets,
    LineConfig,
    TrunkConfig,
    TrunkMode,
    base_files,
    directory_files,
    write_files,
)
from trunkline.telephony.engine import AsteriskEngine
from trunkline.telephony.port import Signal

S = TypeVar("S")
NUMBER = "442079460100"


def line(login: str, password: str = "secret", *, max_contacts: int = 10) -> LineConfig:
    text = f"{login}:trunkline:{password}".encode()
    return LineConfig.of(
        login, hashlib.md5(text).hexdigest(), hashlib.sha256(text).hexdigest(), max_contacts=max_contacts
    )


class SignalLog:
    """Collects the signals of an engine, as its only consumer."""

    def __init__(self, engine: AsteriskEngine) -> None:
        self.all: list[Signal] = []
        self._changed = asyncio.Condition()
        self._task = asyncio.create_task(self._collect(engine))

    async def _collect(self, engine: AsteriskEngine) -> None:
        async for signal in engine.signals():
            async with self._changed:
                self.all.append(signal)
                self._changed.notify_all()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def of(self, kind: type[S]) -> list[S]:
        return [signal for signal in self.all if isinstance(signal, kind)]

    async def wait(
        self, kind: type[S], matches: Callable[[S], bool] = lambda _: True, timeout: float = PATIENCE
    ) -> S:
        """The first such signal, past or to come."""

        def found() -> S | None:
            return next((signal for signal in self.of(kind) if matches(signal)), None)

        async with self._changed:
            try:
                async with asyncio.timeout(timeout):
                    while (signal := found()) is None:
                        await self._changed.wait()
            except TimeoutError:
                raise AssertionError(
                    f"no such {kind.__name__} within {timeout} s; heard: {self.all}"
                ) from None
        return signal


class Pbx:
    """One Asterisk with our configuration, an engine connected to it, and the world outside."""

    def __init__(
        self, install: AsteriskInstall, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """:param environment: more variables of Asterisk."""
        self.settings = settings = Settings(data_dir=folder)
        certify(settings)
        certificates.publish(settings)
        ari, ami, udp, tls, wss = free_ports(5)
        rtp = free_media_ports()
        self.config = EngineConfig(
            EnginePaths(folder / "a", folder / "spool", install.modules_dir, install.data_dir),
            EnginePorts(ari, ami, udp, udp, tls, wss, rtp[0], rtp[-1]),
            EngineSecrets("trunkline", "ari-password", "trunkline", "ami-secret"),
            settings.engine_certificate,
            settings.engine_certificate,
            bind="127.0.0.1",
            away_wait=2,
        )
        self.world_ports = choose_ports()
        self.directory = EndpointSet(
            lines=[line("1001"), line("1002"), line("1003")],
            trunks=[
                TrunkConfig.of(
                    "7",
                    TrunkMode.ADDRESS,
                    self.world_ports.carrier_address,
                    self.world_ports.carrier,
                    addresses=[self.world_ports.carrier_address],
                )
            ],
            defaults=[DefaultRoute.of(NUMBER, "1001", ["trunk-7-ip"])],
        )
        self._install = install
        self._process: asyncio.subprocess.Process | None = None
        self._environment = environment or {}
        self._published = ExitStack()
        self.connected = AsyncExitStack()
        """What a test connects, to be closed by it."""

    async def start(self, *, keep: bool = False) -> None:
        """:param keep: start with the files that are there."""
        self.config.paths.create()
        ports = self.config.ports
        self._published.enter_context(published_media_ports(ports.rtp_first, ports.rtp_last))
        if not keep:
            write_files(
                self.config.paths.etc,
                {**base_files(self.config), **directory_files(self.config, self.directory)},
            )
        program = Program(
            self._install.command("-f", "-C", str(self.config.paths.conf)),
            environment={**self._install.environment, **self._environment},
            open_files=20_000,
        )
        with (self.config.paths.root / "console").open("wb") as console:
            self._process = await asyncio.create_subprocess_exec(
                *program.launch_argv(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=program.launch_environment(),
                start_new_session=True,  # a share of the processors of its own, as in the product
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def stop(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._published.close()

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[tuple[AsteriskEngine, SignalLog]]:
        """A connected engine with the directory in force."""
        async with AsteriskEngine(self.config) as engine:
            signals = SignalLog(engine)
            try:
                await engine.wait_up()
                await engine.wait_offered()
                await engine.configure(self.directory)
                yield engine, signals
            finally:
                await signals.close()


class TelephonySetup:
    """The PBX, its engine and signals, and the simulated network."""

    def __init__(self, pbx: Pbx, engine: AsteriskEngine, signals: SignalLog, world: OutsideWorld) -> None:
        self.pbx = pbx
        self.engine = engine
        self.signals = signals
        self.world = world

    async def logged(self, event: str, *channels: str) -> None:
        """Wait until the CEL log has this event of each channel: Asterisk writes it after the parties have noticed."""
        async with asyncio.timeout(PATIENCE):
            while True:
                entries = cel_log.read(self.pbx.config.paths.cel_log, Instant(0.0))
                if set(channels) <= {entry.channel for entry in entries if entry.event == event}:
                    return
                await asyncio.sleep(0.05)

    async def registration_stored(self, line: str) -> None:
        """Wait until Asterisk has a contact of this line in its file: it accepts a registration up to a second before."""
        # Without locks (immutable): a reader that held one would make Asterisk's commit fail.
        file = f"file:{self.pbx.config.paths.root / 'db/astdb.sqlite3'}?immutable=1"
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(sqlite3.Error), closing(sqlite3.connect(file, uri=True)) as database:
                    query = "select 1 from astdb where key like ?"
                    if database.execute(query, (f"/registrar/contact/{line};@%",)).fetchone():
                        return
                await asyncio.sleep(0.05)

    async def nobody_left(self) -> None:
        """Wait until no channel is left in the engine."""
        deadline = time.monotonic() + PATIENCE
        while (await self.engine.survey(time.time())).channels:  # type: ignore[arg-type]
            assert time.monotonic() < deadline, "channels are left"
            await asyncio.sleep(0.1)


@pytest.fixture
async def pbx(asterisk_install: AsteriskInstall, tmp_path: Path) -> AsyncIterator[Pbx]:
    pbx = Pbx(asterisk_install, tmp_path)
    await pbx.start()
    try:
        yield pbx
    finally:
        await pbx.stop()


@pytest.fixture
async def setup(pbx: Pbx, asterisk_install: AsteriskInstall, tmp_path: Path) -> AsyncIterator[TelephonySetup]:
    ports = pbx.config.ports
    async with AsyncExitStack() as stack:
        engine, signals = await stack.enter_async_context(pbx.engine())
        world = await stack.enter_async_context(
            OutsideWorld(
                asterisk_install,
                tmp_path / "w",
                Registrar("127.0.0.1", ports.udp),
                Registrar("127.0.0.1", ports.tls),
                pbx.world_ports,
            )
        )
        yield TelephonySetup(pbx, engine, signals, world)
