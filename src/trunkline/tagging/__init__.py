"""Marks of communications: tags and sales.

Tags are in the communication's row, in the format of reports; each change is recorded in ``tag_history``. The row of a
live call is written by its switch, which also changes its tags.
"""
