"""E-mails of other systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from psycopg.types.json import Jsonb

from trunkline.db.pool import Connection, Database
from trunkline.db.rows import insert, transaction
from trunkline.uploads import checks, conversation
from trunkline.uploads.conversation import Context

FIELD = "emails"


async def upload_emails(
    db: Database, account_id: int, zone: ZoneInfo, emails: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Keep e-mails; their ids, in order.

    :raises InvalidInput, LimitExceeded, NotFound: one of them cannot be kept; then none is.
    """
    checks.check_amount(emails, FIELD)
    contexts = [_context(email, zone) for email in emails]
    async with transaction(db) as connection:
        await conversation.check_contexts(connection, account_id, contexts, FIELD, "date_time", "session_id")
        return [
            await _keep(connection, account_id, email, context)
            for email, context in zip(emails, contexts, strict=True)
        ]


def _context(email: Mapping[str, Any], zone: ZoneInfo) -> Context:
    sent = email["date_time"]
    at = checks.instant(sent if len(sent) > 10 else f"{sent} 00:00:00", zone, f"{FIELD}.date_time")
    checks.not_in_future(at, f"{FIELD}.date_time", sent)
    return Context(at, sent, email.get("session_id"), None, email.get("site_id"))


async def _keep(connection: Connection, account_id: int, email: Mapping[str, Any], context: Context) -> int:
    sender = checks.email(email["email_from"], f"{FIELD}.email_from")
    to = checks.email(email["email_to"], f"{FIELD}.email_to") if email.get("email_to") else None
    copies = {
        name: [checks.email(one, f"{FIELD}.{name}") for one in email.get(name, ())]
        for name in ("email_to_cc", "email_to_bcc")
    }
    if to is None and not any(copies.values()):
        raise checks.combination("send email_to, email_to_cc or email_to_bcc", f"{FIELD}.email_to")
    extra = await conversation.visit_of(connection, account_id, context, email.get("source_id"))
    contact = await conversation.contact_of(connection, account_id, None, sender)
    contact["contact_full_name"] = contact["contact_full_name"] or email.get("sender_name")
    return await insert(
        connection,
        "emails",
        "email_id",
        account_id,
        {
            "date_time": context.at,
            "sender_name": email.get("sender_name"),
            "subject": email.get("subject"),
            "message": email["message"],
            "message_html": email["message_html"],
            "email_from": sender,
            "email_to": to,
            "email_cc": copies["email_to_cc"],
            "email_bcc": copies["email_to_bcc"],
            "extra": Jsonb(extra),
            **contact,
        },
    )
