"""The description of each entity against the schema: a column that no directory file has is a decision, not an oversight."""

from __future__ import annotations

import importlib
import re

from pydantic import BaseModel

from trunkline.db.pool import Database
from trunkline.directory import exclusive
from trunkline.directory.agents.form import AgentForm
from trunkline.directory.employees.form import EmployeePhoneForm, OperatorForm
from trunkline.directory.exclusive import Exclusive
from trunkline.directory.files.entities import DELETE_ORDER, ENTITIES
from trunkline.directory.files.form import SECTIONS
from trunkline.directory.forms.entity import column_names
from trunkline.directory.numbers.form import RuleForm
from trunkline.directory.queues.form import TierForm

OWN = {
    "media": {"kind", "sha256", "duration_ms", "size_bytes", "spoken_text", "spoken_language"},
    "schedules": {"intervals", "exceptions"},
    "sip_lines": {"ha1_md5", "ha1_sha256", "password_weakness"},
    "trunks": {"password_encrypted"},
    "notifications": {"secret_encrypted", "conditions"},
    "talk_options": {"mnemonic", "name", "settings"},
    "sites": {"parameter_weights"},
    "campaigns": {"group_conditions"},
    "queues": {"exits", "audio_playback"},
}
"""Columns that an entity reads and writes by its own statements."""

LEFT_OUT = {
    "*": {"account_id", "created_at", "full_name"},
    "tags": {"is_system", "color"},  # no method sets a colour
    "contact_groups": {"is_system"},
    "blacklist": {"added_at"},
    "virtual_numbers": {
        "status",  # no method sets it
        "redirection_phone_number",  # no method sets it
        "activation_date",
        "carrier_trunk_id",  # a trunk of the installation
    },
    "sip_lines": {"employee_id", "virtual_phone_usage_rule"},  # follows from phones; no method sets the rule
    "notifications": {
        "former_secret_encrypted",  # a secret, until it is replaced everywhere
        "former_secret_until",
        "switched_off_reason",  # what its deliveries found
    },
    "employees": {"status_id"},  # follows from the status
    "sites": {
        "parent_id",  # no method sets it
        "phone_ha1_md5",  # a credential that is made when a visitor calls
        "phone_ha1_sha256",
        "phone_renewed_at",
    },
    "campaigns": {"type", "engine", "static_utm"},  # of integrated campaigns, which no method makes
    "crm_accounts": {  # progress of loading
        "last_deals_load_time", "deals_load_state", "deals_load_error", "last_leads_load_time", "leads_load_state"
    },
}  # fmt: skip


async def columns(db: Database, table: str) -> set[str]:
    rows = await db.fetch_all(
        "select column_name from information_schema.columns where table_schema = 'public' and table_name = %s",
        (table,),
    )
    return {row["column_name"] for row in rows}


async def test_every_column_is_in_the_file_or_has_a_reason(db: Database) -> None:
    for section, entity in ENTITIES.items():
        there = await columns(db, entity.table) - {entity.id_column, entity.key_column} - LEFT_OUT["*"]
        described = set(column_names(entity.form)) if entity.form is not None else set()
        known = described | OWN.get(section, set())
        assert there - known == LEFT_OUT.get(section, set()), section
        assert known - there <= {entity.id_column, entity.key_column}, section


async def test_every_column_of_a_part_is_in_the_file(db: Database) -> None:
    parts: dict[str, tuple[type[BaseModel], set[str]]] = {
        "employee_phones": (EmployeePhoneForm, {"phone_id", "employee_id", "position"}),
        "queue_tiers": (TierForm, {"queue_id"}),
        "agents": (AgentForm, {"employee_id"}),
        "employee_operators": (OperatorForm, {"employee_id", "password_hash"}),
        "call_processing_rules": (RuleForm, {"call_processing_rule_id", "virtual_number_id", "position"}),
    }
    for table, (form, own) in parts.items():
        assert await columns(db, table) - {"account_id"} == set(column_names(form)) | own, table


def exclusive_fields(form: type[BaseModel], section: str) -> set[tuple[str, str]]:
    """Kinds of values that only one item has, with the section, also of the parts of an item."""
    found: set[tuple[str, str]] = set()
    for info in form.model_fields.values():
        found |= {(mark.name + mark.column, section) for mark in info.metadata if isinstance(mark, Exclusive)}
        for part in re.findall(r"[\w.]+Form\b", str(info.annotation)):
            module, _, name = part.rpartition(".")
            found |= exclusive_fields(getattr(importlib.import_module(module), name), section)
    return found


def test_forms_mark_the_values_whose_uniqueness_the_apis_check() -> None:
    marked = {
        one
        for section, entity in ENTITIES.items()
        if entity.form is not None
        for one in exclusive_fields(entity.form, section)
    }
    kinds = [value for value in vars(exclusive).values() if isinstance(value, Exclusive)]
    assert len(kinds) >= 4
    assert marked == {(kind.name + kind.column, section) for kind in kinds for section in kind.tables}


def test_sections_of_files_are_entities() -> None:
    assert set(SECTIONS) == ENTITIES.keys() == set(DELETE_ORDER)
