"""A real Chromium, driven by Playwright; its microphone plays a file."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import BrowserContext, Page, async_playwright

from trunkline.core.settings import Settings
from trunkline.runtime.progress import PrintedProgress
from trunkline.testing import chromium

_ARGUMENTS = (
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--ignore-certificate-errors",
)


@asynccontextmanager
async def browser(microphone: Path | None = None) -> AsyncIterator[BrowserContext]:
    """A browser of one person: its pages share cookies, storage and locks.

    :param microphone: WAV file that it plays again and again; None: the beeps of Chromium.
    """
    program = chromium.ensure(Settings().runtime, PrintedProgress())
    arguments = list(_ARGUMENTS)
    if microphone is not None:
        arguments.append(f"--use-file-for-fake-audio-capture={microphone}")
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=program.program,
            args=arguments,
            env={**os.environ, **program.environment},
        )
        try:
            context = await started.new_context(ignore_https_errors=True, permissions=["microphone"])
            context.set_default_timeout(30_000)
            yield context
        finally:
            await started.close()


class Messages:
    """What a page writes to the console of the browser, and its errors."""

    def __init__(self, page: Page) -> None:
        self.all: list[str] = []
        self.errors: list[str] = []
        page.on("console", lambda one: self._note(one.type, one.text))
        page.on("pageerror", lambda one: self._note("error", str(one)))

    def _note(self, kind: str, text: str) -> None:
        self.all.append(f"{kind}: {text}")
        if kind == "error":
            self.errors.append(text)
