"""Apply a prepared directory file: one transaction, all or nothing; applied twice it changes nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from psycopg import errors

from trunkline.core.errors import DirectoryFileError
from trunkline.db.pool import Database
from trunkline.directory.files.form import Form
from trunkline.directory.files.normalised_state import with_texts
from trunkline.directory.files.plan import Plan
from trunkline.directory.files.prepare import Prepared, Preparer, Request, SubscriptionCheck
from trunkline.directory.files.state_reader import read_current, read_scenarios
from trunkline.directory.files.writer import Writer
from trunkline.directory.lines.password_strength import STRENGTH_MIN
from trunkline.directory.lines.weak_passwords import mark_weak
from trunkline.directory.media.store import ensure_system_media, store_sound
from trunkline.directory.model.cipher import Cipher
from trunkline.directory.trunks.addresses import Address
from trunkline.speech import Speech

_TAKEN = {
    "sip_lines_phone_number_key": "sip_lines.{value}: the login is taken by another account{owner}; choose another",
    "virtual_numbers_verified": "virtual_numbers.{value}: the number is verified for another account{owner};"
    " `trunkline numbers assign {value} --account {account} --take` moves it to this account",
    "sites_site_key_key": "sites: another website has the site_key {value}; leave site_key out, and one is made",
    "tags_account_id_name_key": "tags: a tag of the system has this name; choose another",
}


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done. ``passwords`` are the new ones by SIP login: show them once, they are kept nowhere."""

    plan: Plan
    passwords: Mapping[str, str] = field(repr=False)


class DirectoryFiles:
    """Directory files of an installation: compare, apply, export.

    ::

        files = DirectoryFiles(db, cipher, speech, media_dir)
        prepared = await files.prepare(Request(account_id, read_file(path, os.environ), path.parent))
        print("\\n".join(prepared.plan.lines()))
        applied = await files.apply(prepared)
    """

    def __init__(
        self,
        db: Database,
        cipher: Cipher,
        speech: Speech,
        media_dir: Path,
        check_subscription: SubscriptionCheck | None = None,
        own: frozenset[Address] = frozenset(),
        password_strength_min: float = STRENGTH_MIN,
        *,
        stores_system_media: bool = True,
    ) -> None:
        """:param stores_system_media: False on connections of one account: the worker has stored them at its start."""
        self._stores_system_media = stores_system_media
        self._db = db
        self._cipher = cipher
        self._speech = speech
        self._media_dir = media_dir.absolute()
        self._preparer = Preparer(
            db, cipher, speech, media_dir, check_subscription, own, password_strength_min
        )

    async def prepare(self, request: Request) -> Prepared:
        """The difference between a file and the present directory; writes nothing.

        :raises DirectoryFileError: all problems of the file at once.
        :raises NotFound: no such account.
        """
        return await self._preparer.prepare(request)

    async def apply(self, prepared: Prepared) -> Applied:
        """Write what was prepared, and only that.

        :raises DirectoryFileError: the directory was changed meanwhile, or the database refuses the result;
            nothing of the directory is written then.
        """
        for sound in prepared.sounds.values():  # first: a lost file comes back even when no row changes
            await store_sound(self._media_dir, sound.wav)
        account_id = prepared.request.account_id
        if prepared.plan.is_empty:
            if prepared.weak:
                async with self._db.connection() as connection:
                    await mark_weak(connection, account_id, prepared.weak)
            return Applied(prepared.plan, {})
        if self._stores_system_media and not prepared.request.scenarios_only:
            # operations may name files of the system set, which a database that never ran does not have yet
            await ensure_system_media(self._db, self._media_dir, self._speech)
        try:
            async with self._db.connection() as connection:
                comparison = await self._preparer.compare(connection, prepared)
                if comparison.plan != prepared.plan:
                    raise DirectoryFileError(
                        "The directory was changed meanwhile; check the difference again."
                    )
                author = prepared.request.author
                writer = Writer(connection, self._cipher, comparison, prepared.sounds, author)
                passwords = await writer.write()
                await mark_weak(connection, account_id, comparison.weak)
        except errors.UniqueViolation as error:
            name = error.diag.constraint_name or ""
            value = _value_of(error)
            reason = _TAKEN.get(name, f"The database refuses a value that is there already ({name}).")
            if "{value}" in reason:
                owner = await self._owner(value)
                reason = reason.format(value=value, owner=owner, account=account_id)
            raise DirectoryFileError(reason, params={"problems": [reason]}) from error
        except errors.ForeignKeyViolation as error:
            reason = f"Something that would be deleted is still used ({error.diag.table_name})."
            raise DirectoryFileError(reason, params={"problems": [reason]}) from error
        return Applied(prepared.plan, passwords)

    async def _owner(self, name: str) -> str:
        """The account of a login or a number, in brackets: files are applied by the administrator of the installation."""
        row = await self._db.fetch_one(
            "select account_id from sip_lines where account_id >= 0 and phone_number = %(name)s"
            " union all select account_id from virtual_numbers"
            " where account_id >= 0 and is_verified and phone_number = %(name)s limit 1",
            {"name": name},
        )
        return "" if row is None else f" ({row['account_id']})"

    async def scenarios(self, account_id: int) -> Form:
        """The scenarios of an account with their texts, and its media files.

        :raises NotFound: no such account.
        """
        async with self._db.connection() as connection:
            form = (await read_scenarios(connection, account_id, self._media_dir)).form
        media = form.section("media")
        scenarios = {key: with_texts(one, media) for key, one in form.section("scenarios").items()}
        return form.model_copy(update={"scenarios": scenarios})

    async def export(self, account_id: int, *, without_address_book: bool = False) -> Form:
        """The present directory as a form, without secrets; :func:`~.file.to_yaml` writes it.

        :param without_address_book: without contacts, their groups and organisations, which may be many.
        :raises NotFound: no such account.
        """
        async with self._db.connection() as connection:
            current = await read_current(
                connection, account_id, self._media_dir, without_address_book=without_address_book
            )
        return current.form


def _value_of(error: errors.UniqueViolation) -> str:
    """The last value of the violated key, such as ``0160001`` of ``Key (phone_number)=(0160001) already exists.``."""
    found = re.search(r"=\((.*)\) already exists", error.diag.message_detail or "")
    return found[1].rpartition(", ")[2] if found else "?"
