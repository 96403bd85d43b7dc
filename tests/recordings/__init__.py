"""Tests of the recordings room."""
