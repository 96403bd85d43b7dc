"""Trunkline: a self-hosted cloud PBX and call center."""

__version__ = "0.1.0"
