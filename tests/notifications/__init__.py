"""Tests of the package ``notifications``."""
