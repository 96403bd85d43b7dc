"""Trunks, SIP lines and virtual numbers."""

from __future__ import annotations

from trunkline.directory import forms
from trunkline.directory.digest import ha1, new_password
from trunkline.directory.write.work import Columns, Work


def trunk(work: Work, key: str) -> Columns:
    item: forms.TrunkForm = work.item("trunks", key)
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
        columns["password_encrypted"] = work.cipher.encrypt(item.password.get_secret_value())
    return columns


def line(work: Work, key: str) -> Columns:
    item: forms.SipLineForm = work.item("sip_lines", key)
    columns: Columns = {
        "type": item.type,
        "channels_count": item.channels,
        "dial_time": item.dial_time,
        "status": "active" if item.active else "inactive",
        "virtual_number_id": work.id("virtual_numbers", item.virtual_number),
    }
    password = item.password.get_secret_value() if item.password else None
    if password is None and key not in work.ids["sip_lines"]:
        password = work.passwords[key] = new_password()
    if password is not None:
        digest = ha1(key, password)
        columns |= {"ha1_md5": digest.md5, "ha1_sha256": digest.sha256}
    return columns


def number(work: Work, key: str) -> Columns:
    item: forms.VirtualNumberForm = work.item("virtual_numbers", key)
    same = ("name", "comment", "max_in_calls", "max_out_calls", "number_group")
    columns: Columns = {
        **{name: getattr(item, name) for name in same},
        "trunk_id": work.id("trunks", item.trunk),
    }
    if key not in work.ids["virtual_numbers"]:
        columns["is_verified"] = True  # who applies files is the operator
    return columns


async def number_links(work: Work, key: str) -> None:
    item: forms.VirtualNumberForm = work.item("virtual_numbers", key)
    number_id = work.ids["virtual_numbers"][key]
    await work.update(
        "virtual_numbers",
        "virtual_number_id",
        number_id,
        {"default_sip_line_id": work.id("sip_lines", item.default_line)},
    )
    rows = await work.rows(
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
                "scenario_id": work.id("scenarios", rule.scenario),
                "schedule_id": work.id("schedules", rule.schedule),
                "is_active": rule.active,
            },
        )
        for index, rule in enumerate(item.rules)
    ]
    present = {index: row["id"] for index, row in enumerate(rows)}
    await work.put_list("call_processing_rules", "call_processing_rule_id", present, wanted)
