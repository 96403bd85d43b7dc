"""``trunkline up``, ``status``, ``setup``."""

from __future__ import annotations

import importlib
import json as json_format
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from trunkline.cli.database import with_database
from trunkline.cli.settings import load_settings
from trunkline.cli.status_summary import summary, works
from trunkline.cli.switch import ask_switch
from trunkline.core import disk
from trunkline.core.errors import SetupError
from trunkline.core.settings import Settings
from trunkline.directory.lines.weak_passwords import weak_lines
from trunkline.runtime import assets, asterisk, certificates, instance, postgres
from trunkline.runtime import status as runtime_status
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.instance import Parts
from trunkline.runtime.ports import media_ports_in_use
from trunkline.runtime.progress import PrintedProgress
from trunkline.runtime.secrets import no_instance

_T = TypeVar("_T")


@click.command()
def up() -> None:
    """Start the PBX and keep it running; Ctrl-C stops it."""
    settings = load_settings()
    install = _fetch(settings)
    _fetch_assets(settings)
    instance.run(settings, install, _parts(settings, install), _say)


@click.command()
@click.option("--json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--account", type=int, help="Print the rows of this account that Asterisk cannot load, and why."
)
def status(json: bool, account: int | None) -> None:
    """Show whether all works, what is wrong and what to do; then processes, ports and figures.

    Exit code 0 when all processes are ready, all SIP ports are open and all parts do their work, 3 when not.

    With --account: 0 when no row of the account is left out of Asterisk's configuration, 3 when one is.
    """
    settings = load_settings()
    if account is not None:
        rows = _rows_left_out(settings, account)
        click.echo(json_format.dumps(rows, indent=2) if json else _readable_rows(rows))
        sys.exit(3 if rows else 0)
    report = runtime_status.collect(
        settings,
        {
            "disk": lambda: disk.report(settings),
            "switch": lambda: _switch_status(settings),
            "weak_sip_passwords": _weak_sip_passwords,
            "upload_limits": _upload_limits,
            "backlog": _backlog,
            "certificate": lambda: certificates.validity(settings),
        },
    )
    if report["running"]:
        report["media_ports"] = media_ports_in_use(report["pid"])
    report["works"] = report["running"] and works(report, datetime.now(UTC))
    click.echo(json_format.dumps(report, indent=2) if json else _readable(report))
    if not report["works"]:
        sys.exit(3)


@click.command()
def setup() -> None:
    """Fetch what is needed to run, without starting anything. Does nothing when all is present."""
    settings = load_settings()
    if settings.database_url is None:
        postgres.binaries()
    install = _fetch(settings)
    _with_progress(lambda progress: assets.ensure(settings, progress))
    click.echo(f"Asterisk {install.version} ({install.origin})")


def _switch_status(settings: Settings) -> dict[str, Any]:
    """Live calls, registered lines and lag, as reported by the switch."""
    return ask_switch(settings, lambda client: client.status())


def _weak_sip_passwords() -> dict[str, Any]:
    """How many lines have a password that can be guessed, and the first of them."""
    lines = with_database(weak_lines)
    first = [f"{line.login} (account {line.account_id}, {line.weakness.value})" for line in lines[:5]]
    return {"lines": len(lines), "first": first}


def _upload_limits() -> dict[str, Any]:
    """How many limits of stored recordings accounts have reached, and the first of them."""
    from trunkline.uploads.limit_states import reached_limits  # not at import: other commands need no uploads
    from trunkline.uploads.storage import Quota

    quota = Quota.of(load_settings())
    limits = with_database(lambda db: reached_limits(db, quota))
    return {"reached": len(limits), "first": [asdict(one) for one in limits[:5]]}


def _backlog() -> dict[str, Any]:
    """What the workers have yet to do, with ages in seconds."""
    from trunkline.roles.backlog import backlog_of  # not at import: other commands need no metrics

    mail = load_settings().mail
    server = None if mail.host is None else f"{mail.host}:{mail.port}"
    return {**with_database(backlog_of).section(), "mail_server": server}


def _rows_left_out(settings: Settings, account_id: int) -> list[dict[str, Any]]:
    return ask_switch(settings, lambda client: client.rows_left_out(account_id))


def _readable_rows(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "no row of the account is left out of Asterisk's configuration"
    return "\n".join(f"{row['entity']} {row['id']} ({row['name']}): {row['reason']}" for row in rows)


def _fetch(settings: Settings) -> AsteriskInstall:
    return _with_progress(lambda progress: asterisk.ensure(settings, progress))


def _fetch_assets(settings: Settings) -> None:
    """Calls need no pages, so they are carried without the scripts, too."""
    try:
        _with_progress(lambda progress: assets.ensure(settings, progress))
    except SetupError as error:
        _say(f"pages in browsers have no scripts: {error}")


def _with_progress(work: Callable[[PrintedProgress], _T]) -> _T:
    progress = PrintedProgress()
    try:
        return work(progress)
    finally:
        progress.close()


def _parts(settings: Settings, install: AsteriskInstall) -> Parts:
    # Not at import: `status` starts no Asterisk.
    from trunkline import engine_configuration

    def migrate(dsn: str) -> None:
        from trunkline.db.migrate import upgrade

        upgrade(dsn)

    def on_up() -> None:
        from trunkline.roles.welcome import welcome

        welcome(settings, click.echo)

    threading.Thread(target=_load_ahead, daemon=True).start()
    return Parts(
        migrate=migrate, configure=lambda: engine_configuration.configure(settings, install), on_up=on_up
    )


def _load_ahead() -> None:
    """Import modules while the database and the engine start, so that the import takes no extra time."""
    for name in ("trunkline.db.migrate", "trunkline.roles.welcome"):
        importlib.import_module(name)


def _say(line: str) -> None:
    click.echo(f"  {line}")


def _readable(report: dict[str, Any]) -> str:
    lines = [f"Trunkline {report['version']}, data in {report['data_dir']}"]
    if not report["running"]:
        engine = report["engine"]
        lines.append(no_instance(load_settings()) or "not running; start it with `trunkline up`")
        lines.append(
            f"Asterisk {engine['version']} ({engine['origin']})" if engine else "no Asterisk fetched yet"
        )
        return "\n".join(lines)
    lines = [_printable(line) for line in summary(report, datetime.now(UTC))]
    lines += ["", f"data in {report['data_dir']}, pid {report['pid']}, for {_duration(report['uptime'])}", ""]
    for process in report["processes"]:
        uptime = "" if process["uptime"] is None else _duration(process["uptime"])
        restarts = f", {process['restarts']} restarts" if process["restarts"] else ""
        reason = f"  ({process['reason']})" if process.get("reason") else ""
        lines.append(
            f"  {process['name']:<10}{process['version']:<10}{process['state']:<16}"
            f"pid {process['pid'] or '-':<8}{uptime}{_report_age(process)}{restarts}{reason}"
        )
    lines.append("")
    for port in report["ports"]:
        state = "" if port["open"] else "  not open"
        lines.append(f"  {port['setting']:<22}{port['transport']:<5}{port['address']}:{port['port']}{state}")
    known = {
        "running",
        "up",
        "version",
        "data_dir",
        "processes",
        "missing",
        "ports",
        "pid",
        "uptime",
        "started_at",
        "supervisor",
        "works",
    }
    for name in sorted(report.keys() - known):
        lines += ["", f"{name}: {json_format.dumps(report[name], indent=2)}"]
    return "\n".join(lines)


def _report_age(process: dict[str, Any]) -> str:
    age = process.get("report_age")
    return "" if age is None else f", last report {age:.0f} s ago"


def _printable(line: str) -> str:
    """Names of accounts and trunks may hold characters that would change the terminal."""
    return "".join(character if character.isprintable() else "?" for character in line)


def _duration(seconds: float | None) -> str:
    whole = int(seconds or 0)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
