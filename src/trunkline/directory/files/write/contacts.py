"""Contacts and their groups."""

from __future__ import annotations

from trunkline.directory.files import form as schemas
from trunkline.directory.files.write.write_context import Columns, WriteContext


def contact(context: WriteContext, key: str) -> Columns:
    item: schemas.ContactForm = context.item("contacts", key)
    return {name: getattr(item, name) for name in ("first_name", "last_name", "patronymic")}


async def contact_phones(context: WriteContext, key: str) -> None:
    contact_id = context.ids["contacts"][key]
    phones = list(context.item("contacts", key).phones)
    await context.run(
        "delete from contact_phones where account_id = %(account_id)s and contact_id = %(contact_id)s",
        contact_id=contact_id,
    )
    await context.run(
        """insert into contact_phones (account_id, contact_id, phone_number)
           select %(account_id)s, %(contact_id)s, unnest(%(phones)s::text[])""",
        contact_id=contact_id,
        phones=phones,
    )


async def contact_members(context: WriteContext, key: str) -> None:
    members = context.item("contact_groups", key).members
    if members is None:
        return
    group_id = context.ids["contact_groups"][key]
    ids = [context.ids["contacts"][member] for member in members]
    await context.run(
        """delete from contact_group_members where account_id = %(account_id)s
           and contact_group_id = %(group_id)s and contact_id <> all(%(ids)s)""",
        group_id=group_id,
        ids=ids,
    )
    await context.run(
        """insert into contact_group_members (account_id, contact_group_id, contact_id)
           select %(account_id)s, %(group_id)s, unnest(%(ids)s::bigint[]) on conflict do nothing""",
        group_id=group_id,
        ids=ids,
    )
