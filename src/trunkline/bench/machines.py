"""How often a person is taken for an answering machine and the reverse, against ``AMD()`` with its own parameters.

Greetings are spoken by the speech synthesizer, so the figures are of these greetings: people speak with more variety.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import wave
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from trunkline.bench.plain import LOGIN, PlainAsterisk
from trunkline.bench.setting import Figure, Finding, Setting
from trunkline.bench.statistics import spread
from trunkline.demo import tones
from trunkline.speech.espeak import EspeakSpeech
from trunkline.telephony.answering_machines import CAUSE, STATUS, STEP, detection
from trunkline.telephony.ari import AriAddress, AriClient, Connected
from trunkline.telephony.ari_events import StasisStart

METHOD = (
    "A bare Asterisk calls itself by SIP (G.711). Its callee answers and plays a greeting: of a person (a few words, then"
    " waiting) or of a machine (sentences), spoken in five languages at two paces, after 0.1 to 1.6 s, on a quiet and on a"
    " noisy line. The caller finds out who it is: by the step that the product has, and by AMD() without parameters."
    " Both get the same sounds."
)

PERSONS = {
    "en": (
        "Hello?", "Yes?", "Hello, Layla speaking.", "Good morning.", "Hello, who is it?",
        "Northwind Trading, good morning.", "Layla Haddad.", "Hi, this is Layla, how can I help you?",
    ),
    "de": ("Hallo?", "Ja, bitte?", "Haddad, guten Tag.", "Guten Morgen, Layla Haddad am Apparat."),
    "fr": ("Allô?", "Oui, bonjour.", "Layla Haddad, bonjour."),
    "ru": ("Алло?", "Да, слушаю вас.", "Алло, здравствуйте."),
    "ar": ("ألو؟", "نعم، مرحبا.", "السلام عليكم."),
}  # fmt: skip
MACHINES = {
    "en": (
        "You have reached the voice mailbox of Layla Haddad. Please leave a message after the tone.",
        "Hi, this is Layla. I can't come to the phone right now, please leave a message.",
        "The person you are calling is not available. Please try again later.",
        "Thank you for calling Northwind Trading. Our office is closed now. Our hours are nine to five.",
        "Your call has been forwarded to an automatic voice message system.",
        "Hello, this is Layla. Leave a message and I will call you back.",
        "Hello? | You have reached Layla Haddad. Please leave a message.",
    ),
    "de": (
        "Hier ist die Mailbox von Layla Haddad. Bitte hinterlassen Sie eine Nachricht nach dem Signalton.",
        "Der gewünschte Gesprächspartner ist zurzeit nicht erreichbar. Bitte versuchen Sie es später.",
    ),
    "fr": (
        "Bonjour, vous êtes bien sur la messagerie de Layla Haddad. Laissez un message après le bip.",
        "Votre correspondant n'est pas disponible. Veuillez rappeler plus tard.",
    ),
    "ru": (
        "Здравствуйте, вы позвонили Лейле. Оставьте сообщение после сигнала.",
        "Абонент временно недоступен. Перезвоните позже.",
    ),
    "ar": (
        "هذا هو البريد الصوتي. الرجاء ترك رسالة بعد سماع الصافرة.",
        "الرقم المطلوب غير متاح حاليا. الرجاء الاتصال لاحقا.",
    ),
}  # fmt: skip
"""A ``|`` is a pause of a second, by which a machine is taken for a person."""

AIM_PERSONS = 2.0
"""Percent of the persons whose call is ended because they were taken for machines."""
AIM_MACHINES = 15.0
"""Percent of the machines that get to an agent."""
_PACES = (135, 175)
_NOISES = (0.0006, 0.004)
"""Root mean square of what is on the line besides the voice; 1 is full scale. The second is a street."""
_SECONDS = 12.0
_LOUDNESS = 0.08
"""Root mean square of a voice while it speaks."""
_AT_ONCE = 5
_LATE_SECONDS = 30.0
_APP = "machines"
_SIDES = {"product": STEP, "AMD()": "AMD()"}


@dataclass(frozen=True)
class Greeting:
    """One sound that answers a call.

    :ivar number: what is dialled to reach it.
    """

    number: str
    is_machine: bool
    text: str
    path: Path


@dataclass(frozen=True)
class Verdict:
    """What one side found out about a greeting, and how long that took, in seconds from the answer on."""

    greeting: Greeting
    is_machine: bool
    cause: str
    seconds: float


class _Asterisk(PlainAsterisk):
    """Calls itself: a callee for each greeting, and one context for each way to find out who it is.

    :param greetings: all that can be called.
    """

    def __init__(self, setting: Setting, folder: Path, greetings: Sequence[Greeting]) -> None:
        super().__init__(setting.install, folder, [], "127.0.0.1", "127.0.0.1")
        self._greetings = greetings

    def _files(self) -> dict[str, str]:
        files = super()._files()
        files["modules.conf"] += "load = app_amd.so\nload = app_playback.so\nload = format_wav.so\n"
        files["amd.conf"] = "[general]\n"
        callees = "".join(
            f"exten => {one.number},1,Answer()\nsame => n,Playback({one.path.with_suffix('')})\nsame => n,Hangup()\n"
            for one in self._greetings
        )
        sides = "".join(
            f"[side{index}]\nexten => _X.,1,{step}\n"
            f"same => n,Stasis({_APP},${{EXTEN}},${{{STATUS}}},${{{CAUSE}}},${{CHANNEL(answered)}})\n"
            for index, step in enumerate(_SIDES.values())
        )
        files["extensions.conf"] = f"[from-carrier]\n{callees}{sides}"
        return files


async def run(setting: Setting) -> Finding:
    """Errors of both sides. Not ok when a call has no verdict."""
    folder = setting.folder / "greetings"
    folder.mkdir(parents=True, exist_ok=True)
    greetings = await _speak(folder, quick=setting.quick)
    setting.say(f"  {len(greetings)} greetings")
    found: dict[str, list[Verdict]] = {}
    async with AsyncExitStack() as stack:
        asterisk = await stack.enter_async_context(_Asterisk(setting, setting.folder / "asterisk", greetings))
        ari = await stack.enter_async_context(
            AriClient(AriAddress(asterisk.ari_port, LOGIN.user, LOGIN.password), _APP, timeout=_LATE_SECONDS)
        )
        for index, name in enumerate(_SIDES):
            found[name] = await _ask(ari, asterisk.sip_port, f"side{index}", greetings)
            setting.say(f"  {_line(name, found[name])}")
    data = {name: _summary(verdicts) for name, verdicts in found.items()}
    ours = found["product"]
    figures = {
        "persons_taken_for_machines_percent": Figure(_errors(ours, machines=False), AIM_PERSONS),
        "machines_taken_for_persons_percent": Figure(_errors(ours, machines=True), AIM_MACHINES),
    }
    is_ok = all(len(verdicts) == len(greetings) for verdicts in found.values())
    return Finding(is_ok, "\n".join(_line(name, one) for name, one in found.items()), data, figures)


async def _speak(folder: Path, *, quick: bool) -> list[Greeting]:
    random, noise = Random(1), np.random.default_rng(1)
    numbers = itertools.count(100_000)
    greetings: list[Greeting] = []
    for pace in _PACES:
        speech = EspeakSpeech(words_a_minute=pace)
        for is_machine, texts in ((False, PERSONS), (True, MACHINES)):
            for language, spoken in texts.items():
                for text in spoken:
                    voice = await _voice(speech, text, language)
                    for level in _NOISES[:1] if quick else _NOISES:
                        number = str(next(numbers))
                        line = noise.normal(0, level, round(_SECONDS * tones.RATE))
                        _place(line, voice, random.uniform(0.1, 1.6))
                        greeting = Greeting(number, is_machine, text, folder / f"{number}.wav")
                        tones.write_wav(greeting.path, line)
                        greetings.append(greeting)
    return greetings


async def _voice(speech: EspeakSpeech, text: str, language: str) -> tones.Sound:
    parts = []
    for wav in await speech.synthesise_all([part.strip() for part in text.split("|")], language):
        with wave.open(io.BytesIO(wav)) as file:
            parts.append(_level(tones.from_pcm(file.readframes(file.getnframes()))))
    return np.concatenate([sound for part in parts for sound in (tones.silence(1.0), part)][1:])


def _level(voice: tones.Sound) -> tones.Sound:
    """As loud as a voice on a telephone, without the silence before and after it."""
    loud = np.flatnonzero(np.abs(voice) > 0.01)
    spoken = voice[loud[0] : loud[-1] + 1]
    return spoken * (_LOUDNESS / float(np.sqrt(np.mean(spoken[np.abs(spoken) > 0.01] ** 2))))


def _place(line: tones.Sound, voice: tones.Sound, after: float) -> None:
    """Add a voice to the line, so many seconds after its beginning."""
    first = round(after * tones.RATE)
    voice = voice[: len(line) - first]
    line[first : first + len(voice)] += voice


async def _ask(ari: AriClient, port: int, context: str, greetings: Sequence[Greeting]) -> list[Verdict]:
    by_number = {one.number: one for one in greetings}
    verdicts: dict[str, Verdict] = {}
    free = asyncio.Semaphore(_AT_ONCE)
    changed = asyncio.Event()

    async def read() -> None:
        async for event in ari.events():
            if isinstance(event, Connected) or not isinstance(event, StasisStart):
                continue
            number, status, cause = event.args[:3]
            found = detection(status, cause)
            is_machine = status == "MACHINE" if context != "side0" else found is not None and found.is_machine
            verdicts[number] = Verdict(
                by_number[number], is_machine, cause, event.at - event.channel.created_at
            )
            free.release()
            changed.set()
            await ari.delete(f"/channels/{event.channel.id}")

    reader = asyncio.create_task(read())
    try:
        await ari.wait_up()
        for one in greetings:
            async with asyncio.timeout(_LATE_SECONDS):
                await free.acquire()
            await ari.post(
                "/channels",
                endpoint=f"PJSIP/phone/sip:{one.number}@127.0.0.1:{port}",
                context=context,
                extension=one.number,
                priority=1,
            )
        async with asyncio.timeout(_LATE_SECONDS):
            while len(verdicts) < len(greetings):
                changed.clear()
                await changed.wait()
    except TimeoutError:
        pass  # who has no verdict is missing in the result
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
    return list(verdicts.values())


def _errors(verdicts: Sequence[Verdict], *, machines: bool) -> float | None:
    """Percent of the machines (of the persons) that were taken for the other."""
    asked = [one for one in verdicts if one.greeting.is_machine is machines]
    wrong = [one for one in asked if one.is_machine is not machines]
    return round(100 * len(wrong) / len(asked), 1) if asked else None


def _summary(verdicts: Sequence[Verdict]) -> dict[str, object]:
    persons = [one.seconds for one in verdicts if not one.greeting.is_machine]
    return {
        "persons": len(persons),
        "machines": len(verdicts) - len(persons),
        "persons_taken_for_machines_percent": _errors(verdicts, machines=False),
        "machines_taken_for_persons_percent": _errors(verdicts, machines=True),
        "seconds_of_persons": spread(persons).p50 if persons else None,
        "wrong": [
            f"{one.greeting.text} ({one.cause})"
            for one in verdicts
            if one.is_machine is not one.greeting.is_machine
        ],
    }


def _line(name: str, verdicts: Sequence[Verdict]) -> str:
    data = _summary(verdicts)
    return (
        f"{name:<10} {data['persons_taken_for_machines_percent']} % of {data['persons']} persons taken for machines,"
        f" {data['machines_taken_for_persons_percent']} % of {data['machines']} machines taken for persons,"
        f" {data['seconds_of_persons']} s until a person is found (p50)"
    )
