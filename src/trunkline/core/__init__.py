"""Ground: identifiers, errors, settings, logging. Nothing here does I/O beyond reading settings."""

from trunkline.core import cancellation

# Here, because every module that waits imports something of this package first.
cancellation.repair()
