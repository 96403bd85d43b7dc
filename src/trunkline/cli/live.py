"""``trunkline calls``, ``lines`` and ``tail``: what happens at present."""

from __future__ import annotations

import json as json_format
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from trunkline.accounts.administration import Administration
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.database import print_json, with_database
from trunkline.cli.settings import load_settings
from trunkline.cli.switch import switch_client
from trunkline.cli.table import print_rows, print_table
from trunkline.core.errors import NotFound
from trunkline.core.settings import Settings
from trunkline.db.pool import Database
from trunkline.reports.call_explanation import LAST_CALLS, PARAMETERS, explained

_POLL = 0.5
"""Seconds between two reads of the log files."""

_SESSION_KEYS = ("call_session_id", "session", "session_id")

_LEVELS = ("debug", "info", "warning", "error")

_DEVICES = """
select line.phone_number as line, host(device.ip) as ip, device.port, device.transport, device.user_agent,
    device.registered_at, extract(epoch from now() - device.registered_at)::int as age, device.expires_at,
    device.round_trip_us, device.reachable
from registrations device join sip_lines line using (account_id, sip_line_id)
where device.account_id = %s
order by line.phone_number, device.registered_at
"""


@click.command()
@click.option("--last", type=click.IntRange(1, 1000), help="Number of finished calls to show, newest first.")
@account_option
@json_option
def calls(last: int | None, account_id: int | None, json: bool) -> None:
    """Show the live calls of an account, or the last finished ones. Times are UTC."""
    settings = load_settings()

    async def work(db: Database) -> tuple[list[dict[str, Any]], str]:
        administration = Administration(db)
        which = await chosen(administration, account_id)
        if last is not None:
            found = await db.fetch_all(LAST_CALLS, {**PARAMETERS, "account_id": which, "limit": last})
            return [explained(row) for row in found], "UTC"
        async with switch_client(settings) as switch:
            live: Any = await switch.command(which, "list_calls", {"time_zone": "UTC"})
        return list(live), "UTC"

    rows, zone = with_database(work)
    if json:
        print_json(rows)
    elif last is not None:
        columns = {
            "call_session_id": "id",
            "start_time": f"start ({zone})",
            "direction": "direction",
            "contact_phone_number": "contact",
            "virtual_phone_number": "number",
            "total_duration": "seconds",
            "talk_duration": "talk",
            "finish_reason": "finish reason",
            "explanation": "explanation",
        }
        print_rows(rows, columns, none="no finished call")
    else:
        headings = ("id", f"start ({zone})", "direction", "contact", "number", "legs")
        print_table(headings, [_live(row) for row in rows], none="no live call")


def _live(row: dict[str, Any]) -> Sequence[Any]:
    legs = [
        f"{leg['employee_full_name'] or leg['called_phone_number']} ({leg['state']})" for leg in row["legs"]
    ]
    return (
        row["call_session_id"],
        row["start_time"],
        row["direction"],
        row["contact_phone_number"],
        row["virtual_phone_number"],
        legs,
    )


@click.command()
@account_option
@json_option
def lines(account_id: int | None, json: bool) -> None:
    """Show the registered devices of an account's SIP lines: address, user agent, age of the registration in seconds."""

    async def work(db: Database) -> list[dict[str, Any]]:
        return await db.fetch_all(_DEVICES, (await chosen(Administration(db), account_id),))

    rows = with_database(work)
    if json:
        print_json(rows)
        return
    headings = ("line", "address", "transport", "user agent", "age", "reachable")
    shown = [
        (
            row["line"],
            f"[{row['ip']}]:{row['port']}" if ":" in row["ip"] else f"{row['ip']}:{row['port']}",
            row["transport"],
            row["user_agent"],
            row["age"],
            row["reachable"],
        )
        for row in rows
    ]
    print_table(headings, shown, none="no registered device")


@dataclass(frozen=True)
class Filter:
    """Which lines of the log are shown. A value that is None does not filter."""

    call_session_id: int | None = None
    account_id: int | None = None
    role: str | None = None
    level: str | None = None

    def matches(self, entry: dict[str, Any]) -> bool:
        """Whether a line of the log is shown."""
        if self.call_session_id is not None and all(
            str(entry.get(key)) != str(self.call_session_id) for key in _SESSION_KEYS
        ):
            return False
        if self.account_id is not None and str(entry.get("account_id")) != str(self.account_id):
            return False
        if self.role is not None and entry.get("role") != self.role:
            return False
        return self.level is None or _rank(entry.get("level")) >= _rank(self.level)


def _rank(level: Any) -> int:
    return _LEVELS.index(level) if level in _LEVELS else len(_LEVELS)


_ROLES = ("switch", "web", "worker")


@click.command()
@click.option("--call", "call_session_id", type=int, help="Only lines of the call session with this id.")
@click.option("--account", "account_id", type=int, help="Only lines of the account with this id.")
@click.option("--role", type=click.Choice(_ROLES), help="Only lines of this process.")
@click.option("--level", type=click.Choice(_LEVELS), help="Only lines of this level or a higher one.")
@click.option(
    "-n",
    "--lines",
    "count",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="Number of earlier lines to show.",
)
@click.option("-f", "--follow", is_flag=True, help="Continue with new lines until Ctrl-C.")
@json_option
def tail(
    call_session_id: int | None,
    account_id: int | None,
    role: str | None,
    level: str | None,
    count: int,
    follow: bool,
    json: bool,
) -> None:
    """Show the log of switch, web and worker, ordered by time. With --json, one object in each line."""
    settings = load_settings()
    wanted = Filter(call_session_id, account_id, role, level)
    # The positions are taken first: a line that is written meanwhile is shown once, by the follower.
    followers = [_Follower(path) for path in _current_files(settings)]
    past = [entry for path in _files(settings) for entry in entries(path) if wanted.matches(entry)]
    past.sort(key=lambda entry: str(entry.get("timestamp", "")))
    for entry in past[len(past) - count :] if count else []:
        _show(entry, json)
    if not past and not followers:
        raise NotFound(f"there is no log in {settings.logs_dir}; start the instance with `trunkline up`")
    while follow:
        new = [entry for one in followers for entry in one.read() if wanted.matches(entry)]
        for entry in sorted(new, key=lambda entry: str(entry.get("timestamp", ""))):
            _show(entry, json)
        time.sleep(_POLL)


def _current_files(settings: Settings) -> list[Path]:
    return [settings.logs_dir / f"{role}.log" for role in ("switch", "web", "worker")]


def _files(settings: Settings) -> list[Path]:
    """Log files of the roles with the rotated ones."""
    return [
        path
        for current in _current_files(settings)
        for path in sorted(settings.logs_dir.glob(f"{current.name}*"), reverse=True)
    ]


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """The structured lines of a log file; other lines (of libraries, of a crash) are left out."""
    try:
        with path.open("rb") as file:
            yield from filter(None, map(_entry, file))
    except FileNotFoundError:
        return


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        found = json_format.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "event" in found else None


class _Follower:
    """Reads what is appended to a log file, also after its rotation."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode, self._position = self._state()
        self._rest = b""

    def _state(self) -> tuple[int, int]:
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return 0, 0
        return status.st_ino, status.st_size

    def read(self) -> list[dict[str, Any]]:
        inode, size = self._state()
        if inode != self._inode or size < self._position:
            self._inode, self._position, self._rest = inode, 0, b""
        if size == self._position:
            return []
        with self._path.open("rb") as file:
            file.seek(self._position)
            content = self._rest + file.read()
            self._position = file.tell()
        *whole, self._rest = content.split(b"\n")
        return [entry for line in whole if (entry := _entry(line)) is not None]


def _show(entry: dict[str, Any], json: bool) -> None:
    if json:
        click.echo(json_format.dumps(entry, ensure_ascii=False))
        return
    head = ("timestamp", "level", "role", "event")
    moment = str(entry.get("timestamp", ""))
    try:
        moment = f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
    except ValueError:
        moment = moment[:23]
    rest = "  ".join(f"{name}={_plain(value)}" for name, value in entry.items() if name not in head)
    click.echo(
        f"{moment}  {entry.get('level', '-'):<8}{entry.get('role', '-'):<8}{_plain(entry['event'])}  {rest}".rstrip()
    )


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else json_format.dumps(value, ensure_ascii=False)
    return "".join(character if character.isprintable() else "?" for character in text)
