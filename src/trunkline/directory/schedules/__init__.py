"""Schedules: when they are open, the list, and changes."""
