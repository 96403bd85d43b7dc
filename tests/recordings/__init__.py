"""Tests of the package ``recordings``."""
