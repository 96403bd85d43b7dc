"""Making and changing accounts: for the command line, the console, and partners.

Everything takes effect at once (:class:`~trunkline.accounts.service.Accounts` caches nothing; the switch
gets changes of accounts, components and security rules by NOTIFY).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trunkline.accounts import components, networks, tokens
from trunkline.accounts.model import METERED, Api, NewAccount, Status
from trunkline.accounts.permissions import Role
from trunkline.accounts.points import DEFAULT_DAY_POINTS, DEFAULT_MINUTE_POINTS
from trunkline.accounts.users import Users, add_key, add_user, key_name
from trunkline.core.errors import InvalidInput, InvalidState, NotFound
from trunkline.core.setting_types import origin
from trunkline.core.time_zones import time_zone
from trunkline.db.pool import Connection, Database, Row

SECURITY_RULES: Mapping[str, bool] = {
    "mobile": True,
    "national": True,
    "international": False,
    "premium": False,
}
"""Whether calls may go in this direction, for every way to dial. Defaults of the reference; ``premium`` is an addition
(satellite and international networks, premium-rate numbers: :mod:`trunkline.routing.directions`)."""

_KEYED = METERED
"""The APIs for which an owner gets a key at once."""

_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_COUNTRY = re.compile(r"[A-Z]{2}\Z")


@dataclass(frozen=True, slots=True)
class AccountProfile:
    """What an account is made with.

    :ivar time_zone: IANA name.
    :ivar locale: ``en`` or ``en-GB``.
    :ivar currency: ISO 4217.
    :ivar country: ISO 3166 alpha-2; how local numbers are read.
    :ivar is_agent: a partner's account, which has clients.
    :ivar parent_account_id: the agent whose client this is.
    """

    name: str
    time_zone: str = "UTC"
    locale: str = "en"
    currency: str = "USD"
    country: str = "AE"
    is_agent: bool = False
    parent_account_id: int | None = None


def check_profile(profile: AccountProfile) -> None:
    """:class:`InvalidInput`, naming the field, for a profile that cannot be used."""
    if not profile.name.strip():
        raise InvalidInput("an account needs a name", field="name", value=profile.name)
    try:
        time_zone(profile.time_zone)
    except ValueError as error:
        raise InvalidInput(
            f"{profile.time_zone!r} is not a time zone; write an IANA name such as Asia/Dubai or Europe/London",
            field="time_zone",
            value=profile.time_zone,
        ) from error
    for field, value, form, example in (
        ("locale", profile.locale, _LOCALE, "en or en-GB"),
        ("currency", profile.currency, _CURRENCY, "USD"),
        ("country", profile.country, _COUNTRY, "AE"),
    ):
        if not form.match(value):
            raise InvalidInput(f"{field} is written like {example}, not {value!r}", field=field, value=value)


class Administration:
    """Accounts and their settings; :attr:`users` for users and their keys."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.users = Users(db)

    async def create_account(
        self,
        profile: AccountProfile,
        *,
        login: str | None = None,
        password: str | None = None,
        allow: Iterable[str] = (),
        enabled: Iterable[str] = components.DEFAULT,
    ) -> NewAccount:
        """Make an account with an owner, who has a permanent key for each API.

        International calls are off.

        :param enabled: components that the account has.

        :param login: of the owner; default ``owner<account_id>``.
        :param password: default: one is made up.
        :param allow: networks that may use all APIs and the console; nothing may by default.
        :raises InvalidInput: a value that cannot be used; ``already_in_use`` for a login.
        :raises NotFound: no such parent account.
        """
        async with self._db.connection() as connection:
            return await add_account(
                connection, profile, login=login, password=password, allow=allow, enabled=enabled
            )

    async def list_accounts(self) -> list[Row]:
        """All accounts of the installation, oldest first."""
        return await self._db.fetch_all(
            "select account_id, name, time_zone, locale, currency, country, status, is_agent,"
            " parent_account_id, created_at from accounts order by account_id"
        )

    async def account(self, account_id: int) -> Row:
        """One account with its components, limits and security rules; :class:`NotFound`."""
        row = await self._db.fetch_one(
            """
            select a.account_id, a.name, a.time_zone, a.locale, a.currency, a.country, a.status,
                a.locked_by_operator, a.locked_by_agent, a.is_agent,
                a.parent_account_id, a.created_at, a.open_recording_links,
                array(select c.component from account_components c
                      where c.account_id = a.account_id order by 1) as components,
                (select coalesce(jsonb_object_agg(l.api, jsonb_build_object(
                    'day_points', l.day_points, 'minute_points', l.minute_points)), '{}')
                 from account_limits l where l.account_id = a.account_id) as limits,
                (select coalesce(sum(u.bytes), 0)::bigint from upload_totals u
                 where u.account_id = a.account_id) as uploaded_bytes,
                (select coalesce(jsonb_object_agg(s.direction, s.allowed), '{}')
                 from security_rules s where s.account_id = a.account_id) as security_rules
            from accounts a where a.account_id = %s
            """,
            (account_id,),
        )
        if row is None:
            raise _no_account(account_id)
        return row

    async def set_status(self, account_id: int, status: Status) -> None:
        """Lock an account as the administrator (its requests get ``account_inactive``) or remove that lock; a lock of the
        account's agent stays."""
        await self._change(
            account_id,
            "update accounts set locked_by_operator = %s where account_id = %s",
            (status is Status.DISABLED, account_id),
        )

    async def lift_agent_lock(self, account_id: int) -> None:
        """Remove the lock that the account's agent, a limit or a debt has set."""
        async with self._db.connection() as connection:
            cursor = await connection.execute(
                "update accounts set locked_by_agent = false where account_id = %s", (account_id,)
            )
            if cursor.rowcount == 0:
                raise _no_account(account_id)
            await connection.execute(
                "update customers c set status = 'active', status_changed_at = now() from accounts a"
                " where a.account_id = %s and c.account_id = a.parent_account_id and c.customer_id = a.account_id"
                " and c.status <> 'active'",
                (account_id,),
            )

    async def set_limits(
        self, account_id: int, api: Api, *, day: int | None = None, minute: int | None = None
    ) -> None:
        """Change how many points an account may spend; None leaves a limit as it is."""
        _check_metered(api)
        for field, value in (("day_points", day), ("minute_points", minute)):
            if value is not None and not 0 <= value < 2**31:
                raise InvalidInput("a limit is a whole number from 0", field=field, value=value)
        await self._change(
            account_id,
            "update account_limits set day_points = coalesce(%s, day_points),"
            " minute_points = coalesce(%s, minute_points) where account_id = %s and api = %s",
            (day, minute, account_id, api.value),
        )

    async def set_weight(self, account_id: int, api: Api, method: str, weight: int | None) -> None:
        """Give a method its own weight in points in this account; None = the usual one again."""
        _check_metered(api)
        if weight is not None and not 0 <= weight < 2**31:
            raise InvalidInput("a weight is a whole number from 0", field="weight", value=weight)
        await self.account(account_id)
        if weight is None:
            await self._db.execute(
                "delete from method_weights where account_id = %s and api = %s and method = %s",
                (account_id, api.value, method),
            )
        else:
            await self._db.execute(
                "insert into method_weights (account_id, api, method, weight) values (%s, %s, %s, %s)"
                " on conflict (account_id, api, method) do update set weight = excluded.weight",
                (account_id, api.value, method, weight),
            )

    async def set_component(self, account_id: int, component: str, enabled: bool) -> None:
        """Switch a component on or off."""
        if component not in components.TITLES:
            raise InvalidInput(
                f"there is no component {component!r}; there are {', '.join(sorted(components.TITLES))}",
                field="component",
                value=component,
            )
        await self.account(account_id)
        await self._db.execute(
            "insert into account_components (account_id, component) values (%s, %s) on conflict do nothing"
            if enabled
            else "delete from account_components where account_id = %s and component = %s",
            (account_id, component),
        )

    async def set_open_recording_links(self, account_id: int, is_on: bool) -> None:
        """Let recordings be fetched by their unguessable address alone, or require a token."""
        await self._change(
            account_id,
            "update accounts set open_recording_links = %s where account_id = %s",
            (is_on, account_id),
        )

    async def set_mail_domains(self, account_id: int, domains: Sequence[str] | None) -> None:
        """Domains that mails of the account may go to.

        :param domains: None: all.
        :raises InvalidInput: what is not a domain.
        """
        for domain in domains or ():
            if not _DOMAIN.fullmatch(domain.lower()):
                raise InvalidInput(f"{domain} is not a domain; write for example example.com", value=domain)
        listed = None if domains is None else [domain.lower() for domain in domains]
        await self._change(
            account_id,
            "update accounts set mail_domains = %s where account_id = %s",
            (listed, account_id),
        )

    async def set_cors_origins(self, account_id: int, origins: Sequence[str]) -> None:
        """Origins whose web pages may read answers of the Call Center API; ``*`` = all.

        :raises InvalidInput: what is not an origin.
        """
        try:
            checked = [origin(text) for text in origins]
        except ValueError as error:
            raise InvalidInput(str(error), field="origin") from error
        await self._change(
            account_id,
            "update accounts set cors_origins = %s where account_id = %s",
            (sorted(set(checked)), account_id),
        )

    async def set_security_rule(self, account_id: int, direction: str, allowed: bool) -> None:
        """Whether calls may go to ``mobile``, ``national``, ``international`` or ``premium`` numbers."""
        if direction not in SECURITY_RULES:
            raise InvalidInput(
                f"a direction is one of {', '.join(SECURITY_RULES)}", field="direction", value=direction
            )
        await self._change(
            account_id,
            "insert into security_rules (account_id, direction, allowed)"
            " select account_id, %s, %s from accounts where account_id = %s"
            " on conflict (account_id, direction) do update set allowed = excluded.allowed",
            (direction, allowed, account_id),
        )

    async def set_outgoing_limits(
        self,
        account_id: int,
        line: str | None,
        *,
        calls_per_minute: int | None,
        concurrent_calls: int | None,
        money_per_day: float | None,
    ) -> None:
        """Limits of outside calls; None: the setting of the installation (``limits.*``), 0: no limit.

        :param line: login of a line of the account; None: the account's own limits.
        :raises NotFound: no such account or line.
        """
        changed = await self._db.execute(
            "insert into outgoing_limits"
            " (account_id, sip_line_id, calls_per_minute, concurrent_calls, money_per_day)"
            " select a.account_id, coalesce(l.sip_line_id, 0), %(minute)s, %(once)s, %(money)s from accounts a"
            " left join sip_lines l on l.account_id = a.account_id and l.phone_number = %(line)s"
            " where a.account_id = %(account_id)s and (%(line)s::text is null or l.sip_line_id is not null)"
            " on conflict (account_id, sip_line_id) do update set calls_per_minute = excluded.calls_per_minute,"
            " concurrent_calls = excluded.concurrent_calls, money_per_day = excluded.money_per_day",
            {
                "account_id": account_id,
                "line": line,
                "minute": calls_per_minute,
                "once": concurrent_calls,
                "money": money_per_day,
            },
        )
        if changed == 0:
            await self.account(account_id)
            raise NotFound(f"account {account_id} has no line {line}", field="line", value=line)

    async def outgoing_limits(self, account_id: int, line: str | None = None) -> list[Row]:
        """Limits of outside calls that differ from the settings of the installation: ``line`` (None: the account's own),
        ``calls_per_minute``, ``concurrent_calls``, ``money_per_day`` (None: the usual one).

        :param line: login; only of this line.
        :raises NotFound: the account has no such line.
        """
        known = "select sip_line_id from sip_lines where account_id = %s and phone_number = %s"
        if line is not None and await self._db.fetch_one(known, (account_id, line)) is None:
            raise NotFound(f"account {account_id} has no line {line}", field="line", value=line)
        return await self._db.fetch_all(
            "select l.phone_number as line, o.calls_per_minute, o.concurrent_calls,"
            " o.money_per_day::float as money_per_day"
            " from outgoing_limits o left join sip_lines l"
            " on l.account_id = o.account_id and l.sip_line_id = o.sip_line_id"
            " where o.account_id = %(account_id)s and (%(line)s::text is null or l.phone_number = %(line)s)"
            " order by o.sip_line_id",
            {"account_id": account_id, "line": line},
        )

    async def set_upload_limits(self, account_id: int, *, total: int | None, per_day: int | None) -> None:
        """Limits of the stored recordings of uploaded calls, bytes; None: the setting of the installation
        (``limits.account_uploads_*``), 0: no limit.

        :raises InvalidInput: a number below 0 or from 2^63.
        :raises NotFound: no such account.
        """
        for field, value in (("bytes", total), ("bytes_per_day", per_day)):
            if value is not None and not 0 <= value < 2**63:
                raise InvalidInput("a limit is a whole number of bytes from 0", field=field, value=value)
        await self._change(
            account_id,
            "insert into upload_limits (account_id, bytes, bytes_per_day)"
            " select a.account_id, %s, %s from accounts a where a.account_id = %s"
            " on conflict (account_id) do update set bytes = excluded.bytes, bytes_per_day = excluded.bytes_per_day",
            (total, per_day, account_id),
        )

    async def upload_limits(self, account_id: int) -> Row:
        """``bytes`` and ``bytes_per_day``: limits of the stored recordings of uploaded calls (None: the setting of the
        installation); ``stored_bytes``, and ``stored_bytes_of_day``: stored today (UTC).

        :raises NotFound: no such account.
        """
        row = await self._db.fetch_one(
            "select l.bytes, l.bytes_per_day, coalesce(t.bytes, 0) as stored_bytes,"
            " case when t.day = (now() at time zone 'UTC')::date then t.day_bytes else 0 end as stored_bytes_of_day"
            " from accounts a left join upload_limits l on l.account_id = a.account_id"
            " left join upload_totals t on t.account_id = a.account_id where a.account_id = %s",
            (account_id,),
        )
        if row is None:
            raise _no_account(account_id)
        return row

    async def set_recording_limit(self, account_id: int, limit: int | None) -> None:
        """Limit of the recordings and voice messages of an account's own calls, bytes; None: the setting of the installation
        (``limits.account_recordings_bytes``), 0: no limit.

        :raises InvalidInput: a number below 0 or from 2^63.
        :raises NotFound: no such account.
        """
        if limit is None:
            await self.account(account_id)
            await self._db.execute("delete from recording_limits where account_id = %s", (account_id,))
            return
        if not 0 <= limit < 2**63:
            raise InvalidInput("a limit is a whole number of bytes from 0", field="bytes", value=limit)
        await self._change(
            account_id,
            "insert into recording_limits (account_id, bytes) select a.account_id, %s from accounts a"
            " where a.account_id = %s on conflict (account_id) do update set bytes = excluded.bytes",
            (limit, account_id),
        )

    async def recording_limit(self, account_id: int) -> Row:
        """``bytes``: limit of the recordings of the account's own calls (None: the setting of the installation);
        ``stored_bytes``, without the raw audio of calls that are up.

        :raises NotFound: no such account.
        """
        row = await self._db.fetch_one(
            "select l.bytes, coalesce(t.bytes, 0) as stored_bytes from accounts a"
            " left join recording_limits l on l.account_id = a.account_id"
            " left join recording_totals t on t.account_id = a.account_id where a.account_id = %s",
            (account_id,),
        )
        if row is None:
            raise _no_account(account_id)
        return row

    async def allow_address(self, account_id: int, api: Api, network: str, comment: str = "") -> str:
        """Let a network (or single address) use an API; returns it as stored. Twice is fine."""
        text = str(networks.parse_network(network))
        await self.account(account_id)
        async with self._db.connection() as connection:
            await _allow(connection, account_id, api, text, comment)
        return text

    async def disallow_address(
        self, account_id: int, api: Api, network: str, *, keep: str | None = None
    ) -> None:
        """Take a network off the list; :class:`NotFound` when it is not on it.

        :param keep: an address that must still be on the list then.
        :raises InvalidState: it would not be.
        """
        text = str(networks.parse_network(network))
        if keep is not None:
            rest = [
                networks.parse_network(row["network"])
                for row in await self.allowed_addresses(account_id)
                if row["api"] == api and row["network"] != text
            ]
            address = networks.parse_address(keep)
            if address is None or not networks.admits(rest, address):
                raise InvalidState(
                    f"{keep} would be refused then: allow it, or a network with it, first", field="network"
                )
        count = await self._db.execute(
            "delete from allowed_addresses where account_id = %s and api = %s and network = %s::cidr",
            (account_id, api.value, text),
        )
        if count == 0:
            raise NotFound(
                f"{text} is not on the {api.value} list of account {account_id}; see `trunkline allow list`",
                field="network",
                value=network,
            )

    async def allowed_addresses(self, account_id: int) -> list[Row]:
        """The allow-lists of an account: ``api``, ``network`` (text), ``comment``."""
        return await self._db.fetch_all(
            "select api, network::text as network, comment from allowed_addresses"
            " where account_id = %s order by api, network",
            (account_id,),
        )

    async def _change(self, account_id: int, statement: str, parameters: tuple[object, ...]) -> None:
        if await self._db.execute(statement.encode(), parameters) == 0:
            raise _no_account(account_id)


async def add_account(
    connection: Connection,
    profile: AccountProfile,
    *,
    login: str | None = None,
    password: str | None = None,
    allow: Iterable[str] = (),
    with_keys: bool = True,
    enabled: Iterable[str] = components.DEFAULT,
) -> NewAccount:
    """Make an account in the transaction of the connection; see :meth:`Administration.create_account`.

    :param with_keys: False: the owner gets no keys, because they would not be shown.
    :param enabled: components that the account has.
    """
    check_profile(profile)
    allowed = [str(networks.parse_network(text)) for text in allow]
    password = password if password is not None else tokens.new_password()
    account_id = await _insert_account(connection, profile, enabled)
    login = login if login is not None else f"owner{account_id}"
    user_id = await add_user(connection, account_id, login, password, role=Role.OWNER, apis=_KEYED)
    keys = {
        api.value: (await add_key(connection, account_id, user_id, key_name(_KEYED), None)).token
        for api in (_KEYED if with_keys else ())
    }
    for network in allowed:
        for api in Api:
            await _allow(connection, account_id, api, network, "")
    return NewAccount(account_id, user_id, login.strip(), password, keys)


async def _insert_account(connection: Connection, profile: AccountProfile, enabled: Iterable[str]) -> int:
    if profile.parent_account_id is not None:
        cursor = await connection.execute(
            "select from accounts where account_id = %s and is_agent", (profile.parent_account_id,)
        )
        if await cursor.fetchone() is None:
            raise NotFound(
                f"there is no agent account {profile.parent_account_id}; make it with --agent first",
                field="parent_account_id",
                value=profile.parent_account_id,
            )
    cursor = await connection.execute(
        "insert into accounts (name, time_zone, locale, currency, country, is_agent, parent_account_id)"
        " values (%s, %s, %s, %s, %s, %s, %s) returning account_id",
        (
            profile.name.strip(),
            profile.time_zone,
            profile.locale,
            profile.currency,
            profile.country,
            profile.is_agent,
            profile.parent_account_id,
        ),
    )
    row = await cursor.fetchone()
    assert row is not None  # "returning" gives a row or an error
    account_id: int = row["account_id"]
    for direction, allowed in SECURITY_RULES.items():
        await connection.execute(
            "insert into security_rules (account_id, direction, allowed) values (%s, %s, %s)",
            (account_id, direction, allowed),
        )
    for component in sorted(enabled):
        await connection.execute(
            "insert into account_components (account_id, component) values (%s, %s)", (account_id, component)
        )
    for api in METERED:
        await connection.execute(
            "insert into account_limits (account_id, api, day_points, minute_points) values (%s, %s, %s, %s)",
            (account_id, api.value, DEFAULT_DAY_POINTS, DEFAULT_MINUTE_POINTS),
        )
    return account_id


async def _allow(connection: Connection, account_id: int, api: Api, network: str, comment: str) -> None:
    await connection.execute(
        "insert into allowed_addresses (account_id, api, network, comment) values (%s, %s, %s::cidr, %s)"
        " on conflict do nothing",
        (account_id, api.value, network, comment),
    )


def _check_metered(api: Api) -> None:
    if api not in METERED:
        raise InvalidInput(f"the {api.value} costs no points", field="api", value=api.value)


def _no_account(account_id: int) -> NotFound:
    return NotFound(
        f"there is no account {account_id}; see `trunkline account list`",
        field="account_id",
        value=account_id,
    )
