"""From forms to the facts that :mod:`trunkline.directory.files.plan` compares, and to what results. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from trunkline.directory.files.file import HIDDEN
from trunkline.directory.files.form import SECTIONS, Form
from trunkline.directory.files.plan import ORDER, NormalisedState
from trunkline.directory.forms.entity import usual_values
from trunkline.directory.media.form import MediaForm
from trunkline.directory.scenarios.form import OperationForm, ScenarioForm
from trunkline.directory.scenarios.versions import fingerprint

SPOKEN_PREFIX = "say-"
"""Keys of media files made from a text written in an operation; they come and go with their texts."""

_SECRETS: Mapping[str, Any] = {"password": True, "secret": True, "operator": {"password": True}}


_STAYING = {"contact_groups": ("members",), "groups": ("phones",)}
"""Lists that stay as they are when they are left out."""


def spoken_key(text: str, language: str) -> str:
    """Key of the media file of a text: the same text is synthesized once."""
    return SPOKEN_PREFIX + hashlib.sha256(f"{language}\n{text}".encode()).hexdigest()[:16]


def expanded(form: Form, language: str) -> Form:
    """The form with each text in an operation replaced by its media file.

    :param language: default language of texts.
    """
    media: dict[str, MediaForm] = {
        key: item.model_copy(update={"language": item.language or language}) if item.text else item
        for key, item in form.section("media").items()
    }
    scenarios: dict[str, ScenarioForm] = {}
    for key, scenario in form.section("scenarios").items():
        operations = {name: _spoken(each, language, media) for name, each in scenario.operations.items()}
        scenarios[key] = scenario.model_copy(update={"operations": operations})
    return form.model_copy(
        update={
            "media": media if media or form.media is not None else None,
            "scenarios": scenarios if form.scenarios is not None else None,
        }
    )


def with_texts(scenario: ScenarioForm, media: Mapping[str, MediaForm]) -> ScenarioForm:
    """The scenario with its texts instead of the media files that were made of them: the reverse of :func:`expanded`."""
    operations: dict[str, Any] = {}
    for key, operation in scenario.operations.items():
        changed: Any = _as_text(operation, media)
        for name in _MESSAGES:
            message = getattr(changed, name, None)
            if message is not None:
                changed = changed.model_copy(update={name: _as_text(message, media)})
        operations[key] = changed
    return scenario.model_copy(update={"operations": operations})


def fingerprint_of(form: Form, key: str) -> str:
    """:func:`.versions.fingerprint` of a scenario of an expanded form; empty: it has none of the key."""
    scenario = form.section("scenarios").get(key)
    return "" if scenario is None else fingerprint(with_texts(scenario, form.section("media")))


def _as_text(says: Any, media: Mapping[str, MediaForm]) -> Any:
    keys: tuple[str, ...] = getattr(says, "media", ())
    spoken = media.get(keys[0]) if len(keys) == 1 and keys[0].startswith(SPOKEN_PREFIX) else None
    if spoken is None or spoken.text is None:
        return says
    return says.model_copy(update={"media": (), "text": spoken.text, "language": spoken.language})


_MESSAGES = ("employee_message", "invalid_message")
"""Announcements of operations beside what they play themselves."""


def _spoken(operation: OperationForm, language: str, media: dict[str, MediaForm]) -> Any:
    """The operation with its texts replaced; their files are added to ``media``."""
    for name in _MESSAGES:
        message = getattr(operation, name, None)
        if message is not None:
            operation = operation.model_copy(update={name: _with_media(message, language, media)})
    return _with_media(operation, language, media) if getattr(operation, "text", None) else operation


def _with_media(says: Any, language: str, media: dict[str, MediaForm]) -> Any:
    if says.text is None:
        return says
    spoken_in = says.language or language
    key = spoken_key(says.text, spoken_in)
    media.setdefault(key, MediaForm(name=_title(says.text), text=says.text, language=spoken_in))
    return says.model_copy(update={"media": (key,), "text": None, "language": None})


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"


def outcome(current: Form, wanted: Form, to_delete: Mapping[str, Collection[str]]) -> Form:
    """The directory after ``wanted`` was applied to ``current`` and ``to_delete`` items were deleted."""
    sections: dict[str, Any] = {}
    for section in SECTIONS:
        items = {**current.section(section), **wanted.section(section)}
        gone = set(to_delete.get(section, ())) - set(wanted.section(section))
        sections[section] = {key: item for key, item in items.items() if key not in gone}
    return Form.model_construct(account=wanted.account, **sections)


def used_media(form: Form) -> set[str]:
    """Keys of media files that operations play."""
    used: set[str] = set()
    for scenario in form.section("scenarios").values():
        for operation in scenario.operations.values():
            used |= set(getattr(operation, "media", ()))
            used |= {operation.music} if getattr(operation, "music", None) else set()
            messages = (getattr(operation, name, None) for name in _MESSAGES)
            used |= {key for message in messages if message is not None for key in message.media}
    return used


def normalised_state_of(
    form: Form, sha256: Mapping[str, str], new_secrets: Collection[tuple[str, str]] = ()
) -> NormalisedState:
    """Facts of an expanded form.

    :param sha256: content of media files by key.
    :param new_secrets: (section, key) of items whose password or secret differs from the present one.
    """
    facts: dict[str, dict[str, dict[str, Any]]] = {}
    if form.account is not None:
        facts["account"] = {"": _account_facts(form.account.model_dump(mode="json", exclude_none=True))}
    for section in SECTIONS:
        items = getattr(form, section)
        if items is None:
            continue
        facts[section] = {}
        for key, item in items.items():
            fields = item.model_dump(mode="json", by_alias=True, exclude=_SECRETS)
            if section == "media":
                fields = _media_facts(fields, sha256.get(key))
            for name in (*usual_values(type(item)), *_STAYING.get(section, ())):
                if fields[name] is None:
                    del fields[name]
            if section == "scenarios":
                fields[ORDER] = list(fields["operations"])
            if (section, key) in new_secrets:
                fields["secret" if section == "notifications" else "password"] = "new"
            facts[section][key] = fields
    return facts


def _account_facts(fields: dict[str, Any]) -> dict[str, Any]:
    """Networks and rules as fields of their own, so that what the file does not name stays."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{part}": item for part, item in value.items()}
        else:
            flat[name] = value
    return flat


def _media_facts(fields: dict[str, Any], sha256: str | None) -> dict[str, Any]:
    """Its text and content; the path of the source file is not compared."""
    return {**{name: fields[name] for name in ("name", "text", "language")}, "sha256": sha256}


def with_kept_headers(wanted: Form, current: Form) -> Form:
    """The form with hidden header values replaced by the present ones; those without one stay hidden."""
    if wanted.notifications is None:
        return wanted
    present = current.section("notifications")
    kept = {}
    for key, item in wanted.notifications.items():
        old: Mapping[str, str] = present[key].headers if key in present else {}
        headers = {
            name: old.get(name, HIDDEN) if value == HIDDEN else value for name, value in item.headers.items()
        }
        kept[key] = item.model_copy(update={"headers": headers})
    return wanted.model_copy(update={"notifications": kept})
