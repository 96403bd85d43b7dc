"""Accounts, users, keys, sessions, allow-lists, components, permissions, points.

APIs use :class:`Accounts`; administration uses :class:`~trunkline.accounts.administration.Administration`.
"""

from trunkline.accounts.model import Api, Caller, CallerKind, Login, NewAccount, NewKey, Points
from trunkline.accounts.permissions import Role
from trunkline.accounts.secrets import Cipher
from trunkline.accounts.service import Accounts

__all__ = [
    "Accounts",
    "Api",
    "Caller",
    "CallerKind",
    "Cipher",
    "Login",
    "NewAccount",
    "NewKey",
    "Points",
    "Role",
]
