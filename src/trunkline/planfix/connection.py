"""The connection of an account with Planfix: its notifications, its user, its components and its addresses.

Source: the reference's page on the integration of Planfix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trunkline.accounts import tokens
from trunkline.accounts.administration import Administration
from trunkline.accounts.model import Action, Api, Status
from trunkline.accounts.permissions import CONTROL_CALLS, READ_CONFIGURATION, READ_REPORTS, WATCH_CALLS
from trunkline.core.errors import InvalidInput
from trunkline.notifications.presets import PRESETS, drafts
from trunkline.notifications.subscriptions import Subscription, Subscriptions

COMPONENTS = ("call_api_base", "data_api_base")
APIS = (Api.CALL_API, Api.DATA_API)
PERMISSIONS = (
    CONTROL_CALLS,
    WATCH_CALLS,
    READ_REPORTS,
    READ_CONFIGURATION,
    ("address_book", "select"),
    ("employees", "select"),
    ("number_management", "select"),
    ("tag_management", "select"),
    ("va", "select"),
)
"""Planfix calls its users and reads the Data API; it changes nothing."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that Planfix needs.

    :ivar remedy: the command that makes it, when it is not met.
    """

    what: str
    is_met: bool
    remedy: str


class PlanfixConnection:
    """Makes and checks what Planfix needs of an account."""

    def __init__(self, administration: Administration, subscriptions: Subscriptions) -> None:
        self._administration = administration
        self._subscriptions = subscriptions

    async def connect(self, account_id: int, url: str, login: str, networks: Sequence[str]) -> str | None:
        """Create what is missing; a second time only the URL changes. Permissions that the user has besides stay.

        :param url: where Planfix gets notifications.
        :param networks: from where it connects.
        :returns: the password of the user, if it was created now.
        :raises InvalidInput: the login is of another account, or the URL or a network is none.
        """
        users = self._administration.users
        found = await users.find(login)
        if found is not None and found["account_id"] != account_id:
            raise InvalidInput(
                f"the login {login} is of another account; choose one with --login", field="login"
            )
        for draft in drafts("planfix", url):
            await self._subscriptions.save(account_id, draft)
        for component in COMPONENTS:
            await self._administration.set_component(account_id, component, True)
        for api in APIS:
            for network in networks:
                await self._administration.allow_address(account_id, api, network, "Planfix")
        password = None if found is not None else tokens.new_password()
        user_id = (
            int(found["user_id"])
            if found is not None
            else await users.create(account_id, login, password, full_name="Planfix", apis=APIS)
        )
        for resource, action in set(PERMISSIONS) - await users.rights(account_id, user_id):
            await users.set_permission(account_id, user_id, resource, Action(action), granted=True)
        return password

    async def checks(self, account_id: int, login: str) -> list[Check]:
        """All that Planfix needs, in the order in which a person would look.

        :raises NotFound: there is no such account.
        """
        return [
            *await self._components(account_id),
            *await self._addresses(account_id),
            *await self._user(account_id, login),
            *await self._notifications(account_id),
        ]

    async def _components(self, account_id: int) -> list[Check]:
        account = await self._administration.account(account_id)
        return [
            Check(
                f"component {name}", name in account["components"], f"trunkline account component {name} on"
            )
            for name in COMPONENTS
        ]

    async def _addresses(self, account_id: int) -> list[Check]:
        addresses = await self._administration.allowed_addresses(account_id)
        return [
            Check(
                f"addresses that may use {api.value}",
                any(row["api"] == api.value and not row["network"].startswith("127.") for row in addresses),
                f"trunkline allow add NETWORK --api {api.value} (0.0.0.0/0: any)",
            )
            for api in APIS
        ]

    async def _user(self, account_id: int, login: str) -> list[Check]:
        listed = await self._administration.users.list_users(account_id)
        users = [user for user in listed if user["login"].lower() == login.lower()]
        active = Check(
            f"user {login}",
            any(user["status"] == Status.ACTIVE for user in users),
            "trunkline planfix connect, or trunkline user enable",
        )
        may_use = [
            Check(
                f"user {login} may use {api.value}",
                any(user[f"{api.value}_enabled"] for user in users),
                f"trunkline user apis --user {login}",
            )
            for api in APIS
        ]
        rights = await self._administration.users.rights(account_id, users[0]["user_id"]) if users else ()
        permitted = [
            Check(
                f"permission {resource}:{action} of user {login}",
                (resource, action) in rights,
                f"trunkline planfix connect, or trunkline user permit --user {login} {resource} {action}",
            )
            for resource, action in PERMISSIONS
        ]
        return [active, *may_use, *permitted]

    async def _notifications(self, account_id: int) -> list[Check]:
        there = {one.key: one for one in await self._subscriptions.all(account_id)}
        return [
            Check(
                f"notification {one.name}",
                _is_on(there.get(f"planfix-{one.mnemonic}")),
                "trunkline planfix connect, or trunkline notification on",
            )
            for one in PRESETS["planfix"]
        ]


def _is_on(subscription: Subscription | None) -> bool:
    return subscription is not None and subscription.is_active
