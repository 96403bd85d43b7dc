"""All entities of directory files, in the order in which their items are written."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.directory.blacklist import form as blacklist
from trunkline.directory.campaigns import form as campaigns
from trunkline.directory.contacts import form as contacts
from trunkline.directory.crm_accounts import form as crm_accounts
from trunkline.directory.employees import form as employees
from trunkline.directory.forms.entity import Entity
from trunkline.directory.groups import form as groups
from trunkline.directory.lines import form as lines
from trunkline.directory.media import form as media
from trunkline.directory.message_fields import form as message_fields
from trunkline.directory.numbers import form as numbers
from trunkline.directory.queues import form as queues
from trunkline.directory.scenarios import form as scenarios
from trunkline.directory.schedules import form as schedules
from trunkline.directory.sites import form as sites
from trunkline.directory.subscriptions import form as subscriptions
from trunkline.directory.tags import form as tags
from trunkline.directory.trunks import form as trunks

ENTITIES: Mapping[str, Entity] = {
    entity.section: entity
    for module in (
        schedules,
        media,
        tags,
        contacts,
        blacklist,
        trunks,
        numbers,
        lines,
        employees,
        groups,
        queues,
        scenarios,
        subscriptions,
        sites,
        campaigns,
        crm_accounts,
        message_fields,
    )
    for entity in module.ENTITIES
}
"""By section. An item is written after those that its columns refer to, except late ones (:class:`Refers`)."""

DELETE_ORDER = (
    "notifications",
    "talk_options",
    "campaigns",
    "sites",
    "virtual_numbers",
    "scenarios",
    "queues",
    "groups",
    "contact_groups",
    "contacts",
    "organizations",
    "employees",
    "positions",
    "sip_lines",
    "trunks",
    "schedules",
    "media",
    "tags",
    "blacklist",
    "crm_accounts",
    "message_fields",
)
"""Sections: what refers to others goes before them."""
