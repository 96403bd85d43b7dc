"""``trunkline demo``: the product shown with simulated phones, for somebody who has none."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from trunkline.accounts.administration import Administration
from trunkline.accounts.secrets import Cipher
from trunkline.cli.accounts import account_option, chosen
from trunkline.cli.database import with_database
from trunkline.cli.directory import directory_files
from trunkline.cli.settings import load_settings
from trunkline.core import log
from trunkline.core.errors import NotFound, Unavailable
from trunkline.core.settings import Settings
from trunkline.db.pool import Database
from trunkline.demo import story
from trunkline.demo.outside import OutsideWorld, Registrar, choose_ports
from trunkline.directory.apply import Applied
from trunkline.directory.file import read_file
from trunkline.directory.model import Account, Trunk
from trunkline.directory.prepare import Request
from trunkline.directory.snapshot import DirectorySnapshot
from trunkline.directory.trunks.allowed import allow
from trunkline.recordings.links import LinkMaker, base_url
from trunkline.runtime import asterisk, secrets
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.progress import PrintedProgress


@click.group()
def demo() -> None:
    """Show the product with a demo company and simulated phones."""


@demo.command()
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("demo-report.json"),
    show_default=True,
    help="Path of the report.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep everything (data, logs, recordings) here; default: a new temporary folder.",
)
def run(report: Path, folder: Path | None) -> None:
    """Run a call to the demo company on a separate installation. Exit code 0 if all checks pass."""
    log.configure("demo", json=False, level="warning")
    progress = PrintedProgress()
    try:
        install = asterisk.ensure(load_settings(), progress)
    finally:
        progress.close()
    place = (folder or Path(tempfile.mkdtemp(prefix="trunkline-demo-"))).absolute()
    result = asyncio.run(story.run(install, place, click.echo))
    report.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    for check, holds in result["checks"].items():
        click.echo(f"  {'yes' if holds else 'NO '}  {check}")
    click.echo(f"report: {report.absolute()}")
    click.echo(f"recording: {result['recording']['file']}")
    if not result["ok"]:
        sys.exit(1)


@demo.command()
@account_option
def load(account_id: int | None) -> None:
    """Load the demo company into an account (of the running installation)."""
    settings = load_settings()
    form, folder = read_file(story.COMPANY, os.environ), story.COMPANY.parent

    async def work(db: Database) -> Applied:
        which = await chosen(Administration(db), account_id)
        for trunk in form.section("trunks").values():
            await allow(db, which, trunk.host, "simulated carrier of the demo company")
        files = directory_files(db, settings)
        return await files.apply(await files.prepare(Request(which, form, folder)))

    applied = with_database(work)
    click.echo("\n".join(applied.plan.lines()))
    for login, password in applied.passwords.items():
        click.echo(f"  line {login}  password {password}  (not shown again)")


@demo.command()
def call() -> None:
    """Run a call to the demo company of the running installation and save its recording."""
    log.configure("demo", json=False, level="warning")
    settings = load_settings()
    install = asterisk.ensure(settings)
    try:
        with_database(lambda db: _call(db, settings, install))
    except TimeoutError as error:
        raise Unavailable(
            f"{error}; check `trunkline status` and logs/switch.log of the data folder"
        ) from error


def registrar_of(settings: Settings) -> Registrar:
    """The address of the PBX for simulated phones on this machine.

    :raises Unavailable: SIP over UDP is off.
    """
    if not settings.sip.udp_port:
        raise Unavailable("the simulated phones use SIP over UDP, and sip.udp_port is 0")
    everywhere = settings.sip.bind in ("0.0.0.0", "::")
    return Registrar("127.0.0.1" if everywhere else settings.sip.bind, settings.sip.udp_port)


async def _call(db: Database, settings: Settings, install: AsteriskInstall) -> None:
    """Simulate carrier, customer and one employee for the running installation."""
    account, trunk = await _demo_company(db, settings)
    # The carrier calls from where the company's trunk expects it.
    ports = replace(choose_ports(), carrier_address=trunk.host, carrier=trunk.port)
    pbx = registrar_of(settings)
    line = account.line_by_login(story.TEAM[story.ANSWERS])
    if line is None:
        raise NotFound("the demo company's lines are gone; load it again with `trunkline demo load`")
    timeline = story.Timeline(click.echo)
    with tempfile.TemporaryDirectory(prefix="trunkline-demo-") as folder:
        async with OutsideWorld(install, Path(folder), pbx, ports=ports) as world:
            phone = await world.phone(line.phone_number, ha1=line.ha1_md5, name=story.ANSWERS)
            timeline.step("registered", f"the phone of {phone.name} on line {line.phone_number}")
            customer = await world.customer(story.CUSTOMER, name="the customer")
            await story.converse(world, customer, phone, timeline)
    recording = await _recording(db, account.account_id, timeline.began)
    place = base_url(settings.web.public_url, settings.web.http_bind, settings.web.http_port)
    links = LinkMaker(place).of(recording["call_session_id"], recording["recording_id"], recording["kind"])
    timeline.step(
        "recorded", f"{recording['duration_ms'] / 1000:.1f} s, session {recording['call_session_id']}"
    )
    click.echo(f"file: {settings.recordings_dir / recording['wav_path']}")
    click.echo(f"link: {links.full}")


async def _demo_company(db: Database, settings: Settings) -> tuple[Account, Trunk]:
    """The account that has the demo company's number, and the number's trunk."""
    snapshot = DirectorySnapshot(db, Cipher(secrets.load(settings).master_key), settings.media_dir)
    await snapshot.start()
    try:
        found = snapshot.current.number(story.NUMBER)
    finally:
        await snapshot.stop()
    trunk = found[0].trunks.get(found[1].trunk_id or 0) if found else None
    if found is None or trunk is None:
        raise NotFound("the demo company is not loaded; load it with `trunkline demo load`")
    return found[0], trunk


async def _recording(db: Database, account_id: int, since: float, timeout: float = 20.0) -> Mapping[str, Any]:
    """The recording of the customer's call that began after ``since`` (Unix seconds), once it is ready."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        row = await db.fetch_one(
            "select r.call_session_id, r.recording_id, r.kind, r.status, r.wav_path, r.duration_ms"
            " from recordings r join call_sessions s using (account_id, call_session_id)"
            " where r.account_id = %(account_id)s and s.contact_phone_number = %(customer)s"
            " and s.start_time >= to_timestamp(%(since)s)"
            " order by r.call_session_id desc limit 1",
            {"account_id": account_id, "customer": story.CUSTOMER, "since": since},
        )
        if row is not None and row["status"] == "ready":
            return row
        await asyncio.sleep(0.2)
    raise Unavailable(
        f"no recording after {timeout:.0f} s; check with `trunkline status` that the worker runs"
    )
