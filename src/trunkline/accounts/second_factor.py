"""Codes of an authenticator app (TOTP, RFC 6238) that a user enters in addition to the password.

The secret is encrypted at rest. A code is valid for the half minute before and after its own, and once: the step of the last
code is stored, and no code of that step or an earlier one is accepted.
"""

from __future__ import annotations

from typing import Protocol

import pyotp

from trunkline.accounts import login_throttle
from trunkline.core.clock import to_datetime
from trunkline.core.errors import AuthenticationFailed, InvalidInput
from trunkline.core.failures import FORGOTTEN_AFTER
from trunkline.core.log import get_logger
from trunkline.db.pool import Database

ISSUER = "Trunkline"

STEP_SECONDS = 30

_log = get_logger("accounts")

_DRIFT = 1
"""Steps by which the clock of a phone may differ."""


class CipherLike(Protocol):
    """:class:`trunkline.accounts.secrets.Cipher`."""

    def encrypt(self, plain: str, /) -> bytes: ...

    def decrypt(self, token: bytes, /) -> str: ...


def step_of(secret: str, code: str, now: float) -> int | None:
    """The step whose code this is, if it is one of those that are valid now. Pure.

    :param secret: base32.
    :param now: Unix seconds.
    """
    code = "".join(code.split())
    if len(code) != 6 or not (code.isascii() and code.isdigit()):
        return None
    totp, step = pyotp.TOTP(secret), int(now) // STEP_SECONDS
    found = None
    for one in range(step - _DRIFT, step + _DRIFT + 1):
        if pyotp.utils.strings_equal(code, totp.generate_otp(one)):
            found = one
    return found


class SecondFactors:
    """The second factors of users."""

    def __init__(self, db: Database, cipher: CipherLike) -> None:
        self._db = db
        self._cipher = cipher

    async def is_in_use(self, account_id: int, user_id: int) -> bool:
        """Whether the user signs in with codes."""
        row = await self._db.fetch_one(
            "select from second_factors where account_id = %s and user_id = %s and confirmed_at is not null",
            (account_id, user_id),
        )
        return row is not None

    async def begin(self, account_id: int, user_id: int, login: str) -> str:
        """The address for an app (``otpauth://``) with a secret; the same one until it is confirmed.

        :raises InvalidInput: codes are in use already.
        """
        secret = await self._pending(account_id, user_id)
        if secret is None:
            secret = pyotp.random_base32()
            made = await self._db.execute(
                "insert into second_factors (account_id, user_id, secret_encrypted) values (%s, %s, %s)"
                " on conflict do nothing",
                (account_id, user_id, self._cipher.encrypt(secret)),
            )
            if not made:
                raise InvalidInput("codes are in use already: turn them off first", field="code")
        return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)

    async def confirm(self, account_id: int, user_id: int, code: str, now: float) -> None:
        """Use codes from now on: the app shows the right ones.

        :raises InvalidInput: it is not the present code.
        """
        secret = await self._pending(account_id, user_id)
        step = None if secret is None else step_of(secret, code, now)
        if step is None:
            raise InvalidInput(
                "this is not the present code: enter the one that the app shows now", field="code"
            )
        await self._db.execute(
            "update second_factors set confirmed_at = %s, last_step = %s where account_id = %s and user_id = %s",
            (to_datetime(now), step, account_id, user_id),
        )

    async def fits(self, account_id: int, user_id: int, code: str, now: float) -> bool:
        """Whether this is the present code of the user; it is used up by this."""
        row = await self._db.fetch_one(
            "select secret_encrypted from second_factors where account_id = %s and user_id = %s"
            " and confirmed_at is not null",
            (account_id, user_id),
        )
        step = None if row is None else step_of(self._cipher.decrypt(row["secret_encrypted"]), code, now)
        if step is None:
            return False
        used = await self._db.execute(
            "update second_factors set last_step = %s where account_id = %s and user_id = %s and last_step < %s",
            (step, account_id, user_id, step),
        )
        return used == 1

    async def remove(self, account_id: int, user_id: int, code: str, now: float) -> bool:
        """The user signs in with the password alone from now on; False: this is not the present code.

        :raises AuthenticationFailed: too many codes were wrong; says in how many seconds the next may be tried.
        """
        await self._check_wait(account_id, user_id, now)
        if not await self.fits(account_id, user_id, code, now):
            await self._db.execute(
                "update second_factors set failures = %s + case when last_failed_at < %s then 0 else failures end,"
                " last_failed_at = %s where account_id = %s and user_id = %s",
                (1, to_datetime(now - FORGOTTEN_AFTER), to_datetime(now), account_id, user_id),
            )
            _log.warning(
                "code_refused",
                account_id=account_id,
                user_id=user_id,
                consequence="the codes of the user stay in use; many failures delay the next attempts",
            )
            return False
        await remove_second_factor(self._db, account_id, user_id)
        return True

    async def _check_wait(self, account_id: int, user_id: int, now: float) -> None:
        row = await self._db.fetch_one(
            "select failures, last_failed_at from second_factors where account_id = %s and user_id = %s"
            " and last_failed_at is not null",
            (account_id, user_id),
        )
        if row is None:
            return
        wait = login_throttle.remaining_wait(row["failures"], row["last_failed_at"].timestamp(), now)
        if wait > 0:
            raise AuthenticationFailed(f"too many wrong codes; try again in {wait:.0f} s")

    async def _pending(self, account_id: int, user_id: int) -> str | None:
        row = await self._db.fetch_one(
            "select secret_encrypted from second_factors where account_id = %s and user_id = %s"
            " and confirmed_at is null",
            (account_id, user_id),
        )
        return None if row is None else self._cipher.decrypt(row["secret_encrypted"])


async def remove_second_factor(db: Database, account_id: int, user_id: int) -> int:
    """Remove the second factor of a user; how many there were."""
    return await db.execute(
        "delete from second_factors where account_id = %s and user_id = %s", (account_id, user_id)
    )
