"""Advertising campaigns: conditions, the numbers they show on sites, their costs; lists and changes.

A call that comes in on a number of an active campaign belongs to that campaign and its site (the directory's
snapshot has this: no statement on the path of a call). Each account has the system's campaign -1, visitors without one.
"""
