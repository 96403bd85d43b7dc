"""Ids of other rows in a change: those of another company get the same response as missing ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.apis.data_api.client import DataApiClient
from tests.apis.data_api.walk import CHANGES, METHODS, NOWHERE, places, with_value
from tests.reports.company import ACCOUNT, OTHER_ACCOUNT
from trunkline.accounts.components import DEFAULT
from trunkline.apis.jsonrpc import Method, Param, ParamType

KINDS = {
    "coach_id": "employee",
    "personal_manager_id": "employee",
    "employee_id": "employee",
    "members": "employee",
    "ids": "contact",
    "groups": "group",
    "schedule_id": "schedule",
    "status_id": "status",
    "operator_position_id": "position",
    "operator_sites": "site",
    "organization_id": "organization",
    "site_id": "site",
    "site_block_id": "block",
    "phone_number_id": "number",
    "default_scenario_id": "scenario",
}
"""What a parameter of this name names; contacts have other groups, and groups of contacts other members."""
OF_CONTACTS = {"groups": "contact_group", "members": "contact"}

ELSEWHERE = (
    "upload.",
    "create.call_session_recognition_task",
    "delete.auto_call_campaign_phone_numbers",
    "set.",
    "unset.",
    "update.tags_communication",
)
"""Beginnings of the names of methods whose rows are communications, or of packages with their own tests."""
NOT_ROWS = {
    "user_id",
    "customer_id",
    "child_customer_id",
    "tariff_plan_id",
    "industry_id",
    "communication_id",
    "redirection_phone_number_id",
    "employee_phone_number_id",
    "phone_id",
    "contact_id",
    "email_id",
    "days",
}
"""Rows of agents and of the system, and rows that are looked for within another row: tests of their methods."""


def references() -> Iterator[tuple[Method, tuple[str, ...], Param, str]]:
    """Every parameter that names rows, and of what kind these are."""
    for method in CHANGES:
        if method.name.startswith(ELSEWHERE):
            continue
        for path, param in places(method.params):
            if kind := _kind(method, param):
                yield method, path, param, kind


def _kind(method: Method, param: Param) -> str | None:
    name = param.name
    ids = param.type is ParamType.ARRAY and param.items is ParamType.NUMBER
    single = (
        param.type is ParamType.NUMBER
        and name.endswith("_id")
        and not name.endswith(("ext_id", "visitor_id"))
    )
    if not (ids or single) or name in NOT_ROWS:
        return None
    if "contacts" in method.name:
        return {**KINDS, **OF_CONTACTS}[name]
    return KINDS[name]  # a KeyError: say here what the new parameter names


async def rows_of(client: DataApiClient) -> dict[str, int]:
    """One new row of each kind, of the company that asks."""
    made: dict[str, int] = {}

    async def make(kind: str, method: str, **params: Any) -> None:
        answer = await client.do(method, **params)
        made[kind] = answer.get("data", answer)["id"]

    await make(
        "employee", "create.employees", last_name="Ward", phone_numbers=[{"phone_number": "12025550177"}]
    )
    await make("group", "create.group_employees", name="Pier", members=[made["employee"]])
    day = {"activity_days": {"type": "days_of_week", "days": [1]}, "activity_time": []}
    await make("schedule", "create.schedules", name="Pier", schedules=[day])
    await make("position", "create.employee_positions", name="Pilot")
    await make("organization", "create.contact_organizations", name="Pier")
    await make("contact", "create.contacts", last_name="Pier", phone_numbers=["12025550178"])
    await make("contact_group", "create.group_contacts", name="Pier", members=[made["contact"]])
    await make(
        "site",
        "create.sites",
        domain_name="pier.example.com",
        industry_id=1,
        default_phone_number="12025550179",
    )
    await make("block", "create.site_blocks", site_id=made["site"], name="Side")
    await make("campaign", "create.campaigns", name="Pier", site_id=made["site"])

    await make("line", "create.sip_lines", employee_id=made["employee"])
    return made


async def stored(client: DataApiClient, account_id: int) -> dict[str, int]:
    """Rows that no method makes."""
    statements = {
        "scenario": "insert into scenarios (account_id, key, name) values (%(account_id)s, 'pier', 'Pier')"
        " returning scenario_id",
        "number": "insert into virtual_numbers (account_id, phone_number) values (%(account_id)s, %(phone)s)"
        " returning virtual_number_id",
        "status": "insert into employee_statuses (account_id, name, color)"
        " values (%(account_id)s, 'Pier', '#112233') returning status_id",
    }
    params = {"account_id": account_id, "phone": f"44207946{account_id % 10_000:04}"}
    return {kind: await client.one(statement, params) for kind, statement in statements.items()}


OWN = {
    "employees": "employee",
    "group_employees": "group",
    "sip_lines": "line",
    "contacts": "contact",
    "group_contacts": "contact_group",
    "sites": "site",
    "campaigns": "campaign",
}
"""What ``id`` of a method on this names."""


def sent_with(method: Method, path: tuple[str, ...], value: Any, own: dict[str, int]) -> dict[str, Any]:
    """Parameters that are right but for this one."""
    sent = with_value(method.params, path, value)
    sent.pop("access_token")
    if path == ("ids",):  # stands for the one
        del sent["id"]
    if "id" in sent:
        sent["id"] = own[OWN[method.name.partition(".")[2]]]
    if "site_id" in sent and path != ("site_id",):
        sent["site_id"] = own["site"]
    if "virtual_phone_number" in sent:
        sent["virtual_phone_number"] = None
    if "phone_numbers" in sent:
        sent["phone_numbers"] = (
            ["12025550176"] if "contacts" in method.name else [{"phone_number": "12025550176"}]
        )
    if path[0] == "site_blocks":
        sent["site_blocks"] = [
            {"site_block_id": own["block"], "phone_number_id": own["number"], path[1]: value}
        ]
    return sent


async def test_what_is_anothers_cannot_be_named(client: DataApiClient) -> None:
    client.with_components(*DEFAULT, *(part.name for method in METHODS for part in method.components))
    own = await rows_of(client) | await stored(client, ACCOUNT)
    client.as_other_account()
    theirs = await rows_of(client) | await stored(client, OTHER_ACCOUNT)
    client.as_owner()
    wrong = []
    for method, path, param, kind in references():
        reported = []
        for number in (theirs[kind], NOWHERE):
            value = [number] if param.type is ParamType.ARRAY else number
            sent = sent_with(method, path, value, own)
            reported.append((await client.fault(method.name, **sent), sent))
        if not reported[0][0] == reported[1][0] == ("entity_not_found", ".".join(path)):
            wrong.append((method.name, reported))
    assert not wrong
    assert {path[-1] for _, path, _, _ in references()} == KINDS.keys()
