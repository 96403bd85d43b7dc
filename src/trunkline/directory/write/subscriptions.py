"""Notifications."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from trunkline.directory import forms
from trunkline.directory.write.work import Columns, Work


def subscription(work: Work, key: str) -> Columns:
    item: forms.SubscriptionForm = work.item("notifications", key)
    columns = {
        **{name: getattr(item, name) for name in ("name", "url", "method")},
        "events": list(item.events),
        "body_template": item.body,
        "headers": Jsonb(item.headers),
        "is_active": item.active,
    }
    if item.secret:
        columns["secret_encrypted"] = work.cipher.encrypt(item.secret.get_secret_value())
    return columns
