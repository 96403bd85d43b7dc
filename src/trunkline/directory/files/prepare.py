"""What applying a file would do: read what is there, make the sounds that are new, compare, check."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trunkline.accounts import passwords
from trunkline.core.errors import DirectoryFileError, InvalidInput
from trunkline.db.pool import Connection, Database
from trunkline.directory.employees.form import EmployeeForm
from trunkline.directory.files.entities import ENTITIES
from trunkline.directory.files.file import HIDDEN, Examined, named
from trunkline.directory.files.form import SECTIONS, Form
from trunkline.directory.files.normalised_state import (
    SPOKEN_PREFIX,
    expanded,
    fingerprint_of,
    normalised_state_of,
    outcome,
    used_media,
    with_kept_headers,
)
from trunkline.directory.files.plan import Action, Plan, difference
from trunkline.directory.files.references import problems_of
from trunkline.directory.files.state_reader import (
    ADDRESS_BOOK,
    SCENARIOS,
    CurrentState,
    read_current,
    read_scenarios,
)
from trunkline.directory.forms.write_context import Sound
from trunkline.directory.lines.password_strength import STRENGTH_MIN, Weakness, problem, strength
from trunkline.directory.media.form import MediaForm
from trunkline.directory.model import TrunkMode
from trunkline.directory.model.cipher import Cipher
from trunkline.directory.model.limits import MAX_ACCOUNT_OPERATIONS
from trunkline.directory.subscriptions.form import SubscriptionForm
from trunkline.directory.trunks.addresses import Address
from trunkline.directory.trunks.checks import problems_of_trunk
from trunkline.directory.trunks.form import TrunkForm
from trunkline.directory.trunks.resolution import Resolved, resolve
from trunkline.speech import Speech, audio

SubscriptionCheck = Callable[[str, SubscriptionForm], list[str]]
"""Problems of a subscription (key, form) that only ``notifications`` can detect: events, template."""


@dataclass(frozen=True, slots=True)
class Request:
    """A file and how to apply it."""

    account_id: int
    form: Form
    folder: Path
    """Relative paths of media files start here."""
    delete: bool = False
    """Delete items of the file's sections that the file does not list."""
    examined: Examined | None = None
    """The file, if it has problems: they are refused together with those of the rest of it, which is ``form``."""
    author: str = ""
    """Log-in of the user who makes the change, kept with the versions of scenarios; empty: a file."""
    scenarios_only: bool = False
    """The form has nothing but scenarios: the rest of the directory, which may be large, is not read."""
    based_on: Mapping[str, str] = field(default_factory=dict)
    """Of scenarios that somebody has edited: :func:`.versions.fingerprint` of what was there at the beginning; empty: no
    scenario of the key."""
    removed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Keys of items to delete, by section, whatever else is there."""

    @property
    def leaves_out_address_book(self) -> bool:
        """It may be large, and is not read when nothing of it can change and nothing that it names is deleted."""
        is_named = any(
            getattr(self.form, section) is not None or section in self.removed for section in ADDRESS_BOOK
        )
        are_employees_deleted = "employees" in self.removed or (
            self.delete and self.form.employees is not None
        )
        return not (is_named or are_employees_deleted)

    @classmethod
    def of(cls, account_id: int, examined: Examined, folder: Path, *, delete: bool = False) -> Request:
        """The request of a file that may have problems. Then nothing is deleted, because the file has more items."""
        return cls(account_id, examined.form, folder, delete and not examined.problems, examined)

    def refuse(self, problems: Sequence[str]) -> None:
        """:raises DirectoryFileError: these problems, after those of the file."""
        if self.examined is not None and (problems or self.examined.problems):
            raise self.examined.refusal(problems)
        if problems:
            raise DirectoryFileError("\n".join(problems), params={"problems": list(problems)})


def _too_many_operations(form: Form) -> list[str]:
    count = sum(len(scenario.operations) for scenario in form.section("scenarios").values())
    if count <= MAX_ACCOUNT_OPERATIONS:
        return []
    return [
        f"scenarios: they would have {count} operations together; at most {MAX_ACCOUNT_OPERATIONS} are possible"
    ]


def left_out_of(request: Request) -> Collection[str]:
    """Sections that :meth:`Preparer.prepare` does not read."""
    if request.scenarios_only:
        return [section for section in ENTITIES if section not in SCENARIOS]
    return ADDRESS_BOOK if request.leaves_out_address_book else ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference, and all that writing it needs."""

    current: CurrentState
    wanted: Form
    """Expanded, with kept headers."""
    result: Form
    plan: Plan
    weak: Mapping[str, Weakness]
    """Lines of the file whose password can be guessed, because it is in use or allowed."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that was compared once and may be applied."""

    request: Request
    plan: Plan
    sounds: Mapping[str, Sound] = field(repr=False)
    resolved: Resolved = field(default_factory=dict)
    """The resolved hosts of trunks."""
    result: Form = field(default_factory=Form, repr=False)
    """The directory as it is after the file was applied."""
    weak: Mapping[str, Weakness] = field(default_factory=dict)
    """See :class:`Comparison`."""


class Preparer:
    """Compares files with an account's directory; writes nothing.

    :param check_subscription: see :data:`SubscriptionCheck`; default: nothing is refused.
    :param own: addresses of the installation, in addition to this machine's, which no trunk may have.
    :param password_strength_min: see ``sip.password_strength_min`` of the settings.
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
    ) -> None:
        self._db = db
        self._cipher = cipher
        self._speech = speech
        self._media_dir = media_dir.absolute()
        self._own = own
        self._password_strength_min = password_strength_min
        self._check_subscription = check_subscription or (lambda _key, _form: [])

    async def prepare(self, request: Request) -> Prepared:
        """The plan and the new sounds.

        :raises DirectoryFileError: all problems of the file at once. NotFound: no such account.
        """
        async with self._db.connection() as connection:
            current = await self._current(connection, request)
        sounds, problems = await self._sounds(request, current)
        secrets = await _new_passwords(request, current)
        # in a thread: in the web process, the requests of other accounts go on meanwhile
        comparison, more = await asyncio.to_thread(self._compare, request, current, sounds, secrets)
        problems += more
        trunks: Mapping[str, TrunkForm] = comparison.wanted.section("trunks")
        hosts = {trunks[key].host for key in comparison.plan.written("trunks")}
        resolved = await resolve(hosts, request.account_id)
        async with self._db.connection() as connection:
            problems += await self._trunk_problems(connection, comparison, resolved)
        request.refuse(problems)
        return Prepared(request, comparison.plan, sounds, resolved, comparison.result, comparison.weak)

    async def compare(self, connection: Connection, prepared: Prepared) -> Comparison:
        """Compare again inside the transaction that will write, with the account locked."""
        current = await self._current(connection, prepared.request, lock=True)
        secrets = await _new_passwords(prepared.request, current)
        comparison, problems = await asyncio.to_thread(
            self._compare, prepared.request, current, prepared.sounds, secrets
        )
        problems += await self._trunk_problems(connection, comparison, prepared.resolved)
        prepared.request.refuse(problems)
        return comparison

    async def _current(self, connection: Connection, request: Request, *, lock: bool = False) -> CurrentState:
        if request.scenarios_only:
            current = await read_scenarios(connection, request.account_id, self._media_dir, lock=lock)
        else:
            current = await read_current(
                connection,
                request.account_id,
                self._media_dir,
                lock=lock,
                without_address_book=request.leaves_out_address_book,
            )
        for key, known in request.based_on.items():
            if known != fingerprint_of(current.form, key):
                raise DirectoryFileError(
                    f"scenarios.{key}: somebody has changed it meanwhile; open it again and repeat your changes"
                )
        return current

    async def _trunk_problems(
        self, connection: Connection, comparison: Comparison, resolved: Resolved
    ) -> list[str]:
        """Of trunks that are written with an address that they may not have."""
        trunks: Mapping[str, TrunkForm] = comparison.wanted.section("trunks")
        account_id = comparison.current.account_id
        return [
            f"trunks.{key}.{problem.field}: {problem.message}"
            for key in comparison.plan.written("trunks")
            if trunks[key].active
            for problem in await problems_of_trunk(connection, account_id, trunks[key], resolved, self._own)
        ]

    def _compare(
        self,
        request: Request,
        current: CurrentState,
        sounds: Mapping[str, Sound],
        secrets: set[tuple[str, str]],
    ) -> tuple[Comparison, list[str]]:
        """The difference, and the problems of the result."""
        wanted = with_kept_headers(_expanded(request, current), current.form)
        to_delete = _to_delete(request, current, wanted)
        result = outcome(current.form, wanted, to_delete)
        present = normalised_state_of(current.form, current.sha256)
        contents = {**current.sha256, **{key: sound.sha256 for key, sound in sounds.items()}}
        new_secrets = self._new_secrets(wanted, current) | secrets
        demanded = normalised_state_of(wanted, contents, new_secrets)
        listing = [section for section in SECTIONS if getattr(request.form, section) is not None]
        plan = difference(present, demanded, to_delete, listing)
        weak_passwords, weak = self._weak_passwords(wanted, result, new_secrets)
        others = {section: ids for section, ids in current.ids.items() if section in left_out_of(request)}
        problems = [
            *(_too_many_operations(result) if request.scenarios_only else ()),
            *problems_of(result, others=others, former=current.form),
            *self._own_problems(wanted, current, plan),
            *weak_passwords,
        ]
        return Comparison(current, wanted, result, plan, weak), [_explained(each, plan) for each in problems]

    def _weak_passwords(
        self, wanted: Form, result: Form, new_secrets: set[tuple[str, str]]
    ) -> tuple[list[str], dict[str, Weakness]]:
        """Problems of new passwords of lines, and the lines with a weak one that is in use or allowed."""
        extensions: dict[str, list[str]] = {}
        for employee in result.section("employees").values():
            for phone in employee.phones:
                if phone.line is not None and employee.extension is not None:
                    extensions.setdefault(phone.line, []).append(employee.extension)
        problems: list[str] = []
        weak: dict[str, Weakness] = {}
        for key, line in wanted.section("sip_lines").items():
            if line.password is None:
                continue
            found = strength(line.password.get_secret_value(), key, extensions.get(key, ()))
            if ("sip_lines", key) in new_secrets and not found.suffices(self._password_strength_min):
                problems.append(f"sip_lines.{key}.password: {problem(found, self._password_strength_min)}")
            elif found.weakness is not None:
                weak[key] = found.weakness
        return problems, weak

    def _own_problems(self, wanted: Form, current: CurrentState, plan: Plan) -> list[str]:
        """Problems of a single item and its stored values."""
        problems: list[str] = []
        trunks: Mapping[str, TrunkForm] = wanted.section("trunks")
        for key, trunk in trunks.items():
            stored = ("trunks", key) in current.encrypted
            if trunk.mode is TrunkMode.REGISTER and trunk.password is None and not stored:
                problems.append(f"trunks.{key}.password: is missing; a trunk that registers needs one")
        subscriptions: Mapping[str, SubscriptionForm] = wanted.section("notifications")
        for key in plan.written("notifications"):
            subscription = subscriptions[key]
            problems += [
                f"notifications.{key}.headers.{name}: {HIDDEN} keeps a present value, but there is none"
                for name, value in subscription.headers.items()
                if value == HIDDEN
            ]
            problems += self._check_subscription(key, subscription)
        return problems

    def _new_secrets(self, wanted: Form, current: CurrentState) -> set[tuple[str, str]]:
        """Items whose secret is given and differs from the stored one."""
        new: set[tuple[str, str]] = set()
        for key, line in wanted.section("sip_lines").items():
            stored = current.digests.get(key)
            if line.password and not (stored and stored.fits(key, line.password.get_secret_value())):
                new.add(("sip_lines", key))
        for section, name in (("trunks", "password"), ("notifications", "secret")):
            for key, item in wanted.section(section).items():
                given = getattr(item, name)
                if given and given.get_secret_value() != self._decrypted(current, section, key):
                    new.add((section, key))
        return new

    def _decrypted(self, current: CurrentState, section: str, key: str) -> str | None:
        encrypted = current.encrypted.get((section, key))
        return None if encrypted is None else self._cipher.decrypt(encrypted)

    async def _sounds(self, request: Request, current: CurrentState) -> tuple[dict[str, Sound], list[str]]:
        """Contents of media files that come from a file, or from a text that is not synthesized yet; and the problems."""
        wanted = _expanded(request, current)
        present: Mapping[str, MediaForm] = current.form.section("media")
        sounds: dict[str, Sound] = {}
        problems: list[str] = []
        for key, media in wanted.section("media").items():
            try:
                wav = await self._wav(media, request.folder, present.get(key), current.sha256.get(key))
            except (InvalidInput, OSError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                where = f"media.{key}" if key in request.form.section("media") else f'text "{media.name}"'
                problems.append(f"{where}: {reason}")
                continue
            if wav is not None:
                sounds[key] = Sound(hashlib.sha256(wav).hexdigest(), wav)
        return sounds, problems

    async def _wav(
        self, media: MediaForm, folder: Path, present: MediaForm | None, sha256: str | None
    ) -> bytes | None:
        """Content of a media file; None when the stored one has the same content."""
        if media.text is None:
            pcm = await asyncio.to_thread(audio.decode, folder / (media.file or ""))
            return audio.wav(pcm)
        same = present is not None and (present.text, present.language) == (media.text, media.language)
        if same and sha256 is not None and (self._media_dir / f"{sha256}.wav").exists():
            return None
        return await self._speech.synthesise(media.text, media.language or "")


async def _new_passwords(request: Request, current: CurrentState) -> set[tuple[str, str]]:
    """Employees whose operator's password is given and is not the present one."""
    employees: Mapping[str, EmployeeForm] = request.form.section("employees")
    return {
        ("employees", key)
        for key, item in employees.items()
        if item.operator is not None
        and item.operator.password is not None
        and key in current.operators
        and not await passwords.fits(item.operator.password.get_secret_value(), current.operators[key])
    }


def _expanded(request: Request, current: CurrentState) -> Form:
    account = request.form.account
    return expanded(named(request.form), (account and account.locale) or current.locale)


def _to_delete(request: Request, current: CurrentState, wanted: Form) -> dict[str, set[str]]:
    """Keys to delete: unlisted ones if requested, and texts that are no longer used."""
    to_delete = {
        section: set(current.form.section(section)) - set(wanted.section(section))
        for section in SECTIONS
        if request.delete and getattr(request.form, section) is not None
    }
    for section, removed in request.removed.items():
        to_delete.setdefault(section, set()).update(removed & set(current.form.section(section)))
    for section, keys in to_delete.items():
        keys -= ENTITIES[section].permanent
    used = used_media(outcome(current.form, wanted, to_delete))
    spoken = {key for key in current.form.section("media") if key.startswith(SPOKEN_PREFIX)}
    listed = request.form.section("media")
    to_delete.setdefault("media", set())
    to_delete["media"] |= {key for key in spoken if key not in used and key not in listed}
    to_delete["media"] -= {key for key in spoken if key in used}
    return to_delete


def _explained(problem: str, plan: Plan) -> str:
    """The problem, with the reason when this very file deletes what is missed."""
    missing = problem.rpartition(": ")[2]
    gone = [change for change in plan.changes if change.action is Action.DELETE and change.key == missing]
    return f"{problem} ({gone[0].where} would be deleted)" if gone and "no such" in problem else problem
