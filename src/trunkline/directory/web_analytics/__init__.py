"""Segments of visitors and events of sites."""
