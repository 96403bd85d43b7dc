"""Media files: audio for callers, stored by its content, and the system set of every account.

A file is ``<media_dir>/<sha256>.wav`` (16-bit PCM, 8000 Hz, mono); the row ``media_files`` gives it a key and
a name. Files are never changed and, because a live call may be playing one, never deleted here.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from trunkline.db.pool import Database
from trunkline.directory.model import SYSTEM_ACCOUNT_ID, MediaKind
from trunkline.speech import DEFAULT_LANGUAGE, Speech, audio, melody


@dataclass(frozen=True, slots=True)
class StoredSound:
    """A file in the media folder."""

    sha256: str
    duration_ms: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Spoken:
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class _Made:
    name: str
    make: Callable[[], bytes]


SYSTEM_SET: dict[str, _Spoken | _Made] = {
    "dialing_music": _Made("Forwarding music", lambda: melody.melody(melody.DIALING)),
    "hold_music": _Made("Hold music", lambda: melody.melody(melody.HOLD)),
    "ringback": _Made("Ring-back tone", lambda: melody.tone(425, 1.0, silence=4.0)),
    "beep": _Made("Beep", lambda: melody.tone(1000, 0.4, silence=0.1)),
    "voice_mail_prompt": _Spoken("Voice mail prompt", "Please leave a message after the tone."),
    "busy": _Spoken("Busy", "The person you are calling is on another call. Please try again later."),
    "unavailable": _Spoken(
        "Unavailable", "The person you are calling cannot answer now. Please try again later."
    ),
    "closed": _Spoken("Closed", "Our office is closed now. Please call again during working hours."),
    "wrong_number": _Spoken("Wrong number", "The number you have dialled does not exist. Please check it."),
    "not_permitted": _Spoken("Not permitted", "This call is not permitted."),
    "invalid_choice": _Spoken("Invalid choice", "Sorry, that is not a valid choice."),
    "mailbox_pin": _Spoken("Mailbox: PIN", "Please enter your PIN, then press hash."),
    "mailbox_wrong_pin": _Spoken("Mailbox: wrong PIN", "This PIN is wrong."),
    "mailbox_locked": _Spoken("Mailbox: locked", "Your mailbox is locked. Please try again later."),
    "mailbox_no_pin": _Spoken("Mailbox: no PIN", "Your mailbox has no PIN. Please ask your administrator."),
    "mailbox_new": _Spoken("Mailbox: new message", "This is a new message."),
    "mailbox_saved": _Spoken("Mailbox: saved message", "This is a saved message."),
    "mailbox_keys": _Spoken(
        "Mailbox: keys",
        "To hear it again press 1, to save it press 2, to delete it press 3, for the next press hash.",
    ),
    "mailbox_end": _Spoken("Mailbox: end", "You have no more messages."),
    "mailbox_options": _Spoken(
        "Mailbox: options", "To record your greeting press 0, to change your PIN press 9, or hang up."
    ),
    "mailbox_group_options": _Spoken(
        "Mailbox: options of a group", "To record the greeting press 0, or hang up."
    ),
    "mailbox_new_pin": _Spoken("Mailbox: new PIN", "Please enter your new PIN, then press hash."),
    "mailbox_new_pin_again": _Spoken("Mailbox: new PIN again", "Please enter the new PIN again."),
    "mailbox_pin_refused": _Spoken(
        "Mailbox: PIN refused", "This PIN can be guessed. Please choose 4 to 8 other digits."
    ),
    "mailbox_pin_different": _Spoken(
        "Mailbox: PINs differ", "The two PINs are different. Nothing has changed."
    ),
    "mailbox_greeting": _Spoken(
        "Mailbox: greeting", "Please speak your greeting after the tone, then press any key."
    ),
    "mailbox_changed": _Spoken("Mailbox: changed", "This is changed."),
    "mailbox_unchanged": _Spoken("Mailbox: unchanged", "Nothing has changed."),
    "do_not_disturb_on": _Spoken("Do not disturb: on", "Do not disturb is on."),
    "do_not_disturb_off": _Spoken("Do not disturb: off", "Do not disturb is off."),
    "checked_in": _Spoken("Checked in", "You are checked in at this phone."),
    "forwarding_on": _Spoken("Forwarding: on", "Call forwarding is on."),
    "forwarding_off": _Spoken("Forwarding: off", "Call forwarding is off."),
    "queue_position": _Spoken("Queue: position", "Your position in the queue is"),
    "queue_wait": _Spoken("Queue: expected wait", "The expected waiting time in minutes is"),
    "parked": _Spoken("Parking: slot", "The call is parked. Dial star 6 8, then"),
    **{f"digit_{digit}": _Spoken(f"Digit {digit}", f"{digit}.") for digit in range(10)},
    "technical_problem": _Spoken(
        "Technical problem", "We cannot connect your call now. Please try again later."
    ),
}
"""Key (the mnemonic) to description; every account has these in addition to its own files."""


async def store_sound(media_dir: Path, wav: bytes) -> StoredSound:
    """Put a WAV file (as :func:`trunkline.speech.audio.wav` makes it) into the media folder.

    :raises ValueError: it has another format.
    """
    stored = StoredSound(hashlib.sha256(wav).hexdigest(), audio.duration_ms(audio.pcm_of(wav)), len(wav))
    target = media_dir / f"{stored.sha256}.wav"
    if not target.exists():
        await asyncio.to_thread(audio.write_atomically, target, wav)
    else:
        await asyncio.to_thread(
            target.touch
        )  # in use: retention removes files that were not used for a long time
    return stored


async def ensure_system_media(db: Database, media_dir: Path, speech: Speech) -> None:
    """Create missing files and rows of the system set. A second run changes nothing.

    :raises Unavailable: the synthesiser or the database does not answer.
    """
    rows = await db.fetch_all(
        "select key, sha256, spoken_text from media_files where account_id = %(account_id)s",
        {"account_id": SYSTEM_ACCOUNT_ID},
    )
    present = {row["key"]: row for row in rows}

    def is_there(key: str) -> bool:
        return key in present and (media_dir / f"{present[key]['sha256']}.wav").exists()

    missing = [
        (key, sound.text)
        for key, sound in SYSTEM_SET.items()
        if isinstance(sound, _Spoken) and not (is_there(key) and present[key]["spoken_text"] == sound.text)
    ]
    spoken = await speech.synthesise_all([text for _, text in missing], DEFAULT_LANGUAGE)
    made = {key: wav for (key, _), wav in zip(missing, spoken, strict=True)}
    for key, sound in SYSTEM_SET.items():
        if isinstance(sound, _Made):
            made[key] = await asyncio.to_thread(_made, key)
            if is_there(key) and present[key]["sha256"] == hashlib.sha256(made[key]).hexdigest():
                del made[key]
    for key, wav in made.items():
        stored = await store_sound(media_dir, wav)
        if key not in present or present[key]["sha256"] != stored.sha256:
            await _write_row(db, key, SYSTEM_SET[key], stored)


@cache
def _made(key: str) -> bytes:
    """A sound that is computed, which takes a tenth of a second for a melody: each apply compares it with what is stored."""
    sound = SYSTEM_SET[key]
    assert isinstance(sound, _Made)
    return audio.wav(sound.make())


async def _write_row(db: Database, key: str, sound: _Spoken | _Made, stored: StoredSound) -> None:
    spoken = isinstance(sound, _Spoken)
    await db.execute(
        """
        insert into media_files
            (account_id, key, name, kind, sha256, duration_ms, size_bytes, spoken_text, spoken_language)
        values (%(account_id)s, %(key)s, %(name)s, %(kind)s, %(sha256)s, %(duration_ms)s, %(size_bytes)s,
                %(text)s, %(language)s)
        on conflict (account_id, key) do update set name = excluded.name, sha256 = excluded.sha256,
            duration_ms = excluded.duration_ms, size_bytes = excluded.size_bytes,
            spoken_text = excluded.spoken_text, spoken_language = excluded.spoken_language""",
        {
            "account_id": SYSTEM_ACCOUNT_ID,
            "key": key,
            "name": sound.name,
            "kind": MediaKind.SYSTEM.value,
            "sha256": stored.sha256,
            "duration_ms": stored.duration_ms,
            "size_bytes": stored.size_bytes,
            "text": sound.text if isinstance(sound, _Spoken) else None,
            "language": DEFAULT_LANGUAGE if spoken else None,
        },
    )


async def write_recorded(db: Database, account_id: int, key: str, name: str, stored: StoredSound) -> None:
    """A media file of an account whose content was recorded by phone; it replaces the content of the same key."""
    await db.execute(
        """
        insert into media_files (account_id, key, name, kind, sha256, duration_ms, size_bytes)
        values (%(account_id)s, %(key)s, %(name)s, %(kind)s, %(sha256)s, %(duration_ms)s, %(size_bytes)s)
        on conflict (account_id, key) do update set sha256 = excluded.sha256, duration_ms = excluded.duration_ms,
            size_bytes = excluded.size_bytes, spoken_text = null, spoken_language = null""",
        {
            "account_id": account_id,
            "key": key,
            "name": name,
            "kind": MediaKind.USER.value,
            "sha256": stored.sha256,
            "duration_ms": stored.duration_ms,
            "size_bytes": stored.size_bytes,
        },
    )
