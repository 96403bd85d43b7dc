"""The self-signed certificate of the instance, until the admin replaces it."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import Settings
from trunkline.runtime.files import create_once, private_folder, write_atomically

_VALID = timedelta(days=3650)


def certificate_file(settings: Settings) -> Path:
    """PEM, the chain included when the admin supplied one."""
    return settings.certificates_dir / "trunkline.crt"


def key_file(settings: Settings) -> Path:
    """PEM, unencrypted, readable by the owner only."""
    return settings.certificates_dir / "trunkline.key"


def ensure(settings: Settings, now: datetime | None = None) -> None:
    """Make a self-signed certificate for this host unless there is one; an admin's is never touched.

    :class:`ConfigurationError` when only one of the two files is there.
    """
    private_folder(settings.certificates_dir)
    certificate, key = certificate_file(settings), key_file(settings)
    if certificate.exists() and key.exists():
        return
    if certificate.exists():
        raise ConfigurationError(
            f"{certificate} has no {key.name} next to it; put the key there, or remove the certificate "
            "to get a new one"
        )
    # The key first: interrupted here, the next start makes the certificate for the key that is there.
    if not key.exists():
        create_once(key, _new_key(), 0o600)
    create_once(
        certificate, _self_signed(key.read_bytes(), _names(settings), now or datetime.now(UTC)), 0o600
    )


def ends_at(chain: bytes) -> datetime:
    """When a certificate ends to be valid.

    :param chain: PEM; the first certificate counts.
    :raises ValueError: there is none.
    """
    return x509.load_pem_x509_certificate(chain).not_valid_after_utc


def validity(settings: Settings) -> dict[str, Any]:
    """``ends_at`` (ISO 8601, UTC) of the certificate in use, for ``trunkline status``.

    :raises OSError: it cannot be read.
    :raises ValueError: it is no certificate.
    """
    return {"ends_at": ends_at(certificate_file(settings).read_bytes()).isoformat()}


def publish(settings: Settings) -> bool:
    """Give Asterisk the certificate and key that are there now; False when it had them.

    It gets a copy, both in one file that is replaced atomically and only by a matching pair: Asterisk reads its files
    at any time, and has no TLS if it reads a pair that is partly replaced.

    :raises ConfigurationError: they are no pair, or cannot be read; the copy stays as it was.
    """
    certificate, key, copy = certificate_file(settings), key_file(settings), settings.engine_certificate
    copy.parent.mkdir(parents=True, exist_ok=True)
    new = copy.with_name("tls.new")
    try:
        content = key.read_bytes() + b"\n" + certificate.read_bytes()
        if copy.exists() and copy.read_bytes() == content:
            return False
        write_atomically(new, content, 0o600)
        # An empty password: a key that has one is refused here and not asked for on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(new, password="")
    except (OSError, ssl.SSLError) as error:
        new.unlink(missing_ok=True)
        raise ConfigurationError(
            f"{certificate} and {key.name} next to it cannot be used together ({error}); put a PEM certificate and "
            "its key without a password there"
        ) from error
    os.replace(new, copy)
    return True


def _names(settings: Settings) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    hostname = socket.gethostname()
    if hostname.isascii() and hostname != "localhost":
        names.append(x509.DNSName(hostname))
    addresses = ["127.0.0.1", "::1", settings.sip.external_address or ""]
    for address in addresses:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(address)))
        except ValueError:
            if address:
                names.append(x509.DNSName(address))
    return names


def _new_key() -> bytes:
    # Not an elliptic curve: older desk phones cannot talk to one.
    return rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _self_signed(key_pem: bytes, names: list[x509.GeneralName], now: datetime) -> bytes:
    key = serialization.load_pem_private_key(key_pem, None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigurationError("trunkline.key has no trunkline.crt next to it; put the certificate there")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Trunkline")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A phone's clock may be late.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)
