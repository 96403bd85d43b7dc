"""One installation with two companies at the same carrier, each with a phone; and raw SIP from any loopback address."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.engine.setup import wait_known
from trunkline.demo.installation import Account, Installation, settings_on_free_ports
from trunkline.demo.outside import OutsideWorld, Phone, choose_ports
from trunkline.demo.outside.config import Ports
from trunkline.runtime.asterisk import AsteriskInstall

PASSWORD = "tests-only-7391"
_FILE = """
account:
  time_zone: Asia/Dubai
  components: [call_api_base, call_api_management, data_api_base, va, auto_number_management]
trunks:
  carrier: {{host: {carrier}, port: {port}}}
  registered: {{mode: register, host: {carrier}, port: {port}, username: {user}, password: {password}}}
sip_lines:
  "{line}": {{virtual_number: "{number}", password: {password}}}
employees:
  only: {{first_name: Only, last_name: One, extension: "101", phones: [{{line: "{line}", dial_time: 10}}]}}
scenarios:
  main: {{operations: {{ring: {{kind: forward_employee, employee: only}}}}}}
  message: {{operations: {{leave: {{kind: voicemail, max_seconds: 3600}}}}}}
virtual_numbers:
  "{number}": {{trunk: carrier, default_line: "{line}", rules: [{{scenario: main}}]}}
  "{registered}": {{trunk: registered, rules: [{{scenario: main}}]}}
  "{mailbox}": {{trunk: carrier, rules: [{{scenario: message}}]}}
"""


@dataclass
class Company:
    """``number`` comes by the carrier's address, ``registered`` by a registration as ``user``; ``mailbox`` takes
    messages."""

    account: Account
    line: str
    number: str
    registered: str
    mailbox: str
    user: str
    phone: Phone | None = None

    @property
    def desk(self) -> Phone:
        assert self.phone is not None
        return self.phone

    def file(self, ports: Ports) -> str:
        return _FILE.format(
            carrier=ports.carrier_address,
            port=ports.carrier,
            line=self.line,
            number=self.number,
            registered=self.registered,
            mailbox=self.mailbox,
            user=self.user,
            password=PASSWORD,
        )


class TwoCompanies:
    """To be used as an async context manager. The operator allows the carrier's address, and nothing else."""

    def __init__(self, install: AsteriskInstall, folder: Path, *, transfers: bool = False) -> None:
        """``transfers``: phones may transfer calls (``sip.transfers``)."""
        self._install, self._folder = install, folder
        self.ports = choose_ports()
        settings = settings_on_free_ports(folder / "pbx" / "data")
        sip = settings.sip.model_copy(update={"transfers": transfers})
        self.installation = Installation(
            folder / "pbx",
            settings.model_copy(
                update={"sip": sip, "disk": settings.disk.model_copy(update={"period": 0.5})}
            ),
            trunk_addresses=[self.ports.carrier_address],
        )
        self._stack = AsyncExitStack()
        self._numbers = itertools.count(971500000300)
        self.world: OutsideWorld
        self.one: Company
        self.other: Company

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        await self._stack.enter_async_context(self.installation)
        self.world = await self._stack.enter_async_context(
            OutsideWorld(
                self._install,
                self._folder / "outside",
                self.installation.sip,
                self.installation.sip_tls,
                self.ports,
            )
        )
        for index in (1, 2):
            account = await self.installation.create_account(f"Company {index}")
            company = Company(
                account,
                f"030000{index}",
                f"9714000030{index}",
                f"9714000031{index}",
                f"9714000032{index}",
                f"trunk-{index}",
            )
            await self.world.carrier_login(company.user, PASSWORD)
            file = self._folder / f"{index}.yaml"
            file.write_text(company.file(self.ports))
            await self.installation.apply(account, file)
            if index == 1:
                self.one = company
            else:
                self.other = company
        for company in (self.one, self.other):
            phone = await self.world.phone(company.line, PASSWORD, name=company.account.login, register=False)
            await wait_known(self.installation, company.account, phone)
            company.phone = phone
            await self.world.carrier_registered(company.user)

    def new_number(self) -> str:
        """Of a customer who never called before."""
        return str(next(self._numbers))

    @property
    def engine_files(self) -> str:
        """The commands to the engine."""
        etc = self.installation.settings.asterisk_dir / "etc"
        return "\n".join(file.read_text() for file in sorted(etc.rglob("*.conf")))

    async def answer(self, source: str, method: str, user: str, called: str) -> int:
        """The final status that a request without a login gets, sent from a loopback address."""
        host, port = self.installation.sip.host, self.installation.sip.port
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sip:
            sip.bind((source, 0))
            sip.setblocking(False)
            local = sip.getsockname()[1]
            target = f"sip:{called}@{host}:{port}" if method == "INVITE" else f"sip:{host}:{port}"
            to = called if method == "INVITE" else user
            request = (
                f"{method} {target} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {source}:{local};branch=z9hG4bK{secrets.token_hex(8)};rport\r\n"
                f"From: <sip:{user}@{host}>;tag={secrets.token_hex(4)}\r\nTo: <sip:{to}@{host}>\r\n"
                f"Call-ID: {secrets.token_hex(12)}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n"
                f"Contact: <sip:{user}@{source}:{local}>\r\nExpires: 60\r\nContent-Length: 0\r\n\r\n"
            )
            loop = asyncio.get_running_loop()
            await loop.sock_sendto(sip, request.encode(), (host, port))
            async with asyncio.timeout(20):
                while True:
                    reply = await loop.sock_recv(sip, 65_535)
                    found = re.match(rb"SIP/2.0 (\d{3})", reply)
                    if found and int(found[1]) >= 200:
                        return int(found[1])
