"""What a party of a call hears that a scenario plays: files, and music while others are called. Pure."""

from __future__ import annotations

from trunkline.calls.decision import Decision
from trunkline.calls.effects import Answer, PlayFiles, StopPlay
from trunkline.calls.session import Leg


def answer(decision: Decision, contact: Leg) -> None:
    if contact.answered_at is None:
        decision.do(Answer(contact.channel))


def media_files(decision: Decision, media_file_ids: tuple[int, ...]) -> tuple[str, ...]:
    """Paths of media files; those that are gone are left out."""
    paths = (decision.context.media_path(media_file_id) for media_file_id in media_file_ids)
    return tuple(path for path in paths if path is not None)


def play_files(decision: Decision, contact: Leg, files: tuple[str, ...]) -> None:
    decision.session.playing = f"{decision.session.call_session_id}-{decision.session.seq}"
    decision.do(PlayFiles(contact.channel, decision.session.playing, files))


def stop_playing(decision: Decision, contact: Leg) -> None:
    """Stop what the scenario plays."""
    session = decision.session
    if session.playing is not None:
        decision.do(StopPlay(contact.channel, session.playing))
        session.playing = None


def music_while_calling(decision: Decision, contact: Leg, media_file_id: int | None) -> str | None:
    """Music for the contact while employees are called; None = ring-back."""
    music = decision.context.media_path(media_file_id) if media_file_id is not None else None
    if music is None and contact.answered_at is not None:
        # An answered call gets no ring-back from the network: it would wait in silence.
        music = decision.context.system_media_path("dialing_music")
    return music
