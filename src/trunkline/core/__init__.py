"""Ground: identifiers, errors, settings, logging. Nothing here does I/O beyond reading settings."""
