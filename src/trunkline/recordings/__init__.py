"""Recordings of calls: enqueued by ``listener``, made by ``service``, fetched by links, deleted by ``retention``."""
