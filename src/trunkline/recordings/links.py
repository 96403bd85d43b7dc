"""Addresses of recordings, in the formats of existing clients. Pure."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from enum import StrEnum

RECORDING_ID = re.compile(r"[0-9a-f]{64}\Z")
"""What a recording's id looks like: 256 random bits."""


class RecordingKind(StrEnum):
    TALK = "talk"
    VOICE_MAIL = "voice_mail"


def new_recording_id() -> str:
    """An unguessable id."""
    return secrets.token_hex(32)


@dataclass(frozen=True, slots=True)
class Links:
    """Where one recording can be fetched."""

    file: str
    """MP3; accessible by the address alone, unless the account requires a token."""
    wav: str
    """WAV; the same."""
    full: str
    """MP3; accessible by the address alone, and not at all if the account requires a token."""
    playable: str
    """As ``file``, with the ending by which other systems recognise a sound file: ``.mp3``."""


class LinkMaker:
    """Makes addresses.

    :param base_url: as clients reach the web role, e.g. ``https://pbx.example``.
    """

    def __init__(self, base_url: str) -> None:
        self._base = base_url.rstrip("/")

    def of(self, call_session_id: int, recording_id: str, kind: str) -> Links:
        """Links of a recording; the communication's number in them is the call session's."""
        key = f"{call_session_id}/{recording_id}"
        is_mail = kind == RecordingKind.VOICE_MAIL
        file = f"{self._base}/system/media/{'voice_mail' if is_mail else 'talk'}/{key}"
        return Links(
            file=f"{file}/",
            wav=f"{self._base}/system/media/wav/{key}/",
            full=f"{self._base}/media/{key}",
            playable=f"{file}.mp3",
        )


def base_url(public_url: str | None, http_bind: str, http_port: int) -> str:
    """How clients reach us: the public address when the admin gave one, else this machine's own."""
    if public_url:
        return public_url
    host = "127.0.0.1" if http_bind in ("0.0.0.0", "::") else http_bind
    return f"http://[{host}]:{http_port}" if ":" in host else f"http://{host}:{http_port}"
