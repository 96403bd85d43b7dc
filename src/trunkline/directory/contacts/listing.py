"""What the address book shows: contacts, groups of contacts, organisations."""

from __future__ import annotations

from trunkline.db.query import ColumnType, Listing
from trunkline.db.query.columns import array, boolean, nested, number, optional_text, string

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
    columns=(
        number("id", "c.contact_id", "filter default"),
        optional_text("first_name", "c.first_name", "filter sort default"),
        optional_text("last_name", "c.last_name", "filter sort default"),
        optional_text("patronymic", "c.patronymic", "default"),
        string("full_name", "c.full_name", "filter sort default"),
        array("emails", "to_jsonb(c.emails)", "filter default"),
        array(
            "phone_numbers",
            "(select jsonb_agg(p.phone_number order by p.position, p.phone_number) from contact_phones p"
            " where p.account_id = c.account_id and p.contact_id = c.contact_id)",
            "filter default",
        ),
        number("personal_manager_id", "c.personal_manager_id", "filter default"),
        string("personal_manager_full_name", "m.full_name", "filter default"),
        number("organization_id", "c.organization_id", "filter default"),
        string("organization_name", "o.name", "filter default"),
        array(
            "groups",
            "(select jsonb_agg(jsonb_build_object('group_id', g.contact_group_id, 'group_name', g.name)"
            " order by g.contact_group_id) from contact_group_members gm join contact_groups g"
            " on g.account_id = gm.account_id and g.contact_group_id = gm.contact_group_id"
            " where gm.account_id = c.account_id and gm.contact_id = c.contact_id)",
            "filter default",
            match_id="group_id",
            match_name="group_name",
            nested=nested(group_id=_NUMBER, group_name=_STRING),
        ),
    ),
)

GROUPS = Listing(
    name="group_contacts",
    table="contact_groups g",
    where="g.account_id = %(account_id)s",
    order="g.contact_group_id",
    columns=(
        number("id", "g.contact_group_id", "filter default"),
        string("name", "g.name", "filter sort default"),
        boolean("is_system", "g.is_system", "filter default"),
        array(
            "members",
            "(select jsonb_agg(jsonb_build_object('contact_id', c.contact_id,"
            " 'contact_full_name', c.full_name) order by c.contact_id) from contact_group_members gm"
            " join contacts c on c.account_id = gm.account_id and c.contact_id = gm.contact_id"
            " where gm.account_id = g.account_id and gm.contact_group_id = g.contact_group_id)",
            "filter default",
            match_id="contact_id",
            match_name="contact_full_name",
            nested=nested(contact_id=_NUMBER, contact_full_name=_STRING),
        ),
    ),
)

ORGANIZATIONS = Listing(
    name="contact_organizations",
    table="contact_organizations o",
    where="o.account_id = %(account_id)s",
    order="o.organization_id",
    columns=(
        number("id", "o.organization_id", "filter default"),
        string("name", "o.name", "filter sort default"),
    ),
)
