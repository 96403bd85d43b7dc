"""Outbound requests to addresses that clients name, and their restrictions."""

from trunkline.outbound.guard import Allowed, ForbiddenAddress, GuardedResolver, is_public, requests_of
from trunkline.outbound.http import guarded_session

__all__ = ["Allowed", "ForbiddenAddress", "GuardedResolver", "guarded_session", "is_public", "requests_of"]
