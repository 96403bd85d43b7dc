"""The HTTP endpoints of the web process; ``catalogue`` has all methods, ``web`` starts the server."""
