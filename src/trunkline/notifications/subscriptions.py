"""Subscriptions: events, URL and format of deliveries. Checked when they are saved."""

from __future__ import annotations

import re
import secrets
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

import psycopg
from psycopg.types.json import Jsonb

from trunkline.core.clock import to_datetime
from trunkline.core.errors import Duplicate, InvalidInput, NotFound, QuotaReached
from trunkline.db.pool import Connection, Database
from trunkline.db.rows import transaction
from trunkline.notifications import catalogue, conditions
from trunkline.notifications.catalogue import Mnemonic
from trunkline.notifications.conditions import NO_CONDITIONS, Conditions
from trunkline.notifications.deliveries import CHANNEL, make, remove_of
from trunkline.notifications.rendering import render
from trunkline.notifications.sender import STANDARD_PREFIX, standard_key
from trunkline.notifications.templates import parse_body, parse_url
from trunkline.notifications.variables import Value

METHODS = ("POST", "PUT", "GET")

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}\Z")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]{0,1024}\Z")
_OUR_HEADERS = frozenset(
    {
        "host",
        "content-length",
        "connection",
        "transfer-encoding",
        "expect",
        "idempotency-key",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    }
)  # fmt: skip

_ALL = """
select account_id, subscription_id, key, name, url, method, events, body_template, headers, is_active,
    conditions, created_at, secret_encrypted is not null as is_signed, switched_off_reason,
    case when state.suspended_until > now() then state.suspended_until end as suspended_until
from subscriptions left join endpoint_states state using (account_id, subscription_id)
where account_id = %s order by subscription_id
"""

_SAVE = """
insert into subscriptions (account_id, key, name, url, method, events, conditions, body_template, headers,
secret_encrypted) values (%(account_id)s, %(key)s, %(name)s, %(url)s, %(method)s, %(events)s,
%(conditions)s, %(body_template)s, %(headers)s, %(secret)s) on conflict (account_id, key) do update set name = excluded.name,
url = excluded.url, method = excluded.method,
    events = excluded.events, conditions = excluded.conditions,
    body_template = excluded.body_template, headers = excluded.headers,
    secret_encrypted = excluded.secret_encrypted, is_active = true, switched_off_reason = null,
    former_secret_encrypted = null, former_secret_until = null
returning subscription_id
"""

_CREATE = """
insert into subscriptions (account_id, key, name, url, method, events, conditions, body_template, headers,
secret_encrypted, is_active) values (%(account_id)s, %(key)s, %(name)s, %(url)s, %(method)s, %(events)s,
%(conditions)s, %(body_template)s, %(headers)s, %(secret)s, %(is_active)s) returning subscription_id
"""

_CHANGE = """
update subscriptions set key = %(key)s, name = %(name)s, url = %(url)s, method = %(method)s, events = %(events)s,
    conditions = %(conditions)s, body_template = %(body_template)s, headers = %(headers)s, is_active = %(is_active)s,
    switched_off_reason = case when %(is_active)s = is_active then switched_off_reason end,
    secret_encrypted = case when %(sets_secret)s then %(secret)s else secret_encrypted end,
    former_secret_encrypted = case when not %(sets_secret)s then former_secret_encrypted end,
    former_secret_until = case when not %(sets_secret)s then former_secret_until end
where account_id = %(account_id)s and subscription_id = %(subscription_id)s
"""

_LOG = """
select delivery.delivery_id, delivery.subscription_id, delivery.stream, delivery.seq, delivery.mnemonic,
    delivery.status, delivery.attempts, delivery.occurred_at, delivery.created_at, delivery.delivered_at,
    delivery.next_attempt_at, delivery.body, coalesce(delivery.url, subscription.url) as url,
    subscription.key as subscription_key,
    case when state.suspended_until > now() and delivery.status = 'pending' then state.suspended_until end
        as suspended_until,
    last.status_code, last.error, last.duration_ms, last.response_excerpt
from deliveries delivery
    left join subscriptions subscription using (account_id, subscription_id)
    left join endpoint_states state using (account_id, subscription_id)
    left join lateral (
        select status_code, error, duration_ms, response_excerpt from delivery_attempts attempt
        where attempt.account_id = delivery.account_id and attempt.delivery_id = delivery.delivery_id
        order by attempt.attempt desc limit 1
    ) last on true
where delivery.account_id = %(account_id)s
    and (%(subscription_id)s::bigint is null or delivery.subscription_id = %(subscription_id)s)
    and (%(status)s::text is null or delivery.status = %(status)s)
    and (%(before)s::bigint is null or delivery.delivery_id < %(before)s)
order by delivery.delivery_id desc limit %(limit)s
"""


_TRY_NOW = """
with state as (
    update endpoint_states set suspended_until = now()
    where account_id = %(account_id)s and subscription_id = %(subscription_id)s and suspended_until > now()
        and trial_stream is null)
update deliveries set next_attempt_at = now()
where account_id = %(account_id)s and subscription_id = %(subscription_id)s and status = 'pending'
    and next_attempt_at > now()
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """A subscription to be saved.

    :ivar key: its handle in the account; a second draft with the same key replaces the first.
    :ivar url: may hold ``{{name}}`` in path and query.
    :ivar events: mnemonics.
    :ivar body_template: None = all variables as a JSON object.
    :ivar secret: signs deliveries; None = unsigned.
    """

    key: str
    name: str
    url: str
    events: Sequence[str]
    method: str = "POST"
    body_template: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    secret: str | None = None
    conditions: Conditions = NO_CONDITIONS


@dataclass(frozen=True, slots=True)
class Subscription:
    """:ivar suspended_until: the endpoint failed several times in a row, and is tried again then; None = not suspended."""

    account_id: int
    subscription_id: int
    key: str
    name: str
    url: str
    method: str
    events: list[str]
    body_template: str | None
    headers: dict[str, str]
    is_active: bool
    is_signed: bool
    created_at: datetime
    conditions: dict[str, Any]
    suspended_until: datetime | None = None
    switched_off_reason: str | None = None
    """``gone`` (410) or ``failing`` (for 5 days): why it was switched off by itself; None: it was not."""


class Encrypts(Protocol):
    """Of :class:`trunkline.accounts.secrets.Cipher`."""

    def encrypt(self, plain: str, /) -> bytes: ...


class Subscriptions:
    """Keeps subscriptions and their delivery log.

    :param cipher: hides the signing secrets; None: drafts have none.
    """

    def __init__(self, db: Database, cipher: Encrypts | None) -> None:
        self._db = db
        self._cipher = cipher

    async def save(self, account_id: int, draft: Draft) -> int:
        """Make or replace a subscription; returns its id.

        :raises InvalidInput: with the field and, in a template, the place.
        :raises NotFound: no such account.
        """
        check(draft)
        try:
            row = await self._db.fetch_one(_SAVE, self._values(account_id, draft))
        except psycopg.errors.ForeignKeyViolation as error:
            raise NotFound(f"There is no account {account_id}.", field="account_id") from error
        assert row is not None
        made = int(row["subscription_id"])
        async with self._db.connection() as connection:  # the address may have been corrected
            await _forget_failures(connection, account_id, made)
            await _try_now(connection, account_id, made)
        return made

    async def create(self, account_id: int, draft: Draft, *, is_active: bool = True, quota: int = 0) -> int:
        """Make a subscription that did not exist; returns its id.

        :param quota: how many an account may have; 0 = no limit.
        :raises InvalidInput: with the field and, in a template, the place.
        :raises Duplicate: the account has one with this key.
        :raises QuotaReached: the account has as many as it may have.
        """
        check(draft)
        async with transaction(self._db) as connection:
            await _check_quota(connection, account_id, (), quota)
            try:
                cursor = await connection.execute(
                    _CREATE, {**self._values(account_id, draft), "is_active": is_active}
                )
            except psycopg.errors.UniqueViolation as error:
                raise _taken(draft.key) from error
            row = await cursor.fetchone()
        assert row is not None
        return int(row["subscription_id"])

    async def save_all(self, account_id: int, drafts: Sequence[Draft], *, quota: int = 0) -> None:
        """Make or replace several, for example those of a preset: all of them, or none.

        :param quota: how many an account may have; 0 = no limit.
        :raises InvalidInput: with the field and, in a template, the place.
        :raises QuotaReached: the account would have more than it may have.
        """
        for draft in drafts:
            check(draft)
        async with transaction(self._db) as connection:
            await _check_quota(connection, account_id, [one.key for one in drafts], quota)
            for draft in drafts:
                cursor = await connection.execute(_SAVE, self._values(account_id, draft))
                row = await cursor.fetchone()
                assert row is not None
                await _forget_failures(connection, account_id, row["subscription_id"])
                await _try_now(connection, account_id, row["subscription_id"])

    async def change(self, account_id: int, subscription_id: int, changes: Mapping[str, Any]) -> None:
        """Change what is given of a subscription; the rest stays. Its endpoint is tried again at once.

        :param changes: any fields of :class:`Draft`, and ``is_active``. A new secret ends the former one at once
            (:meth:`rotate` does not); None: unsigned.
        :raises InvalidInput: with the field and, in a template, the place.
        :raises Duplicate: another one has this key.
        :raises NotFound: no such subscription.
        """
        async with transaction(self._db) as connection:
            row = await _with_account(connection, account_id, subscription_id, lock=True)
            present = Draft(
                row["key"],
                row["name"],
                row["url"],
                row["events"],
                row["method"],
                row["body_template"],
                row["headers"],
                conditions=conditions.parse(row["conditions"]),
            )
            draft = replace(
                present, **{name: value for name, value in changes.items() if name != "is_active"}
            )
            check(draft)
            values = {
                **self._values(account_id, draft),
                "subscription_id": subscription_id,
                "sets_secret": "secret" in changes,
                "is_active": changes.get("is_active", row["is_active"]),
            }
            try:
                await connection.execute(_CHANGE, values)
            except psycopg.errors.UniqueViolation as error:
                raise _taken(draft.key) from error
            await _forget_failures(connection, account_id, subscription_id)
            await _try_now(connection, account_id, subscription_id)

    def _values(self, account_id: int, draft: Draft) -> dict[str, Any]:
        """Of a checked draft, as the columns have them."""
        return {
            "account_id": account_id,
            "key": draft.key,
            "name": draft.name,
            "url": draft.url,
            "method": draft.method,
            "events": list(dict.fromkeys(draft.events)),
            "conditions": Jsonb(draft.conditions.as_json()),
            "body_template": draft.body_template,
            "headers": Jsonb(dict(draft.headers)),
            "secret": None if draft.secret is None else self._encrypted(draft.secret),
        }

    async def all(self, account_id: int) -> list[Subscription]:
        """Subscriptions of an account, oldest first."""
        rows = await self._db.fetch_all(
            _ALL,
            (account_id,),
        )
        return [Subscription(**row) for row in rows]

    async def find(self, account_id: int, key: str) -> Subscription | None:
        """The subscription with this key."""
        return next((one for one in await self.all(account_id) if one.key == key), None)

    async def remove(self, account_id: int, subscription_id: int) -> None:
        """Remove a subscription with its deliveries and their log. Its deletion is committed first, so deliveries of
        others are not delayed, however many it has."""
        count = await self._db.execute(
            "delete from subscriptions where account_id = %s and subscription_id = %s",
            (account_id, subscription_id),
        )
        if not count:
            raise _missing(subscription_id)
        await remove_of(self._db, account_id, subscription_id)

    async def switch(self, account_id: int, subscription_id: int, *, on: bool) -> None:
        """Switch a subscription on or off. What waits for it is sent when it is on again.

        :raises NotFound: no such subscription.
        """
        async with self._db.connection() as connection:
            cursor = await connection.execute(
                "update subscriptions set is_active = %s, switched_off_reason = null"
                " where account_id = %s and subscription_id = %s",
                (on, account_id, subscription_id),
            )
            if not cursor.rowcount:
                raise _missing(subscription_id)
            if on:
                await _forget_failures(connection, account_id, subscription_id)
                await _try_now(connection, account_id, subscription_id)

    async def rotate(self, account_id: int, subscription_id: int, secret: str, seconds: float) -> None:
        """Replace the signing secret; the former one signs, too, for so many seconds.

        :raises InvalidInput: the secret is too short.
        :raises NotFound: no such subscription.
        """
        _check_secret(secret)
        count = await self._db.execute(
            "update subscriptions set former_secret_encrypted = secret_encrypted,"
            " former_secret_until = now() + make_interval(secs => %s), secret_encrypted = %s"
            " where account_id = %s and subscription_id = %s",
            (seconds, self._encrypted(secret), account_id, subscription_id),
        )
        if not count:
            raise _missing(subscription_id)

    def _encrypted(self, secret: str) -> bytes:
        if self._cipher is None:
            raise ValueError("a secret needs a cipher")
        return self._cipher.encrypt(secret)

    async def send_sample(self, account_id: int, subscription_id: int, mnemonic: str | None = None) -> int:
        """Deliver a sample the way real ones go; returns the delivery's id, to be found in the log.

        :param mnemonic: default: the first the subscription has chosen.
        """
        async with self._db.connection() as conn:
            row = await _with_account(conn, account_id, subscription_id)
            now = time.time()
            chosen, values = _sample_of(row, mnemonic, now)
            sample = {
                "account_id": account_id,
                "subscription_id": subscription_id,
                "stream": f"sample:{secrets.token_hex(8)}",
                "seq": 1,
                "mnemonic": chosen.value,
                "occurred_at": to_datetime(now),
                "variables": values,
            }
            (delivery_id,) = await make(conn, [sample])
            await _try_now(conn, account_id, subscription_id)
            return delivery_id

    async def preview(
        self, account_id: int, subscription_id: int, mnemonic: str | None = None
    ) -> dict[str, str]:
        """What :meth:`send_sample` would send: ``event``, ``method``, ``url``, ``content_type`` and ``body``.

        :param mnemonic: default: the first the subscription has chosen.
        """
        async with self._db.connection() as conn:
            row = await _with_account(conn, account_id, subscription_id)
        chosen, values = _sample_of(row, mnemonic, time.time())
        rendered = render(row, chosen.value, values)
        own_type = next((v for n, v in row["headers"].items() if n.lower() == "content-type"), None)
        return {
            "event": chosen.value,
            "method": row["method"],
            "url": rendered.url,
            "content_type": own_type or rendered.content_type,
            "body": "" if row["method"] == "GET" else rendered.body,
        }

    async def log(
        self,
        account_id: int,
        *,
        subscription_id: int | None = None,
        status: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[dict[str, Any]]:
        """Deliveries, newest first, each with its last attempt, its URL, and until when its endpoint is suspended.

        :param status: ``pending``, ``delivered`` or ``failed``.
        :param before: only deliveries with smaller ids; for pages.
        """
        return await self._db.fetch_all(
            _LOG,
            {
                "account_id": account_id,
                "subscription_id": subscription_id,
                "status": status,
                "before": before,
                "limit": limit,
            },
        )


_WITH_ACCOUNT = """
select subscription.*, account.name as account_name
from subscriptions subscription join accounts account using (account_id)
where subscription.account_id = %s and subscription_id = %s
"""


async def _with_account(
    connection: Connection, account_id: int, subscription_id: int, *, lock: bool = False
) -> dict[str, Any]:
    """:param lock: nobody else changes it until the transaction ends."""
    query = f"{_WITH_ACCOUNT} for update of subscription" if lock else _WITH_ACCOUNT
    cursor = await connection.execute(query, (account_id, subscription_id))
    row = await cursor.fetchone()
    if row is None:
        raise _missing(subscription_id)
    return row


def _sample_of(row: Mapping[str, Any], mnemonic: str | None, now: float) -> tuple[Mnemonic, dict[str, Value]]:
    """The event of a sample, and its values."""
    chosen = _mnemonic(mnemonic or row["events"][0])
    values = catalogue.sample(chosen, row["account_id"], row["account_name"], now)
    return chosen, catalogue.named(values, row["name"], chosen.value)


async def _forget_failures(connection: Connection, account_id: int, subscription_id: int) -> None:
    """The endpoint begins anew: neither its suspension nor how long it has failed counts any more."""
    await connection.execute(
        "delete from endpoint_states where account_id = %s and subscription_id = %s",
        (account_id, subscription_id),
    )


async def _try_now(connection: Connection, account_id: int, subscription_id: int) -> None:
    """Make what waits for the subscription's endpoint due now, also while it is suspended."""
    await connection.execute(_TRY_NOW, {"account_id": account_id, "subscription_id": subscription_id})
    await connection.execute("select pg_notify(%s, '')", (CHANNEL,))


async def _check_quota(connection: Connection, account_id: int, keys: Sequence[str], quota: int) -> None:
    """Nobody else makes a subscription of the account until the transaction ends.

    :param keys: of those to be saved, which may exist; empty: of a new one.
    :raises QuotaReached: the account would have more than it may have.
    """
    await connection.execute(
        "select pg_advisory_xact_lock(hashtextextended('subscriptions', %s))", (account_id,)
    )
    cursor = await connection.execute("select key from subscriptions where account_id = %s", (account_id,))
    present = {row["key"] for row in await cursor.fetchall()}
    more = len(set(keys) - present) if keys else 1
    if quota and more and len(present) + more > quota:
        raise QuotaReached(
            f"An account may have {quota} subscriptions: delete one first.", params={"limit": quota}
        )


def key_of(url: str) -> str:
    """The key of a subscription without one of its own: host and path. Pure."""
    return url.partition("://")[2].partition("?")[0][:200]


def check(draft: Draft) -> None:
    """Whether a subscription can be kept. Pure.

    :raises InvalidInput: what is wrong, where, and what to do.
    """
    parse_url(draft.url)  # first: key and name may have been taken from it
    for name, value in (("key", draft.key), ("name", draft.name)):
        if not value.strip() or len(value) > 200:
            raise InvalidInput(f"The {name} must have 1 to 200 characters.", field=name, value=value)
    if draft.method not in METHODS:
        raise InvalidInput(f"The method is one of {', '.join(METHODS)}.", field="method", value=draft.method)
    if not draft.events:
        raise InvalidInput("Choose at least one event.", field="events")
    for event in draft.events:
        _mnemonic(event)
    _check_headers(draft.headers)
    if draft.body_template is not None:
        own_type = next((v for n, v in draft.headers.items() if n.lower() == "content-type"), None)
        parse_body(draft.body_template, own_type)
    if draft.secret is not None:
        _check_secret(draft.secret)


def _check_secret(secret: str) -> None:
    if len(secret) < 16:
        raise InvalidInput("A signing secret has at least 16 characters.", field="secret")
    if secret.startswith(STANDARD_PREFIX) and standard_key(secret) == secret.encode():
        raise InvalidInput(
            f"A secret that begins with {STANDARD_PREFIX} is base64 after that.", field="secret"
        )


def _mnemonic(text: str) -> Mnemonic:
    try:
        return Mnemonic(text)
    except ValueError as error:
        known = ", ".join(mnemonic.value for mnemonic in Mnemonic)
        raise InvalidInput(
            f"There is no event {text!r}; choose from: {known}.", field="events", value=text
        ) from error


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.match(name) or not _HEADER_VALUE.match(value):
            raise InvalidInput(
                "A header needs a plain name and a value of one line.", field="headers", value=name
            )
        if name.lower() in _OUR_HEADERS or name.lower().startswith("trunkline-"):
            raise InvalidInput(
                f"The header {name} is set by Trunkline; leave it out.", field="headers", value=name
            )


def _taken(key: str) -> Duplicate:
    return Duplicate(
        f"There is a subscription with the key {key} already; change that one.", field="key", value=key
    )


def _missing(subscription_id: int) -> NotFound:
    return NotFound(f"There is no subscription {subscription_id} in this account.", field="subscription_id")


def new_secret() -> str:
    """A random secret in the form of Standard Webhooks: the prefix, then 32 bytes in base64."""
    return STANDARD_PREFIX + b64encode(secrets.token_bytes(32)).decode()
