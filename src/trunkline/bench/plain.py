"""The bare peer: the same Asterisk with ``Dial()`` in the dialplan and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from trunkline.core.errors import EngineUnavailable
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.instance import engine_answers
from trunkline.runtime.ports import free_ports
from trunkline.runtime.program import Program
from trunkline.runtime.secrets import Login
from trunkline.telephony.config.modules import present

LOGIN = Login("bare", "bench-only-5120")
_RTP = (12_000, 19_999)


class PlainAsterisk:
    """A running Asterisk that sends each number to one phone, as an async context manager.

    :param numbers: dialled number to the phone's address (``127.0.0.3:16002``).
    :param carrier: address the calls come from.
    """

    def __init__(
        self, install: AsteriskInstall, folder: Path, numbers: Sequence[str], phone: str, carrier: str
    ) -> None:
        self.sip_port, self.ari_port = free_ports(2)
        self._install = install
        self._folder = folder
        self._numbers = numbers
        self._phone = phone
        self._carrier = carrier
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> Self:
        self._write()
        argv = self._install.command("-f", "-n", "-C", str(self._folder / "etc/asterisk.conf"))
        program = Program(argv, open_files=200_000)
        with (self._folder / "console.log").open("wb") as console:
            self._process = await asyncio.create_subprocess_exec(
                *program.launch_argv(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=program.launch_environment(),
            )
        try:
            await self._wait_up()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _wait_up(self) -> None:
        for _ in range(300):
            if await asyncio.to_thread(engine_answers, self.ari_port, LOGIN):
                return
            await asyncio.sleep(0.1)
        raise EngineUnavailable(f"the bare Asterisk did not start; see {self._folder / 'console.log'}")

    async def _stop(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def _write(self) -> None:
        for name in ("etc", "lib", "db", "keys", "run", "log", "spool"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        for name, text in self._files().items():
            (self._folder / "etc" / name).write_text(text)

    def _files(self) -> dict[str, str]:
        root, install = self._folder, self._install
        # The modules of the product without its CEL log: the difference is the work of the product, not the loaded modules.
        modules = [
            name for name in present(install.modules_dir) if not name.startswith(("cel_", "res_cdrel"))
        ]
        return {
            "asterisk.conf": f"""[directories](!)
[directories]
astetcdir => {root}/etc
astmoddir => {install.modules_dir}
astvarlibdir => {root}/lib
astdbdir => {root}/db
astkeydir => {root}/keys
astdatadir => {install.data_dir}
astagidir => {root}/lib
astspooldir => {root}/spool
astrundir => {root}/run
astlogdir => {root}/log

[options]
verbose = 0
debug = 0
nocolor = yes
documentation_language = en_US
maxfiles = 65536
""",
            "modules.conf": "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in modules),
            "logger.conf": "[general]\n[logfiles]\nmessages => notice,warning,error\n",
            "http.conf": f"[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {self.ari_port}\n",
            "ari.conf": f"[general]\nenabled = yes\n\n[{LOGIN.user}]\ntype = user\n"
            f"password_format = plain\npassword = {LOGIN.password}\n",
            "rtp.conf": f"[general]\nrtpstart = {_RTP[0]}\nrtpend = {_RTP[1]}\n",
            "cdr.conf": "[general]\nenable = no\n",
            "cel.conf": "[general]\nenable = no\n",
            "acl.conf": "",
            "ccss.conf": "[general]\n",
            "features.conf": "[general]\n",
            "udptl.conf": "[general]\n",
            "indications.conf": "[general]\ncountry = xx\n\n[xx]\ndescription = Bare\nring = 425/1000,0/4000\n",
            "musiconhold.conf": "[general]\n",
            "pjproject.conf": "[startup]\ntype = startup\nlog_mappings = no\n",
            "pjsip.conf": self._pjsip(),
            "extensions.conf": "[from-carrier]\n"
            + "".join(f"exten => {number},1,Dial(PJSIP/phone)\n" for number in self._numbers),
        }

    def _pjsip(self) -> str:
        endpoint = "type = endpoint\ndisallow = all\nallow = alaw\ndirect_media = no\n"
        return f"""[system]
type = system
timer_t1 = 500
disable_tcp_switch = yes

[global]
type = global
endpoint_identifier_order = ip,username

[udp]
type = transport
protocol = udp
bind = 127.0.0.1:{self.sip_port}

[carrier]
{endpoint}context = from-carrier

[carrier]
type = identify
endpoint = carrier
match = {self._carrier}

[phone]
{endpoint}aors = phone

[phone]
type = aor
contact = sip:{self._phone}
"""
