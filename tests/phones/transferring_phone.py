"""A phone that transfers calls and hangs up when the test says: with the response, or some milliseconds after the NOTIFY. It
also watches extensions."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import quote

from trunkline.core.log import get_logger

ADDRESS = "127.0.0.1"
PATIENCE = 20.0
_DOMAIN = "pbx.example.com"
_log = get_logger("tests")


@dataclass(slots=True)
class Dialog:
    """A call of the phone.

    :ivar own, other: the values of From and To in the phone's requests.
    :ivar target: the URI of the phone's requests.
    """

    call_id: str
    own: str
    other: str
    target: str
    cseq: int = 10
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    referred: asyncio.Event = field(default_factory=asyncio.Event)
    """REFER got its response."""
    transferred: asyncio.Future[str] | None = None
    """The status line of the last NOTIFY."""


class TransferringPhone(asyncio.DatagramProtocol):
    """One device of a line. It sends no sound, and answers each call at once."""

    def __init__(self, host: str, port: int, login: str, password: str) -> None:
        self._server = (host, port)
        self._login = login
        self._password = password
        self._transport: asyncio.DatagramTransport
        self._responses: dict[tuple[str, str], asyncio.Queue[str]] = {}
        self._dialogs: dict[str, Dialog] = {}
        self._taken: asyncio.Queue[Dialog] = asyncio.Queue()
        self.hang_up_after: float | None = None
        """Seconds between the final NOTIFY and the BYE of each call; None: never."""
        self.answers = True
        """False: its calls ring until they are cancelled."""
        self.lamps: dict[str, str] = {}
        """The last state of each watched extension, as in ``application/dialog-info+xml``; ``terminated``: idle."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(ADDRESS, 0), remote_addr=self._server
        )
        self._own_port = self._transport.get_extra_info("sockname")[1]
        await self._register(600)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for dialog in list(self._dialogs.values()):
            self.hang_up(dialog)
        await self._register(0)
        self._transport.close()

    # --- what the test does

    async def taken(self) -> Dialog:
        """The next call that it answered."""
        async with asyncio.timeout(PATIENCE):
            return await self._taken.get()

    async def dial(self, number: str) -> Dialog:
        call_id, own = secrets.token_hex(8), f"<sip:{self._login}@{_DOMAIN}>;tag={secrets.token_hex(4)}"
        uri = f"sip:{number}@{self._server[0]}:{self._server[1]}"
        response = await self._authenticated("INVITE", uri, call_id, own, f"<{uri}>", body=self._sdp())
        assert response.startswith("SIP/2.0 200"), response
        dialog = Dialog(call_id, own, _header(response, "To"), _uri(_header(response, "Contact")))
        self._dialogs[call_id] = dialog
        self._send("ACK", dialog.target, call_id, own, dialog.other, 2)
        return dialog

    def refer(self, dialog: Dialog, to: str | Dialog) -> None:
        """Ask for a transfer to a number, or to the other party of another call."""
        target = f"sip:{to}@{_DOMAIN}"
        if isinstance(to, Dialog):
            tags = [re.findall(r";tag=([^;>]+)", one)[0] for one in (to.other, to.own)]
            replaces = quote("{};to-tag={};from-tag={}".format(to.call_id, *tags), safe="")
            target = f"sip:other@{_DOMAIN}?Replaces={replaces}"
        dialog.transferred = asyncio.get_running_loop().create_future()
        self._in_dialog(dialog, "REFER", f"Refer-To: <{target}>\r\n")

    def hang_up(self, dialog: Dialog) -> None:
        if self._dialogs.pop(dialog.call_id, None) is not None:
            self._in_dialog(dialog, "BYE")
            dialog.is_over.set()

    async def watch(self, extension: str, event: str = "dialog") -> str:
        """Subscribe to the state of an extension.

        :returns: the status line of the response.
        """
        call_id, own = (
            f"watch-{secrets.token_hex(8)}",
            f"<sip:{self._login}@{_DOMAIN}>;tag={secrets.token_hex(4)}",
        )
        uri = f"sip:{extension}@{self._server[0]}:{self._server[1]}"
        extra = f"Event: {event}\r\nExpires: 600\r\nAccept: application/dialog-info+xml\r\n"
        response = await self._authenticated("SUBSCRIBE", uri, call_id, own, f"<{uri}>", extra)
        return response.partition("\r\n")[0]

    async def lamp(self, extension: str, state: str) -> None:
        """Wait until the watched extension has this state."""
        async with asyncio.timeout(PATIENCE):
            while self.lamps.get(extension) != state:
                await asyncio.sleep(0.02)

    # --- SIP

    async def _register(self, expires: int) -> None:
        own = f"<sip:{self._login}@{_DOMAIN}>"
        uri = f"sip:{self._server[0]}:{self._server[1]}"
        call_id, tag = secrets.token_hex(8), secrets.token_hex(4)
        extra = f"Expires: {expires}\r\n"
        response = await self._authenticated("REGISTER", uri, call_id, f"{own};tag={tag}", own, extra)
        assert response.startswith("SIP/2.0 200"), response

    async def _authenticated(
        self, method: str, uri: str, call_id: str, own: str, other: str, extra: str = "", body: str = ""
    ) -> str:
        """The final response to a request with digest."""
        self._send(method, uri, call_id, own, other, 1, extra, body)
        response = await self._final(call_id, method)
        if response.startswith("SIP/2.0 401"):
            if method == "INVITE":
                self._send("ACK", uri, call_id, own, _header(response, "To"), 1)
            challenge = dict(re.findall(r'(\w+)="?([^",]+)', _header(response, "WWW-Authenticate")))
            realm, nonce, cnonce = challenge["realm"], challenge["nonce"], secrets.token_hex(4)
            secret = _md5(f"{self._login}:{realm}:{self._password}")
            proof = _md5(f"{secret}:{nonce}:00000001:{cnonce}:auth:{_md5(f'{method}:{uri}')}")
            opaque = f', opaque="{challenge["opaque"]}"' if "opaque" in challenge else ""
            extra += (
                f'Authorization: Digest username="{self._login}", realm="{realm}", nonce="{nonce}", uri="{uri}",'
                f' response="{proof}", algorithm=MD5, qop=auth, nc=00000001, cnonce="{cnonce}"{opaque}\r\n'
            )
            self._send(method, uri, call_id, own, other, 2, extra, body)
            response = await self._final(call_id, method)
        return response

    async def _final(self, call_id: str, method: str) -> str:
        queue = self._responses.setdefault((call_id, method), asyncio.Queue())
        async with asyncio.timeout(PATIENCE):
            while (response := await queue.get()).startswith("SIP/2.0 1"):
                pass
            return response

    def _in_dialog(self, dialog: Dialog, method: str, extra: str = "") -> None:
        dialog.cseq += 1
        self._send(method, dialog.target, dialog.call_id, dialog.own, dialog.other, dialog.cseq, extra)

    def _send(
        self,
        method: str,
        uri: str,
        call_id: str,
        own: str,
        other: str,
        cseq: int,
        extra: str = "",
        body: str = "",
    ) -> None:
        kind = "Content-Type: application/sdp\r\n" if body else ""
        self._transport.sendto(
            (
                f"{method} {uri} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {ADDRESS}:{self._own_port};branch=z9hG4bK{secrets.token_hex(8)};rport\r\n"
                f"Max-Forwards: 70\r\nFrom: {own}\r\nTo: {other}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n"
                f"Contact: <sip:{self._login}@{ADDRESS}:{self._own_port}>\r\n"
                f"{extra}{kind}Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )

    def _sdp(self) -> str:
        return (
            f"v=0\r\no=- 1 1 IN IP4 {ADDRESS}\r\ns=-\r\nc=IN IP4 {ADDRESS}\r\nt=0 0\r\n"
            "m=audio 9 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
        )

    def _respond(self, request: str, status: str, tag: str = "", body: str = "") -> None:
        copied = [
            line
            for line in request.partition("\r\n\r\n")[0].split("\r\n")
            if line.startswith(("Via:", "From:", "Call-ID:", "CSeq:"))
        ]
        kind = "Content-Type: application/sdp\r\n" if body else ""
        head = "\r\n".join([f"SIP/2.0 {status}", *copied, f"To: {_header(request, 'To')}{tag}"])
        self._transport.sendto(
            (
                f"{head}\r\nContact: <sip:{self._login}@{ADDRESS}:{self._own_port}>\r\n"
                f"{kind}Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )

    def datagram_received(self, data: bytes, addr: object) -> None:
        text = str(data, "utf-8", "replace")
        if text.startswith("SIP/2.0"):
            self._response(text)
        elif "\r\n" in text:
            self._request(text)

    def error_received(self, exc: Exception) -> None:
        _log.debug("datagram_error", error=repr(exc))  # the PBX ends before the phone

    def _response(self, text: str) -> None:
        call_id, method = _header(text, "Call-ID"), _header(text, "CSeq").split()[1]
        if method == "REFER" and (dialog := self._dialogs.get(call_id)):
            dialog.referred.set()
            assert dialog.transferred is not None
            if not text.startswith("SIP/2.0 202"):
                dialog.transferred.set_result(text.partition("\r\n")[0])
        self._responses.setdefault((call_id, method), asyncio.Queue()).put_nowait(text)

    def _request(self, text: str) -> None:
        method, call_id = text.split()[0], _header(text, "Call-ID")
        dialog = self._dialogs.get(call_id)
        match method:
            case "ACK":
                pass
            case "INVITE" if dialog is None:
                tag = f";tag={secrets.token_hex(4)}"
                own, other = _header(text, "To") + tag, _header(text, "From")
                dialog = Dialog(call_id, own, other, _uri(_header(text, "Contact")))
                self._dialogs[call_id] = dialog
                if not self.answers:
                    self._respond(text, "180 Ringing", tag)
                    return
                self._respond(text, "200 OK", tag, self._sdp())
                self._taken.put_nowait(dialog)
            case "INVITE":
                self._respond(text, "200 OK", body=self._sdp())
            case "CANCEL" | "BYE":
                self._respond(text, "200 OK")
                if dialog is not None:
                    self._dialogs.pop(call_id)
                    dialog.is_over.set()
            case "NOTIFY" if dialog is not None and dialog.transferred is not None:
                self._respond(text, "200 OK")
                status = text.partition("\r\n\r\n")[2].strip()
                if not status.startswith("SIP/2.0 1"):
                    if not dialog.transferred.done():
                        dialog.transferred.set_result(status)
                    self._leave()
            case "NOTIFY" if "dialog-info" in text:
                self._respond(text, "200 OK")
                watched = re.findall(r'entity="sips?:([^@"]*)@', text)[0]
                states = re.findall(r"<state>([a-z]+)</state>", text)
                self.lamps[watched] = states[0] if states else "terminated"
            case _:
                self._respond(text, "200 OK")

    def _leave(self) -> None:
        if self.hang_up_after is not None:
            for one in list(self._dialogs.values()):
                asyncio.get_running_loop().call_later(self.hang_up_after, self.hang_up, one)


def _header(message: str, name: str) -> str:
    found = re.search(rf"(?mi)^{name}: *([^\r\n]*)", message)
    return found.group(1) if found else ""


def _uri(address: str) -> str:
    found = re.search(r"<([^>]+)>", address)
    return found.group(1) if found else address


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
