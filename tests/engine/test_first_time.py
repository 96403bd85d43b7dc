"""The way of somebody who begins: an empty data folder, ``up``, a company, two phones that fetch their configuration, a
menu, a voice message that comes by mail, a transfer by a phone, a backup, and the same calls elsewhere."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.billing.mail_server import MailServer
from tests.engine.setup import period
from tests.patience import PATIENCE
from trunkline.core.settings import MailSecurity, MailSettings
from trunkline.demo import tones
from trunkline.demo.installation import Account, Installation, settings_on_free_ports
from trunkline.demo.outside import Answer, Call, Customer, OutsideWorld, Phone, choose_ports
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.certificates import certificate_file
from trunkline.speech.audio import decode

pytestmark = [pytest.mark.engine, pytest.mark.long(50), pytest.mark.timeout(300)]

NUMBER = "97140000100"
COMPANY = """
account: {time_zone: Asia/Dubai, country: AE, security: {mobile: true, national: true, international: true}}
trunks:
  carrier: {host: "${CARRIER_HOST}", port: "${CARRIER_PORT}"}
sip_lines:
  "0160001": {virtual_number: "97140000100", channels: 2}
  "0160002": {virtual_number: "97140000100"}
virtual_numbers:
  "97140000100": {name: Office, trunk: carrier, default_line: "0160001", rules: [{scenario: office}]}
employees:
  layla: {first_name: Layla, last_name: Haddad, extension: "101", email: layla@example.com, phones: [{line: "0160001"}]}
  omar: {first_name: Omar, last_name: Rahmani, extension: "102", phones: [{line: "0160002"}]}
scenarios:
  office:
    operations:
      choose:
        kind: menu
        text: "Press 1 for Layla, or 2 for a message."
        keys: {"1": layla, "2": message}
        timeout_seconds: 10
      layla: {kind: forward_employee, employee: layla}
      message: {kind: voicemail, text: "Speak.", emails: [office@example.com]}
"""
FIELDS = [
    "id",
    "start_time",
    "finish_reason",
    "contact_phone_number",
    "talk_duration",
    "is_transfer",
    "voice_mail_records",
]
PHONES = [
    ("0160001", "yealink", ["--mac", "80:5e:c0:aa:bb:01"]),
    ("0160002", "yealink", ["--mac", "80:5e:c0:aa:bb:02"]),
]


async def first_account(installation: Installation) -> Account:
    """The account that the first start makes, by the file with its login and keys; the end of the start writes it."""
    file = installation.settings.secrets_dir / "first-account.txt"
    async with asyncio.timeout(PATIENCE):
        while not file.exists() or not file.read_text().endswith("\n"):
            await asyncio.sleep(0.1)
    text = file.read_text()
    number, login, password = (
        found[1]
        for name in ("account", "login", "password")
        if (found := re.search(rf"{name}\W+(\S+)", text, re.I))
    )
    key = re.findall(r"\S{30,}", text)[0]
    return Account(int(number), login, password, {"data_api": key, "call_api": key})


async def provisioned(
    installation: Installation, world: OutsideWorld, line: str, kind: str, more: list[str]
) -> Phone:
    """A phone gets its configuration over HTTPS, as the manufacturer's phone does, and registers with what it says."""
    added = json.loads(await installation.run("phone", "add", line, "--kind", kind, *more, "--json"))
    trusted = ssl.create_default_context(cafile=str(certificate_file(installation.settings)))
    trusted.check_hostname = False
    async with aiohttp.ClientSession() as http, http.get(added["file"], ssl=trusted) as response:
        assert response.status == 200
        text = await response.text()
    values = dict(one.split(" = ", 1) for one in text.splitlines() if " = " in one)
    assert values["account.1.user_name"] == line
    assert int(values["account.1.sip_server.1.port"]) == installation.settings.sip.udp_port
    return await world.phone(line, values["account.1.password"])


async def menu_choice(customer: Customer, key: str) -> Call:
    call = await customer.dial(NUMBER)
    await call.answered()
    await asyncio.sleep(1)  # while the prompt plays
    await call.send_keys(key)
    return call


async def mail_with_message(server: MailServer) -> EmailMessage:
    async with asyncio.timeout(60):
        while not server.got:
            await asyncio.sleep(0.1)
    return server.got[0]


async def report(installation: Installation, account: Account, expected: int) -> list[dict[str, Any]]:
    """The calls in the report, once there are so many and the message has its recording."""
    async with asyncio.timeout(60):
        while True:
            answer = await installation.data_api(account, "get.calls_report", **period(), fields=FIELDS)
            rows = sorted(answer["data"], key=lambda row: row["id"])
            if len(rows) == expected and any(row["voice_mail_records"] for row in rows):
                return rows
            await asyncio.sleep(0.2)


async def test_from_an_empty_folder_to_the_same_calls_elsewhere(
    asterisk_install: AsteriskInstall, tmp_path: Path
) -> None:
    ports = choose_ports()
    file, key = tmp_path / "backup.tar", tmp_path / "backup.key"
    async with MailServer() as mails:
        mail = MailSettings(
            host="127.0.0.1", port=mails.port, security=MailSecurity.NONE, sender="pbx@example.com"
        )
        settings = settings_on_free_ports(tmp_path / "one" / "data").model_copy(update={"mail": mail})
        async with Installation(tmp_path / "one", settings) as pbx:
            account = await first_account(pbx)
            (tmp_path / "company.yaml").write_text(COMPANY)
            environment = {"CARRIER_HOST": ports.carrier_address, "CARRIER_PORT": str(ports.carrier)}
            await pbx.apply(account, tmp_path / "company.yaml", environment)
            outside = OutsideWorld(asterisk_install, tmp_path / "outside", pbx.sip, pbx.sip_tls, ports)
            async with outside as world:
                layla, omar = await asyncio.gather(*(provisioned(pbx, world, *one) for one in PHONES))
                customer = await world.customer("971500000100")
                await voice_message(customer, mails)
                await attended_transfer(customer, layla, omar)
                rows = await report(pbx, account, 3)
            _, export = await asyncio.gather(
                pbx.run("backup", str(file), "--key", str(key)), pbx.run("export")
            )
            moved = Installation(tmp_path / "two", trunk_addresses=())
            restoring = asyncio.create_task(moved.run("restore", str(file), "--key", str(key)))
    await restoring
    assert [(row["finish_reason"], row["is_transfer"]) for row in rows if row["contact_phone_number"] == "971500000100"] == [
        ("caller_disconnects", False), ("caller_disconnects", True),
    ]  # fmt: skip
    async with moved:
        there, exported = await asyncio.gather(report(moved, account, 3), moved.run("export"))
        assert there == rows
        assert exported.replace(str(moved.settings.data), str(settings.data)) == export


async def voice_message(customer: Customer, mails: MailServer) -> None:
    """Who presses 2 leaves a message, and the office gets it by mail."""
    call = await menu_choice(customer, "2")
    await asyncio.sleep(5)  # the prompt, the beep, and some seconds of the caller's tone
    await call.hangup()
    mail = await mail_with_message(mails)
    assert mail["To"] == "office@example.com"
    [part] = mail.iter_attachments()
    heard = tones.heard(tones.from_pcm(decode(part.get_content())), {call.tone})
    assert tones.total(heard[call.tone]) > 1.0


async def attended_transfer(customer: Customer, layla: Phone, omar: Phone) -> None:
    """Who presses 1 talks with Layla, who asks Omar and connects the two."""
    for phone in (layla, omar):
        phone.on_call(Answer())
    call = await menu_choice(customer, "1")
    first = await layla.next_call()
    await asyncio.gather(call.hears(first.tone), first.hears(call.tone))
    await first.hold()
    asking = await layla.dial("102")
    second = await omar.next_call()
    await asking.hears(second.tone)
    await first.transfer_to(asking)
    await asyncio.gather(first.ended(), asking.ended())
    await asyncio.gather(call.hears(second.tone), second.hears(call.tone))
    await call.hangup()
    await second.ended()
