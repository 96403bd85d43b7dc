"""Users (``/api/user``): an employee, the log-in of this employee, and the settings as an agent.

The id is the employee's, which the Data API has, too. Log-ins without an employee (keys of other programs) are no
users here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

import pycountry

from trunkline.accounts import passwords
from trunkline.accounts.model import Status
from trunkline.accounts.permission_groups import permissions_of, read_group
from trunkline.accounts.permissions import check_grantable, check_may_change_log_in
from trunkline.apis.call_center.declaration import (
    ACCOUNT_ID,
    ID,
    ID_MAX,
    INT_MAX,
    Arguments,
    Body,
    Field,
    Kind,
    Operation,
    Pages,
    boolean,
    identifier,
    ids,
    integer,
    json_object,
    record,
    text,
)
from trunkline.apis.call_center.processing import API, check_access, check_country
from trunkline.apis.call_center.record_operations import Handlers, by_id, record_operations
from trunkline.apis.call_center.tier_items import tier_rows
from trunkline.apis.call_center.user_fields import API_SWITCH, DEFAULT_FIELDS, grants, shown_permissions
from trunkline.apis.service.request_context import CallerLike, RequestContext
from trunkline.apis.service.workloads import Workload
from trunkline.core import names
from trunkline.core.errors import InvalidInput, InvalidState
from trunkline.directory.agents.changes import AgentPatch
from trunkline.directory.agents.rules import SETTINGS, Setting, SettingKind
from trunkline.directory.employees.changes import EmployeePatch
from trunkline.directory.users import changes, listing
from trunkline.directory.users.changes import LogIn, UserPatch
from trunkline.directory.users.names import joined_name, split_name

_MODULE = "users"
_LOGIN_MAX = 100


def _name(value: str) -> str:
    split_name(value)
    return " ".join(value.split())


def _username(value: str) -> str:
    if any(one.isspace() or not one.isprintable() for one in value):
        raise ValueError("send characters that are no blanks")
    return value


def _password(value: str) -> str:
    try:
        passwords.check_mixed(value)
    except InvalidInput as error:
        raise ValueError(error.message.removeprefix("password: ").rstrip(".")) from None
    return value


def _countries(value: str) -> str:
    codes = sorted({one.strip().upper() for one in value.split(",") if one.strip()})
    unknown = [one for one in codes if pycountry.countries.get(alpha_2=one) is None]
    if unknown:
        raise ValueError("send country codes of two letters with commas, for example AE,US")
    return ",".join(codes)


def _permissions(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return grants(value, with_switch=True)


def _field_of(name: str, setting: Setting) -> Field:
    match setting.kind:
        case SettingKind.ARRAY:
            return ids(name, setting.description, default=[])
        case SettingKind.BOOLEAN:
            return boolean(name, setting.description)
        case SettingKind.INTEGER:
            return integer(name, setting.description, maximum=setting.maximum)
        case SettingKind.STRING:
            return text(name, setting.description, maximum=setting.maximum, check=setting.check)


_AGENT_COLUMNS = (
    "is_agent",
    "in_reports",
    "ext_user_id",
    "wrap_up_time",
    "no_answer_delay_time",
    "reject_delay_time",
    "busy_delay_time",
    "max_no_answer",
)

USER_FIELDS = (
    ID,
    integer("active", "0: the user may neither log in nor take calls.", maximum=1, default=1),
    ACCOUNT_ID,
    boolean(
        "is_agent",
        "Whether the user takes calls of queues; true for users who are in a queue.",
        default=False,
    ),
    boolean("in_reports", "Whether reports include the user.", default=True),
    text("name", "Full name.", required=True, minimum=1, check=_name),
    text(
        "username",
        "Login, unique in the installation. Null: an employee without a log-in.",
        required=True,
        may_be_missing=True,
        minimum=1,
        maximum=_LOGIN_MAX,
        check=_username,
    ),
    text(
        "password",
        "At least 8 characters with numbers, capital and small letters.",
        required=True,
        write_only=True,
        minimum=passwords.SHORTEST,
        maximum=passwords.LONGEST,
        check=_password,
    ),
    text("email", "E-mail address.", required=True, may_be_missing=True, maximum=254, check=names.email),
    *(_field_of(name, setting) for name, setting in SETTINGS.items()),
    tier_rows("queue_perms", "queue"),
    ids("groups", "Groups of employees that the user is in.", default=[]),
    text("geo_limit", "Countries that the user may come from, as IL,US; empty: all.", check=_countries),
    json_object(
        "permissions",
        "Permissions in addition to those of the role: actions by resource, and call_center_api.",
        check=_permissions,
    ),
    text("ext_user_id", "Id of the user in another system.", minimum=1),
    *DEFAULT_FIELDS,
    identifier("pgroup_id", "Permission group; 0: none.", default=0),
    integer("last_login", "Unix time of the last log-in.", read_only=True, maximum=ID_MAX),
    integer("ts", "Unix time of the creation.", read_only=True, maximum=ID_MAX, required=True),
    Field(
        "devices",
        Kind.ARRAY,
        "SIP lines of the user: device_id, ring (order), delay, timeout (seconds), name.",
        required=True,
        read_only=True,
        items=Kind.OBJECT,
    ),
    text("extensions", "Extensions of the user, with commas.", required=True, read_only=True),
    text("dids", "Numbers whose calls go to the user first, with commas.", required=True, read_only=True),
    ids("queues", "Queues that the user is in.", required=True, read_only=True),
    text("vm_name", "Name of the voice mail box.", read_only=True),
    text("pgroup", "Name of the permission group.", read_only=True),
    integer(
        "pause_id", "Id of the status while the user is not available, else 0.", required=True, read_only=True
    ),
    integer("online", "1: a device of the user is registered.", required=True, read_only=True, maximum=1),
)

_LOG_IN_FIELDS = (
    text("username", "Login.", required=True, maximum=_LOGIN_MAX),
    text("password", "Password.", required=True, maximum=1024),
)

_SESSION_FIELDS = (
    identifier("id", "Number of the user; null: the log-in belongs to no employee."),
    identifier("account_id", "Number of the account.", required=True),
    text("username", "Login.", required=True),
    text("api_key", "Key of the session, to be sent with each request.", required=True),
    integer("expires", "Unix time of the end of the session.", required=True, maximum=INT_MAX * 2),
)


def shown_user(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the listing by the names of the API."""
    permissions = {API_SWITCH: bool(row["call_center_enabled"]), **shown_permissions(row["permissions"])}
    settings = {"timezone": row["time_zone"], **row["settings"]}
    return {
        **{
            name: settings.get(name, [] if one.kind is SettingKind.ARRAY else None)
            for name, one in SETTINGS.items()
        },
        **{name: row[name] for name in _AGENT_COLUMNS},
        "id": row["id"],
        "account_id": row["account_id"],
        "active": int(row["is_active"] and row["log_in_status"] in (None, Status.ACTIVE)),
        "name": joined_name(row["first_name"], row["patronymic"], row["last_name"]),
        "username": row["login"],
        "email": row["email"],
        "groups": row["groups"],
        "queue_perms": row["queue_perms"],
        "queues": [one[0] for one in row["queue_perms"]],
        "geo_limit": ",".join(row["geo_limit"]) if row["geo_limit"] else None,
        "permissions": permissions,
        "session_ttl": row["session_ttl"],
        "last_login": _epoch(row["last_login_at"]),
        "ts": _epoch(row["created_at"]),
        "devices": row["devices"],
        "extensions": row["extension"] or "",
        "dids": ",".join(row["dids"]),
        "vm_name": None,
        "pgroup_id": row["pgroup_id"] or 0,
        "pgroup": row["pgroup"],
        "pause_id": 0 if row["status"] == "available" else row["status_id"] or 0,
        "online": int(row["is_online"]),
    }


def _epoch(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _patch(sent: Mapping[str, Any], caller: CallerLike) -> UserPatch:
    """What a request changes.

    :raises PermissionDenied: a permission that the caller does not have.
    """
    columns: dict[str, Any] = {}
    log_in: dict[str, Any] = {}
    if "name" in sent:
        columns |= split_name(sent["name"])
        log_in["full_name"] = sent["name"]
    if "email" in sent:
        columns["email"] = log_in["email"] = sent["email"]
    if "active" in sent:
        columns["is_active"] = bool(sent["active"]) if sent["active"] is not None else True
        log_in["status"] = (Status.ACTIVE if columns["is_active"] else Status.DISABLED).value
    for name, column in (("username", "login"), ("password", "password"), ("session_ttl", "session_ttl")):
        if name in sent:
            log_in[column] = sent[name]
    if "geo_limit" in sent:
        log_in["geo_limit"] = sent["geo_limit"].split(",") if sent["geo_limit"] else []
    if "pgroup_id" in sent:
        log_in["pgroup_id"] = sent["pgroup_id"] or None
    permissions = None
    if "permissions" in sent:
        wanted = dict(sent["permissions"] or {})
        if API_SWITCH in wanted:
            log_in["call_center_enabled"] = wanted.pop(API_SWITCH)
        permissions = [(resource, action) for resource, actions in wanted.items() for action in set(actions)]
        check_grantable(caller, permissions)
    usual = {"is_agent": False, "in_reports": True}
    agent = {
        name: usual.get(name) if sent[name] is None else sent[name] for name in _AGENT_COLUMNS if name in sent
    }
    settings = {name: sent[name] for name in SETTINGS if name in sent}
    tiers = None
    if "queue_perms" in sent:
        check_grantable(caller, [("queues", "update")])
        tiers = [one.of_queue() for one in sent["queue_perms"] or []]
    return UserPatch(
        EmployeePatch(
            columns,
            group_ids=None if "groups" not in sent else sent["groups"] or [],
            agent=AgentPatch(agent, settings) if agent or settings else None,
        ),
        log_in,
        permissions,
        tiers,
    )


def _without_inherited(sent: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """What was sent without values that the user has by its queues or its account, and that are equal: a record that is
    sent back as it was read makes none of them the user's own."""
    inherited = {
        "is_agent": row["is_agent"] or None,
        "timezone": None if "timezone" in row["settings"] else row["time_zone"],
    }
    return {name: value for name, value in sent.items() if value is None or inherited.get(name) != value}


def _check_may_change(caller: CallerLike, log_in: LogIn) -> None:
    check_may_change_log_in(caller, log_in.user_id, log_in.rights())


def _check_may_delete(caller: CallerLike, log_in: LogIn) -> None:
    if log_in.user_id == caller.user_id:
        raise InvalidState("A user cannot delete itself: use the key of another user.")
    _check_may_change(caller, log_in)


async def _check_group(request: RequestContext, sent: Mapping[str, Any]) -> None:
    """
    :raises NotFound: no such group.
    :raises PermissionDenied: the group has a permission that the caller does not have.
    """
    if pgroup_id := sent.get("pgroup_id"):
        group = await read_group(request.services.db, request.account_id, pgroup_id)
        check_grantable(request.caller, permissions_of(group["permissions"]))


async def _users(request: RequestContext, args: Arguments) -> Pages:
    async def read(**more: Any) -> list[Mapping[str, Any]]:
        rows = await listing.read_users(
            request.services.db,
            request.account_id,
            words=args.query.get("q") or None,
            only_agents=args.query.get("is_agent") == 1,
            **more,
        )
        return [shown_user(row) for row in rows]

    return by_id(args, read)


async def _user(request: RequestContext, args: Arguments) -> Any:
    return await _read(request, args.path["id"])


async def _read(request: RequestContext, employee_id: int) -> dict[str, Any]:
    return shown_user(await listing.read_user(request.services.db, request.account_id, employee_id))


async def _create(request: RequestContext, args: Arguments) -> Any:
    await _check_group(request, args.body)
    wanted = _patch(args.body, request.caller)
    return await _read(request, await changes.create_user(request.services.db, request.account_id, wanted))


async def _update(request: RequestContext, args: Arguments) -> Any:
    employee_id, caller = args.path["id"], request.caller
    await _check_group(request, args.body)
    row = await listing.read_user(request.services.db, request.account_id, employee_id)
    wanted = _patch(_without_inherited(args.body, row), caller)
    await changes.update_user(
        request.services.db, request.account_id, employee_id, wanted, partial(_check_may_change, caller)
    )
    return await _read(request, employee_id)


async def _delete(request: RequestContext, args: Arguments) -> None:
    employee_id = args.path["id"]
    await listing.read_user(request.services.db, request.account_id, employee_id)
    await changes.remove_user(
        request.services.db, request.account_id, employee_id, partial(_check_may_delete, request.caller)
    )


async def _log_in(request: RequestContext, args: Arguments) -> tuple[CallerLike, dict[str, Any]]:
    """Opens a session; returns the caller, too."""
    accounts = request.services.accounts
    session = await accounts.login(args.body["username"], args.body["password"], API, request.client_ip)
    try:
        caller = await accounts.authenticate(session.access_token, API)
        accounts.check_address(caller, request.client_ip)
        check_country(caller.geo_limit, request.country)
        check_access(LOG_IN, caller)
    except BaseException:
        await accounts.logout(session.access_token)
        raise
    return caller, {
        "id": caller.employee_id,
        "account_id": caller.account_id,
        "username": caller.login,
        "api_key": session.access_token,
        "expires": int(session.expires_at.timestamp()),
    }


async def _log_out(request: RequestContext, _args: Arguments) -> None:
    await request.services.accounts.logout(request.token)


LOG_IN = Operation(
    "POST",
    "/api/user/login",
    "Opens a session; its key is sent with each further request as api_key.",
    _log_in,
    body=Body(_LOG_IN_FIELDS),
    answer=record(*_SESSION_FIELDS),
    workload=Workload.COMMAND,
    is_public=True,
)

OPERATIONS = (
    LOG_IN,
    Operation(
        "GET",
        "/api/user/logout",
        "Ends the session whose key is sent. Permanent keys stay.",
        _log_out,
        workload=Workload.COMMAND,
    ),
    *record_operations(
        "/api/user",
        "user",
        USER_FIELDS,
        _MODULE,
        Handlers(_users, _create, _user, _update, _delete),
        query=(
            text("q", "Part of the name, the username or the e-mail address."),
            integer("is_agent", "1: only agents.", maximum=1),
        ),
        deleted=" with the log-in; SIP lines stay",
    ),
)
