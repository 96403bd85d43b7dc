"""``trunkline demo``: the product shown with simulated phones, for somebody who has none."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from trunkline.accounts.administration import Administration
from trunkline.accounts.secrets import Cipher
from trunkline.cli.accounts import account_option, chosen
from trunkline.cli.database import with_database
from trunkline.cli.directory import directory_files
from trunkline.cli.settings import load_settings
from trunkline.core import log
from trunkline.core.errors import InvalidInput, NotFound, Unavailable
from trunkline.core.settings import Settings
from trunkline.db.pool import Database
from trunkline.demo import demo_call
from trunkline.demo.outside import OutsideWorld, Registrar, choose_ports
from trunkline.directory.files.apply import Applied, DirectoryFiles
from trunkline.directory.files.file import parse
from trunkline.directory.files.form import Form
from trunkline.directory.files.prepare import Request
from trunkline.directory.live.snapshot import DirectorySnapshot
from trunkline.directory.model import Account, Trunk
from trunkline.directory.trunks.allowed import allow, allowed, disallow
from trunkline.recordings.links import LinkMaker, base_url
from trunkline.runtime import asterisk, secrets
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.progress import PrintedProgress

T = TypeVar("T")

_PREFIX, _LOCK = "trunkline-demo-", "lock"
_DIRECTORY = ("trunks", "virtual_numbers", "sip_lines", "employees", "groups", "scenarios", "notifications")
"""Sections of a directory that make an account one that is in use."""


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
    with contextlib.ExitStack() as stack:
        place = folder.absolute() if folder else stack.enter_context(temporary_folder())
        result = asyncio.run(_until_terminated(demo_call.run(install, place, click.echo)))
        if folder is None:
            recording = report.absolute().with_name(f"{report.stem}-recording.wav")
            shutil.copyfile(result["recording"]["file"], recording)
            result["recording"] = {**result["recording"], "file": str(recording), "mp3": None}
    report.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    for check, holds in result["checks"].items():
        click.echo(f"  {'yes' if holds else 'NO '}  {check}")
    click.echo(f"report: {report.absolute()}")
    click.echo(f"recording: {result['recording']['file']}")
    if not result["ok"]:
        if folder is None:
            click.echo("the data was removed; `trunkline demo run --folder FOLDER` keeps data and logs")
        sys.exit(1)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder of a demonstration for the time of the block.

    Folders of demonstrations that were killed are removed first: nobody holds their lock.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError), left.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent)
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder, (Path(folder) / _LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(folder)


async def _until_terminated(work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, which SIGTERM cancels as Ctrl-C does, so that everything is cleaned up."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


@demo.command()
@account_option
@click.option("--dry-run", is_flag=True, help="Only show the difference.")
@click.option("--yes", is_flag=True, help="Load also into an account that has a directory.")
def load(account_id: int | None, dry_run: bool, yes: bool) -> None:
    """Load the demo company into an account (of the running installation); the difference is shown first.

    Logins and numbers that other accounts have are replaced with free ones.
    """
    settings = load_settings()

    async def work(db: Database) -> Applied | None:
        which = await chosen(Administration(db), account_id)
        form = parse(demo_call.company(await free_series(db, which)), os.environ)
        files = directory_files(db, settings)
        # The comparison refuses the carrier's address, which is of this machine, unless it is allowed.
        listed = {row["network"] for row in await allowed(db) if row["account_id"] == which}
        comment = "simulated carrier of the demo company"
        networks = [await allow(db, which, trunk.host, comment) for trunk in form.section("trunks").values()]
        applied = None
        try:
            applied = await _load(files, which, form, dry_run=dry_run, yes=yes)
        finally:
            for network in {*networks} - listed if applied is None else ():
                await disallow(db, which, network)
        return applied

    applied = with_database(work)
    if applied is None:
        click.echo("nothing was written")
        return
    for login, password in applied.passwords.items():
        click.echo(f"  line {login}  password {password}  (not shown again)")


async def _load(
    files: DirectoryFiles, account_id: int, form: Form, *, dry_run: bool, yes: bool
) -> Applied | None:
    """Show the difference and write it; None if nothing is to be written.

    :raises InvalidInput: the account has a directory, and ``yes`` is not set.
    """
    existing = await files.export(account_id)
    prepared = await files.prepare(Request(account_id, form, demo_call.COMPANY.parent))
    click.echo("\n".join(prepared.plan.lines()))
    if dry_run:
        return None
    own = [name for name in _DIRECTORY if existing.section(name)]
    if own and not yes and not prepared.plan.is_empty:
        raise InvalidInput(
            f"account {account_id} has a directory ({', '.join(own)}), which the demo company would change; load it into"
            " a new account (`trunkline account create --name Demo`, then --account ID), or add --yes"
        )
    return await files.apply(prepared)


async def free_series(db: Database, account_id: int) -> int:
    """The series of the demo company's logins and numbers that this account has, or the first that nobody has.

    :raises InvalidInput: other accounts have all of them.
    """
    rows = await db.fetch_all(
        "select account_id, phone_number from sip_lines where account_id >= 0"
        " union all select account_id, phone_number from virtual_numbers where account_id >= 0 and is_verified"
    )
    holders: dict[int, set[int]] = {}
    for row in rows:
        if (series := demo_call.series_of(row["phone_number"])) is not None:
            holders.setdefault(series, set()).add(row["account_id"])
    own = [series for series, accounts in holders.items() if accounts == {account_id}]
    free = [series for series in range(demo_call.SERIES) if series not in holders]
    if not own and not free:
        raise InvalidInput(
            f"{demo_call.SERIES} accounts have the demo company's logins and numbers; delete one"
        )
    return min(own or free)


@demo.command()
@account_option
def call(account_id: int | None) -> None:
    """Run a call to the demo company of the running installation and save its recording."""
    log.configure("demo", json=False, level="warning")
    settings = load_settings()
    install = asterisk.ensure(settings)
    try:
        with_database(lambda db: _call(db, settings, install, account_id))
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


async def _call(db: Database, settings: Settings, install: AsteriskInstall, account_id: int | None) -> None:
    """Simulate carrier, customer and one employee for the running installation."""
    account, trunk, series = await _demo_company(db, settings, account_id)
    # The carrier calls from where the company's trunk expects it.
    ports = replace(choose_ports(), carrier_address=trunk.host, carrier=trunk.port)
    pbx = registrar_of(settings)
    line = account.line_by_login(demo_call.of_series(demo_call.TEAM[demo_call.ANSWERS], series))
    if line is None:
        raise NotFound("the demo company's lines are gone; load it again with `trunkline demo load`")
    timeline = demo_call.Timeline(click.echo)
    with tempfile.TemporaryDirectory(prefix="trunkline-demo-") as folder:
        async with OutsideWorld(install, Path(folder), pbx, ports=ports) as world:
            phone = await world.phone(line.phone_number, ha1=line.ha1_md5, name=demo_call.ANSWERS)
            timeline.step("registered", f"the phone of {phone.name} on line {line.phone_number}")
            customer = await world.customer(demo_call.CUSTOMER, name="the customer")
            await demo_call.converse(
                world, customer, phone, timeline, demo_call.of_series(demo_call.NUMBER, series)
            )
    recording = await _recording(db, account.account_id, timeline.began)
    place = base_url(settings.web.public_url, settings.web.http_bind, settings.web.http_port)
    links = LinkMaker(place).of(recording["call_session_id"], recording["recording_id"], recording["kind"])
    timeline.step(
        "recorded", f"{recording['duration_ms'] / 1000:.1f} s, session {recording['call_session_id']}"
    )
    click.echo(f"file: {settings.recordings_dir / recording['wav_path']}")
    click.echo(f"link: {links.full}")


async def _demo_company(
    db: Database, settings: Settings, account_id: int | None
) -> tuple[Account, Trunk, int]:
    """The account (any, or this one) that has the demo company's number, the number's trunk, and the series."""
    snapshot = DirectorySnapshot(db, Cipher(secrets.load(settings).master_key), settings.media_dir)
    await snapshot.start()
    try:
        for series in range(demo_call.SERIES):
            found = snapshot.current.number(demo_call.of_series(demo_call.NUMBER, series))
            if found is None or account_id not in (None, found[0].account_id):
                continue
            if (trunk := found[0].trunks.get(found[1].trunk_id or 0)) is not None:
                return found[0], trunk, series
    finally:
        await snapshot.stop()
    where = "" if account_id is None else f" into account {account_id}"
    option = "" if account_id is None else f" --account {account_id}"
    raise NotFound(f"the demo company is not loaded{where}; load it with `trunkline demo load{option}`")


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
            {"account_id": account_id, "customer": demo_call.CUSTOMER, "since": since},
        )
        if row is not None and row["status"] == "ready":
            return row
        await asyncio.sleep(0.2)
    raise Unavailable(
        f"no recording after {timeout:.0f} s; check with `trunkline status` that the worker runs"
    )
