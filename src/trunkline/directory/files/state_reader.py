"""An account's directory as it is now, in the form of a file: apply compares with it, export writes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString

from pydantic import ValidationError

from trunkline.core.errors import ConfigurationError, NotFound
from trunkline.db.pool import Connection, Row
from trunkline.directory.files.form import Form
from trunkline.directory.forms.fields import PRESENT
from trunkline.directory.lines.digest import Ha1
from trunkline.directory.model import OperationKind

_Items = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class CurrentState:
    """What is there. ``ids`` are the rows' ids by section and key."""

    account_id: int
    form: Form
    locale: str
    ids: Mapping[str, Mapping[str, int]]
    digests: Mapping[str, Ha1] = field(repr=False)
    """By SIP login."""
    encrypted: Mapping[tuple[str, str], bytes] = field(repr=False)
    """Passwords of trunks and secrets of subscriptions by (section, key)."""
    sha256: Mapping[str, str]
    """Content of media files by key."""


_STATEMENTS: Mapping[str, LiteralString] = {
    "schedules": "select * from schedules where account_id = %(account_id)s order by schedule_id",
    "media": "select * from media_files where account_id = %(account_id)s order by media_file_id",
    "tags": """
        select * from tags where account_id = %(account_id)s and not is_system order by tag_id""",
    "contacts": "select * from contacts where account_id = %(account_id)s order by contact_id",
    "contact_phones": """
        select * from contact_phones where account_id = %(account_id)s
        order by contact_id, position, phone_number""",
    "contact_groups": """
        select * from contact_groups where account_id = %(account_id)s and not is_system
        order by contact_group_id""",
    "contact_members": """
        select * from contact_group_members where account_id = %(account_id)s
        order by contact_group_id, contact_id""",
    "blacklist": "select * from blacklist where account_id = %(account_id)s order by blacklist_id",
    "trunks": """
        select *, addresses::text[] as networks from trunks where account_id = %(account_id)s
        order by trunk_id""",
    "sip_lines": "select * from sip_lines where account_id = %(account_id)s order by sip_line_id",
    "virtual_numbers": """
        select * from virtual_numbers where account_id = %(account_id)s order by virtual_number_id""",
    "rules": """
        select * from call_processing_rules where account_id = %(account_id)s
        order by position, call_processing_rule_id""",
    "employees": "select * from employees where account_id = %(account_id)s order by employee_id",
    "phones": """
        select * from employee_phones where account_id = %(account_id)s order by position, phone_id""",
    "groups": "select * from employee_groups where account_id = %(account_id)s order by group_id",
    "members": """
        select * from group_members where account_id = %(account_id)s order by position, employee_id""",
    "scenarios": "select * from scenarios where account_id = %(account_id)s order by scenario_id",
    "operations": """
        select * from scenario_operations where account_id = %(account_id)s
        order by position, operation_id""",
    "talk_options": """
        select * from talk_options where account_id = %(account_id)s order by talk_option_id""",
    "notifications": """
        select * from subscriptions where account_id = %(account_id)s order by subscription_id""",
    "components": """
        select component from account_components where account_id = %(account_id)s""",
    "security": "select * from security_rules where account_id = %(account_id)s order by direction",
    "allow": """
        select api, network::text as network from allowed_addresses where account_id = %(account_id)s
        order by api, network""",
    "limits": "select * from account_limits where account_id = %(account_id)s and api = 'call_api'",
    "system_media": "select media_file_id, key from media_files where account_id = 0",
}

_ID_COLUMNS = {
    "schedules": "schedule_id",
    "media": "media_file_id",
    "tags": "tag_id",
    "contacts": "contact_id",
    "contact_groups": "contact_group_id",
    "blacklist": "blacklist_id",
    "trunks": "trunk_id",
    "sip_lines": "sip_line_id",
    "virtual_numbers": "virtual_number_id",
    "employees": "employee_id",
    "groups": "group_id",
    "scenarios": "scenario_id",
    "talk_options": "talk_option_id",
    "notifications": "subscription_id",
}


async def read_current(
    connection: Connection, account_id: int, media_dir: Path, *, lock: bool = False
) -> CurrentState:
    """Read an account's directory.

    :param lock: keep other appliers out until the transaction ends.
    :raises NotFound: no such account.
    :raises ConfigurationError: a row that no directory file can express.
    """
    statement: LiteralString = "select * from accounts where account_id = %(account_id)s"
    if lock:
        statement += " for update"
    params = {"account_id": account_id}
    account = await (await connection.execute(statement, params)).fetchone()
    if account is None:
        raise NotFound(f"There is no account {account_id}; `trunkline account list` shows them.")
    rows = {
        name: await (await connection.execute(query, params)).fetchall()
        for name, query in _STATEMENTS.items()
    }
    reader = _Reader(rows, media_dir)
    try:
        form = Form.model_validate(
            {"account": _account(account, rows), **reader.sections()}, context={PRESENT: True}
        )
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in detail["loc"])
        raise ConfigurationError(
            f"The present directory cannot be written as a file: {path}: {detail['msg']}"
        ) from error
    return CurrentState(
        account_id=account_id,
        form=form,
        locale=account["locale"],
        ids=reader.ids,
        digests={r["phone_number"]: Ha1(r["ha1_md5"], r["ha1_sha256"]) for r in rows["sip_lines"]},
        encrypted={
            (section, row["key"]): bytes(row[column])
            for section, column in (("trunks", "password_encrypted"), ("notifications", "secret_encrypted"))
            for row in rows[section]
            if row[column] is not None
        },
        sha256={row["key"]: row["sha256"] for row in rows["media"]},
    )


def _account(account: Row, rows: Mapping[str, list[Row]]) -> dict[str, Any]:
    allow: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows["allow"]:
        allow[row["api"]].append(row["network"])
    limit = rows["limits"][0]["tts_message_max_length"] if rows["limits"] else None
    return {
        **{name: account[name] for name in ("name", "time_zone", "locale", "currency", "country")},
        "components": sorted(row["component"] for row in rows["components"]),
        "security": {row["direction"]: row["allowed"] for row in rows["security"]},
        "allow": dict(allow),
        "tts_message_max_length": limit,
        "default_number": next(
            (
                row["phone_number"]
                for row in rows["virtual_numbers"]
                if row["virtual_number_id"] == account["default_virtual_number_id"]
            ),
            None,
        ),
    }


class _Reader:
    """Rows to items; ids become keys."""

    def __init__(self, rows: Mapping[str, list[Row]], media_dir: Path) -> None:
        self._rows = rows
        self._media_dir = media_dir
        self.ids = {
            section: {row[_key_column(section)]: row[column] for row in rows[section]}
            for section, column in _ID_COLUMNS.items()
        }
        self._keys = {
            section: {identifier: key for key, identifier in ids.items()} for section, ids in self.ids.items()
        }
        self._groups: dict[tuple[str, str], dict[int, list[Row]]] = {}
        self._keys["media"] |= {row["media_file_id"]: row["key"] for row in rows["system_media"]}

    def sections(self) -> dict[str, _Items]:
        make = {
            "schedules": self._schedule,
            "media": self._media,
            "tags": lambda row: {"name": row["name"]},
            "contacts": self._contact,
            "contact_groups": self._contact_group,
            "blacklist": lambda row: {"comment": row["comment"]},
            "trunks": self._trunk,
            "sip_lines": self._line,
            "virtual_numbers": self._number,
            "employees": self._employee,
            "groups": self._group,
            "scenarios": self._scenario,
            "talk_options": self._talk_option,
            "notifications": self._subscription,
        }
        return {
            section: {row[_key_column(section)]: item(row) for row in self._rows[section]}
            for section, item in make.items()
        }

    def _key(self, section: str, identifier: int | None) -> str | None:
        return None if identifier is None else self._keys[section].get(identifier)

    def _parts(self, table: str, column: str, owner: int) -> list[Row]:
        groups = self._groups.get((table, column))
        if groups is None:
            groups = self._groups[table, column] = defaultdict(list)
            for row in self._rows[table]:
                groups[row[column]].append(row)
        return groups.get(owner, [])

    def _schedule(self, row: Row) -> dict[str, Any]:
        return {
            "name": row["name"],
            "open": row["intervals"],
            "exceptions": row["exceptions"],
            "rules": row["rules"],
        }

    def _media(self, row: Row) -> dict[str, Any]:
        if row["spoken_text"] is not None:
            return {"name": row["name"], "text": row["spoken_text"], "language": row["spoken_language"]}
        return {"name": row["name"], "file": str(self._media_dir / f"{row['sha256']}.wav")}

    def _contact(self, row: Row) -> dict[str, Any]:
        phones = self._parts("contact_phones", "contact_id", row["contact_id"])
        return {
            **{name: row[name] for name in ("first_name", "last_name", "patronymic")},
            "phones": [phone["phone_number"] for phone in phones],
        }

    def _contact_group(self, row: Row) -> dict[str, Any]:
        members = self._parts("contact_members", "contact_group_id", row["contact_group_id"])
        keys = [self._key("contacts", member["contact_id"]) for member in members]
        return {"name": row["name"], "members": keys}

    def _trunk(self, row: Row) -> dict[str, Any]:
        same = ("name", "mode", "host", "port", "transport", "username", "codecs", "max_channels")
        return {
            **{name: row[name] for name in same},
            "addresses": row["networks"],
            "number_format": row["number_format"],
            "active": row["is_active"],
        }

    def _line(self, row: Row) -> dict[str, Any]:
        return {
            "virtual_number": self._key("virtual_numbers", row["virtual_number_id"]),
            "type": row["type"],
            "channels": row["channels_count"],
            "dial_time": row["dial_time"],
            "srtp": row["srtp"],
            "active": row["status"] == "active",
        }

    def _number(self, row: Row) -> dict[str, Any]:
        rules = self._parts("rules", "virtual_number_id", row["virtual_number_id"])
        return {
            **{name: row[name] for name in ("name", "comment", "max_in_calls", "max_out_calls")},
            "number_group": row["number_group"],
            "trunk": self._key("trunks", row["trunk_id"]),
            "default_line": self._key("sip_lines", row["default_sip_line_id"]),
            "rules": [
                {
                    "scenario": self._key("scenarios", rule["scenario_id"]),
                    "schedule": self._key("schedules", rule["schedule_id"]),
                    "active": rule["is_active"],
                }
                for rule in rules
            ],
        }

    def _employee(self, row: Row) -> dict[str, Any]:
        same = ("first_name", "last_name", "patronymic", "email", "extension", "call_recording")
        sides = ("in_external_allowed", "in_internal_allowed", "out_external_allowed", "out_internal_allowed")
        phones = self._parts("phones", "employee_id", row["employee_id"])
        return {
            **{name: row[name] for name in (*same, *sides)},
            "voice_mail": row["extension_voice_mail_enabled"],
            "schedule": self._key("schedules", row["schedule_id"]),
            "coach": self._key("employees", row["coach_id"]),
            "coach_always_enabled": row["coach_always_enabled"],
            "active": row["is_active"],
            "phones": [
                {
                    "line": self._key("sip_lines", phone["sip_line_id"]),
                    "number": phone["external_number"],
                    "channels": phone["channels_count"],
                    "dial_time": phone["dial_time"],
                    "active": phone["status"] == "active",
                }
                for phone in phones
            ],
        }

    def _group(self, row: Row) -> dict[str, Any]:
        members = self._parts("members", "group_id", row["group_id"])
        return {
            **{
                name: row[name]
                for name in ("name", "extension", "strategy", "queue_enabled", "channels_count")
            },
            "schedule": self._key("schedules", row["schedule_id"]),
            "members": [self._key("employees", member["employee_id"]) for member in members],
        }

    def _scenario(self, row: Row) -> dict[str, Any]:
        operations = self._parts("operations", "scenario_id", row["scenario_id"])
        return {
            "name": row["name"],
            "operations": {operation["key"]: self._operation(operation) for operation in operations},
        }

    def _operation(self, row: Row) -> dict[str, Any]:
        """Settings with ids to a form with keys; an id that is gone becomes nothing."""
        kind = OperationKind(row["kind"])
        settings = dict(row["settings"])
        form: dict[str, Any] = {"kind": kind.value, "name": row["name"]}
        for stored, name, section in REFERENCES:
            if stored in settings:
                form[name] = self._key(section, settings.pop(stored))
        if "media_file_ids" in settings:
            form["media"] = self._media_keys(settings.pop("media_file_ids"))
        if message := self._media_keys(settings.pop("employee_message_media_file_ids", ())):
            form["employee_message"] = {"media": message}
        if said := self._media_keys(settings.pop("invalid_media_file_ids", ())):
            form["invalid_message"] = {"media": said}
        if "shown_number" in settings:
            form["show_number"] = settings.pop("shown_number")
        if "tag_ids" in settings:
            tags = [self._key("tags", tag_id) for tag_id in settings.pop("tag_ids")]
            form["tags"] = [key for key in tags if key is not None]
        if "branches" in settings:
            form["branches"] = [self._branch(branch) for branch in settings.pop("branches")]
        return form | settings

    def _branch(self, branch: Mapping[str, Any]) -> dict[str, Any]:
        form = dict(branch)
        if "contact_group_id" in form:
            form["group"] = self._key("contact_groups", form.pop("contact_group_id"))
        if "countries" in form:
            form["places"] = [*form.pop("countries"), *(f"+{prefix}" for prefix in form.pop("prefixes"))]
        return form

    def _media_keys(self, ids: Iterable[int]) -> list[str]:
        keys = [self._key("media", each) for each in ids]
        return [key for key in keys if key is not None]

    def _talk_option(self, row: Row) -> dict[str, Any]:
        settings = dict(row["settings"])
        form: dict[str, Any] = {"kind": row["mnemonic"], "name": row["name"]}
        for stored, name, section in OPTION_REFERENCES:
            if stored in settings:
                form[name] = self._key(section, settings.pop(stored))
        return form | settings

    def _subscription(self, row: Row) -> dict[str, Any]:
        same = ("name", "url", "method", "events", "headers")
        return {
            **{name: row[name] for name in same},
            "body": row["body_template"],
            "active": row["is_active"],
        }


REFERENCES = (
    ("employee_id", "employee", "employees"),
    ("group_id", "group", "groups"),
    ("schedule_id", "schedule", "schedules"),
    ("music_media_file_id", "music", "media"),
    ("scenario_id", "scenario", "scenarios"),
)
"""References of operations: name in stored settings, name in a file, section."""


OPTION_REFERENCES = (
    ("tag_id", "tag", "tags"),
    ("scenario_id", "scenario", "scenarios"),
    ("employee_id", "employee", "employees"),
    ("group_id", "group", "groups"),
    ("contact_group_id", "contact_group", "contact_groups"),
)
"""References of talk options, in the same format."""


def _key_column(section: str) -> str:
    if section == "talk_options":
        return "button"
    return "phone_number" if section in {"sip_lines", "virtual_numbers", "blacklist"} else "key"
