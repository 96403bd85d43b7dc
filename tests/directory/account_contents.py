"""All rows of an account's configuration without ids, so that two accounts can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.db.pool import Database

TABLES = (
    "schedules", "media_files", "tags", "contact_organizations", "contacts", "contact_phones", "contact_groups",
    "contact_group_members", "blacklist", "trunks", "virtual_numbers", "call_processing_rules", "sip_lines",
    "employee_positions", "employees", "employee_phones", "employee_operators", "employee_groups", "group_members",
    "group_phones", "scenarios", "scenario_operations", "talk_options", "subscriptions", "sites", "site_blocks", "campaigns",
    "campaign_blocks", "campaign_costs", "crm_accounts", "offline_message_user_fields", "agents", "queues", "queue_tiers",
)  # fmt: skip

LEFT_OUT = frozenset(
    {
        "account_id",
        "app_key",
        "created_at",  # when it was made
        "added_at",
        "uploaded_at",
        "activation_date",
        "ha1_md5",  # secrets
        "ha1_sha256",
        "password_hash",
        "password_encrypted",
        "secret_encrypted",
        "position",  # the order is compared, not its numbers
    }
)

_LABELS = ("key", "phone_number", "domain_name", "button", "ext_id", "name")

_REFERENCES = """
select c.conrelid::regclass::text as "table", a.attname as "column", c.confrelid::regclass::text as target
from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any(c.conkey)
where c.contype = 'f' and a.attname <> 'account_id' and c.confrelid <> 'accounts'::regclass
"""

_PRIMARY = """
select c.conrelid::regclass::text as "table", a.attname as "column" from pg_constraint c
join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any(c.conkey)
where c.contype = 'p' and a.attname <> 'account_id'
"""

_MORE = {
    ("employee_operators", "site_ids"): "sites",
    ("queues", "announce_id"): "media_files",
    ("queues", "moh_id"): "media_files",
    ("queues", "join_announce"): "media_files",
    ("queues", "pre_bridge_announce"): "media_files",
}


async def contents(db: Database, account_id: int) -> dict[str, list[str]]:
    """Rows by table, each as text."""
    references = {(row["table"], row["column"]): row["target"] for row in await db.fetch_all(_REFERENCES)}
    own = {(row["table"], row["column"]) for row in await db.fetch_all(_PRIMARY)} - references.keys()
    rows = {
        table: await db.fetch_all(
            f"select * from {table} where account_id = %s order by "
            + ("position, 2, 3" if table in _ORDERED else "2, 3"),
            (account_id,),
        )
        for table in TABLES
    }
    labels = {
        table: {row[column]: _label(table, row, rows) for row in rows[table]}
        for table in TABLES
        for (name, column) in own
        if name == table and not column.startswith(("phone_number", "key", "ext_id", "date_"))
    }

    def shown(table: str, row: Mapping[str, Any]) -> str:
        values = {}
        for column, value in row.items():
            if column in LEFT_OUT or (
                (table, column) in own and column.endswith("_id") and column != "ext_id"
            ):
                continue
            target = references.get((table, column)) or _MORE.get((table, column))
            if target in labels and value is not None:
                known = labels[target]
                value = (
                    sorted(known.get(one, "gone") for one in value)
                    if isinstance(value, list)
                    else known.get(value)
                )
            values[column] = value
        return repr(sorted(values.items(), key=lambda pair: pair[0]))

    found = {}
    for table in TABLES:
        lines = [shown(table, row) for row in rows[table]]
        found[table] = lines if table in _ORDERED else sorted(lines)
    return {table: _by_owner(lines) for table, lines in found.items()}


_ORDERED = frozenset(
    {
        "contact_phones",
        "call_processing_rules",
        "employee_phones",
        "group_members",
        "group_phones",
        "scenario_operations",
        "campaign_blocks",
    }
)


def _by_owner(lines: list[str]) -> list[str]:
    return lines


def _label(table: str, row: Mapping[str, Any], rows: Mapping[str, list[dict[str, Any]]]) -> str:
    if table == "site_blocks":
        site = next(one for one in rows["sites"] if one["site_id"] == row["site_id"])
        return f"{site['domain_name']}/{row['name']}"
    if table == "employee_phones":
        line = next((one for one in rows["sip_lines"] if one["sip_line_id"] == row["sip_line_id"]), None)
        owner = next(one for one in rows["employees"] if one["employee_id"] == row["employee_id"])
        return f"{owner['key']}/{line['phone_number'] if line else row['external_number']}"
    return next((str(row[name]) for name in _LABELS if row.get(name) is not None), "?")
