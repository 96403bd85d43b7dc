"""Contacts, their groups and organisations in a directory file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, ValidationInfo

from trunkline.core.errors import InvalidInput
from trunkline.db.pool import Row
from trunkline.directory.contacts.rules import checked_emails
from trunkline.directory.contacts.store import put_members, put_phones
from trunkline.directory.exclusive import CONTACT_GROUP_NAME
from trunkline.directory.forms.entity import Elsewhere, Entity, ReadContext, Refers
from trunkline.directory.forms.fields import Caller, Item, Key, Title, TitleForm, in_order, is_present, once

if TYPE_CHECKING:
    from trunkline.directory.forms.write_context import WriteContext

SYSTEM_GROUP = "system-blacklist"
"""Key of the group whose members' calls are refused; in a file, members are ``blocked``."""


def _emails(emails: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    if is_present(info):
        return emails
    try:
        return tuple(checked_emails(emails))
    except InvalidInput as error:
        raise ValueError(f"{error.value!r}: {error.message}") from None


class ContactForm(Item):
    first_name: str = ""
    last_name: str = ""
    patronymic: str = ""
    phones: Annotated[tuple[Caller, ...], AfterValidator(once), Elsewhere()] = ()
    emails: Annotated[tuple[str, ...], AfterValidator(_emails)] = ()
    manager: Annotated[Key | None, Refers("employees", "personal_manager_id", late=True)] = None
    organization: Annotated[Title | None, Refers("organizations", "organization_id")] = None
    blocked: Annotated[bool, Elsewhere()] = False
    """In the system's group, whose members' calls are refused."""


class ContactGroupForm(Item):
    name: Annotated[str, CONTACT_GROUP_NAME] = ""
    members: Annotated[
        Annotated[tuple[Key, ...], AfterValidator(in_order)] | None, Refers("contacts"), Elsewhere()
    ] = None
    """Contacts; left out: those who are in it stay (talk options put contacts into groups)."""


def _read_contact(context: ReadContext, row: Row) -> Mapping[str, Any]:
    phones = context.parts("contact_phones", "contact_id", row["contact_id"])
    return {
        "phones": [phone["phone_number"] for phone in phones],
        "blocked": bool(context.parts("blocked_contacts", "contact_id", row["contact_id"])),
    }


async def _link_contact(context: WriteContext, key: str) -> None:
    item: ContactForm = context.item("contacts", key)
    contact_id = context.ids["contacts"][key]
    await put_phones(context.connection, context.account_id, contact_id, item.phones)
    await context.run(
        """delete from contact_group_members m using contact_groups g
           where m.account_id = %(account_id)s and m.contact_id = %(contact_id)s and not %(blocked)s
             and g.account_id = m.account_id and g.contact_group_id = m.contact_group_id and g.key = %(system)s""",
        contact_id=contact_id,
        blocked=item.blocked,
        system=SYSTEM_GROUP,
    )
    await context.run(
        """insert into contact_group_members (account_id, contact_group_id, contact_id)
           select g.account_id, g.contact_group_id, %(contact_id)s from contact_groups g
           where g.account_id = %(account_id)s and g.key = %(system)s and %(blocked)s on conflict do nothing""",
        contact_id=contact_id,
        blocked=item.blocked,
        system=SYSTEM_GROUP,
    )


def _read_group(context: ReadContext, row: Row) -> Mapping[str, Any]:
    members = context.parts("contact_members", "contact_group_id", row["contact_group_id"])
    return {"members": [context.key("contacts", member["contact_id"]) for member in members]}


async def _link_group(context: WriteContext, key: str) -> None:
    members = context.item("contact_groups", key).members
    if members is not None:
        ids = [context.ids["contacts"][member] for member in members]
        await put_members(context.connection, context.account_id, context.ids["contact_groups"][key], ids)


ENTITIES = (
    Entity("organizations", TitleForm, "contact_organizations", "organization_id", key_column="name"),
    Entity(
        "contacts",
        ContactForm,
        "contacts",
        "contact_id",
        parts={
            "contact_phones": """
                select * from contact_phones where account_id = %(account_id)s
                order by contact_id, position, phone_number""",
            "blocked_contacts": """
                select m.contact_id from contact_group_members m join contact_groups g
                on g.account_id = m.account_id and g.contact_group_id = m.contact_group_id
                where m.account_id = %(account_id)s and g.key = 'system-blacklist'""",
        },
        read=_read_contact,
        link=_link_contact,
    ),
    Entity(
        "contact_groups",
        ContactGroupForm,
        "contact_groups",
        "contact_group_id",
        where=" and not is_system",
        parts={
            "contact_members": """
                select * from contact_group_members where account_id = %(account_id)s
                order by contact_group_id, contact_id""",
        },
        read=_read_group,
        link=_link_group,
    ),
)
