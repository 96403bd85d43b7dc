"""``trunkline``: the module of a command is imported only when the command runs, so that each command starts fast."""

from __future__ import annotations

import errno
import gc
import importlib
import importlib.util
import os
import sys

import click

from trunkline import __version__
from trunkline.cli.messages import with_json
from trunkline.core.errors import TrunklineError

COMMANDS = {
    "up": ("trunkline.cli.system", "Start the PBX and keep it running; Ctrl-C stops it."),
    "status": ("trunkline.cli.system", "Show processes, ports, calls and lines."),
    "setup": ("trunkline.cli.system", "Fetch what is needed to run, without starting anything."),
    "account": ("trunkline.cli.accounts", "Accounts: create, show, disable; components, limits, directions."),
    "user": ("trunkline.cli.users", "Users: who may log in, and what each may do."),
    "key": ("trunkline.cli.users", "API keys."),
    "allow": ("trunkline.cli.users", "Allow-lists: which addresses may use an API."),
    "ban": ("trunkline.cli.bans", "Addresses that are refused for guessing passwords of lines."),
    "calls": ("trunkline.cli.live", "Show live calls, or the last finished ones."),
    "lines": ("trunkline.cli.live", "Show registered devices: address, user agent, age."),
    "queue": ("trunkline.cli.queues", "Queues: who waits, agents, the service level of today."),
    "agent": ("trunkline.cli.queues", "Agents: what each is doing, since when and why."),
    "phone": ("trunkline.cli.phones", "Phones that fetch their configuration: add, list, QR code."),
    "certificate": ("trunkline.cli.certificates", "Put the certificate of TLS and HTTPS in place."),
    "tail": ("trunkline.cli.live", "Show the log of a call, an account, a process."),
    "backup": ("trunkline.cli.backup", "Write the whole installation to a file, also while it runs."),
    "restore": ("trunkline.cli.backup", "Make an installation from such a file."),
    "db": ("trunkline.cli.database", "The database's schema."),
    "apply": ("trunkline.cli.directory", "Apply a YAML file to an account's directory."),
    "export": ("trunkline.cli.directory", "Write an account's directory as a YAML file."),
    "scenario": ("trunkline.cli.scenarios", "What a call of a number would do, without a call."),
    "csv": ("trunkline.cli.csv", "Employees, SIP lines, contacts and tags as CSV files."),
    "numbers": (
        "trunkline.cli.numbers",
        "Virtual numbers: the inventory, and which account a number belongs to.",
    ),
    "trunk": (
        "trunkline.cli.trunks",
        "State of trunks; addresses that they may have although the rules refuse them.",
    ),
    "tariff": ("trunkline.cli.tariffs", "Plans and prices, their accounts, monthly statements."),
    "campaign": (
        "trunkline.cli.dialing_campaigns",
        "Dialing campaigns: create, start, stop, results; numbers that are not called.",
    ),
    "lists": ("trunkline.cli.lists", "Auto call campaigns, segments and events from a YAML file."),
    "support": ("trunkline.cli.support", "Support tickets and the contact persons of accounts."),
    "retention": ("trunkline.cli.retention", "For how many days recordings, calls and logs are kept."),
    "notification": (
        "trunkline.cli.notifications",
        "Webhook subscriptions: change, test, show the log, send again.",
    ),
    "planfix": (
        "trunkline.cli.planfix",
        "Planfix: create its notifications and its user; check what it needs.",
    ),
    "hubspot": ("trunkline.cli.hubspot", "HubSpot: connect an account, check it, map employees to owners."),
    "site": (
        "trunkline.cli.site",
        "Websites whose visitors may call: settings, what pages need, the last calls.",
    ),
    "contract": ("trunkline.cli.contract", "Show the coverage of the API contract."),
    "demo": ("trunkline.cli.demo", "Show the product with a demo company and simulated phones."),
}
"""Command name: the module that contains the command under the same name, and its line in ``--help``."""

if importlib.util.find_spec("trunkline.bench") is not None:  # not in the wheel
    COMMANDS["bench"] = ("trunkline.cli.bench", "Measure against a bare Asterisk on this machine.")


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        if not gc.isenabled():  # see trunkline.cli.entry
            gc.freeze()
            gc.enable()
        if not isinstance(command, click.Command):
            raise TypeError(f"{cmd_name} of {COMMANDS[cmd_name][0]} is not a command")
        return with_json(command, (cmd_name,))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="trunkline")
def commands() -> None:
    """Trunkline, a self-hosted cloud PBX and call center.

    Exit codes: 0 done; 1 refused or failed, with the reason on standard error; 2 wrong arguments; 3 the reported
    state has a fault (status, trunk status, account weak-passwords).
    """


def main() -> None:
    """Entry point: errors raised on purpose, and files that cannot be used, become one line on standard error and exit
    code 1."""
    try:
        commands()
    except TrunklineError as error:
        click.echo(f"trunkline: {error.message}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise  # of the network, or a fault of the program
        click.echo(f"trunkline: {_of_file(error)}", err=True)
        sys.exit(1)


def _of_file(error: OSError) -> str:
    """One sentence on a file or folder that cannot be used, with a remedy."""
    remedy = {
        errno.EACCES: "run as its owner or give this user the permission",
        errno.EPERM: "run as its owner or give this user the permission",
        errno.ENOENT: "create the folder, or name another path",
        errno.ENOTDIR: "a part of the path is a file; name a folder (TRUNKLINE_DATA_DIR for the data folder)",
        errno.EISDIR: "this is a folder; name a file",
        errno.EROFS: "the file system is read-only; name another path",
        errno.ENOSPC: "the disk is full; free space in the data folder",
    }.get(error.errno or 0, "check the path and its permissions")
    return f"{os.fsdecode(error.filename)}: {error.strerror}; {remedy}"
