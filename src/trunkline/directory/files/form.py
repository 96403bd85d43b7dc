"""The form of a directory file: its sections and the settings of the account. No I/O.

The forms of the items are in the packages of their entities (``form.py``). Items name each other by key. A key is a short
name; of SIP lines it is the login, of virtual numbers and blacklisted numbers the number itself (E.164 digits). Durations
are seconds. What is left out has the default written in the form; a section that is left out is not changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from trunkline.core import names
from trunkline.core.setting_types import Origin
from trunkline.directory.blacklist.form import BlacklistForm
from trunkline.directory.campaigns.form import CampaignForm
from trunkline.directory.contacts.form import ContactForm, ContactGroupForm
from trunkline.directory.crm_accounts.form import CrmAccountForm
from trunkline.directory.employees.form import EmployeeForm
from trunkline.directory.forms.entity import Refers
from trunkline.directory.forms.fields import (
    Button,
    Caller,
    Item,
    Key,
    Login,
    Name,
    Networks,
    Phone,
    SubscriptionKey,
    Title,
    TitleForm,
    Zone,
    in_order,
    shorthand,
)
from trunkline.directory.groups.form import GroupForm
from trunkline.directory.lines.form import SipLineForm
from trunkline.directory.media.form import MediaForm
from trunkline.directory.message_fields.form import MessageFieldForm
from trunkline.directory.numbers.form import VirtualNumberForm
from trunkline.directory.queues.form import QueueForm
from trunkline.directory.scenarios.form import ScenarioForm, TalkOptionForm
from trunkline.directory.schedules.form import ScheduleForm
from trunkline.directory.sites.form import SiteForm
from trunkline.directory.sites.rules import domain
from trunkline.directory.subscriptions.form import SubscriptionForm
from trunkline.directory.tags.form import TagForm
from trunkline.directory.trunks.form import TrunkForm


class AccountForm(Item):
    """Settings of the account; what is left out stays as it is."""

    name: Name | None = None
    time_zone: Zone | None = None
    locale: Annotated[str, AfterValidator(names.locale)] | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    components: Annotated[tuple[Key, ...], AfterValidator(in_order)] | None = None
    security: dict[Literal["mobile", "national", "international", "premium"], bool] | None = None
    allow: dict[Literal["call_api", "data_api", "call_center", "console"], Networks] | None = None
    """Networks API requests may come from; a listed API has exactly these."""
    tts_message_max_length: Annotated[int, Field(ge=1, le=5000)] | None = None
    default_number: Annotated[Phone | None, Refers("virtual_numbers")] = None
    """Of calls that name no virtual number."""
    cors_origins: Annotated[tuple[Origin, ...], AfterValidator(in_order)] | None = None
    """Of web pages that may use the Call Center API in a browser; a file that has them replaces all."""


def _list_of_keys(value: Any) -> Any:
    """``[a, b]`` for ``{a: {}, b: {}}``."""
    return {str(key): {} for key in value} if isinstance(value, list) else value


def _empty_items(value: Any) -> Any:
    """``key:`` (nothing) for ``key: {}``."""
    if not isinstance(value, Mapping):
        return value
    return {key: {} if item is None else item for key, item in value.items()}


_Nothing = BeforeValidator(_empty_items)
_Listed = BeforeValidator(_list_of_keys)


def _domain(text: str) -> str:
    name = domain(text)
    if name is None:
        raise ValueError(
            f"{text!r} is not a domain; write it without protocol and path, for example shop.example"
        )
    return name


class Form(Item):
    """A directory file. A section that is None is not in the file."""

    account: AccountForm | None = None
    schedules: Annotated[dict[Key, ScheduleForm] | None, _Nothing] = None
    media: Annotated[dict[Key, MediaForm] | None, _Nothing] = None
    tags: Annotated[dict[Key, Annotated[TagForm, shorthand("name")]] | None, _Nothing] = None
    organizations: Annotated[dict[Title, TitleForm] | None, _Nothing, _Listed] = None
    contacts: Annotated[dict[Key, ContactForm] | None, _Nothing] = None
    contact_groups: Annotated[dict[Key, Annotated[ContactGroupForm, shorthand("name")]] | None, _Nothing] = (
        None
    )
    blacklist: Annotated[
        dict[Caller, Annotated[BlacklistForm, shorthand("comment")]] | None, _Nothing, _Listed
    ] = None
    trunks: Annotated[dict[Key, TrunkForm] | None, _Nothing] = None
    sip_lines: Annotated[dict[Login, SipLineForm] | None, _Nothing, _Listed] = None
    virtual_numbers: Annotated[dict[Phone, VirtualNumberForm] | None, _Nothing] = None
    positions: Annotated[dict[Title, TitleForm] | None, _Nothing, _Listed] = None
    employees: Annotated[dict[Key, EmployeeForm] | None, _Nothing] = None
    groups: Annotated[dict[Key, GroupForm] | None, _Nothing] = None
    queues: Annotated[dict[Key, QueueForm] | None, _Nothing] = None
    scenarios: Annotated[dict[Key, ScenarioForm] | None, _Nothing] = None
    talk_options: Annotated[dict[Button, Annotated[TalkOptionForm, shorthand("kind")]] | None, _Nothing] = (
        None
    )
    notifications: Annotated[dict[SubscriptionKey, SubscriptionForm] | None, _Nothing] = None
    sites: Annotated[dict[Annotated[str, AfterValidator(_domain)], SiteForm] | None, _Nothing] = None
    campaigns: Annotated[dict[Key, CampaignForm] | None, _Nothing] = None
    crm_accounts: Annotated[dict[Title, CrmAccountForm] | None, _Nothing] = None
    message_fields: Annotated[dict[Title, MessageFieldForm] | None, _Nothing] = None

    def section(self, name: str) -> Mapping[str, Any]:
        """Items of a section by key; empty when it is not in the file."""
        return getattr(self, name) or {}


SECTIONS = tuple(name for name in Form.model_fields if name != "account")
"""Names of the sections that hold items, in the order of a file."""
