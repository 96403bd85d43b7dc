"""What each account has in Asterisk's configuration: its files, and their reloads during calls."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace

from trunkline.core.errors import EffectRefused
from trunkline.telephony.ami import AmiClient, AmiError
from trunkline.telephony.applied import applied_digests, differences, reload
from trunkline.telephony.ari import AriClient, AriError
from trunkline.telephony.config import (
    FOLDER,
    AccountFiles,
    EndpointSet,
    EngineConfig,
    Kind,
    remove_files,
    stale_files,
    write_files,
)
from trunkline.telephony.config.model import NumberFormat
from trunkline.telephony.config.pjsip import BANS_FILE, bans
from trunkline.telephony.engine_commands import failure_of
from trunkline.telephony.port import LineAccess

_NOTHING = EndpointSet()


class AccountConfiguration:
    """Renders and writes the files of each account, and has Asterisk load them.

    :param reload_bans: has Asterisk load the file of the refused addresses.
    :param forget: gets the lines that have another password now: their devices have to prove themselves again.
    """

    def __init__(
        self,
        config: EngineConfig,
        ari: AriClient,
        ami: AmiClient,
        reload_bans: Callable[[], Awaitable[object]],
        forget: Callable[[frozenset[str]], None],
    ) -> None:
        self._etc = config.paths.etc
        self._ari = ari
        self._ami = ami
        self._reload_bans = reload_bans
        self._forget = forget
        self._replaced: set[str] = set()
        """Lines with another password that Asterisk does not have yet."""
        self.files = AccountFiles(config)
        self._applying = asyncio.Lock()
        self._access: Mapping[str, LineAccess] = {}
        self._unloaded_bans = False
        self._unapplied_access = False
        self._directories: dict[str, EndpointSet] = {}
        self._formats: dict[str, NumberFormat] = {}

    def format_of(self, trunk: str) -> NumberFormat | None:
        """How a trunk wants numbers; None for another name."""
        return self._formats.get(trunk)

    def set_account(self, account: str, directory: EndpointSet) -> frozenset[str]:
        """What an account shall have from the next :meth:`apply` on. Renders this account only.

        :returns: names of lines and trunks that are left out since another account has them.
        """
        former = self._directories.get(account, _NOTHING)
        for trunk in former.trunks:
            self._formats.pop(trunk.name, None)
        passwords = {line.login: line.ha1_md5 for line in former.lines}
        self._replaced |= {
            line.login for line in directory.lines if passwords.get(line.login, line.ha1_md5) != line.ha1_md5
        }
        left_out = self.files.put(account, self._restricted(directory))
        self._formats |= {
            trunk.name: trunk.number_format for trunk in directory.trunks if trunk.name not in left_out
        }
        self._directories[account] = directory
        return left_out

    def remove_account(self, account: str) -> None:
        """The account shall have nothing from the next :meth:`apply` on."""
        if account in self._directories:
            self.set_account(account, EndpointSet())
            del self._directories[account]
            self.files.remove(account)

    async def apply(self) -> list[Kind]:
        """Write changed files, then reload each kind whose loaded state is not the wanted one; no call is
        disturbed. Compares with what Asterisk has, so it is repeated until it returns.

        :returns: the kinds that were reloaded.
        :raises EngineError: Asterisk does not respond, or has not loaded the wanted state.
        :raises OSError: the files cannot be written.
        """
        async with self._applying:
            return await self._apply()

    async def _apply(self) -> list[Kind]:
        files, wanted = self.files.unwritten(), self.files.digests()
        replaced = frozenset(self._replaced)
        await asyncio.to_thread(write_files, self._etc, files)
        self.files.written(files)
        try:
            differing = differences(wanted, await applied_digests(self._ari, self._ami))
            if differing:
                await reload(self._ari, differing)
                left = differences(wanted, await applied_digests(self._ari, self._ami))
        except (AriError, AmiError) as error:
            raise failure_of(error, "configure") from error
        if differing and left:
            raise EffectRefused(
                f"Asterisk has not loaded {', '.join(left)}: see its errors in logs/asterisk.log of the data folder"
            )
        self._replaced -= replaced
        if replaced:
            self._forget(replaced)
        return differing

    async def remove_stale_files(self) -> None:
        """Remove files of deleted accounts; after an :meth:`apply`, which unloads them."""
        wanted = self.files.names()
        folder = self._etc / FOLDER

        def remove() -> None:
            remove_files(folder, stale_files(os.listdir(folder) if folder.exists() else (), wanted))

        await asyncio.to_thread(remove)

    async def restrict_logins(self, addresses: Iterable[str], lines: Mapping[str, LineAccess]) -> None:
        """Refuse all requests of these addresses, and at these lines (by login) what their access does not allow.

        Replaces earlier restrictions. Live calls continue.

        :raises EngineError: Asterisk does not take it; call it again.
        """
        files = {BANS_FILE: bans(addresses)}
        if await asyncio.to_thread(write_files, self._etc, files):
            self._unloaded_bans = True
        if self._unloaded_bans:
            await self._reload_bans()
            self._unloaded_bans = False
        before, self._access = self._access, dict(lines)
        changed = {login for login in {*before, *lines} if before.get(login) != lines.get(login)}
        for account, directory in list(self._directories.items()):
            if any(line.login in changed for line in directory.lines):
                self.set_account(account, directory)
                self._unapplied_access = True
        if self._unapplied_access:
            await self.apply()
            self._unapplied_access = False

    def _restricted(self, directory: EndpointSet) -> EndpointSet:
        """The directory with the access of its lines."""
        if not self._access:
            return directory
        allowed = LineAccess()
        lines = [replace(line, access=self._access.get(line.login, allowed)) for line in directory.lines]
        return replace(directory, lines=lines)
