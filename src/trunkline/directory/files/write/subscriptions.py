"""Notifications."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from trunkline.directory.files import form as schemas
from trunkline.directory.files.write.write_context import Columns, WriteContext


def subscription(context: WriteContext, key: str) -> Columns:
    item: schemas.SubscriptionForm = context.item("notifications", key)
    columns = {
        **{name: getattr(item, name) for name in ("name", "url", "method")},
        "events": list(item.events),
        "body_template": item.body,
        "headers": Jsonb(item.headers),
        "is_active": item.active,
    }
    if item.secret:
        columns["secret_encrypted"] = context.cipher.encrypt(item.secret.get_secret_value())
    return columns
