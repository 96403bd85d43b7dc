"""Detection of answering machines in calls that the switch begins: Asterisk's ``AMD()``, from the answer on.

It measures sound and silence only. A person says a few words and waits; a machine speaks for longer. Who says nothing is
taken for a person, although ``AMD()`` says otherwise: a machine at an agent costs seconds, and a person whose call is ended
in silence is what laws on abandoned calls are for. The same holds for a call about which it is not sure.
"""

from __future__ import annotations

from trunkline.telephony.port import Detection

DETECT = "TL_DETECT"
"""Variable of a channel that the switch dials: "1" = find out who answers before the switch gets it."""
STATUS, CAUSE = "AMDSTATUS", "AMDCAUSE"
"""Variables in which ``AMD()`` leaves its result."""

GREETING_SILENCE_SECONDS = 0.8
"""Silence after which a greeting is over, in seconds: the person has been waiting for so long when this is found."""
MOST_SECONDS = 8.0
"""How long a detection may take, in seconds from the answer on."""

_INITIAL_SILENCE_MS = 2500
_GREETING_MS = 2400
"""Voice without a break that is no person's greeting any more. This and the number of words are where part ``machines``
of the benchmark has the fewest persons that are taken for machines."""
_WORD_MS, _BETWEEN_WORDS_MS = 100, 50
_MOST_WORDS = 6
_SILENCE_LEVEL = 256
"""Average amplitude of 16-bit samples below which it is silence."""
_LONGEST_WORD_MS = 5000

STEP = (
    f"AMD({_INITIAL_SILENCE_MS},{_GREETING_MS},{round(GREETING_SILENCE_SECONDS * 1000)},{round(MOST_SECONDS * 1000)},"
    f"{_WORD_MS},{_BETWEEN_WORDS_MS},{_MOST_WORDS},{_SILENCE_LEVEL},{_LONGEST_WORD_MS})"
)
"""The step of the dialplan."""

CONFIGURATION = "[general]\n"
"""``amd.conf``: without this file the module is not loaded; :data:`STEP` has all parameters."""


def detection(status: str, cause: str) -> Detection | None:
    """What a detection has found; None: there was none.

    :param status: :data:`STATUS` of the channel.
    :param cause: :data:`CAUSE` of the channel.
    """
    if not status:
        return None
    kind = cause.partition("-")[0]
    is_machine = status == "MACHINE" and kind != "INITIALSILENCE"
    silence = GREETING_SILENCE_SECONDS if status == "HUMAN" else 0.0
    return Detection(is_machine=is_machine, cause=cause, silence_seconds=silence)
