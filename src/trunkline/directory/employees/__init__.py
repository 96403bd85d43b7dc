"""Employees as an administrator sees them: positions, statuses, groups, phones; lists and changes."""
