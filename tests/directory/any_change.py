"""Random changes of an account's configuration, generated from the declarations of the Data API's methods.

:func:`change` makes one request (or one call of a command that is no method) with values that its declaration
admits; ids are those of rows that exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from hypothesis import strategies as st

from tests.apis.support import ADDRESS, SETTINGS, TOKEN, MemoryAccounts, NotedSwitch
from trunkline.accounts.permissions import Role
from trunkline.accounts.secrets import Cipher
from trunkline.apis.catalogue import DATA_API
from trunkline.apis.jsonrpc import Method, Param, ParamType, Services
from trunkline.apis.jsonrpc.dispatcher import Dispatcher
from trunkline.apis.service.request_log import MemoryRequestLog
from trunkline.db.pool import Database
from trunkline.directory.blacklist.changes import block_digits
from trunkline.directory.contacts.saving import save_contact
from trunkline.notifications import conditions
from trunkline.notifications.catalogue import Mnemonic
from trunkline.notifications.subscriptions import Draft, Subscriptions
from trunkline.uploads.people import employee_named, tag_named

OTHER_STATE: Mapping[str, str] = {
    "create.customers": "another account",
    "update.customers": "another account",
    "update.customer_status": "another account",
    "update.customer_tariff_plans": "another account",
    "create.tech_support_ticket": "is sent away",
    "start.virtual_number_verification": "a call",
    "confirm.virtual_number": "needs the code of a call",
    "delete.auto_call_campaign_phone_numbers": "progress of a campaign, which no method makes",
    "set.tag_communications": "communications",
    "unset.tag_communications": "communications",
    "set.tag_sales": "communications",
    "set.communications_tags": "communications",
    "update.tags_communication": "communications",
    "create.communication_comment": "communications",
    "upload.calls": "communications",
    "upload.chats": "communications",
    "delete.chats": "communications",
    "upload.offline_messages": "communications",
    "delete.offline_messages": "communications",
    "upload.emails": "communications",
    "upload.sessions": "communications",
    "create.call_session_recognition_task": "recordings",
    "update.sip_line_password": "a secret",
}
"""Methods whose changes are not configuration of the account, or are a secret."""

METHODS: Mapping[str, Method] = {
    method.name: method
    for method in DATA_API.methods
    if method.verb not in ("get", "getobj", "login", "logout") and method.name not in OTHER_STATE
}

COMMANDS = ("notification add", "block.contact", "save_numa", "upload employee", "upload tag")
"""Changes that other interfaces make."""

_IDS: Mapping[str, str] = {
    "schedule_id": "schedules",
    "coach_id": "employees",
    "employee_id": "employees",
    "personal_manager_id": "employees",
    "organization_id": "contact_organizations",
    "operator_position_id": "employee_positions",
    "operator_sites": "sites",
    "site_id": "sites",
    "site_block_id": "site_blocks",
    "campaign_id": "campaigns",
    "phone_number_id": "virtual_numbers",
    "redirection_phone_number_id": "virtual_numbers",
    "default_scenario_id": "scenarios",
    "phone_id": "employee_phones",
    "employee_phone_number_id": "employee_phones",
    "number_capacity_ids": "number_inventory",
}
"""Table of the rows that a parameter names."""

_OF_METHOD: Mapping[tuple[str, str], str] = {
    ("group_employees", "members"): "employees",
    ("group_contacts", "members"): "contacts",
    ("contacts", "groups"): "contact_groups",
    ("employees", "groups"): "employee_groups",
    ("contacts", "ids"): "contacts",
}

_ROWS: Mapping[str, str] = {
    "group_employees": "employee_groups",
    "group_employees_numbers": "employee_groups",
    "group_contacts": "contact_groups",
    "phone_number_from_blacklist": "blacklist",
    "crm_account": "crm_accounts",
    "call_processing_rule_is_active": "call_processing_rules",
}
"""Table of the rows that ``id`` names, where it is not that of the method's name."""

_ID_COLUMNS = {
    "schedules": "schedule_id",
    "employees": "employee_id",
    "contact_organizations": "organization_id",
    "employee_positions": "position_id",
    "sites": "site_id",
    "site_blocks": "site_block_id",
    "campaigns": "campaign_id",
    "virtual_numbers": "virtual_number_id",
    "scenarios": "scenario_id",
    "employee_phones": "phone_id",
    "employee_groups": "group_id",
    "contact_groups": "contact_group_id",
    "contacts": "contact_id",
    "sip_lines": "sip_line_id",
    "tags": "tag_id",
    "blacklist": "blacklist_id",
    "crm_accounts": "crm_account_id",
    "call_processing_rules": "call_processing_rule_id",
}

SECRET = "Bearer 1"
"""Of a header that an export does not show."""

OFFERED = ("442079460101", "442079460102", "442079460103")
"""Numbers of the inventory."""

_NUMBERS = ("442079460104", "12025550110", "12025550111", "971500000010", *OFFERED)
_NAMES = st.one_of(
    st.sampled_from(
        [
            "Anna",
            "Reed",
            "Ünal",
            "null",
            "0160001",
            " edge ",
            "${HOME}",
            "$${HOME}",
            "a: b",
            "- x",
            "#1",
            "true",
            "1e3",
        ]
    ),
    st.text(
        alphabet=st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufeff\ufffe\uffff"),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from(["two\nlines", "tab\there", "x" * 200]),
)
_BODIES = (None, '{"a": "{{notification_name}}"}', "${X} {{notification_name}}\n")
_CALLERS = st.sampled_from(["101", "0160001", "12025550112", "anonymous", "442079460105", "7", "123456789"])

Draw = Any
"""``data.draw`` of hypothesis."""


@dataclass
class Clerk:
    """Changes one account."""

    db: Database
    account_id: int
    user_id: int
    cipher: Cipher

    async def change(self, draw: Draw) -> str:
        """One random change; what it was, for a reader."""
        chosen = draw(st.sampled_from([*METHODS, *COMMANDS]))
        if chosen in COMMANDS:
            return await self._command(chosen, draw)
        params = await self._params(METHODS[chosen], draw)
        answer = await self.ask(chosen, params)
        assert answer.get("error", {}).get("data", {}).get("mnemonic") != "internal_error", (
            chosen,
            params,
            answer,
        )
        outcome = "ok" if "result" in answer else answer["error"]["data"]["mnemonic"]
        return f"{chosen} {params} -> {outcome}"

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        accounts = MemoryAccounts(minute_limit=10**9)
        accounts.networks[self.account_id] = ["127.0.0.0/8"]
        every = frozenset(component.name for one in DATA_API.methods for component in one.components) | {
            "va", "call_tracking", "dynamic_call_tracking", "consultant", "coach", "recording"
        }  # fmt: skip
        accounts.allow(account_id=self.account_id, user_id=self.user_id, role=Role.OWNER, components=every)
        services = Services(accounts, NotedSwitch(), SETTINGS, self.db, cipher=self.cipher)
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"access_token": TOKEN, **params}}
        dispatcher = Dispatcher(DATA_API, services, MemoryRequestLog())
        answer: dict[str, Any] = orjson.loads(await dispatcher.answer(orjson.dumps(message), ADDRESS))
        return answer

    async def _command(self, name: str, draw: Draw) -> str:
        match name:
            case "notification add":
                handle = draw(
                    st.sampled_from(["hooks.example/x", "crm", "Мой ключ", "null", "https://a.example/?q=1"])
                )
                draft = Draft(
                    key=handle,
                    name=draw(_NAMES.filter(lambda text: 0 < len(text.strip()) <= 200)),
                    url=draw(
                        st.sampled_from(
                            ["https://hooks.example/x", "http://hooks.example/{{notification_name}}"]
                        )
                    ),
                    events=draw(
                        st.lists(st.sampled_from([one.value for one in Mnemonic]), min_size=1, max_size=3)
                    ),
                    method=draw(st.sampled_from(["POST", "PUT", "GET"])),
                    headers=draw(st.sampled_from([{}, {"X-Plan": "${HOME}"}, {"Authorization": SECRET}])),
                    body_template=draw(
                        st.sampled_from(
                            [None, '{"a": "{{notification_name}}"}', "${X} {{notification_name}}\n"]
                        )
                    ),
                )
                wanted = {
                    "direction": draw(st.sampled_from([None, "in", "out"])),
                    "contact_phone_numbers": draw(
                        st.lists(st.sampled_from(["12025550112", "442079460105"]), max_size=2)
                    ),
                    "employee_ids": (await self._ids("employees"))[:2],
                    # The first one is the system's, which a file cannot name: an export leaves it out.
                    "tag_ids": (await self._ids("tags"))[1:3],
                    "talk_seconds_min": draw(st.sampled_from([None, 0, 60])),
                }
                draft = replace(draft, conditions=conditions.parse(wanted))
                await Subscriptions(self.db, self.cipher).save(self.account_id, draft)
            case "block.contact":
                await block_digits(self.db, self.account_id, self.user_id, draw(_CALLERS), draw(_NAMES))
            case "save_numa":
                groups = [None, *await self._ids("contact_groups")]
                await save_contact(self.db, self.account_id, draw(_CALLERS), draw(st.sampled_from(groups)))
            case "upload employee":
                async with self.db.connection() as connection:
                    await employee_named(
                        connection, self.account_id, draw(st.sampled_from(["Reed Ida", "Petrov"]))
                    )
            case "upload tag":
                async with self.db.connection() as connection:
                    await tag_named(connection, self.account_id, draw(_NAMES))
        return name

    async def _ids(self, table: str) -> list[int]:
        if table == "number_inventory":
            rows = await self.db.fetch_all(
                "select number_capacity_id as id from number_inventory where account_id = 0"
            )
            return [row["id"] for row in rows]
        rows = await self.db.fetch_all(
            f"select {_ID_COLUMNS[table]} as id from {table} where account_id = %s order by 1",
            (self.account_id,),
        )
        return [row["id"] for row in rows]

    async def _params(self, method: Method, draw: Draw) -> dict[str, Any]:
        own = method.name.partition(".")[2]
        found: dict[str, Any] = {}
        for param in method.params:
            if param.name in ("access_token", "user_id"):
                continue
            if param.required or (draw(st.integers(0, 2)) == 0 and await self._has_rows(param, own)):
                found[param.name] = await self._value(param, own, draw)
        if method.name == "update.group_employees_numbers":
            found["phone_numbers"] = [
                {"employee_phone_number_id": one, "available": draw(st.booleans())}
                for one in draw(st.permutations(await self._phones_of(found["id"])))
            ]
        return found

    async def _phones_of(self, group_id: int) -> list[int]:
        rows = await self.db.fetch_all(
            "select p.phone_id from group_members m join employee_phones p using (account_id, employee_id)"
            " where m.account_id = %s and m.group_id = %s order by 1",
            (self.account_id, group_id),
        )
        return [row["phone_id"] for row in rows]

    async def _value(self, param: Param, own: str, draw: Draw) -> Any:
        if param.nullable and draw(st.integers(0, 4)) == 0:
            return None
        table = _OF_METHOD.get((own, param.name)) or _IDS.get(param.name)
        if param.name == "id":
            table = _ROWS.get(own, own)
        if own == "offline_message_user_field" and param.name == "ext_id":
            return draw(st.sampled_from(["age", "city", "Размер"]))
        if table is not None:
            known = [*await self._ids(table)] or [1]
            one = st.sampled_from(known)
            return draw(st.lists(one, max_size=3, unique=True) if param.type is ParamType.ARRAY else one)
        match param.type:
            case ParamType.BOOLEAN:
                return draw(st.booleans())
            case ParamType.OBJECT:
                return await self._object(param, own, draw)
            case ParamType.ARRAY if param.params:
                return [await self._object(param, own, draw) for _ in range(draw(st.integers(0, 3)))]
            case ParamType.ARRAY:
                item = Param(param.name, param.items or ParamType.STRING, enum=param.enum)
                return [await self._value(item, own, draw) for _ in range(draw(st.integers(0, 3)))]
            case ParamType.NUMBER:
                low = param.minimum or 0
                high = param.maximum if param.maximum is not None else low + 50
                if param.fractional:
                    return draw(st.one_of(st.integers(low, high), st.sampled_from([1.5, 2.25])))
                return draw(st.one_of(st.sampled_from([low, high]), st.integers(low, min(high, low + 20))))
            case ParamType.ISO8601:
                return draw(st.sampled_from(["2026-03-02", "2026-03-09", "2026-03-02 10:00:00"]))
        if param.enum:
            return draw(st.sampled_from(param.enum))
        return draw(self._text(param))

    async def _object(self, param: Param, own: str, draw: Draw) -> dict[str, Any]:
        if param.name == "activity_days":
            chosen: dict[str, Any] = draw(
                st.sampled_from(
                    [
                        {"type": "days_of_week", "days": [0, 1, 6]},
                        {"type": "days_of_month", "days": [1, 31]},
                        {"type": "business_calendar", "days": [7]},
                        {"type": "cycle", "days": [2, 2]},
                    ]
                )
            )
            return chosen
        return {
            one.name: await self._value(one, own, draw)
            for one in param.params
            if one.required or (draw(st.booleans()) and await self._has_rows(one, own))
        }

    async def _has_rows(self, param: Param, own: str) -> bool:
        """Whether what an optional parameter names can be there."""
        table = _OF_METHOD.get((own, param.name)) or _IDS.get(param.name)
        inner = [one for one in param.params if one.required]
        return (table is None or bool(await self._ids(table))) and all(
            [await self._has_rows(one, own) for one in inner]
        )

    def _text(self, param: Param) -> st.SearchStrategy[str]:
        name = param.name
        if name in ("extension_phone_number", "group_phone_number"):
            return st.sampled_from(["101", "102", "20", "00300"])
        if "phone_number" in name:
            logins = ["500001", "500002"] if name == "phone_number" else []
            return st.sampled_from([*_NUMBERS, "+1 (202) 555-0113", "12025550110...2345", *logins])
        if name == "emails" or name == "email":
            return st.sampled_from(["layla@example.com", "A.b+c@mail.example.org", "no address"])
        if name == "domain_name":
            return st.sampled_from(["shop.example", "Tours.Example", "münchen.example"])
        if name == "url":
            return st.sampled_from(["https://crm.example/a", "http://crm.example/?${HOME}", "no address"])
        if name in ("time_from", "time_till"):
            return st.sampled_from(["09:00", "18:00", "00:00", "24:00"])
        if name in ("activity_date_from", "activity_date_till"):
            return st.sampled_from(["2026-12-01", "2026-12-31"])
        if name == "site_key":
            return st.sampled_from(["a" * 32, "B_1" + "0" * 29])
        if name == "port":
            return st.sampled_from(["5060", "5080"])
        if name == "server_address":
            return st.sampled_from(["192.0.2.10", "198.51.100.7"])
        if name == "resolved_server_address":
            return st.sampled_from(["192.0.2.10", "198.51.100.8"])
        if name == "login":
            return st.sampled_from(["trunk1", "trunk2"])
        if name == "operator_password" or name == "password":
            return st.just("correct-horse-1")
        if name == "operator_login":
            return st.sampled_from(["ida", "max"])
        return _NAMES
