"""A mail server of the tests: accepts mails, or refuses them on demand."""

from __future__ import annotations

import asyncio
import ssl
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Self


class MailServer:
    """:ivar got: mails that were taken, in order. ``answer`` is given to their recipients."""

    def __init__(
        self, tls: ssl.SSLContext | None = None, login: tuple[str, str] | None = None, port: int = 0
    ) -> None:
        self.got: list[EmailMessage] = []
        self.answer = "250 fine"
        self.logins: list[str] = []
        self.was_secret: list[bool] = []
        self.port = port
        self._tls = tls
        self._login = login

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the client has said enough
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(*lines: str) -> None:
            writer.write("".join(f"{line}\r\n" for line in lines).encode())
            await writer.drain()

        is_secret = False
        await say("220 mail.example.com")
        while line := (await reader.readline()).decode().strip():
            match line.split()[0].upper():
                case "EHLO":
                    offers = (
                        ["STARTTLS"] if self._tls and not is_secret else ["AUTH PLAIN"] if self._login else []
                    )
                    await say("250-mail.example.com", *(f"250-{offer}" for offer in offers), "250 8BITMIME")
                case "STARTTLS":
                    await say("220 go on")
                    assert self._tls is not None
                    await writer.start_tls(self._tls)
                    is_secret = True
                case "AUTH":
                    self.logins.append(line.split()[-1])
                    await say("235 welcome")
                case "RCPT":
                    await say(self.answer)
                case "DATA":
                    await say("354 speak")
                    body = await reader.readuntil(b"\r\n.\r\n")
                    message = message_from_bytes(body[:-5], policy=default)
                    assert isinstance(message, EmailMessage)
                    self.got.append(message)
                    self.was_secret.append(is_secret)
                    await say("250 taken")
                case "QUIT":
                    await say("221 bye")
                    return
                case _:
                    await say("250 fine")
