"""Basics for all packages: identifiers, errors, settings, logging, disk. No database and no network."""

from trunkline.core import cancellation

# Here, because every module that waits imports something of this package first.
cancellation.repair()
