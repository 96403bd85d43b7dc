"""From rows to :class:`~trunkline.directory.model.Account` values: one statement a table for all accounts."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from psycopg import AsyncCursor
from psycopg.rows import tuple_row

from trunkline.core.errors import ConfigurationError, NotFound, TrunklineError
from trunkline.core.log import get_logger
from trunkline.db.pool import Connection, Row
from trunkline.directory import model
from trunkline.directory.model.cipher import Cipher
from trunkline.directory.model.hours import (
    USUAL_WEEKEND,
    DayKind,
    exception_from_json,
    interval_from_json,
    rule_from_json,
    weekend_of,
)
from trunkline.directory.model.queues import AGENT_SETTINGS, is_scenario_of_queue
from trunkline.directory.queues import exits

_log = get_logger("directory")
_T = TypeVar("_T")

_STATEMENTS: Mapping[str, str] = {
    "accounts": """
        select a.account_id, a.name, a.time_zone, a.locale, a.country, a.status, a.default_virtual_number_id,
               coalesce(l.tts_message_max_length, 500) as tts_message_max_length
        from accounts a left join account_limits l on l.account_id = a.account_id and l.api = 'call_api'
        where a.account_id = any(%(accounts)s)""",
    "components": "select account_id, component from account_components where account_id = any(%(accounts)s)",
    "outgoing_limits": "select * from outgoing_limits where account_id = any(%(accounts)s)",
    "security": "select * from security_rules where account_id = any(%(accounts)s)",
    "schedules": "select * from schedules where account_id = any(%(accounts)s)",
    # A status that the account defined has its permitted calls; those of the standard ones are constants.
    "employees": """
        select e.*, s.in_external_allowed as status_in_external, s.in_internal_allowed as status_in_internal,
               s.out_external_allowed as status_out_external, s.out_internal_allowed as status_out_internal
        from employees e left join employee_statuses s
            on s.account_id = e.account_id and s.status_id = e.status_id
        where e.account_id = any(%(accounts)s) order by e.employee_id""",
    "phones": """
        select * from employee_devices where account_id = any(%(accounts)s)
        order by is_checked_in desc, position, phone_id""",
    # Who has checked in at a line has its calls. A line whose credential is that of pages is for browsers only.
    "lines": """
        select l.*, coalesce(c.employee_id, l.employee_id) as employee_id,
               coalesce(b.line_ha1_sha256 = l.ha1_sha256, false) as browsers_only
        from sip_lines l left join agent_check_ins c on c.account_id = l.account_id and c.sip_line_id = l.sip_line_id
            left join browser_lines b on b.account_id = l.account_id and b.sip_line_id = l.sip_line_id
        where l.account_id = any(%(accounts)s)""",
    "trunks": """
        select *, addresses::text[] as networks from trunks where account_id = any(%(accounts)s)""",
    "allowed_addresses": """
        select account_id, network::text as network from trunk_addresses
        where account_id = any(%(with_system)s) order by network""",
    "carriers": """
        select distinct on (v.account_id, t.trunk_id) t.*, t.addresses::text[] as networks,
               v.account_id as account_id, null::bytea as password_encrypted
        from virtual_numbers v join trunks t on t.trunk_id = v.carrier_trunk_id
        where v.account_id = any(%(accounts)s)""",
    "numbers": "select * from virtual_numbers where account_id = any(%(accounts)s)",
    "rules": """
        select * from call_processing_rules where account_id = any(%(accounts)s)
        order by position, call_processing_rule_id""",
    "campaigns": """
        select distinct on (b.account_id, b.virtual_number_id) b.account_id, b.virtual_number_id,
               b.redirection_virtual_number_id, c.campaign_id, c.name as campaign_name, s.site_id,
               s.domain_name as site_domain_name, s.default_scenario_id,
               v.virtual_number_id as default_virtual_number_id
        from campaign_blocks b
        join campaigns c on c.account_id = b.account_id and c.campaign_id = b.campaign_id
        join site_blocks sb on sb.account_id = b.account_id and sb.site_block_id = b.site_block_id
        join sites s on s.account_id = sb.account_id and s.site_id = sb.site_id
        left join virtual_numbers v on v.account_id = s.account_id and v.phone_number = s.default_phone_number
        where b.account_id = any(%(accounts)s) and c.status = 'active'
        order by b.account_id, b.virtual_number_id, c.type = 'system', c.campaign_id""",
    "scenarios": "select * from scenarios where account_id = any(%(accounts)s)",
    "operations": """
        select * from scenario_operations where account_id = any(%(accounts)s)
        order by position, operation_id""",
    "groups": "select * from employee_groups where account_id = any(%(accounts)s)",
    "members": """
        select * from group_members where account_id = any(%(accounts)s) order by position, employee_id""",
    "group_phones": """
        select * from group_phones where account_id = any(%(accounts)s) order by position""",
    "queues": "select * from queues where account_id = any(%(accounts)s) order by queue_id",
    "queue_tiers": """
        select account_id, queue_id, employee_id, level, position from queue_tiers
        where account_id = any(%(accounts)s) order by level, position, employee_id""",
    "agents": "select * from agents where account_id = any(%(accounts)s)",
    "agent_defaults": "select * from agent_defaults where account_id = any(%(accounts)s)",
    "media": "select * from media_files where account_id = any(%(with_system)s)",
    "tags": """
        select account_id, tag_id, name from tags where account_id = any(%(accounts)s) and not is_system""",
    "contact_groups": """
        select account_id, contact_group_id, name from contact_groups
        where account_id = any(%(accounts)s) and not is_system""",
    "sites": """
        select account_id, site_id, domain_name, phone_scenario_id, callback_scenario_id, calls_number_id,
               calls_schedule_id, calls_abroad, calls_at_once, phone_ha1_md5, phone_ha1_sha256
        from sites where account_id = any(%(accounts)s) and calls_enabled and services_enabled""",
    "talk_options": "select * from talk_options where account_id = any(%(accounts)s) order by button",
    "blacklist": """
        select account_id, phone_number from blacklist where account_id = any(%(accounts)s)
        union
        select p.account_id, p.phone_number
        from contact_groups g
        join contact_group_members m using (account_id, contact_group_id)
        join contact_phones p using (account_id, contact_id)
        where g.account_id = any(%(accounts)s) and g.key = 'system-blacklist'""",
}


_CONTACTS = """
select p.account_id, p.phone_number, c.contact_id, c.full_name, c.personal_manager_id, m.group_ids
from contact_phones p join contacts c using (account_id, contact_id)
    left join (select account_id, contact_id, array_agg(contact_group_id order by contact_group_id) as group_ids
        from contact_group_members where account_id = any(%(accounts)s) group by account_id, contact_id) m
    using (account_id, contact_id)
where p.account_id = any(%(accounts)s) order by c.contact_id desc"""

_CONTACTS_OF_NUMBERS = """
select p.phone_number, c.contact_id, c.full_name, c.personal_manager_id,
    (select array_agg(m.contact_group_id order by m.contact_group_id) from contact_group_members m
        where m.account_id = c.account_id and m.contact_id = c.contact_id) as group_ids
from contact_phones p join contacts c using (account_id, contact_id)
where p.account_id = %(account_id)s and p.phone_number = any(%(numbers)s) order by c.contact_id desc"""

_BLACKLISTED_NUMBERS = """
select phone_number from blacklist
where account_id = %(account_id)s and phone_number = any(%(numbers)s)
union
select p.phone_number
from contact_groups g
join contact_group_members m using (account_id, contact_group_id)
join contact_phones p using (account_id, contact_id)
where p.account_id = %(account_id)s and g.key = 'system-blacklist' and p.phone_number = any(%(numbers)s)"""

ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Loaded:
    """The result of a load. ``broken`` accounts exist but cannot be used; the log has the reason."""

    accounts: Mapping[int, model.Account]
    broken: frozenset[int]


async def account_ids(connection: Connection) -> list[int]:
    """All accounts of the installation."""
    cursor = await connection.execute("select account_id from accounts order by account_id")
    return [row["account_id"] for row in await cursor.fetchall()]


async def load_accounts(
    connection: Connection, cipher: Cipher, media_dir: Path, accounts: Iterable[int]
) -> Loaded:
    """Read these accounts; unknown ids are left out. One broken account does not harm the others."""
    wanted = list(accounts)
    params = {"accounts": wanted, "with_system": [*wanted, model.SYSTEM_ACCOUNT_ID]}
    rows: dict[str, dict[int, list[Row]]] = {}
    for name, statement in _STATEMENTS.items():
        cursor = await connection.execute(statement, params)
        by_account: defaultdict[int, list[Row]] = defaultdict(list)
        async for piece in _chunks(cursor):
            for row in piece:
                by_account[row["account_id"]].append(row)
        rows[name] = by_account
    contacts = await _contacts(connection, wanted)
    found: dict[int, model.Account] = {}
    broken: set[int] = set()
    for account_id in rows["accounts"]:
        of_account = {name: by_account.get(account_id, []) for name, by_account in rows.items()}
        for shared in ("media", "allowed_addresses"):
            of_account[shared] = rows[shared].get(model.SYSTEM_ACCOUNT_ID, []) + of_account[shared]
        try:
            found[account_id] = _account(of_account, contacts[account_id], cipher, media_dir)
        except (ValueError, KeyError, TypeError, OSError) as error:
            broken.add(account_id)
            _log.error(
                "account_directory_not_read",
                account_id=account_id,
                error=repr(error),
                consequence="calls of this account use its last directory that was read",
                remedy="correct the value that error names, or report this line",
            )
        await asyncio.sleep(0)
    return Loaded(found, frozenset(broken))


async def load_numbers(
    connection: Connection, account: model.Account, numbers: Iterable[str]
) -> model.Account:
    """The account with the contacts and the blacklist of now, of these telephone numbers only."""
    wanted = list(numbers)
    params = {"account_id": account.account_id, "numbers": wanted}
    contacts: dict[str, model.Contact | None] = dict.fromkeys(wanted)
    for row in await (await connection.execute(_CONTACTS_OF_NUMBERS, params)).fetchall():
        contacts[row["phone_number"]] = model.Contact(
            row["contact_id"], row["full_name"], tuple(row["group_ids"] or ()), row["personal_manager_id"]
        )
    found = await (await connection.execute(_BLACKLISTED_NUMBERS, params)).fetchall()
    refused = {row["phone_number"] for row in found}
    return account.with_numbers(contacts, {number: number in refused for number in wanted})


async def load_all_numbers(connection: Connection, account: model.Account) -> model.Account:
    """The account with the contacts and the blacklist of now; nothing else is read."""
    account_id = account.account_id
    contacts = (await _contacts(connection, [account_id]))[account_id]
    cursor = await connection.execute(_STATEMENTS["blacklist"], {"accounts": [account_id]})
    refused = {row["phone_number"] for row in await cursor.fetchall()}
    return account.with_numbers(
        {**dict.fromkeys(account.contacts_by_phone), **contacts},
        {**dict.fromkeys(account.blacklist, False), **dict.fromkeys(refused, True)},
    )


async def _contacts(
    connection: Connection, accounts: list[int]
) -> defaultdict[int, dict[str, model.Contact]]:
    """Contacts by account and phone number; there may be very many, so they get no row of their own."""
    found: defaultdict[int, dict[str, model.Contact]] = defaultdict(dict)
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(_CONTACTS, {"accounts": accounts})
    async for piece in _chunks(cursor):
        for account_id, phone_number, contact_id, full_name, manager_id, group_ids in piece:
            groups = tuple(group_ids or ())
            found[account_id][phone_number] = model.Contact(contact_id, full_name, groups, manager_id)
    return found


async def _chunks(cursor: AsyncCursor[_T]) -> AsyncIterator[list[_T]]:
    """The rows in pieces; other tasks run between them: a large account must not delay a call."""
    while piece := await cursor.fetchmany(ROWS_AT_ONCE):
        yield piece
        await asyncio.sleep(0)


def _account(
    rows: Mapping[str, list[Row]],
    contacts: Mapping[str, model.Contact],
    cipher: Cipher,
    media_dir: Path,
) -> model.Account:
    row = rows["accounts"][0]
    media = [_media(each, media_dir) for each in rows["media"]]
    trunks = [_trunk(each, cipher) for each in rows["trunks"]]
    phones = _grouped(rows["phones"], "employee_id", _phone)
    operations = _grouped(rows["operations"], "scenario_id", _operation)
    rules = _grouped(rows["rules"], "virtual_number_id", _rule)
    members = _grouped(rows["members"], "group_id", lambda each: int(each["employee_id"]))
    employees = [_employee(each, phones[each["employee_id"]]) for each in rows["employees"]]
    campaigns = {each["virtual_number_id"]: _campaign(each) for each in rows["campaigns"]}
    numbers = [
        _number(each, rules[each["virtual_number_id"]], campaigns.get(each["virtual_number_id"]))
        for each in rows["numbers"]
    ]
    scenarios = [
        model.Scenario(each["scenario_id"], each["name"], tuple(operations[each["scenario_id"]]))
        for each in rows["scenarios"]
    ]
    tiers = _grouped(rows["queue_tiers"], "queue_id", lambda each: _made(model.QueueTier, each))
    queues = [_queue(each, tiers[each["queue_id"]]) for each in rows["queues"]]
    scenarios += [exits.scenario_of(each) for each in queues]
    chosen = _grouped(rows["group_phones"], "group_id", lambda each: each)
    phone_ids = {each.employee_id: [phone.phone_id for phone in each.phones] for each in employees}
    groups = [
        _group(each, members[each["group_id"]], chosen[each["group_id"]], phone_ids)
        for each in rows["groups"]
    ]
    named = _Named(
        tags={each["tag_id"]: each["name"] for each in rows["tags"]},
        scenarios={
            each.scenario_id: each.name for each in scenarios if not is_scenario_of_queue(each.scenario_id)
        },
        employees={each.employee_id: each.full_name for each in employees},
        groups={each.group_id: each.name for each in groups},
        contact_groups={each["contact_group_id"]: each["name"] for each in rows["contact_groups"]},
    )
    return model.Account(
        account_id=row["account_id"],
        name=row["name"],
        time_zone=ZoneInfo(row["time_zone"]),
        locale=row["locale"],
        country=row["country"],
        is_active=row["status"] == "active",
        components=frozenset(each["component"] for each in rows["components"]),
        security={each["direction"]: each["allowed"] for each in rows["security"]},
        tts_message_max_length=row["tts_message_max_length"],
        employees={each.employee_id: each for each in employees},
        lines={each["sip_line_id"]: _line(each) for each in rows["lines"]},
        trunks={each.trunk_id: each for each in trunks},
        carriers={each["trunk_id"]: _trunk(each, cipher) for each in rows["carriers"]},
        numbers={each.virtual_number_id: each for each in numbers},
        scenarios={each.scenario_id: each for each in scenarios},
        schedules={each["schedule_id"]: _schedule(each, row["country"]) for each in rows["schedules"]},
        groups={each.group_id: each for each in groups},
        media={each.media_file_id: each for each in media},
        tags={tag_id: model.Tag(tag_id, name) for tag_id, name in named.tags.items()},
        contacts_by_phone=contacts,
        blacklist=frozenset(each["phone_number"] for each in rows["blacklist"]),
        queues={each.queue_id: each for each in queues},
        agents=_agents(rows["agents"], next(iter(rows["agent_defaults"]), {}), queues, employees),
        contact_groups={key: model.ContactGroup(key, name) for key, name in named.contact_groups.items()},
        talk_options={each["button"]: _talk_option(each, named) for each in rows["talk_options"]},
        allowed_addresses=tuple(each["network"] for each in rows["allowed_addresses"]),
        default_virtual_number_id=row["default_virtual_number_id"],
        outgoing_limits={each["sip_line_id"]: _limits(each) for each in rows["outgoing_limits"]},
        sites={each["site_id"]: _site(each) for each in rows["sites"]},
    )


def _site(row: Row) -> model.Site:
    return _made(
        model.Site,
        row,
        number_id=row["calls_number_id"],
        schedule_id=row["calls_schedule_id"],
        abroad=row["calls_abroad"],
        at_once=row["calls_at_once"],
        ha1_md5=row["phone_ha1_md5"],
        ha1_sha256=row["phone_ha1_sha256"],
    )


def _limits(row: Row) -> model.OutgoingLimits:
    money = row["money_per_day"]
    return model.OutgoingLimits(
        row["calls_per_minute"], row["concurrent_calls"], None if money is None else float(money)
    )


def _grouped(rows: Iterable[Row], by: str, make: Callable[[Row], _T]) -> defaultdict[int, list[_T]]:
    groups: defaultdict[int, list[_T]] = defaultdict(list)
    for row in rows:
        groups[row[by]].append(make(row))
    return groups


def _made(kind: Callable[..., _T], row: Mapping[str, Any], /, **other: Any) -> _T:
    """A value of the model from the columns that are named like its fields; ``other`` are those that are not."""
    for name in _columns_of(kind, tuple(other)):
        other[name] = row[name]
    return kind(**other)


@cache
def _columns_of(kind: Any, others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind) if each.name not in others)


def _phone(row: Mapping[str, Any]) -> model.Phone:
    return _made(model.Phone, row, is_active=row["status"] == "active")


def _employee(row: Mapping[str, Any], phones: Iterable[model.Phone]) -> model.Employee:
    return _made(
        model.Employee,
        row,
        status=model.EmployeeStatus(row["status"]),
        voice_mail_enabled=row["extension_voice_mail_enabled"],
        phones=tuple(phones),
        in_external_allowed=_allowed(row, "in_external"),
        in_internal_allowed=_allowed(row, "in_internal"),
        out_external_allowed=_allowed(row, "out_external"),
        out_internal_allowed=_allowed(row, "out_internal"),
        call_recording=model.CallRecording(row["call_recording"]),
    )


def _allowed(row: Mapping[str, Any], side: str) -> frozenset[str]:
    by_status = row[f"status_{side}"]
    own = frozenset(row[f"{side}_allowed"])
    return own if by_status is None else own.intersection(by_status)


def _line(row: Mapping[str, Any]) -> model.SipLine:
    return _made(
        model.SipLine,
        row,
        type=model.LineType(row["type"]),
        billing_state=model.BillingState(row["billing_state"]),
        status=model.LineStatus(row["status"]),
        srtp=model.Srtp(row["srtp"]),
    )


def _trunk(row: Mapping[str, Any], cipher: Cipher) -> model.Trunk:
    encrypted = row["password_encrypted"]
    return _made(
        model.Trunk,
        row,
        mode=model.TrunkMode(row["mode"]),
        transport=model.Transport(row["transport"]),
        password=_opened(cipher, encrypted, row["trunk_id"]) if encrypted is not None else None,
        addresses=tuple(row["networks"]),
        codecs=tuple(row["codecs"]),
        number_format=model.NumberFormat(row["number_format"]),
    )


def _opened(cipher: Cipher, encrypted: bytes, trunk_id: int) -> str | None:
    try:
        return cipher.decrypt(bytes(encrypted))
    except TrunklineError:  # a lost master key must not take the account's numbers away with it
        _log.error(
            "trunk_password_not_decrypted",
            trunk_id=trunk_id,
            consequence="the trunk does not register",
            remedy="set the password of the trunk again, or restore secrets/master.key",
        )
        return None


def _number(
    row: Mapping[str, Any], rules: Iterable[model.Rule], campaign: model.NumberCampaign | None
) -> model.VirtualNumber:
    return _made(
        model.VirtualNumber,
        row,
        status=model.NumberStatus(row["status"]),
        rules=tuple(rules),
        group=row["number_group"],
        campaign=campaign,
    )


def _campaign(row: Mapping[str, Any]) -> model.NumberCampaign:
    return _made(model.NumberCampaign, row)


def _rule(row: Mapping[str, Any]) -> model.Rule:
    return _made(model.Rule, row)


def _operation(row: Mapping[str, Any]) -> model.Operation:
    return _made(model.Operation, row, kind=model.OperationKind(row["kind"]))


def _schedule(row: Mapping[str, Any], country: str) -> model.Schedule:
    by_calendar = any(each["type"] == DayKind.BUSINESS_CALENDAR for each in row["rules"])
    weekend = weekend_of(country) if by_calendar else USUAL_WEEKEND
    return _made(
        model.Schedule,
        row,
        intervals=tuple(interval_from_json(each) for each in row["intervals"]),
        exceptions=tuple(exception_from_json(each) for each in row["exceptions"]),
        rules=tuple(rule_from_json(each, weekend) for each in row["rules"]),
    )


def _group(
    row: Mapping[str, Any],
    members: Sequence[int],
    chosen: Sequence[Mapping[str, Any]],
    phone_ids: Mapping[int, Sequence[int]],
) -> model.Group:
    """:param chosen: the configured phones of the group; the others ring after them."""
    listed = {each["phone_id"] for each in chosen}
    rest = [one for member in members for one in phone_ids.get(member, ()) if one not in listed]
    return _made(
        model.Group,
        row,
        strategy=model.Strategy(row["strategy"]),
        employee_ids=tuple(members),
        phone_ids=(*(each["phone_id"] for each in chosen if each["available"]), *rest) if chosen else None,
    )


_QUEUE_SETTINGS = (
    "strategy", "time_base_score", "max_wait_time", "max_wait_time_with_no_agent",
    "max_wait_time_with_no_agent_time_reached", "tier_rules_apply", "tier_rule_wait_second",
    "tier_rule_wait_multiply_level", "tier_rule_no_agent_no_wait", "discard_abandoned_after",
    "abandoned_resume_allowed", "agent_no_answer_status", "skip_agents_with_external_calls", "ring_timeout",
    "announce_id", "announce_frequency", "announce_position", "announce_wait", "moh_id", "join_announce",
    "pre_bridge_announce", "auto_answer",
    "sla_strategy", "sla_answer_time",
)  # fmt: skip


def _queue(row: Mapping[str, Any], tiers: Sequence[model.QueueTier]) -> model.CallQueue:
    return model.CallQueue(
        row["queue_id"],
        row["name"],
        row["extension"],
        row["record"] > 0,
        {name: row[name] for name in _QUEUE_SETTINGS},
        exits.usable(row["exits"]),
        tuple(tiers),
    )


def _agents(
    rows: Iterable[Mapping[str, Any]],
    defaults: Mapping[str, Any],
    queues: Iterable[model.CallQueue],
    employees: Iterable[model.Employee],
) -> dict[int, model.AgentProfile]:
    """Who takes calls of queues: active employees who are in a queue, or are marked as agents.

    :param defaults: of the account.
    """
    usual = _agent_settings(defaults)
    profiles = {
        each["employee_id"]: model.AgentProfile(
            each["employee_id"], each["is_agent"], {**usual, **_agent_settings(each)}
        )
        for each in rows
    }
    members = {tier.employee_id for queue in queues for tier in queue.tiers}
    members |= {each.employee_id for each in profiles.values() if each.is_agent}
    return {
        each.employee_id: profiles.get(each.employee_id, model.AgentProfile(each.employee_id, settings=usual))
        for each in employees
        if each.is_active and each.employee_id in members
    }


def _agent_settings(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in AGENT_SETTINGS if row.get(name) is not None}


@dataclass(frozen=True, slots=True)
class _Named:
    """Names by id of what talk options name."""

    tags: Mapping[int, str]
    scenarios: Mapping[int, str]
    employees: Mapping[int, str]
    groups: Mapping[int, str]
    contact_groups: Mapping[int, str]


def _talk_option(row: Mapping[str, Any], named: _Named) -> model.TalkOption:
    settings = row["settings"]
    names = {
        "tag_id": named.tags,
        "scenario_id": named.scenarios,
        "employee_id": named.employees,
        "group_id": named.groups,
        "contact_group_id": named.contact_groups,
    }
    values = ((settings[name], names[name].get(settings[name])) for name in names if name in settings)
    value_id, value_name = next(((i, name) for i, name in values if name is not None), (None, None))
    return _made(
        model.TalkOption,
        row,
        mnemonic=model.TalkOptionKind(row["mnemonic"]),
        value_id=value_id,
        value_name=value_name or settings.get("number"),
    )


def _media(row: Mapping[str, Any], media_dir: Path) -> model.MediaFile:
    kind = model.MediaKind(row["kind"])
    return _made(model.MediaFile, row, kind=kind, path=media_dir / row["sha256"])


async def load_account(
    connection: Connection, cipher: Cipher, media_dir: Path, account_id: int
) -> model.Account:
    """One account as calls have it.

    :param media_dir: absolute.
    :raises NotFound: there is none.
    :raises ConfigurationError: its directory cannot be read.
    """
    loaded = await load_accounts(connection, cipher, media_dir, [account_id])
    if account_id in loaded.broken:
        raise ConfigurationError(f"The directory of the account {account_id} cannot be read: see the log.")
    if account_id not in loaded.accounts:
        raise NotFound(f"There is no account {account_id}; `trunkline account list` shows them.")
    return loaded.accounts[account_id]
