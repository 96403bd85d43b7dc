"""How long tests wait for what must come."""

from __future__ import annotations

PATIENCE = 30.0
"""Seconds until a wait for something that the product must do fails. It is a bound for a machine on which many other tests
run, not a demand on the product: a test that demands a time measures it."""
