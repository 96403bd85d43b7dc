"""The configuration of accounts: one folder for each entity, the snapshot that calls use (``live``), files (``files``)."""
