"""Trunks and the addresses that identify them: which address a trunk may have, and whose a call by an address is."""
