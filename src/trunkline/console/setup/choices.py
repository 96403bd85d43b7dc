"""What selects of forms offer: rows of listings by their names."""

from __future__ import annotations

import orjson

from trunkline.accounts.permissions import Permission
from trunkline.console.page_request import PageRequest
from trunkline.console.setup.controls import Choice, ReadChoices
from trunkline.db.query import Listing

MOST = 2000
"""Rows that a select offers."""


def rows_of(listing: Listing, needs: Permission, value: str, title: str) -> ReadChoices:
    """The rows of a listing as choices; nothing for a user who may not read it.

    :param value: the field that is sent.
    :param title: the field that is shown.
    """

    async def read(page_request: PageRequest) -> list[Choice]:
        if not page_request.may(needs):
            return []
        fields = list(dict.fromkeys((value, title)))
        page = await page_request.reader.list(listing, {"fields": fields, "limit": MOST})
        found = [
            Choice(str(row[value]), str(row[title] or row[value]))
            for row in orjson.loads(page.rows)
            if row[value] is not None
        ]
        return sorted(found, key=lambda one: one.title.casefold())

    return read
