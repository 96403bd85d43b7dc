"""Ground: identifiers, errors, settings, logging. Nothing here does I/O beyond reading settings."""

from trunkline.core import cancellation

# Here, because whatever waits imports something of this room first.
cancellation.repair()
