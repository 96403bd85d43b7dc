"""``trunkline phone``: phones that fetch their configuration from this server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import segno

from trunkline.accounts.administration import Administration
from trunkline.accounts.secrets import Cipher
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.database import print_json, with_database
from trunkline.cli.settings import load_settings
from trunkline.cli.table import print_rows
from trunkline.core.errors import InvalidInput
from trunkline.db.pool import Database
from trunkline.provisioning.formats import PhoneKind, file_name, normalised_mac
from trunkline.provisioning.phones import AddedPhone, Phones, list_phones, remove_phone
from trunkline.provisioning.server import Transport, https_address, sip_port
from trunkline.runtime import secrets

T = TypeVar("T")


@click.group()
def phone() -> None:
    """Phones that fetch their configuration from this server over HTTPS."""


@phone.command()
@click.argument("line")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in PhoneKind]),
    required=True,
    help="Manufacturer, or app.",
)
@click.option("--mac", help="MAC address of a desk phone, on its back.")
@click.option(
    "--transport",
    type=click.Choice([transport.value for transport in Transport]),
    default=Transport.UDP.value,
    show_default=True,
    help="tls needs a certificate that the phone trusts.",
)
@click.option("--qr", is_flag=True, help="Print a QR code that the app scans.")
@click.option(
    "--qr-file", type=click.Path(dir_okay=False, path_type=Path), help="Write the QR code: FILE.svg or .png."
)
@account_option
@json_option
def add(
    line: str,
    kind: str,
    mac: str | None,
    transport: str,
    qr: bool,
    qr_file: Path | None,
    account_id: int | None,
    json: bool,
) -> None:
    """Add a phone of a SIP LINE (its login) and print the address of its configuration, which is a secret.

    The line gets a new password, unless one of its phones here has the present one.
    """
    phone_kind = PhoneKind(kind)
    if phone_kind.has_mac is not (mac is not None):
        raise InvalidInput(
            f"give --mac: the file of a {kind} phone is named by it"
            if phone_kind.has_mac
            else f"leave out --mac: {kind} takes the whole address"
        )
    if qr_file is not None and qr_file.suffix not in (".svg", ".png"):
        raise InvalidInput(f"{qr_file}: name a file that ends in .svg or .png")
    settings = load_settings()
    sip_port(settings, Transport(transport))
    base = https_address(settings)

    async def work(phones: Phones, account: int) -> AddedPhone:
        return await phones.add(account, line, phone_kind, mac, Transport(transport))

    added = _with_phones(work, account_id)
    folder = f"{base}/phones/{added.token}/"
    file = folder + file_name(phone_kind, normalised_mac(mac) if mac else None)
    code = segno.make(file, error="m")
    if qr_file is not None:
        code.save(str(qr_file), scale=8, border=4)
        qr_file.chmod(0o600)
    if json:
        print_json(
            {
                "phone_id": added.phone_id,
                "line": line,
                "kind": kind,
                "folder": folder,
                "file": file,
                "has_new_password": added.has_new_password,
            }
        )
        return
    click.echo(f"phone {added.phone_id} of line {line}")
    click.echo(f"provisioning server   {folder}")
    click.echo(f"configuration file    {file}")
    if added.has_new_password:
        click.echo(
            "the line has a new password: phones of this line that were set up by hand are refused now"
        )
    if qr:
        code.terminal(compact=True)


@phone.command("list")
@account_option
@json_option
def show_phones(account_id: int | None, json: bool) -> None:
    """List the phones, when each fetched its configuration, and from where. Times are UTC."""
    rows = [{**row, "state": _state(row)} for row in _with_account(list_phones, account_id)]
    if json:
        print_json(rows)
        return
    columns = {
        "phone_id": "phone", "line": "line", "employee": "employee", "kind": "kind", "mac": "MAC address",
        "transport": "transport", "state": "state", "fetched_at": "at (UTC)", "fetched_from": "from",
        "user_agent": "user agent",
    }  # fmt: skip
    print_rows(rows, columns, none="no phone")


@phone.command()
@click.argument("phone_id", type=int)
@account_option
def remove(phone_id: int, account_id: int | None) -> None:
    """Remove a phone: its address gives nothing any more; it stays registered until its line gets a new password."""
    _with_account(lambda db, account: remove_phone(db, account, phone_id), account_id)
    click.echo(f"phone {phone_id} removed; `trunkline phone renew LINE` changes the password it has")


@phone.command()
@click.argument("line")
@account_option
def renew(line: str, account_id: int | None) -> None:
    """Give a LINE a new password; its phones here fetch it at their next restart."""
    count = _with_phones(lambda phones, account: phones.renew(account, line), account_id)
    click.echo(f"line {line} has a new password; restart its phones ({count})")


def _state(row: dict[str, Any]) -> str:
    if row["is_outdated"]:
        return "password changed"
    return "fetched" if row["fetched_at"] else "not fetched"


def _with_phones(work: Callable[[Phones, int], Awaitable[T]], account_id: int | None) -> T:
    cipher = Cipher(secrets.load(load_settings()).master_key)
    return _with_account(lambda db, account: work(Phones(db, cipher), account), account_id)


def _with_account(work: Callable[[Database, int], Awaitable[T]], account_id: int | None) -> T:
    async def run(db: Database) -> T:
        return await work(db, await chosen(Administration(db), account_id))

    return with_database(run)
