"""What calls see of an account: its directory as the switch loads it."""

from __future__ import annotations

from pathlib import Path

from tests.apis.data_api.client import DataApiClient
from tests.reports.company import ACCOUNT
from trunkline.directory.live.load import load_accounts
from trunkline.directory.model import Account


class _NoCipher:
    """Opens nothing: the companies of these tests have no trunks with passwords."""

    def encrypt(self, plain: str, /) -> bytes:
        raise AssertionError("nothing is to be encrypted here")

    def decrypt(self, token: bytes, /) -> str:
        raise AssertionError("nothing is to be decrypted here")


async def account_seen(client: DataApiClient, account_id: int = ACCOUNT) -> Account:
    """The account as the switch has it after the last commit."""
    async with client.db.connection() as connection:
        loaded = await load_accounts(connection, _NoCipher(), Path("/nonexistent"), [account_id])
    return loaded.accounts[account_id]
