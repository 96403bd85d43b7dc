"""Queues and the agents in them: their configuration. How callers wait is in :mod:`trunkline.queues`."""
