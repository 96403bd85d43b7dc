"""Which virtual number an API call uses: the rule of the request, and what was used for this contact before."""

from __future__ import annotations

import dataclasses
import random

from trunkline.calls.flows.click_to_call import StartCall
from trunkline.core.errors import DatabaseUnavailable
from trunkline.db.pool import Database
from trunkline.directory.model import Account
from trunkline.directory.numbers.choice import NumberRule, candidates, choose
from trunkline.directory.numbers.memory import remember, remembered


class NumberChooser:
    """Applies ``virtual_phone_usage_rule``; remembers for the rules that keep a number for a subscriber."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def chosen(self, account: Account, request: StartCall, rule: str | None) -> StartCall:
        """The request with the number to use. Without the database a rule does without its memory."""
        usage = NumberRule(rule or NumberRule.FIXED)
        if usage is NumberRule.FIXED:
            return request
        numbers = [number.virtual_number_id for number in candidates(account, request.number)]
        before: int | None = None
        try:
            if usage.remembers:
                before = await remembered(self._db, account.account_id, request.contact, numbers)
            number = choose(account, request.number, usage, request.contact, before, random.choice)
            if usage.remembers:
                await remember(self._db, account.account_id, request.contact, number.virtual_number_id)
        except DatabaseUnavailable:
            number = choose(account, request.number, usage, request.contact, None, random.choice)
        return dataclasses.replace(request, number=number)
