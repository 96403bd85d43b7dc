"""Sounds for callers: the account's own, the system set, and texts that are synthesized."""
