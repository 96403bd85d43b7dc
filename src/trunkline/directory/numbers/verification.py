"""Verification of a number by a call that announces a code, which the account then sends back.

The call uses a trunk of the installation, because the provider of the account's own trunk could answer every call. The code
is stored as a hash and is valid for ten minutes and five attempts; a number is called at most three times a day.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import errors

from trunkline.core.errors import InUse, InvalidInput, LimitExceeded, NotFound, PermissionDenied
from trunkline.db.pool import Connection, Database, whole_installation
from trunkline.db.rows import one_at_a_time
from trunkline.directory.model import SYSTEM_ACCOUNT_ID
from trunkline.directory.numbers.ownership import digits_of

CODE_DIGITS = 6
VALID = timedelta(minutes=10)
ATTEMPTS = 5
WINDOW = timedelta(days=1)
CALLS_OF_NUMBER = 3
"""In :data:`WINDOW`, for all accounts together: the number may belong to a person outside the installation."""
CALLS_OF_ACCOUNT = 10
"""In :data:`WINDOW`."""
RING_SECONDS = 40
_COMMAND = "start_informer_call"


@dataclass(frozen=True, slots=True)
class Caller:
    """What a call with a code needs.

    :ivar account_id: whose trunk and default number are used.
    :ivar command: sends a command of an account to the switch.
    :ivar file_of: the sound file of a text in a language.
    :ivar check: the switch's command that only checks the command which it is given.
    """

    account_id: int
    command: Callable[[int, str, dict[str, Any]], Awaitable[Any]]
    file_of: Callable[..., Awaitable[str]]
    check: str


async def start(
    database: Database, account_id: int, phone_number: str, language: str, caller: Caller | None
) -> None:
    """Call a number and announce a code. The code is made after the switch has checked the call, because a code counts as
    a call of the number.

    :param caller: None: the installation makes no such calls.
    :raises PermissionDenied: ``tariff_restrictions``: there is no caller.
    :raises TrunklineError: the switch refuses the call, or :func:`new_code` the code.
    """
    if caller is None:
        raise PermissionDenied(
            "This installation does not verify numbers by calls: its administrator assigns the number, or sets"
            " numbers.verification_account.",
            mnemonic="tariff_restrictions",
            field="virtual_phone_number",
        )
    unspoken = {**call_params(phone_number, "", ""), "command": _COMMAND}
    await caller.command(caller.account_id, caller.check, unspoken)
    code = await new_code(database, account_id, phone_number, datetime.now(UTC))
    text = message(code, language)
    file = await caller.file_of(text, language, account_id=account_id)
    await caller.command(caller.account_id, _COMMAND, call_params(phone_number, text, file))


async def new_code(database: Database, account_id: int, phone_number: str, now: datetime) -> str:
    """Make the code for a call to the number; the previous code becomes invalid.

    :raises InvalidInput: it is no number.
    :raises NotFound: the account has no such number, or it is verified.
    :raises InUse: another account has it verified.
    :raises LimitExceeded: it was called often enough.
    """
    digits = digits_of(phone_number)
    code = "".join(secrets.choice("0123456789") for _ in range(CODE_DIGITS))
    salt = secrets.token_bytes(16)
    hashed = await asyncio.to_thread(_hash, code, salt)
    async with database.connection() as connection:
        await one_at_a_time(connection, account_id)
        await _check_claim(connection, account_id, digits)
        await _count_call(connection, account_id, digits, now)
        await connection.execute(
            "insert into number_verifications (account_id, phone_number, salt, code_hash, attempts_left, expires_at)"
            " values (%s, %s, %s, %s, %s, %s) on conflict (account_id, phone_number) do update set"
            " salt = excluded.salt, code_hash = excluded.code_hash, attempts_left = excluded.attempts_left,"
            " expires_at = excluded.expires_at",
            (account_id, digits, salt, hashed, ATTEMPTS, now + VALID),
        )
    return code


async def confirm(database: Database, account_id: int, phone_number: str, code: str, now: datetime) -> None:
    """Verify the number by the code of the call.

    :raises InvalidInput: ``invalid_parameter_value`` of ``code``: it is another, too old, or was tried too often.
    :raises NotFound: no such number in this account, or it is verified.
    :raises InUse: another account verified it meanwhile.
    """
    digits = digits_of(phone_number)
    async with (
        database.connection() as connection
    ):  # the attempt is committed before the code is compared, so a wrong one counts
        await _check_claim(connection, account_id, digits)
        cursor = await connection.execute(
            "update number_verifications set attempts_left = attempts_left - 1"
            " where account_id = %s and phone_number = %s and attempts_left > 0 and expires_at > %s"
            " returning salt, code_hash",
            (account_id, digits, now),
        )
        row = await cursor.fetchone()
    given = await asyncio.to_thread(_hash, code, bytes(row["salt"])) if row is not None else b""
    if row is None or not hmac.compare_digest(bytes(row["code_hash"]), given):
        raise InvalidInput(
            "the code is wrong, has expired or was tried too often; request another call",
            field="code",
            value=code,
        )
    try:
        async with database.connection() as connection:
            await connection.execute(
                "update virtual_numbers set is_verified = true where account_id = %s and phone_number = %s",
                (account_id, digits),
            )
            await connection.execute(
                "delete from number_verifications where account_id = %s and phone_number = %s",
                (account_id, digits),
            )
    except errors.UniqueViolation as error:
        raise _in_use(digits) from error


def message(code: str, language: str) -> str:
    """The text of the call; digits only where the language is not English, because every voice supports them."""
    digits = ", ".join(code)
    digits_text = f"{digits}. {digits}. {digits}."
    return (
        f"Hello. Your verification code is {digits_text}"
        if language.partition("-")[0] == "en"
        else digits_text
    )


def call_params(phone_number: str, text: str, file: str) -> dict[str, Any]:
    """Parameters of the switch's command ``start_informer_call``, from the default number of the account that calls."""
    return {
        "virtual_phone_number": None,
        "contact": digits_of(phone_number),
        "contact_message": {"type": "tts", "value": text, "file": file},
        "dialing_timeout": RING_SECONDS,
        "direction": "out",
    }


def _hash(code: str, salt: bytes) -> bytes:
    return hashlib.scrypt(code.encode(), salt=salt, n=2**14, r=8, p=1)


async def _check_claim(connection: Connection, account_id: int, digits: str) -> None:
    async with whole_installation(connection):
        cursor = await connection.execute(
            "select exists (select from virtual_numbers o where o.account_id <> %(account_id)s"
            " and o.phone_number = %(phone)s and o.is_verified) as is_taken,"
            " exists (select from virtual_numbers v where v.account_id = %(account_id)s"
            " and v.phone_number = %(phone)s and not v.is_verified) as is_claimed",
            {"account_id": account_id, "phone": digits},
        )
        row = await cursor.fetchone()
    assert row is not None
    if not row["is_claimed"]:
        raise NotFound(
            f"the account has no unverified number {digits}",
            mnemonic="virtual_phone_number_not_found",
            field="virtual_phone_number",
            value=digits,
            params={"virtual_phone_number": digits},
        )
    if row["is_taken"]:
        raise _in_use(digits)


async def _count_call(connection: Connection, account_id: int, digits: str, now: datetime) -> None:
    since = now - WINDOW
    await connection.execute(
        "delete from number_verification_calls where account_id = %s and called_at <= %s", (account_id, since)
    )
    async with whole_installation(connection):
        cursor = await connection.execute(
            "select count(*) filter (where c.account_id = %(account_id)s) as of_account,"
            " count(*) filter (where c.phone_number = %(phone)s) as of_number from number_verification_calls c"
            " where c.account_id <> %(nobody)s and c.called_at > %(since)s"
            " and (c.account_id = %(account_id)s or c.phone_number = %(phone)s)",
            {"account_id": account_id, "phone": digits, "since": since, "nobody": SYSTEM_ACCOUNT_ID},
        )
        row = await cursor.fetchone()
    assert row is not None
    if row["of_number"] >= CALLS_OF_NUMBER or row["of_account"] >= CALLS_OF_ACCOUNT:
        raise LimitExceeded(
            f"at most {CALLS_OF_NUMBER} verification calls a day go to one number, and at most {CALLS_OF_ACCOUNT} are made"
            " for one account; wait, or ask the administrator of the installation to assign the number",
            field="virtual_phone_number",
            value=digits,
        )
    await connection.execute(
        "insert into number_verification_calls (account_id, phone_number, called_at) values (%s, %s, %s)",
        (account_id, digits, now),
    )


def _in_use(digits: str) -> InUse:
    return InUse(
        f"{digits} is verified for another account",
        mnemonic="already_in_use",
        field="virtual_phone_number",
        value=digits,
    )
