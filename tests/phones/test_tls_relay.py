"""The relay brings each message to the program that it is for."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from tests.phones.tls_relay import TlsRelay
from trunkline.core.settings import Settings
from trunkline.demo.outside import Registrar
from trunkline.runtime import certificates
from trunkline.runtime.ports import free_ports

HOST = "127.0.0.1"
PATIENCE = 30.0


def message(first_line: str, call_id: str, body: str = "") -> bytes:
    return f"{first_line}\r\nCall-ID: {call_id}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


async def test_a_keep_alive_goes_to_the_phone_while_the_program_that_registered_is_connected(
    tmp_path: Path,
) -> None:
    """It went to that program, which ended without an answer: the line was unreachable for a minute."""
    settings = Settings(data_dir=tmp_path)
    certificates.ensure(settings)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate_file(settings), certificates.key_file(settings))
    register, accepted = message("REGISTER sip:pbx SIP/2.0", "a@b"), message("SIP/2.0 200 OK", "a@b")
    probe, alive = message("OPTIONS sip:phone SIP/2.0", "c@d", "body"), message("SIP/2.0 200 OK", "c@d")
    at_pbx: asyncio.Queue[bytes] = asyncio.Queue()
    at_phone: asyncio.Queue[bytes] = asyncio.Queue()

    async def pbx(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at_pbx.put_nowait(await reader.readexactly(len(register)))
        # In one piece, behind a keep-alive of the transport.
        writer.write(b"\r\n\r\n" + probe + accepted)
        at_pbx.put_nowait(await reader.readexactly(len(alive)))
        writer.close()

    async def phone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at_phone.put_nowait(await reader.readexactly(len(probe)))
        writer.write(alive)

    [port] = free_ports(1)
    async with asyncio.timeout(PATIENCE):
        server = await asyncio.start_server(pbx, HOST, 0, ssl=context)
        async with server, TlsRelay(Registrar(HOST, server.sockets[0].getsockname()[1]), HOST, port) as relay:
            reader, writer = await asyncio.open_connection(HOST, relay.port)
            writer.write(register)
            assert await at_pbx.get() == register
            assert await reader.readexactly(len(accepted)) == accepted
            # The phone is there only now; its program that registered has not closed its connection yet.
            async with await asyncio.start_server(phone, HOST, port):
                assert await at_phone.get() == probe
                assert await at_pbx.get() == alive
            writer.close()
