"""Accounts in CRM systems."""
