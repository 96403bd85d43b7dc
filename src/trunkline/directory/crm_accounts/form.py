"""An account in a CRM system in a directory file; its key is its name."""

from __future__ import annotations

from typing import Literal

from trunkline.directory.forms.entity import Entity
from trunkline.directory.forms.fields import Item


class CrmAccountForm(Item):
    description: str = ""
    type: Literal["custom", "amocrm", "bitrix"] = "custom"
    url: str
    deal_conversion_model: Literal["last_before_deal", "last_before_contact", "last_before_lead"]
    is_ignore_outgoing_calls: bool = False
    is_ignore_outgoing_chats: bool = False


ENTITIES = (Entity("crm_accounts", CrmAccountForm, "crm_accounts", "crm_account_id", key_column="name"),)
