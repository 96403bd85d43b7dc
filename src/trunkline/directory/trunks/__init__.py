"""Trunks and the addresses that identify them: which address a trunk may have, and which trunks share one."""
