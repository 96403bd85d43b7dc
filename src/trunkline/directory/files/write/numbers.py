"""Trunks, SIP lines and virtual numbers."""

from __future__ import annotations

from trunkline.directory.files import form as schemas
from trunkline.directory.files.write.write_context import Columns, WriteContext
from trunkline.directory.lines.digest import ha1, new_password


def trunk(context: WriteContext, key: str) -> Columns:
    item: schemas.TrunkForm = context.item("trunks", key)
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
        columns["password_encrypted"] = context.cipher.encrypt(item.password.get_secret_value())
    return columns


def line(context: WriteContext, key: str) -> Columns:
    item: schemas.SipLineForm = context.item("sip_lines", key)
    columns: Columns = {
        "type": item.type,
        "channels_count": item.channels,
        "dial_time": item.dial_time,
        "srtp": item.srtp,
        "status": "active" if item.active else "inactive",
        "virtual_number_id": context.id("virtual_numbers", item.virtual_number),
    }
    password = item.password.get_secret_value() if item.password else None
    if password is None and key not in context.ids["sip_lines"]:
        password = context.passwords[key] = new_password()
    if password is not None:
        digest = ha1(key, password)
        columns |= {"ha1_md5": digest.md5, "ha1_sha256": digest.sha256, "password_weakness": ""}
    return columns


def number(context: WriteContext, key: str) -> Columns:
    item: schemas.VirtualNumberForm = context.item("virtual_numbers", key)
    same = ("name", "comment", "max_in_calls", "max_out_calls", "number_group")
    columns: Columns = {
        **{name: getattr(item, name) for name in same},
        "trunk_id": context.id("trunks", item.trunk),
    }
    if key not in context.ids["virtual_numbers"]:
        columns["is_verified"] = True  # who applies files is the administrator
    return columns


async def number_links(context: WriteContext, key: str) -> None:
    item: schemas.VirtualNumberForm = context.item("virtual_numbers", key)
    number_id = context.ids["virtual_numbers"][key]
    await context.update(
        "virtual_numbers",
        "virtual_number_id",
        number_id,
        {"default_sip_line_id": context.id("sip_lines", item.default_line)},
    )
    rows = await context.rows(
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
                "scenario_id": context.id("scenarios", rule.scenario),
                "schedule_id": context.id("schedules", rule.schedule),
                "is_active": rule.active,
            },
        )
        for index, rule in enumerate(item.rules)
    ]
    present = {index: row["id"] for index, row in enumerate(rows)}
    await context.put_list("call_processing_rules", "call_processing_rule_id", present, wanted)
