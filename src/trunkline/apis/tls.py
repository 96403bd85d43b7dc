"""HTTPS with a certificate that may be replaced while we serve."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from trunkline.core.log import get_logger

_log = get_logger("apis.tls")

_CHECK_PERIOD_SECONDS = 2.0
"""Seconds."""


class ReloadedCertificate:
    """A TLS context over two PEM files; new connections get what the files hold now.

    :param last_good: one file with a pair that was in use, for a start with files that cannot be used.
    :raises ssl.SSLError: the files hold no certificate with its key, and nor does ``last_good``.
    :raises OSError: they cannot be read.
    """

    def __init__(self, certificate: Path, key: Path, last_good: Path | None = None) -> None:
        self._certificate = certificate
        self._key = key
        self._seen = self._stamp()
        self.context = _new_context()
        try:
            self.context.load_cert_chain(certificate, key, password="")
        except ssl.SSLError as error:
            if last_good is None or not last_good.exists():
                raise
            _log.error(
                "certificate_not_usable",
                file=str(certificate),
                reason=str(error),
                consequence="the last good certificate is used",
                remedy="replace the certificate and its key with a matching pair in PEM",
            )
            self.context = _new_context()
            self.context.load_cert_chain(last_good, password="")

    async def watch(self) -> None:
        """Look for new files until cancelled."""
        while True:
            await asyncio.sleep(_CHECK_PERIOD_SECONDS)
            self.reload_if_changed()

    def reload_if_changed(self) -> bool:
        """Load the files when they changed since; faulty ones are logged and the old certificate stays."""
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return False
            _new_context().load_cert_chain(self._certificate, self._key, password="")
            self.context.load_cert_chain(self._certificate, self._key, password="")
        except (OSError, ssl.SSLError) as error:
            _log.warning(
                "certificate_not_reloaded",
                file=str(self._certificate),
                reason=str(error),
                consequence="the former certificate is used",
                remedy="replace the certificate and its key with a matching pair in PEM",
            )
            return False
        self._seen = stamp
        _log.info("certificate_reloaded")
        return True

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        stats = (self._certificate.stat(), self._key.stat())
        return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats)


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
