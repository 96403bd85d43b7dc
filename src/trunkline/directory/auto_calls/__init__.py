"""Campaigns of automatic calls."""
