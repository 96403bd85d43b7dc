"""The complete product in a separate folder, started as by users: for end-to-end tests and the demo."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from trunkline.core.errors import EngineUnavailable
from trunkline.core.settings import (
    EngineSettings,
    ExternalDecisionSettings,
    LimitSettings,
    MetricsSettings,
    NotificationSettings,
    Settings,
    SipSettings,
    SwitchSettings,
    WebSettings,
)
from trunkline.demo.outside.config import Registrar
from trunkline.runtime import instance, status
from trunkline.runtime.ports import free_media_ports, free_ports
from trunkline.runtime.program import Program
from trunkline.runtime.service import ServiceState

_LOOPBACK = "127.0.0.1"
_POLL = 0.1


class ApiError(Exception):
    """The API answered with an error; ``error`` is its JSON object."""

    def __init__(self, method: str, error: Mapping[str, Any]) -> None:
        super().__init__(f"{method}: {json.dumps(error)}")
        self.error = error

    @property
    def mnemonic(self) -> str:
        return str(self.error.get("data", {}).get("mnemonic", ""))


@dataclass(frozen=True)
class Account:
    """What ``trunkline account create --json`` gave."""

    account_id: int
    login: str
    password: str
    keys: Mapping[str, str]


def settings_on_free_ports(data_dir: Path, runtime_dir: Path | None = None) -> Settings:
    """Settings of an instance that disturbs no other on this machine."""
    udp, tls, wss, ari, ami, control, http, https, *metrics = free_ports(11)
    rtp = free_media_ports()
    return Settings(
        data_dir=data_dir,
        runtime_dir=runtime_dir or Settings().runtime,
        log_json=True,
        sip=SipSettings(
            bind=_LOOPBACK, udp_port=udp, tcp_port=udp, tls_port=tls, wss_port=wss,
            rtp_port_first=rtp[0], rtp_port_last=rtp[-1],
        ),
        engine=EngineSettings(ari_port=ari, ami_port=ami),
        switch=SwitchSettings(control_port=control),
        metrics=MetricsSettings(switch_port=metrics[0], web_port=metrics[1], worker_port=metrics[2]),
        # Tests and benchmarks place more calls than people do.
        limits=LimitSettings(
            account_calls_per_minute=0, account_concurrent_calls=0, line_calls_per_minute=0, line_concurrent_calls=0
        ),
        notifications=NotificationSettings(allowed_private_networks=["127.0.0.0/8"]),
        external_decisions=ExternalDecisionSettings(allowed_private_networks=["127.0.0.0/8"]),
        web=WebSettings(http_port=http, https_bind=_LOOPBACK, https_port=https),
    )  # fmt: skip


class Installation:
    """A running product, to be used as an async context manager.

    :param settings: default: free ports and a data folder below ``folder``.
    :param folder: where its data and its terminal output (``up.log``) go.
    :param trunk_addresses: what the administrator allows all trunks; the network of tests is on loopback.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings | None = None,
        *,
        trunk_addresses: Sequence[str] = ("127.0.0.0/8",),
    ) -> None:
        self._trunk_addresses = trunk_addresses
        self.settings = settings or settings_on_free_ports(folder / "data")
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        try:
            await self.start()
            for address in self._trunk_addresses:
                await self.run("trunk", "allow", address, "--every-account")
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    # --- life

    async def start(self, timeout: float = 250.0) -> float:
        """``trunkline up``; returns the seconds until everything was ready."""
        self._folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        # Stops as on Ctrl-C when we die, however we die: nothing is left running behind a demo or a test.
        program = Program(_command("up"), environment=self.environment, death_signal=signal.SIGINT)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *program.launch_argv(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=program.launch_environment(),
                start_new_session=True,
            )
        while not self._is_up():
            late = time.monotonic() - began > timeout
            if late or self._process.returncode is not None:
                what = f"was not up after {timeout:.0f} s" if late else "gave up"
                raise EngineUnavailable(f"`trunkline up` {what}:\n{self.log_tail()}")
            await asyncio.sleep(_POLL)
        return time.monotonic() - began

    def _is_up(self) -> bool:
        """Whether all is ready. Most of the time something is not, and the ports need not be looked at."""
        processes = status.processes(self.settings)
        is_ready = processes and all(process["state"] == ServiceState.READY for process in processes)
        return bool(is_ready) and bool(status.collect(self.settings)["up"])

    async def stop(self) -> None:
        """Stop as Ctrl-C does; by force when that takes more than half a minute."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _close(self) -> None:
        try:
            await self.stop()
        finally:
            if self._session:
                await self._session.close()

    # --- processes

    def process(self, name: str) -> Mapping[str, Any]:
        """State of one process (``switch``, ``web``, ``worker``, ``postgres``, ``asterisk``), as ``status`` has it."""
        for process in status.processes(self.settings):
            if process["name"] == name:
                return process
        raise KeyError(name)

    def kill(self, name: str) -> int:
        """SIGKILL to one process; its pid. The supervisor starts it again, see :meth:`wait_restarted`."""
        pid = int(self.process(name)["pid"])
        os.kill(pid, signal.SIGKILL)
        return pid

    async def kill_supervisor(self) -> None:
        """SIGKILL to ``trunkline up`` itself; the kernel ends its processes. :meth:`start` starts it again."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    @contextlib.contextmanager
    def frozen_supervisor(self) -> Iterator[None]:
        """``trunkline up`` starts no process meanwhile."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    async def wait_restarted(self, name: str, killed: int, timeout: float = 30.0) -> float:
        """Wait until another process than ``killed`` is ready in its place; returns the seconds waited."""
        began = time.monotonic()
        while True:
            process = self.process(name)
            if process["state"] == "ready" and process["pid"] not in (None, killed):
                return time.monotonic() - began
            if time.monotonic() - began > timeout:
                raise TimeoutError(f"{name} did not come back within {timeout} s:\n{self.log_tail()}")
            await asyncio.sleep(_POLL)

    def log_tail(self, lines: int = 40) -> str:
        """The end of the output of ``trunkline up`` and the roles."""
        logs = [self._log, *sorted(self.settings.logs_dir.glob("*.log"))]
        return "\n".join(f"--- {log.name}\n{_tail(log, lines)}" for log in logs if log.exists())

    # --- commands and APIs

    @property
    def environment(self) -> dict[str, str]:
        """Environment of commands that are about this installation."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRUNKLINE_")}
        return {**inherited, **instance.environment_of(self.settings)}

    async def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Run ``trunkline`` with these arguments; its standard output. Raises with the output when it fails."""
        process = await asyncio.create_subprocess_exec(
            *_command(*arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**self.environment, **(environment or {})},
        )
        output, complaint = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(
                f"trunkline {' '.join(arguments)} failed: {complaint.decode()}{output.decode()}"
            )
        return output.decode()

    async def create_account(self, name: str, time_zone: str = "Asia/Dubai") -> Account:
        """A separate account; loopback may use its APIs."""
        made = json.loads(
            await self.run(
                "account",
                "create",
                "--name",
                name,
                "--time-zone",
                time_zone,
                "--allow",
                "127.0.0.0/8",
                "--json",
            )
        )
        return Account(made["account_id"], made["login"], made["password"], made["keys"])

    async def apply(self, account: Account, file: Path, environment: Mapping[str, str] | None = None) -> Any:
        """Apply a directory file; the output of ``trunkline apply --json``."""
        arguments = ("apply", str(file), "--account", str(account.account_id), "--yes", "--json")
        return json.loads(await self.run(*arguments, environment=environment))

    @property
    def sip(self) -> Registrar:
        """Where phones and carriers send SIP over UDP and TCP."""
        return Registrar(_LOOPBACK, self.settings.sip.udp_port)

    @property
    def sip_tls(self) -> Registrar:
        return Registrar(_LOOPBACK, self.settings.sip.tls_port)

    @property
    def url(self) -> str:
        return f"http://{_LOOPBACK}:{self.settings.web.http_port}"

    async def call_api(self, account: Account, method: str, **params: Any) -> Any:
        """``result`` of a Call API method; :class:`ApiError` otherwise."""
        return await self._rpc("/v4.0", account.keys["call_api"], method, params)

    async def data_api(self, account: Account, method: str, **params: Any) -> Any:
        """``result`` of a Data API method; :class:`ApiError` otherwise."""
        return await self._rpc("/v2.0", account.keys["data_api"], method, params)

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Status and body of a URL of the installation."""
        async with self._http.get(url, headers=headers) as response:
            return response.status, await response.read()

    async def _rpc(self, path: str, token: str, method: str, params: Mapping[str, Any]) -> Any:
        request = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": method,
            "params": {"access_token": token, **params},
        }
        async with self._http.post(f"{self.url}{path}", json=request) as response:
            answer = await response.json(content_type=None)
        if "error" in answer:
            raise ApiError(method, answer["error"])
        return answer["result"]

    @property
    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the installation is not running")
        return self._session

    @property
    def _log(self) -> Path:
        return self._folder / "up.log"


def _command(*arguments: str) -> Sequence[str]:
    return [str(Path(sys.executable).with_name("trunkline")), *arguments]


def _tail(path: Path, lines: int) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    return ""
