"""Scenarios: their operations and the keys of a talk in a directory file, and the list."""
