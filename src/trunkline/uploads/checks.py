"""What all uploads check alike: times, addresses of files, what they refer to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from trunkline.core.errors import InvalidInput, LimitExceeded, NotFound
from trunkline.core.phone import normalise
from trunkline.db.pool import Connection
from trunkline.db.query import parse_moment

BATCH_MAX = 50
"""Things in one request."""

REQUEST_MAX = 524_288
"""Bytes of the JSON of one request."""

CLOCK_MARGIN = timedelta(minutes=5)
"""Permitted difference of the customer's clock: seconds that an uploaded time may be in the future."""

_URL_MAX = 4096


def check_amount(things: Sequence[Any], field: str, most: int = BATCH_MAX) -> None:
    """Refuse an empty batch, and one too large.

    :raises InvalidInput: it is empty.
    :raises LimitExceeded: mnemonic ``data_limit_exceeded``.
    """
    if not things:
        raise InvalidInput(f"{field} is empty: send at least one", field=field, value=[])
    if len(things) > most:
        raise LimitExceeded(
            f"at most {most} at once", mnemonic="data_limit_exceeded", field=field, params={"limit": most}
        )


def instant(text: str, zone: ZoneInfo, field: str) -> datetime:
    """A time (``YYYY-MM-DD hh:mm:ss`` in the account's zone) as an aware UTC one.

    :raises InvalidInput: it is none.
    """
    try:
        return parse_moment(text, zone).earliest
    except ValueError as error:
        raise InvalidInput(f"{field}: {error}", field=field, value=text) from error


def not_in_future(moment: datetime, field: str, sent: Any) -> None:
    """Refuse what has not happened yet.

    :raises InvalidInput: mnemonic ``invalid_date_time``.
    """
    if moment > datetime.now(UTC) + CLOCK_MARGIN:
        raise wrong_time(f"{field} is in the future", field, sent)


def wrong_time(message: str, field: str, sent: Any) -> InvalidInput:
    return InvalidInput(message, mnemonic="invalid_date_time", field=field, value=sent)


def combination(message: str, field: str) -> InvalidInput:
    """Parameters that do not go together, or of which one is missing."""
    return InvalidInput(message, mnemonic="invalid_parameters_combination", field=field)


def phone(text: str, field: str) -> str:
    """Digits of an E.164 number.

    :raises InvalidInput: it is none.
    """
    number = normalise(text)
    if number is None:
        raise InvalidInput(f"{field}: send an E.164 number", field=field, value=text)
    return number


def email(text: str, field: str) -> str:
    """An e-mail address, by its looks.

    :raises InvalidInput: it is none.
    """
    name, _, domain = text.strip().rpartition("@")
    if (
        not name
        or "." not in domain.strip(".")
        or any(char.isspace() for char in text.strip())
        or len(text) > 320
    ):
        raise InvalidInput(f"{field}: send an e-mail address", field=field, value=text)
    return text.strip()


def url(text: str, field: str, *schemes: str) -> str:
    """An address with one of these schemes and a host.

    :raises InvalidInput: it is none.
    """
    try:
        parts = urlsplit(text)
        is_one = parts.scheme.lower() in schemes and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_one = False
    if not is_one or len(text) > _URL_MAX or any(char.isspace() or not char.isprintable() for char in text):
        wanted = " or ".join(f"{scheme}://" for scheme in schemes)
        raise InvalidInput(f"{field}: send an address that begins with {wanted}", field=field, value=text)
    return text


_NAMES: dict[str, LiteralString] = {
    "employee": "select employee_id as id, full_name as name from employees where account_id = %s and employee_id = any(%s)",
    "tag": "select tag_id as id, name, is_system from tags where account_id = %s and tag_id = any(%s)",
    "site": "select site_id as id, domain_name as name from sites where account_id = %s and site_id = any(%s)",
    "campaign": """select campaign_id as id, name, site_id, status from campaigns
        where account_id = %s and campaign_id = any(%s)""",
    "visitor_session": """select visitor_session_id as id, date_time, site_id, campaign_id from visitor_sessions
        where account_id = %s and visitor_session_id = any(%s)""",
}


async def existing(
    connection: Connection, account_id: int, kind: str, sent: Iterable[tuple[str, int | None]]
) -> dict[int, Mapping[str, Any]]:
    """Rows of this account that a request refers to, by id.

    :param kind: ``employee``, ``tag``, ``site``, ``campaign`` or ``visitor_session``.
    :param sent: pairs of field and id; None is passed over.
    :raises NotFound: one of them does not exist here.
    :raises InvalidInput: mnemonic ``campaign_is_inactive``.
    """
    wanted = [(field, id_) for field, id_ in sent if id_ is not None]
    if not wanted:
        return {}
    cursor = await connection.execute(_NAMES[kind], (account_id, [id_ for _, id_ in wanted]))
    found: dict[int, Mapping[str, Any]] = {row["id"]: row for row in await cursor.fetchall()}
    for field, id_ in wanted:
        if id_ not in found:
            raise NotFound(
                f"No {kind} has the id {id_}. The get method of its kind lists the ids.",
                field=field,
                value=id_,
            )
        if kind == "campaign" and found[id_]["status"] == "inactive":
            raise InvalidInput(
                f"campaign {id_} is inactive", mnemonic="campaign_is_inactive", field=field, value=id_
            )
    return found
