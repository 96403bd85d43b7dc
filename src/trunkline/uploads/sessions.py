"""Visits of the company's websites, as another system followed them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from psycopg.types.json import Jsonb

from trunkline.core.errors import InvalidInput, NotFound, TooExpensive
from trunkline.db.pool import Connection, Database
from trunkline.db.rows import insert, transaction
from trunkline.uploads import campaigns, checks, conversation

FIELD = "sessions"

FIRST_TIME = datetime(2011, 1, 1)  # noqa: DTZ001 - on the account's wall clock

_NO_CAMPAIGN = -1

TEXTS = (
    "visitor_browser_name",
    "visitor_browser_version",
    "visitor_os_name",
    "visitor_os_version",
    "visitor_screen",
    "visitor_language",
    "search_engine",
    "search_query",
    "ua_client_id",
    "ym_client_id",
    "referrer",
    "utm_source",
    "utm_medium",
    "utm_term",
    "utm_content",
    "utm_campaign",
    "utm_referrer",
    "utm_expid",
    "openstat_ad",
    "openstat_campaign",
    "openstat_service",
    "openstat_source",
    "gclid",
    "yclid",
    "ymclid",
    "ef_id",
    "tag_from",
    "cm_id",
    "entrance_page_url",
    "entrance_page_title",
)
"""Text fields of a visit."""

_ENGINES = {1: "yandex.direct", 2: "google.adwords", 7: "vk.ads", 8: "mytarget.ads"}
"""Advertising systems that the report of visits has a word for, by ``adv_system``."""

_SAME = "select visitor_session_id from visitor_sessions where account_id = %s and ext_id = %s"

_VISITOR = "select from visitor_sessions where account_id = %s and visitor_id = %s and site_id = %s limit 1"


async def upload_sessions(
    db: Database, account_id: int, zone: ZoneInfo, sessions: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Keep visits; ``ext_id`` and ``session_id`` of each, in order. One that is known already is not kept again.

    :raises InvalidInput, LimitExceeded, NotFound: one of them cannot be kept; then none is.
    """
    checks.check_amount(sessions, FIELD)
    times = [_time(session, zone) for session in sessions]
    found = await _campaigns(db, account_id, sessions)
    async with transaction(db) as connection:
        await conversation.one_at_a_time(connection, account_id, FIELD)
        await checks.existing(
            connection, account_id, "site", [("sessions.site_id", one["site_id"]) for one in sessions]
        )
        named = [("sessions.campaign_id", one.get("campaign_id")) for one in sessions]
        known = await checks.existing(connection, account_id, "campaign", named)
        for session in sessions:
            campaign = known.get(session.get("campaign_id") or 0)
            if campaign is not None and campaign["site_id"] not in (None, session["site_id"]):
                raise checks.combination("the campaign belongs to another site", "sessions.campaign_id")
        return [
            {
                "ext_id": session["ext_id"],
                "session_id": await _keep(connection, account_id, session, at, campaign_id),
            }
            for session, at, campaign_id in zip(sessions, times, found, strict=True)
        ]


async def _campaigns(
    db: Database, account_id: int, sessions: Sequence[Mapping[str, Any]]
) -> list[int | None]:
    """The campaign of each visit: the one that was sent, else the one whose conditions it meets."""
    unknown = [number for number, session in enumerate(sessions) if session.get("campaign_id") is None]
    chosen = [session.get("campaign_id") for session in sessions]
    visits = [
        campaigns.Visit(sessions[number]["site_id"], campaign_parameters(sessions[number]))
        for number in unknown
    ]
    for number, campaign_id in zip(
        unknown, await campaigns.campaigns_of(db, account_id, visits), strict=True
    ):
        chosen[number] = campaign_id
    return chosen


def _time(session: Mapping[str, Any], zone: ZoneInfo) -> datetime:
    """When it began; and that it, and its end, are possible."""
    sent = session["date_time"]
    at = checks.instant(sent, zone, "sessions.date_time")
    local = at.astimezone(zone).replace(tzinfo=None)
    if local < FIRST_TIME:
        raise checks.wrong_time("it is before 2011", "sessions.date_time", sent)
    checks.not_in_future(at, "sessions.date_time", sent)
    end = local + timedelta(seconds=session.get("duration", 0))
    if end.date() != local.date():
        raise checks.wrong_time("it does not end on the same day", "sessions.duration", session["duration"])
    try:
        ipaddress.ip_address(session["visitor_ip_address"])
    except ValueError as error:
        raise InvalidInput(
            "send an IP address", field="sessions.visitor_ip_address", value=session["visitor_ip_address"]
        ) from error
    return at.astimezone(UTC)


async def _keep(
    connection: Connection,
    account_id: int,
    session: Mapping[str, Any],
    at: datetime,
    campaign_id: int | None,
) -> int:
    same = await (await connection.execute(_SAME, (account_id, session["ext_id"]))).fetchone()
    if same is not None:
        return int(same["visitor_session_id"])
    visitor_id = session.get("visitor_id")
    if visitor_id is not None:
        cursor = await connection.execute(_VISITOR, (account_id, visitor_id, session["site_id"]))
        if await cursor.fetchone() is None:
            raise NotFound(
                f"There is no visitor {visitor_id} of this site: leave it out for a new one.",
                field="sessions.visitor_id",
                value=visitor_id,
            )
    return await insert(
        connection,
        "visitor_sessions",
        "visitor_session_id",
        account_id,
        {
            "ext_id": session["ext_id"],
            "site_id": session["site_id"],
            "campaign_id": _NO_CAMPAIGN if campaign_id is None else campaign_id,
            "is_visitor_new": session["is_visitor_new"],
            "date_time": at,
            "duration": session.get("duration", 0),
            "extra": Jsonb(_extra(session)),
            **({} if visitor_id is None else {"visitor_id": visitor_id}),
        },
    )


def _extra(session: Mapping[str, Any]) -> dict[str, Any]:
    """The rest, under the names of the reports."""
    found = {name: session[name] for name in TEXTS if session.get(name) is not None}
    if "entrance_page_url" in found:
        found["entrance_page"] = found.pop("entrance_page_url")
    found["visitor_ip_address"] = session["visitor_ip_address"]
    for name in ("visitor_device", "adv_system"):
        if session.get(name) is not None:
            found[name] = session[name]
    engine = _ENGINES.get(session.get("adv_system", 0))
    return {**found, "channel": channel(session), **({"engine": engine} if engine else {})}


def campaign_parameters(session: Mapping[str, Any]) -> dict[str, Any]:
    """A visit under the names that the conditions of campaigns have."""
    found = {**_extra(session), "engine": session.get("adv_system")}
    try:
        found["referrer_domain"] = urlsplit(str(session.get("referrer") or "")).hostname
    except ValueError:
        found["referrer_domain"] = None
    return found


def channel(session: Mapping[str, Any]) -> str:
    """By which way the visitor came, in the words of the reports, as far as it shows."""
    if session.get("adv_system") or any(session.get(name) for name in ("gclid", "yclid", "ymclid", "ef_id")):
        return "paid"
    medium = str(session.get("utm_medium") or "").lower()
    if medium in ("cpc", "ppc", "cpm", "cpa", "paid"):
        return "paid"
    if medium in ("email", "social", "referral", "organic", "affiliate", "display"):
        return medium
    if session.get("search_engine") or session.get("search_query"):
        return "organic"
    return "referral" if session.get("referrer") else "direct"


IDLE_MINUTES = 30
"""After the last page of a visit, the next one begins another visit."""
MOST_HITS = 200
"""Pages of a visit that are kept."""

_ADD_HIT = """
update visitor_sessions v set duration = greatest(v.duration, extract(epoch from now() - v.date_time)::int),
    hits = case when jsonb_array_length(v.hits) < %(most)s then v.hits || %(hit)s else v.hits end,
    extra = v.extra || jsonb_build_object('exit_page', %(url)s::text)
where v.account_id = %(account_id)s and v.visitor_session_id = %(session_id)s
    and v.date_time + make_interval(secs => v.duration) > now() - make_interval(mins => %(idle)s)
"""


_PRUNE_BATCH = 2000
_PRUNE = """
delete from visitor_sessions where account_id = %(account_id)s and visitor_session_id = any(array(
    select visitor_session_id from visitor_sessions where account_id = %(account_id)s and ext_id is null
        and date_time < to_timestamp(%(before)s) order by date_time limit %(batch)s))
"""


async def begin_session(
    db: Database, account_id: int, session: Mapping[str, Any], visitor_id: int | None
) -> tuple[int, int]:
    """Keep a visit that begins now, of a website of ours; ids of the visitor and the visit.

    :param session: fields as of an uploaded one, with ``site_id``, ``is_visitor_new`` and ``visitor_ip_address``.
    :param visitor_id: None: a new visitor.
    """
    try:
        [campaign_id] = await campaigns.campaigns_of(
            db, account_id, [campaigns.Visit(session["site_id"], campaign_parameters(session))]
        )
    except TooExpensive:
        campaign_id = None
    url = session.get("entrance_page_url")
    row = {
        "site_id": session["site_id"],
        "campaign_id": _NO_CAMPAIGN if campaign_id is None else campaign_id,
        "is_visitor_new": session["is_visitor_new"],
        "date_time": datetime.now(UTC),
        "hits": Jsonb([_hit(url)] if url else []),
        "extra": Jsonb(_extra(session)),
        **({} if visitor_id is None else {"visitor_id": visitor_id}),
    }
    async with transaction(db) as connection:
        session_id = await insert(connection, "visitor_sessions", "visitor_session_id", account_id, row)
        cursor = await connection.execute(
            "select visitor_id from visitor_sessions where account_id = %s and visitor_session_id = %s",
            (account_id, session_id),
        )
        made = await cursor.fetchone()
    assert made is not None
    return int(made["visitor_id"]), session_id


async def prune(db: Database, before: Mapping[int, float | None]) -> None:
    """Delete visits that pages began, in small batches. Calls keep what they have of them.

    :param before: by account; visits that began before this moment (Unix seconds); None = none.
    """
    for account_id, moment in before.items():
        if moment is None:
            continue
        params = {"account_id": account_id, "before": moment, "batch": _PRUNE_BATCH}
        while await db.execute(_PRUNE, params) == _PRUNE_BATCH:
            pass


async def add_hit(db: Database, account_id: int, visitor_session_id: int, url: str) -> bool:
    """A further page of a visit; False: the visit is over, or not there."""
    params = {
        "account_id": account_id,
        "session_id": visitor_session_id,
        "hit": Jsonb([_hit(url)]),
        "url": url,
        "most": MOST_HITS,
        "idle": IDLE_MINUTES,
    }
    return await db.execute(_ADD_HIT, params) > 0


def _hit(url: str) -> dict[str, Any]:
    return {"hit_time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "hit_duration": None, "hit_url": url}
