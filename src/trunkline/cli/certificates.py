"""``trunkline certificate``: put a certificate in place, also as the deploy hook of an ACME client."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime
from pathlib import Path

import click

from trunkline.cli.settings import load_settings
from trunkline.core.errors import InvalidInput
from trunkline.runtime.certificates import certificate_file, ends_at, key_file
from trunkline.runtime.files import write_atomically

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def certificate() -> None:
    """The certificate of SIP over TLS, WSS and HTTPS."""


@certificate.command()
@click.option("--certificate", "chain", type=_FILE, help="PEM with the chain.")
@click.option("--key", type=_FILE, help="PEM, without a password.")
def install(chain: Path | None, key: Path | None) -> None:
    """Check a certificate and its key and put them in place; a running instance uses them within seconds.

    Without options, the files are those that certbot (RENEWED_LINEAGE) or lego (LEGO_CERT_PATH, LEGO_CERT_KEY_PATH) names to
    its deploy hook.
    """
    chain, key = _named(chain, key)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key, password="")
        contents = {key_file: key.read_bytes(), certificate_file: chain.read_bytes()}
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(
            f"{chain} and {key} cannot be used together ({error}); give a PEM certificate and its key without a password"
        ) from error
    end = ends_at(contents[certificate_file])
    if end <= datetime.now(UTC):
        raise InvalidInput(
            f"the certificate of {chain} has ended ({end:%Y-%m-%d %H:%M} UTC); give one that is valid"
        )
    settings = load_settings()
    owner = settings.certificates_dir.stat() if settings.certificates_dir.is_dir() else None
    if owner is None:
        raise InvalidInput(
            f"there is no folder {settings.certificates_dir}; use the settings of the instance, and start it once before"
        )
    # The key first: a key without its certificate is not loaded.
    for place, content in contents.items():
        path = place(settings)
        write_atomically(path, content, 0o600)
        if os.geteuid() == 0:
            os.chown(path, owner.st_uid, owner.st_gid)
    click.echo(f"installed in {settings.certificates_dir}")


def _named(chain: Path | None, key: Path | None) -> tuple[Path, Path]:
    if chain is not None and key is not None:
        return chain, key
    lineage = os.environ.get("RENEWED_LINEAGE")
    if lineage:
        return Path(lineage) / "fullchain.pem", Path(lineage) / "privkey.pem"
    by_lego = os.environ.get("LEGO_CERT_PATH"), os.environ.get("LEGO_CERT_KEY_PATH")
    if by_lego[0] and by_lego[1]:
        return Path(by_lego[0]), Path(by_lego[1])
    raise InvalidInput("give --certificate FILE and --key FILE")
