"""Schedules, media files, scenarios and the keys of a talk."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from trunkline.directory.files import form as schemas
from trunkline.directory.files.state_reader import OPTION_REFERENCES, REFERENCES
from trunkline.directory.files.write.write_context import Columns, WriteContext
from trunkline.directory.media.store import StoredSound
from trunkline.directory.model import MediaKind, TalkOptionKind
from trunkline.directory.scenarios import form as scenario_schemas
from trunkline.speech import audio


def schedule(context: WriteContext, key: str) -> Columns:
    item: schemas.ScheduleForm = context.item("schedules", key)
    intervals = [{"days": list(each.days), "from": each.from_, "till": each.till} for each in item.open]
    exceptions = [
        {"date": each.date.isoformat(), "closed": True}
        if each.closed
        else {"date": each.date.isoformat(), "from": each.from_, "till": each.till}
        for each in item.exceptions
    ]
    rules = [rule.model_dump(mode="json", by_alias=True) for rule in item.rules]
    return {
        "name": item.name,
        "intervals": Jsonb(intervals),
        "exceptions": Jsonb(exceptions),
        "rules": Jsonb(rules),
    }


def media(context: WriteContext, key: str) -> Columns:
    item: schemas.MediaForm = context.item("media", key)
    columns: Columns = {
        "name": item.name,
        "kind": MediaKind.USER.value,
        "spoken_text": item.text,
        "spoken_language": item.language if item.text is not None else None,
    }
    if key in context.sounds:
        sound = context.sounds[key]
        stored = StoredSound(sound.sha256, audio.duration_ms(audio.pcm_of(sound.wav)), len(sound.wav))
        columns |= {
            "sha256": stored.sha256,
            "duration_ms": stored.duration_ms,
            "size_bytes": stored.size_bytes,
        }
    return columns


async def operations(context: WriteContext, key: str) -> None:
    item: scenario_schemas.ScenarioForm = context.item("scenarios", key)
    scenario_id = context.ids["scenarios"][key]
    rows = await context.rows(
        """select operation_id, key from scenario_operations
           where account_id = %(account_id)s and scenario_id = %(scenario_id)s""",
        scenario_id=scenario_id,
    )
    wanted = [
        (
            name,
            {
                "scenario_id": scenario_id,
                "key": name,
                "name": operation.name,
                "kind": operation.kind.value,
                "position": index,
                "settings": Jsonb(_settings(context, operation)),
            },
        )
        for index, (name, operation) in enumerate(item.operations.items())
    ]
    present = {row["key"]: row["operation_id"] for row in rows}
    await context.put_list("scenario_operations", "operation_id", present, wanted)


def _settings(context: WriteContext, operation: scenario_schemas.OperationForm) -> dict[str, Any]:
    """As :class:`trunkline.directory.model.OperationKind` describes them."""
    fields = operation.model_dump(mode="json", exclude={"kind", "name", "text", "language"})
    for stored, name, section in REFERENCES:
        if name in fields:
            fields[stored] = context.id(section, fields.pop(name))
    if "tags" in fields:
        fields["tag_ids"] = [context.ids["tags"][key] for key in fields.pop("tags")]
    fields |= _branches(context, fields)
    if "media" in fields:
        fields["media_file_ids"] = [context.ids["media"][key] for key in fields.pop("media")]
    if "invalid_message" in fields:
        said = fields.pop("invalid_message") or {"media": ()}
        fields["invalid_media_file_ids"] = [context.ids["media"][key] for key in said["media"]]
    if "employee_message" in fields:
        message = fields.pop("employee_message") or {"media": ()}
        ids = [context.ids["media"][key] for key in message["media"]]
        fields["employee_message_media_file_ids"] = ids
        fields["shown_number"] = fields.pop("show_number")
    return fields


def _branches(context: WriteContext, fields: dict[str, Any]) -> dict[str, Any]:
    """The branches of an operation with ids instead of keys, places as countries and prefixes."""
    if "branches" not in fields:
        return {}
    branches: list[dict[str, Any]] = []
    for branch in fields["branches"]:
        made = dict(branch)
        if "group" in made:
            made["contact_group_id"] = context.ids["contact_groups"][made.pop("group")]
        if "places" in made:
            places = made.pop("places")
            made["countries"] = [one for one in places if not one.startswith("+")]
            made["prefixes"] = [one[1:] for one in places if one.startswith("+")]
        branches.append(made)
    return {"branches": branches}


def talk_option(context: WriteContext, key: str) -> Columns:
    item: scenario_schemas.TalkOptionForm = context.item("talk_options", key)
    settings = item.model_dump(mode="json", exclude={"kind", "name"})
    for stored, name, section in OPTION_REFERENCES:
        if name in settings:
            settings[stored] = context.id(section, settings.pop(name))
    if item.kind is TalkOptionKind.TRANSFER_CALL:  # one of three
        settings = {name: value for name, value in settings.items() if value is not None}
    return {"mnemonic": item.kind.value, "name": item.name, "settings": Jsonb(settings)}
