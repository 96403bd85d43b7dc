"""Webhook subscriptions as items of a directory file. Their rules and deliveries: ``notifications``."""
