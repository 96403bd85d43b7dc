"""The Asterisk that is fetched: Debian's package in the version that this version of Trunkline is tested with.

To change it, take the version and the digests from the signed package lists of ``sid`` (``apt-cache show asterisk
asterisk-modules``, for each architecture) and a snapshot that has them, run all tests, and write ``docs/install.md``.
"""

from __future__ import annotations

VERSION = "1:22.10.1+dfsg+~cs6.17.60671434-1"

DIGESTS = {
    "amd64": {
        "asterisk": "d9ead1e33013bf00cca8b9b6b383314e1595ac3eb5f993fde2ff22f251b6c727",
        "asterisk-modules": "757c6d7814bc033c674fd71ada716891725de821762ae674f11e2238e0fe119d",
    },
    "arm64": {
        "asterisk": "68f7c4f76feacf1848ade21c626ed02b19df74f01e66a5a1a7a77f62995364ae",
        "asterisk-modules": "929491c7316096ec5cd3562f293b2231b2bdd59ef1be288bd17a132da7e008c3",
    },
}
"""SHA-256 by architecture and package."""

SNAPSHOT = "https://snapshot.debian.org/archive/debian/20261121T000000Z/"
"""A former state of the archive with this version, and with the libraries of that day."""
