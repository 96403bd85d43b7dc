"""Text to speech and audio files: creation and conversion of announcements."""

from trunkline.speech.espeak import EspeakSpeech
from trunkline.speech.port import DEFAULT_LANGUAGE, MAX_CHARACTERS, NullSpeech, Speech

__all__ = ["DEFAULT_LANGUAGE", "MAX_CHARACTERS", "EspeakSpeech", "NullSpeech", "Speech"]
