"""A baresip that registers one account, takes every call, and plays a tone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from trunkline.demo import tones
from trunkline.demo.outside import Registrar, Transport
from trunkline.runtime.ports import free_ports
from trunkline.runtime.program import Program
from trunkline.testing.foreign import ForeignPhones

ADDRESS = "127.0.0.5"
PATIENCE = 20.0
TONE = 2700
"""Hz: of no party of the outside world."""
_TONE_SECONDS = 120
"""Longer than each call: baresip does not repeat it."""

_CONFIG = """
poll_method poll
sip_listen {address}:{sip}
audio_player aubridge,phone
audio_source aufile,{said}
audio_alert aubridge,alert
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports {rtp}-{rtp_last}
ctrl_tcp_listen 127.0.0.1:{control}
module_path {modules}
module g711.so
module aufile.so
module aubridge.so
module srtp.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
"""


class Baresip:
    """To be used as an async context manager; it registers by itself, a moment after its start."""

    def __init__(
        self,
        phones: ForeignPhones,
        folder: Path,
        registrar: Registrar,
        transport: Transport,
        login: str,
        password: str,
        *,
        account: str = "",
    ) -> None:
        """``account``: more parameters of the account, such as ``;mediaenc=srtp-mand``."""
        self._phones = phones
        self._folder = folder
        self._registrar = registrar
        self._transport = transport
        self._login = login
        self._password = password
        self._account = account
        self._events: list[dict[str, Any]] = []
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._came = asyncio.Event()

    async def __aenter__(self) -> Self:
        sip, control, rtp = free_ports(3)
        self._folder.mkdir(parents=True)
        said = self._folder / "tone.wav"
        tones.write_wav(said, tones.sine(TONE, _TONE_SECONDS))
        (self._folder / "config").write_text(
            _CONFIG.format(
                address=ADDRESS,
                said=said,
                sip=sip,
                control=control,
                rtp=rtp,
                rtp_last=rtp + 10,
                modules=self._phones.baresip_modules,
            )
        )
        uri = f"sip:{self._login}@{self._registrar.host}:{self._registrar.port};transport={self._transport}"
        (self._folder / "accounts").write_text(
            f"<{uri}>;auth_pass={self._password};regint=60;answermode=auto;audio_codecs=PCMA/8000/1"
            f"{self._account}\n"
        )
        program = Program([*self._phones.baresip, "-f", str(self._folder)])
        with (self._folder / "out").open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *program.launch_argv(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**program.launch_environment(), "HOME": str(self._folder)},
            )
        try:
            await self._connect(control)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def dial(self, number: str) -> None:
        await self._command("dial", f"sip:{number}@{self._registrar.host}:{self._registrar.port}")

    async def hang_up(self) -> None:
        await self._command("hangup")

    async def wait(self, kind: str) -> dict[str, Any]:
        """The next event of this kind (``CALL_ESTABLISHED``, ``CALL_CLOSED``, ...) not taken yet."""
        return await self._next(lambda event: event.get("type") == kind, kind)

    async def _next(self, wanted: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    for event in self._events:
                        if wanted(event):
                            self._events.remove(event)
                            return event
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            said = (self._folder / "out").read_text(errors="replace")[-3000:]
            raise TimeoutError(f"baresip: no {what}; {self._events}\n{said}") from None

    async def _command(self, command: str, params: str = "") -> None:
        assert self._writer is not None
        body = json.dumps({"command": command, "params": params, "token": command}).encode()
        self._writer.write(b"%d:%s," % (len(body), body))
        answer = await self._next(lambda event: event.get("token") == command, f"answer to {command}")
        assert answer["ok"], answer

    async def _connect(self, port: int) -> None:
        for _ in range(100):
            try:
                reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
                continue
            self._reading = asyncio.create_task(self._read(reader))
            return
        raise TimeoutError(f"baresip did not start: {(self._folder / 'out').read_text(errors='replace')}")

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Netstrings of JSON."""
        while True:
            try:
                length = int((await reader.readuntil(b":"))[:-1])
                body = await reader.readexactly(length + 1)
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            self._events.append(json.loads(body[:-1]))
            self._came.set()

    async def _stop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 5)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
