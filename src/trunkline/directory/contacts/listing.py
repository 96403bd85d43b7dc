"""What the address book shows: contacts, groups of contacts, organisations."""

from __future__ import annotations

from trunkline.contract.columns import field, listed, optional_field
from trunkline.db.query import ColumnType, Listing

_NUMBER = ColumnType.NUMBER
_STRING = ColumnType.STRING

CONTACTS = Listing(
    name="contacts",
    table="contacts c",
    joins=(
        "left join employees m on m.account_id = c.account_id and m.employee_id = c.personal_manager_id"
        " left join contact_organizations o on o.account_id = c.account_id"
        " and o.organization_id = c.organization_id"
    ),
    where="c.account_id = %(account_id)s",
    order="c.contact_id",
    columns=listed(
        "get.contacts",
        field("id", "c.contact_id"),
        optional_field("first_name", "c.first_name"),
        optional_field("last_name", "c.last_name"),
        optional_field("patronymic", "c.patronymic"),
        field("full_name", "c.full_name"),
        field("emails", "to_jsonb(c.emails)"),
        field(
            "phone_numbers",
            "(select jsonb_agg(p.phone_number order by p.position, p.phone_number) from contact_phones p"
            " where p.account_id = c.account_id and p.contact_id = c.contact_id)",
        ),
        field("personal_manager_id", "c.personal_manager_id"),
        field("personal_manager_full_name", "m.full_name"),
        field("organization_id", "c.organization_id"),
        field("organization_name", "o.name"),
        field(
            "groups",
            "(select jsonb_agg(jsonb_build_object('group_id', g.contact_group_id, 'group_name', g.name)"
            " order by g.contact_group_id) from contact_group_members gm join contact_groups g"
            " on g.account_id = gm.account_id and g.contact_group_id = gm.contact_group_id"
            " where gm.account_id = c.account_id and gm.contact_id = c.contact_id)",
            match_id="group_id",
            match_name="group_name",
        ),
    ),
)

GROUPS = Listing(
    name="group_contacts",
    table="contact_groups g",
    where="g.account_id = %(account_id)s",
    order="g.contact_group_id",
    columns=listed(
        "get.group_contacts",
        field("id", "g.contact_group_id"),
        field("name", "g.name"),
        field("is_system", "g.is_system"),
        field(
            "members",
            "(select jsonb_agg(jsonb_build_object('contact_id', c.contact_id,"
            " 'contact_full_name', c.full_name) order by c.contact_id) from contact_group_members gm"
            " join contacts c on c.account_id = gm.account_id and c.contact_id = gm.contact_id"
            " where gm.account_id = g.account_id and gm.contact_group_id = g.contact_group_id)",
            match_id="contact_id",
            match_name="contact_full_name",
        ),
    ),
)

ORGANIZATIONS = Listing(
    name="contact_organizations",
    table="contact_organizations o",
    where="o.account_id = %(account_id)s",
    order="o.organization_id",
    columns=listed(
        "get.contact_organizations",
        field("id", "o.organization_id"),
        field("name", "o.name"),
    ),
)
