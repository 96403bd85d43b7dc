"""Each table of the directory is written in the package of its entity, whichever interface the change comes from."""

from __future__ import annotations

import re
from pathlib import Path

import trunkline

SOURCE = Path(trunkline.__file__).parent

OWNERS = {
    "schedules": "schedules",
    "media_files": "media",
    "tags": "tags",
    "contacts": "contacts",
    "contact_phones": "contacts",
    "contact_groups": "contacts",
    "contact_group_members": "contacts",
    "contact_organizations": "contacts",
    "blacklist": "blacklist",
    "trunks": "trunks",
    "virtual_numbers": "numbers",
    "call_processing_rules": "numbers",
    "sip_lines": "lines",
    "employees": "employees",
    "employee_phones": "employees",
    "employee_positions": "employees",
    "employee_operators": "employees",
    "employee_groups": "groups",
    "group_members": "groups",
    "group_phones": "groups",
    "scenarios": "scenarios",
    "scenario_operations": "scenarios",
    "sites": "sites",
    "site_blocks": "sites",
    "campaigns": "campaigns",
    "campaign_blocks": "campaigns",
    "campaign_costs": "campaigns",
    "crm_accounts": "crm_accounts",
    "agents": "agents",
    "queues": "queues",
    "queue_tiers": "queues",
}
"""Package of ``directory`` by table."""

ELSEWHERE = {
    ("directory/employees/changes.py", "group_members"): "an employee's own list of groups",
    ("directory/employees/form.py", "sip_lines"): "lines of employees who go",
    ("directory/employees/form.py", "agents"): "an employee's own settings as an agent",
    ("directory/numbers/changes.py", "trunks"): "trunks that were made for numbers",
    ("directory/numbers/form.py", "sip_lines"): "lines whose number goes",
    ("directory/campaigns/weights.py", "sites"): "weights of a site's campaigns",
    ("directory/lines/changes.py", "employee_phones"): "a line is a phone of its employee",
    ("backup/restore.py", "trunks"): "trunks of a copy that runs beside its original",
    ("uploads/people.py", "employees"): "employees whom uploaded calls name",
    ("uploads/people.py", "tags"): "tags that uploads name",
}
"""Statements in another place, with their reasons."""

_WRITES = re.compile(r"\b(?:insert into|update|delete from)\s+([a-z_]+)\b")


def test_tables_are_written_by_their_entity() -> None:
    found = {
        (path.relative_to(SOURCE).as_posix(), table)
        for path in SOURCE.rglob("*.py")
        if not path.is_relative_to(SOURCE / "bench")
        for table in _WRITES.findall(path.read_text())
        if table in OWNERS
    }
    outside = {(path, table) for path, table in found if not path.startswith(f"directory/{OWNERS[table]}/")}
    assert len(found) > 20
    assert outside == set(ELSEWHERE)
