"""Employees as agents of the call center: their settings."""
