"""Schedules, media files, scenarios and the keys of a talk."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from trunkline.directory import form_scenarios, forms
from trunkline.directory.current import OPTION_REFERENCES, REFERENCES
from trunkline.directory.media import StoredSound
from trunkline.directory.model import MediaKind, TalkOptionKind
from trunkline.directory.write.work import Columns, Work
from trunkline.speech import audio


def schedule(work: Work, key: str) -> Columns:
    item: forms.ScheduleForm = work.item("schedules", key)
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


def media(work: Work, key: str) -> Columns:
    item: forms.MediaForm = work.item("media", key)
    columns: Columns = {
        "name": item.name,
        "kind": MediaKind.USER.value,
        "spoken_text": item.text,
        "spoken_language": item.language if item.text is not None else None,
    }
    if key in work.sounds:
        sound = work.sounds[key]
        stored = StoredSound(sound.sha256, audio.duration_ms(audio.pcm_of(sound.wav)), len(sound.wav))
        columns |= {
            "sha256": stored.sha256,
            "duration_ms": stored.duration_ms,
            "size_bytes": stored.size_bytes,
        }
    return columns


async def operations(work: Work, key: str) -> None:
    item: form_scenarios.ScenarioForm = work.item("scenarios", key)
    scenario_id = work.ids["scenarios"][key]
    rows = await work.rows(
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
                "settings": Jsonb(_settings(work, operation)),
            },
        )
        for index, (name, operation) in enumerate(item.operations.items())
    ]
    present = {row["key"]: row["operation_id"] for row in rows}
    await work.put_list("scenario_operations", "operation_id", present, wanted)


def _settings(work: Work, operation: form_scenarios.OperationForm) -> dict[str, Any]:
    """As :class:`trunkline.directory.model.OperationKind` describes them."""
    fields = operation.model_dump(mode="json", exclude={"kind", "name", "text", "language"})
    for stored, name, section in REFERENCES:
        if name in fields:
            fields[stored] = work.id(section, fields.pop(name))
    if "media" in fields:
        fields["media_file_ids"] = [work.ids["media"][key] for key in fields.pop("media")]
    if "employee_message" in fields:
        message = fields.pop("employee_message") or {"media": ()}
        ids = [work.ids["media"][key] for key in message["media"]]
        fields["employee_message_media_file_ids"] = ids
        fields["shown_number"] = fields.pop("show_number")
    return fields


def talk_option(work: Work, key: str) -> Columns:
    item: form_scenarios.TalkOptionForm = work.item("talk_options", key)
    settings = item.model_dump(mode="json", exclude={"kind", "name"})
    for stored, name, section in OPTION_REFERENCES:
        if name in settings:
            settings[stored] = work.id(section, settings.pop(name))
    if item.kind is TalkOptionKind.TRANSFER_CALL:  # one of three
        settings = {name: value for name, value in settings.items() if value is not None}
    return {"mnemonic": item.kind.value, "name": item.name, "settings": Jsonb(settings)}
