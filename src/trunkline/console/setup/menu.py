"""The first page of the set-up, and the entities in its menu."""

from __future__ import annotations

from aiohttp import web

from trunkline.accounts.permissions import READ_CONFIGURATION
from trunkline.apis.service.request_context import CallerLike
from trunkline.console.languages import translatable
from trunkline.console.page import Entry, Page
from trunkline.console.page_request import PageRequest
from trunkline.console.setup import api_access, first_steps, notifications, request_log
from trunkline.console.setup.blacklist import BLACKLIST
from trunkline.console.setup.campaigns import CAMPAIGNS
from trunkline.console.setup.contacts import CONTACTS
from trunkline.console.setup.do_not_call import DO_NOT_CALL
from trunkline.console.setup.employees import EMPLOYEES
from trunkline.console.setup.entity import PATH, SetupEntity
from trunkline.console.setup.groups import GROUPS
from trunkline.console.setup.lines import LINES
from trunkline.console.setup.media import MEDIA
from trunkline.console.setup.menu_entry import MenuEntry
from trunkline.console.setup.numbers import NUMBERS
from trunkline.console.setup.phone_lists import PHONE_LISTS
from trunkline.console.setup.queues import QUEUES
from trunkline.console.setup.schedules import SCHEDULES
from trunkline.console.setup.tags import TAGS
from trunkline.console.setup.trunks import TRUNKS
from trunkline.core.errors import PermissionDenied

_ = translatable

ENTITIES: tuple[SetupEntity, ...] = (
    EMPLOYEES,
    GROUPS,
    LINES,
    NUMBERS,
    TRUNKS,
    SCHEDULES,
    MEDIA,
    QUEUES,
    PHONE_LISTS,
    CAMPAIGNS,
    DO_NOT_CALL,
    CONTACTS,
    BLACKLIST,
    TAGS,
)
"""In the order of the menu."""

MENU_ENTRIES: tuple[MenuEntry, ...] = (
    *notifications.MENU_ENTRIES,
    *api_access.MENU_ENTRIES,
    *request_log.MENU_ENTRIES,
)
"""Pages of the set-up that are no entities."""


def is_visible(caller: CallerLike) -> bool:
    """Whether the caller may write anything of the set-up, or see what is not an entity."""
    return any(one.is_visible(caller) and one.may_write(caller) for one in ENTITIES) or any(
        one.is_visible(caller) for one in MENU_ENTRIES
    )


async def _show(page_request: PageRequest) -> web.StreamResponse:
    everything: tuple[SetupEntity | MenuEntry, ...] = (*ENTITIES, *MENU_ENTRIES)
    seen = [one for one in everything if one.is_visible(page_request.caller)]
    if not is_visible(page_request.caller):
        raise PermissionDenied(_("You may not see this page: an admin of the account can permit it."))
    return page_request.page(
        "setup/home.html",
        entities=seen,
        start=first_steps.is_visible(page_request.caller),
        scenarios=page_request.may(READ_CONFIGURATION),
    )


PAGES = (
    Page(PATH, _show),
    *first_steps.PAGES,
    *(page for one in ENTITIES for page in one.all_pages()),
    *notifications.PAGES,
    *api_access.PAGES,
    *request_log.PAGES,
)
ENTRIES = (Entry(PATH, _("Set-up"), is_visible),)
MENU = (
    *(Entry(one.path, one.title, one.is_visible) for one in ENTITIES),
    *notifications.MENU,
    *api_access.MENU,
    *request_log.MENU,
)
