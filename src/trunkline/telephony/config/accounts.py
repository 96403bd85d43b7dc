"""The part of the configuration that changes during calls: each account's own files, and an index of each kind.

A change of an account renders and writes the files of that account. An index (``pjsip_auths.conf``) includes the files
of all accounts and ends with a mark: an object of its kind that carries the digest of everything the index includes.
Asterisk loads the mark with the rest, so reading it back (:mod:`trunkline.telephony.applied`) shows which state of the
files Asterisk has loaded, for any writer and reload.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from enum import StrEnum

from trunkline.core.engine_values import MediaPath
from trunkline.telephony.config import dialplan, pjsip
from trunkline.telephony.config.model import EndpointSet, EngineConfig

FOLDER = "accounts"
MARK = pjsip.NO_LOGIN


class Kind(StrEnum):
    """What is loaded together; named after its files."""

    AUTHS = "auths"
    AORS = "aors"
    ENDPOINTS = "endpoints"
    PEERS = "peers"
    """Registrations at carriers, and carriers' addresses."""
    ROUTES = "routes"
    MUSIC = "music"


INDEX: Mapping[Kind, str] = {
    Kind.AUTHS: "pjsip_auths.conf",
    Kind.AORS: "pjsip_aors.conf",
    Kind.ENDPOINTS: "pjsip_endpoints.conf",
    Kind.PEERS: "pjsip_peers.conf",
    Kind.ROUTES: "extensions_defaults.conf",
    Kind.MUSIC: "musiconhold.conf",
}

_HEADS: Mapping[Kind, str] = dict.fromkeys(
    (Kind.AUTHS, Kind.AORS, Kind.ENDPOINTS), '#include "pjsip_templates.conf"\n'
)

_MARKS: Mapping[Kind, str] = {
    # These cannot be used to log in or call: the endpoint is identified by a header that is used nowhere.
    Kind.AUTHS: "type = auth\nauth_type = digest\nusername = {digest}\npassword = {digest}\n",
    Kind.AORS: "type = aor\nmax_contacts = 0\nvoicemail_extension = {digest}\n",
    Kind.ENDPOINTS: "type = endpoint\nidentify_by = header\nauth = tl-applied\ncontext = tl-nowhere\n"
    "disallow = all\nallow = alaw\naccountcode = {digest}\n",
    Kind.PEERS: "type = domain_alias\ndomain = {digest}\n",
}

_SECTION = re.compile(r"(?m)^(?=\[)")
_TEMPLATE = re.compile(r"\[[^\]]*\]\(tl-(\w+)\)")
_TYPE = re.compile(r"(?m)^type = (\w+)$")
_KIND_OF: Mapping[str, Kind] = {
    "auth": Kind.AUTHS,
    "aor": Kind.AORS,
    "line": Kind.ENDPOINTS,
    "browser": Kind.ENDPOINTS,
    "trunk": Kind.ENDPOINTS,
    "endpoint": Kind.ENDPOINTS,
}
"""By template or type."""


def account_texts(directory: EndpointSet, *, busy_lamps: bool) -> dict[Kind, str]:
    """What an account brings to each kind; kinds of which it has nothing are left out. Music has no files by account."""
    watched = dialplan.watched(directory.watched) if busy_lamps else ""
    texts: dict[Kind, str] = {}
    objects = (
        pjsip.lines(directory.lines),
        pjsip.sites(directory.sites),
        pjsip.trunks(directory.trunks),
    )
    for section in _SECTION.split("\n".join(objects)):
        found = _TEMPLATE.match(section) or _TYPE.search(section)
        if found is not None:
            kind = _KIND_OF.get(found[1], Kind.PEERS)
            texts[kind] = texts.get(kind, "") + section
    if directory.defaults or directory.emergency or watched:
        texts[Kind.ROUTES] = (
            dialplan.defaults(directory.defaults) + dialplan.emergency(directory.emergency) + watched
        )
    return texts


class AccountFiles:
    """The files of all accounts, rendered account by account.

    :meth:`put` and :meth:`remove` change the wanted state; :meth:`unwritten` has the files to write for it.
    """

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._texts: dict[str, dict[Kind, str]] = {}
        self._directories: dict[str, EndpointSet] = {}
        self._digests: dict[Kind, dict[str, str]] = {kind: {} for kind in Kind}
        self._owners: dict[str, str] = {}
        self._displaced: dict[str, frozenset[str]] = {}
        self._unwritten: dict[str, str] = {}
        self._current: dict[Kind, str] = {}
        """Digests of kinds of which nothing changed since they were made."""
        self._unindexed: set[Kind] = set()
        """Kinds whose index must be rendered again; once for any number of changes."""
        self._templates = pjsip.templates(config)
        for kind in Kind:
            self._index(kind)

    def put(self, account: str, directory: EndpointSet) -> frozenset[str]:
        """Render one account.

        :returns: names of lines and trunks that are left out, since another account has them: Asterisk loads nothing of
            a kind that has two objects of one name.
        """
        self._forget_names(account)
        directory, displaced = self._without_names_of_others(account, directory)
        old_music = self._directories.get(account, _NOTHING)
        self._directories[account] = directory
        self._displaced.pop(account, None)
        if displaced:
            self._displaced[account] = displaced
        texts = account_texts(directory, busy_lamps=self._config.busy_lamps)
        before = self._texts.get(account, {})
        self._texts[account] = texts
        for kind in Kind:
            if kind is not Kind.MUSIC and texts.get(kind) != before.get(kind):
                self._change(kind, account, texts.get(kind))
        if (old_music.music, old_music.hold_music) != (directory.music, directory.hold_music):
            self._index(Kind.MUSIC)
        return displaced

    def remove(self, account: str) -> None:
        """The account is gone."""
        if account in self._directories:
            self.put(account, EndpointSet())
            self._directories.pop(account, None)
            self._texts.pop(account, None)

    @property
    def accounts(self) -> frozenset[str]:
        return frozenset(self._directories)

    @property
    def displaced(self) -> Mapping[str, frozenset[str]]:
        """By account: names that are left out, as :meth:`put` returns them."""
        return self._displaced

    def digests(self) -> dict[Kind, str]:
        """Digests of the wanted state, as in the marks."""
        for kind in Kind:
            if kind not in self._current:
                self._current[kind] = self._digest(kind)
        return dict(self._current)

    def unwritten(self) -> dict[str, str]:
        """File name to text, of what changed since :meth:`written`."""
        for kind in self._unindexed:
            self._unwritten[INDEX[kind]] = self._index_text(kind)
        self._unindexed.clear()
        return dict(self._unwritten)

    def written(self, files: Mapping[str, str]) -> None:
        """These are on disk."""
        for name, text in files.items():
            if self._unwritten.get(name) == text:
                del self._unwritten[name]

    def names(self) -> set[str]:
        """Names of the wanted files of accounts."""
        return {_file(kind, account) for kind, digests in self._digests.items() for account in digests}

    def all_files(self) -> dict[str, str]:
        """Every file that is wanted."""
        files = {
            _file(kind, account): text
            for account, texts in self._texts.items()
            for kind, text in texts.items()
        }
        return files | {INDEX[kind]: self._index_text(kind) for kind in Kind}

    # --- one kind

    def _change(self, kind: Kind, account: str, text: str | None) -> None:
        if text is None:
            self._digests[kind].pop(account, None)
            self._unwritten.pop(_file(kind, account), None)
        else:
            self._digests[kind][account] = _hash(text)
            self._unwritten[_file(kind, account)] = text
        self._index(kind)

    def _index(self, kind: Kind) -> None:
        self._current.pop(kind, None)
        self._unindexed.add(kind)

    def _index_text(self, kind: Kind) -> str:
        return self._body(kind) + _mark(kind, self.digests()[kind], self._silence)

    def _body(self, kind: Kind) -> str:
        if kind is Kind.MUSIC:
            hold = next((one.hold_music for one in self._directories.values() if one.hold_music), None)
            paths: set[MediaPath] = set()
            for directory in self._directories.values():
                paths.update(directory.music)
            return dialplan.music(sorted(paths), hold or self._silence)
        head = _HEADS.get(kind, "")
        return head + "".join(
            f'#include "{_file(kind, account)}"\n' for account in sorted(self._digests[kind])
        )

    def _digest(self, kind: Kind) -> str:
        parts = [
            self._body(kind),
            *(f"{account} {digest}" for account, digest in sorted(self._digests[kind].items())),
        ]
        if kind in _HEADS:
            parts.append(self._templates)
        return _hash("\n".join(parts))

    @property
    def _silence(self) -> str:
        return str(self._config.paths.silence.with_suffix(""))

    # --- one name, one account

    def _forget_names(self, account: str) -> None:
        for name in _names(self._directories.get(account, _NOTHING)):
            if self._owners.get(name) == account:
                del self._owners[name]

    def _without_names_of_others(
        self, account: str, directory: EndpointSet
    ) -> tuple[EndpointSet, frozenset[str]]:
        names = _names(directory)
        taken = frozenset(name for name in names if self._owners.get(name, account) != account)
        self._owners |= dict.fromkeys((name for name in names if name not in taken), account)
        if not taken:
            return directory, taken
        return replace(
            directory,
            lines=[line for line in directory.lines if line.login not in taken],
            trunks=[trunk for trunk in directory.trunks if trunk.name not in taken],
            sites=[site for site in directory.sites if site.name not in taken],
        ), taken


_NOTHING = EndpointSet()


def _names(directory: EndpointSet) -> list[str]:
    return [
        *(line.login for line in directory.lines),
        *(trunk.name for trunk in directory.trunks),
        *(site.name for site in directory.sites),
    ]


def stale_files(present: Iterable[str], wanted: Collection[str]) -> list[str]:
    """Of the names in the folder of accounts, those that no account has any more."""
    return [name for name in present if f"{FOLDER}/{name}" not in wanted]


def _file(kind: Kind, account: str) -> str:
    return f"{FOLDER}/{account}-{kind.value}.conf"


def _mark(kind: Kind, digest: str, silence: str) -> str:
    match kind:
        case Kind.ROUTES:
            return f"[globals](+)\nTL_APPLIED = {digest}\n"
        case Kind.MUSIC:
            return f"\n[{MARK}-{digest}]\nmode = playlist\nentry = {silence}\n"
        case _:
            return f"\n[{MARK}]\n{_MARKS[kind].format(digest=digest)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
