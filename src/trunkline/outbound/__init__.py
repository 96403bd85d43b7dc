"""Requests of ours to addresses that clients name: where they may go."""

from trunkline.outbound.guard import Allowed, ForbiddenAddress, GuardedResolver, is_public

__all__ = ["Allowed", "ForbiddenAddress", "GuardedResolver", "is_public"]
