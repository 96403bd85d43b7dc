"""Write a compared directory file inside one transaction.

Order: what must be unique is freed, items are written without what they say of each other, then the links
between them, and last what goes is deleted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, LiteralString

from psycopg import sql
from psycopg.types.json import Jsonb

from trunkline.db.pool import Connection
from trunkline.directory import form_scenarios, forms
from trunkline.directory.current import OPTION_REFERENCES, REFERENCES
from trunkline.directory.digest import ha1, new_password
from trunkline.directory.load import Cipher
from trunkline.directory.media import StoredSound
from trunkline.directory.model import SYSTEM_ACCOUNT_ID, MediaKind, TalkOptionKind
from trunkline.directory.plan import Action
from trunkline.directory.prepare import Comparison, Sound
from trunkline.directory.write_account import write_account
from trunkline.speech import audio

# section -> table, id column, key column
_TABLES: Mapping[str, tuple[str, str, str]] = {
    "schedules": ("schedules", "schedule_id", "key"),
    "media": ("media_files", "media_file_id", "key"),
    "tags": ("tags", "tag_id", "key"),
    "contacts": ("contacts", "contact_id", "key"),
    "contact_groups": ("contact_groups", "contact_group_id", "key"),
    "blacklist": ("blacklist", "blacklist_id", "phone_number"),
    "trunks": ("trunks", "trunk_id", "key"),
    "virtual_numbers": ("virtual_numbers", "virtual_number_id", "phone_number"),
    "sip_lines": ("sip_lines", "sip_line_id", "phone_number"),
    "employees": ("employees", "employee_id", "key"),
    "groups": ("employee_groups", "group_id", "key"),
    "scenarios": ("scenarios", "scenario_id", "key"),
    "talk_options": ("talk_options", "talk_option_id", "button"),
    "notifications": ("subscriptions", "subscription_id", "key"),
}

_DELETE_ORDER = (
    "notifications",
    "talk_options",
    "virtual_numbers",
    "scenarios",
    "groups",
    "employees",
    "sip_lines",
    "trunks",
    "schedules",
    "media",
    "tags",
    "contact_groups",
    "contacts",
    "blacklist",
)

_Columns = dict[str, Any]


class Writer:
    """Writes one comparison over one connection."""

    def __init__(
        self, connection: Connection, cipher: Cipher, comparison: Comparison, sounds: Mapping[str, Sound]
    ) -> None:
        self._connection = connection
        self._cipher = cipher
        self._current = comparison.current
        self._wanted = comparison.wanted
        self._plan = comparison.plan
        self._sounds = sounds
        self._account_id = comparison.current.account_id
        self._ids: dict[str, dict[str, int]] = {
            section: dict(ids) for section, ids in comparison.current.ids.items()
        }
        self._passwords: dict[str, str] = {}

    async def write(self) -> dict[str, str]:
        """Write all; new passwords by SIP login."""
        if self._plan.is_empty:
            return {}
        account = self._wanted.account if self._plan.written("account") else None
        if account is not None:
            await write_account(self._connection, self._account_id, account)
        await self._free_unique_names()
        make = self._makers()
        for section in _TABLES:
            for key in self._plan.written(section):
                await self._put(section, key, make[section](key))
        await self._links()
        if account is not None and account.default_number is not None:
            await self._run(
                """update accounts set default_virtual_number_id = %(number)s
                   where account_id = %(account_id)s""",
                number=self._id("virtual_numbers", account.default_number),
            )
        for section in _DELETE_ORDER:
            await self._delete(section)
        await self._line_owners()
        return self._passwords

    def _makers(self) -> Mapping[str, Callable[[str], _Columns]]:
        return {
            "schedules": self._schedule,
            "media": self._media,
            "tags": lambda key: {"name": self._item("tags", key).name},
            "contacts": self._contact,
            "contact_groups": lambda key: {"name": self._item("contact_groups", key).name},
            "blacklist": lambda key: {"comment": self._item("blacklist", key).comment},
            "trunks": self._trunk,
            "virtual_numbers": self._number,
            "sip_lines": self._line,
            "employees": self._employee,
            "groups": self._group,
            "scenarios": lambda key: {"name": self._item("scenarios", key).name},
            "talk_options": self._talk_option,
            "notifications": self._subscription,
        }

    def _item(self, section: str, key: str) -> Any:
        return self._wanted.section(section)[key]

    # --- statements --------------------------------------------------------------------------------------

    async def _run(self, statement: LiteralString, **params: Any) -> None:
        await self._connection.execute(statement, {"account_id": self._account_id, **params})

    async def _put(self, section: str, key: str, columns: _Columns) -> None:
        """Insert or update one row; its id becomes known."""
        table, id_column, key_column = _TABLES[section]
        present = self._ids[section].get(key)
        values = {**columns, key_column: key}
        if present is None:
            self._ids[section][key] = await self._insert(table, values, id_column)
        else:
            await self._update(table, id_column, present, values)

    async def _insert(self, table: str, values: _Columns, id_column: str) -> int:
        names = ["account_id", *values]
        statement = sql.SQL("insert into {} ({}) values ({}) returning {} as id").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL(", ").join(map(sql.Placeholder, names)),
            sql.Identifier(id_column),
        )
        cursor = await self._connection.execute(statement, {"account_id": self._account_id, **values})
        row = await cursor.fetchone()
        assert row is not None
        return int(row["id"])

    async def _update(self, table: str, id_column: str, identifier: int, values: _Columns) -> None:
        statement = sql.SQL("update {} set {} where account_id = {} and {} = {}").format(
            sql.Identifier(table),
            sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values
            ),
            sql.Placeholder("account_id"),
            sql.Identifier(id_column),
            sql.Placeholder("identifier"),
        )
        params = {"account_id": self._account_id, "identifier": identifier, **values}
        await self._connection.execute(statement, params)

    async def _put_list(
        self, table: str, id_column: str, present: Mapping[Any, int], wanted: Sequence[tuple[Any, _Columns]]
    ) -> None:
        """Rows that belong to one item: those whose mark stays keep their id, the others go or come."""
        marks = {mark for mark, _ in wanted}
        gone = [identifier for mark, identifier in present.items() if mark not in marks]
        statement = sql.SQL("delete from {} where account_id = %(account_id)s and {} = any(%(gone)s)").format(
            sql.Identifier(table), sql.Identifier(id_column)
        )
        await self._connection.execute(statement, {"account_id": self._account_id, "gone": gone})
        for mark, columns in wanted:
            if mark in present:
                await self._update(table, id_column, present[mark], columns)
            else:
                await self._insert(table, columns, id_column)

    async def _rows(self, statement: LiteralString, **params: Any) -> list[dict[str, Any]]:
        cursor = await self._connection.execute(statement, {"account_id": self._account_id, **params})
        return await cursor.fetchall()

    async def _free_unique_names(self) -> None:
        """Two items may exchange a short number or a name in one file: let go of the old ones first."""
        touched = {
            section: [
                self._ids[section][change.key]
                for change in self._plan.changes
                if change.section == section and change.action is not Action.CREATE
            ]
            for section in ("employees", "groups", "tags")
        }
        await self._run(
            """update employees set extension = null
               where account_id = %(account_id)s and employee_id = any(%(ids)s)""",
            ids=touched["employees"],
        )
        await self._run(
            """update employee_groups set extension = null
               where account_id = %(account_id)s and group_id = any(%(ids)s)""",
            ids=touched["groups"],
        )
        await self._run(
            """update tags set name = gen_random_uuid()::text
               where account_id = %(account_id)s and tag_id = any(%(ids)s)""",
            ids=touched["tags"],
        )

    async def _delete(self, section: str) -> None:
        keys = self._plan.of(Action.DELETE, section)
        if not keys:
            return
        table, id_column, _ = _TABLES[section]
        ids = [self._ids[section][key] for key in keys]
        statement = sql.SQL("delete from {} where account_id = %(account_id)s and {} = any(%(ids)s)").format(
            sql.Identifier(table), sql.Identifier(id_column)
        )
        if section == "virtual_numbers":  # numbers and lines name each other: part those that go together
            await self._run(
                """update sip_lines set virtual_number_id = null
                   where account_id = %(account_id)s and virtual_number_id = any(%(ids)s)""",
                ids=ids,
            )
        if section == "employees":  # their lines get their new owners when all is written
            await self._run(
                """update sip_lines set employee_id = null
                   where account_id = %(account_id)s and employee_id = any(%(ids)s)""",
                ids=ids,
            )
        await self._connection.execute(statement, {"account_id": self._account_id, "ids": ids})

    # --- items -------------------------------------------------------------------------------------------

    def _schedule(self, key: str) -> _Columns:
        item: forms.ScheduleForm = self._item("schedules", key)
        intervals = [{"days": list(each.days), "from": each.from_, "till": each.till} for each in item.open]
        exceptions = [
            {"date": each.date.isoformat(), "closed": True}
            if each.closed
            else {"date": each.date.isoformat(), "from": each.from_, "till": each.till}
            for each in item.exceptions
        ]
        rules = [rule.model_dump(mode="json", by_alias=True) for rule in item.rules]
        return {
            "name": item.name,
            "intervals": Jsonb(intervals),
            "exceptions": Jsonb(exceptions),
            "rules": Jsonb(rules),
        }

    def _media(self, key: str) -> _Columns:
        item: forms.MediaForm = self._item("media", key)
        columns: _Columns = {
            "name": item.name,
            "kind": MediaKind.USER.value,
            "spoken_text": item.text,
            "spoken_language": item.language if item.text is not None else None,
        }
        if key in self._sounds:
            sound = self._sounds[key]
            stored = StoredSound(sound.sha256, audio.duration_ms(audio.pcm_of(sound.wav)), len(sound.wav))
            columns |= {
                "sha256": stored.sha256,
                "duration_ms": stored.duration_ms,
                "size_bytes": stored.size_bytes,
            }
        return columns

    def _contact(self, key: str) -> _Columns:
        item: forms.ContactForm = self._item("contacts", key)
        return {name: getattr(item, name) for name in ("first_name", "last_name", "patronymic")}

    def _trunk(self, key: str) -> _Columns:
        item: forms.TrunkForm = self._item("trunks", key)
        same = ("name", "host", "port", "username", "max_channels")
        columns = {
            **{name: getattr(item, name) for name in same},
            "mode": item.mode.value,
            "transport": item.transport.value,
            "number_format": item.number_format.value,
            "addresses": list(item.addresses),
            "codecs": list(item.codecs),
            "is_active": item.active,
        }
        if item.password:
            columns["password_encrypted"] = self._cipher.encrypt(item.password.get_secret_value())
        return columns

    def _number(self, key: str) -> _Columns:
        item: forms.VirtualNumberForm = self._item("virtual_numbers", key)
        same = ("name", "comment", "max_in_calls", "max_out_calls", "number_group")
        return {
            **{name: getattr(item, name) for name in same},
            "trunk_id": self._id("trunks", item.trunk),
        }

    def _line(self, key: str) -> _Columns:
        item: forms.SipLineForm = self._item("sip_lines", key)
        columns: _Columns = {
            "type": item.type,
            "channels_count": item.channels,
            "dial_time": item.dial_time,
            "status": "active" if item.active else "inactive",
            "virtual_number_id": self._id("virtual_numbers", item.virtual_number),
        }
        password = item.password.get_secret_value() if item.password else None
        if password is None and key not in self._ids["sip_lines"]:
            password = self._passwords[key] = new_password()
        if password is not None:
            digest = ha1(key, password)
            columns |= {"ha1_md5": digest.md5, "ha1_sha256": digest.sha256}
        return columns

    def _employee(self, key: str) -> _Columns:
        item: forms.EmployeeForm = self._item("employees", key)
        same = ("first_name", "last_name", "patronymic", "email", "extension")
        sides = ("in_external_allowed", "in_internal_allowed", "out_external_allowed", "out_internal_allowed")
        columns = {
            **{name: getattr(item, name) for name in same},
            **{name: list(getattr(item, name)) for name in sides},
            "extension_voice_mail_enabled": item.voice_mail,
            "call_recording": item.call_recording.value,
            "schedule_id": self._id("schedules", item.schedule),
            "coach_always_enabled": item.coach_always_enabled,
            "is_active": item.active,
        }
        if item.status is not None:
            columns["status"] = item.status.value
        return columns

    def _group(self, key: str) -> _Columns:
        item: forms.GroupForm = self._item("groups", key)
        return {
            "name": item.name,
            "extension": item.extension,
            "strategy": item.strategy.value,
            "schedule_id": self._id("schedules", item.schedule),
            "queue_enabled": item.queue_enabled,
            "channels_count": item.channels_count,
        }

    def _talk_option(self, key: str) -> _Columns:
        item: form_scenarios.TalkOptionForm = self._item("talk_options", key)
        settings = item.model_dump(mode="json", exclude={"kind", "name"})
        for stored, name, section in OPTION_REFERENCES:
            if name in settings:
                settings[stored] = self._id(section, settings.pop(name))
        if item.kind is TalkOptionKind.TRANSFER_CALL:  # one of three
            settings = {name: value for name, value in settings.items() if value is not None}
        return {"mnemonic": item.kind.value, "name": item.name, "settings": Jsonb(settings)}

    def _subscription(self, key: str) -> _Columns:
        item: forms.SubscriptionForm = self._item("notifications", key)
        columns = {
            **{name: getattr(item, name) for name in ("name", "url", "method")},
            "events": list(item.events),
            "body_template": item.body,
            "headers": Jsonb(item.headers),
            "is_active": item.active,
        }
        if item.secret:
            columns["secret_encrypted"] = self._cipher.encrypt(item.secret.get_secret_value())
        return columns

    # --- links -------------------------------------------------------------------------------------------

    async def _links(self) -> None:
        links: Mapping[str, Callable[[str], Awaitable[None]]] = {
            "contacts": self._contact_phones,
            "contact_groups": self._contact_members,
            "virtual_numbers": self._number_links,
            "employees": self._employee_links,
            "groups": self._members,
            "scenarios": self._operations,
        }
        system = await self._rows(
            "select key, media_file_id from media_files where account_id = %(system)s",
            system=SYSTEM_ACCOUNT_ID,
        )
        for row in system:
            self._ids["media"].setdefault(row["key"], row["media_file_id"])
        for section, link in links.items():
            for key in self._plan.written(section):
                await link(key)

    async def _line_owners(self) -> None:
        """A line belongs to the employee whose phone it is."""
        await self._run(
            """
            update sip_lines l set employee_id = o.employee_id
            from sip_lines m left join lateral (
                select min(p.employee_id) as employee_id from employee_phones p
                where p.account_id = m.account_id and p.sip_line_id = m.sip_line_id) o on true
            where l.account_id = %(account_id)s and m.account_id = l.account_id
              and m.sip_line_id = l.sip_line_id and l.employee_id is distinct from o.employee_id""",
        )

    def _id(self, section: str, key: str | None) -> int | None:
        return None if key is None else self._ids[section][key]

    async def _contact_phones(self, key: str) -> None:
        contact_id = self._ids["contacts"][key]
        phones = list(self._item("contacts", key).phones)
        await self._run(
            "delete from contact_phones where account_id = %(account_id)s and contact_id = %(contact_id)s",
            contact_id=contact_id,
        )
        await self._run(
            """insert into contact_phones (account_id, contact_id, phone_number)
               select %(account_id)s, %(contact_id)s, unnest(%(phones)s::text[])""",
            contact_id=contact_id,
            phones=phones,
        )

    async def _contact_members(self, key: str) -> None:
        members = self._item("contact_groups", key).members
        if members is None:
            return
        group_id = self._ids["contact_groups"][key]
        ids = [self._ids["contacts"][member] for member in members]
        await self._run(
            """delete from contact_group_members where account_id = %(account_id)s
               and contact_group_id = %(group_id)s and contact_id <> all(%(ids)s)""",
            group_id=group_id,
            ids=ids,
        )
        await self._run(
            """insert into contact_group_members (account_id, contact_group_id, contact_id)
               select %(account_id)s, %(group_id)s, unnest(%(ids)s::bigint[]) on conflict do nothing""",
            group_id=group_id,
            ids=ids,
        )

    async def _number_links(self, key: str) -> None:
        item: forms.VirtualNumberForm = self._item("virtual_numbers", key)
        number_id = self._ids["virtual_numbers"][key]
        await self._update(
            "virtual_numbers",
            "virtual_number_id",
            number_id,
            {"default_sip_line_id": self._id("sip_lines", item.default_line)},
        )
        rows = await self._rows(
            """select call_processing_rule_id as id from call_processing_rules
               where account_id = %(account_id)s and virtual_number_id = %(number_id)s
               order by position, call_processing_rule_id""",
            number_id=number_id,
        )
        wanted = [
            (
                index,
                {
                    "virtual_number_id": number_id,
                    "position": index,
                    "scenario_id": self._id("scenarios", rule.scenario),
                    "schedule_id": self._id("schedules", rule.schedule),
                    "is_active": rule.active,
                },
            )
            for index, rule in enumerate(item.rules)
        ]
        present = {index: row["id"] for index, row in enumerate(rows)}
        await self._put_list("call_processing_rules", "call_processing_rule_id", present, wanted)

    async def _employee_links(self, key: str) -> None:
        item: forms.EmployeeForm = self._item("employees", key)
        employee_id = self._ids["employees"][key]
        coach = {"coach_id": self._id("employees", item.coach)}
        await self._update("employees", "employee_id", employee_id, coach)
        rows = await self._rows(
            """select phone_id, sip_line_id, external_number from employee_phones
               where account_id = %(account_id)s and employee_id = %(employee_id)s""",
            employee_id=employee_id,
        )
        wanted = [
            (
                (self._id("sip_lines", phone.line), phone.number),
                {
                    "employee_id": employee_id,
                    "position": index,
                    "sip_line_id": self._id("sip_lines", phone.line),
                    "external_number": phone.number,
                    "channels_count": phone.channels,
                    "dial_time": phone.dial_time,
                    "status": "active" if phone.active else "inactive",
                },
            )
            for index, phone in enumerate(item.phones)
        ]
        present = {(row["sip_line_id"], row["external_number"]): row["phone_id"] for row in rows}
        await self._put_list("employee_phones", "phone_id", present, wanted)

    async def _members(self, key: str) -> None:
        """Members in the file's order; who stays keeps what was chosen for his phones in this group."""
        group_id = self._ids["groups"][key]
        members = [self._ids["employees"][member] for member in self._item("groups", key).members]
        await self._run(
            """delete from group_members where account_id = %(account_id)s and group_id = %(group_id)s
               and employee_id <> all(%(members)s)""",
            group_id=group_id,
            members=members,
        )
        await self._run(
            """insert into group_members (account_id, group_id, employee_id, position)
               select %(account_id)s, %(group_id)s, m.id, m.position - 1
               from unnest(%(members)s::bigint[]) with ordinality as m (id, position)
               on conflict (account_id, group_id, employee_id) do update set position = excluded.position""",
            group_id=group_id,
            members=members,
        )

    async def _operations(self, key: str) -> None:
        item: form_scenarios.ScenarioForm = self._item("scenarios", key)
        scenario_id = self._ids["scenarios"][key]
        rows = await self._rows(
            """select operation_id, key from scenario_operations
               where account_id = %(account_id)s and scenario_id = %(scenario_id)s""",
            scenario_id=scenario_id,
        )
        wanted = [
            (
                name,
                {
                    "scenario_id": scenario_id,
                    "key": name,
                    "name": operation.name,
                    "kind": operation.kind.value,
                    "position": index,
                    "settings": Jsonb(self._settings(operation)),
                },
            )
            for index, (name, operation) in enumerate(item.operations.items())
        ]
        present = {row["key"]: row["operation_id"] for row in rows}
        await self._put_list("scenario_operations", "operation_id", present, wanted)

    def _settings(self, operation: form_scenarios.OperationForm) -> dict[str, Any]:
        """As :class:`trunkline.directory.model.OperationKind` describes them."""
        fields = operation.model_dump(mode="json", exclude={"kind", "name", "text", "language"})
        for stored, name, section in REFERENCES:
            if name in fields:
                fields[stored] = self._id(section, fields.pop(name))
        if "media" in fields:
            fields["media_file_ids"] = [self._ids["media"][key] for key in fields.pop("media")]
        if "employee_message" in fields:
            message = fields.pop("employee_message") or {"media": ()}
            ids = [self._ids["media"][key] for key in message["media"]]
            fields["employee_message_media_file_ids"] = ids
            fields["shown_number"] = fields.pop("show_number")
        return fields
