"""Sending of mail, and a null implementation for installations that send none."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Protocol

from trunkline.core.log import get_logger
from trunkline.core.settings import MailSecurity, MailSettings

_log = get_logger("mail")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a mail.

    :ivar name: of the file, ASCII.
    :ivar kind: MIME type, as ``audio/mpeg``.
    """

    name: str
    kind: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """One message to one address. ``message_id`` stays when it is sent again, so that receivers recognise a second copy."""

    to: str
    subject: str
    text: str
    message_id: str
    """What is unique of it: letters, digits, dots, dashes and underscores."""
    attachments: tuple[Attachment, ...] = ()


class MailError(Exception):
    """The mail was not accepted. ``is_final``: it would not be accepted later, either."""

    def __init__(self, message: str, *, is_final: bool) -> None:
        super().__init__(message)
        self.is_final = is_final


class Mailer(Protocol):
    async def send(self, mail: Mail) -> None:
        """Send the mail; :class:`MailError` when it is not accepted."""


class NullMailer:
    """Sends nothing: no mail server is configured."""

    async def send(self, mail: Mail) -> None:
        _log.info("mail_not_sent", subject=mail.subject, reason="no mail server is configured (mail.host)")


class SmtpMailer:
    """Sends mails through the configured server, each over its own connection: mails are few."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    async def send(self, mail: Mail) -> None:
        await asyncio.to_thread(self._send, message_of(mail, self._settings.sender))

    def _send(self, message: EmailMessage) -> None:
        try:
            with self._connected() as server:
                if self._settings.user is not None and self._settings.password is not None:
                    server.login(self._settings.user, self._settings.password.get_secret_value())
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            code, text = next(iter(error.recipients.values()))
            raise _error(code, text) from error
        except smtplib.SMTPAuthenticationError as error:
            raise MailError(
                f"the mail server refuses mail.user: {_text(error.smtp_error)}", is_final=False
            ) from error
        except smtplib.SMTPResponseException as error:
            raise _error(error.smtp_code, error.smtp_error) from error
        except (smtplib.SMTPException, OSError) as error:
            address = f"{self._settings.host}:{self._settings.port}"
            raise MailError(
                f"the mail server {address} (mail.host, mail.port): {type(error).__name__}: {error}"[:300],
                is_final=False,
            ) from error

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        host = settings.host or ""
        context = ssl.create_default_context(
            cafile=str(settings.trusted_certificates) if settings.trusted_certificates else None
        )
        if settings.security is MailSecurity.TLS:
            return smtplib.SMTP_SSL(host, settings.port, timeout=settings.timeout, context=context)
        server = smtplib.SMTP(host, settings.port, timeout=settings.timeout)
        try:
            if settings.security is MailSecurity.STARTTLS:
                server.starttls(context=context)
        except BaseException:
            server.close()
            raise
        return server


def mailer(settings: MailSettings) -> Mailer:
    """The mailer that the settings ask for."""
    return SmtpMailer(settings) if settings.host is not None else NullMailer()


def message_of(mail: Mail, sender: str) -> EmailMessage:
    """:raises MailError: an address is not valid."""
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = Address(addr_spec=sender)
        message["To"] = Address(addr_spec=mail.to)
        message["Subject"] = " ".join(mail.subject.split())
        message["Date"] = datetime.now(UTC)
        message["Message-ID"] = f"<{mail.message_id}@{sender.rpartition('@')[2]}>"
    except Exception as error:  # the library has many for an address that cannot be read
        raise MailError(f"no address: {error}"[:300], is_final=True) from error
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    for one in mail.attachments:
        main, _, sub = one.kind.partition("/")
        message.add_attachment(one.content, maintype=main, subtype=sub, filename=one.name)
    return message


def _error(code: int, text: bytes | str) -> MailError:
    return MailError(f"{code} {_text(text)}", is_final=code >= 500)


def _text(answer: bytes | str) -> str:
    return (answer.decode(errors="replace") if isinstance(answer, bytes) else answer)[:300]
