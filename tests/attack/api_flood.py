"""A client that repeats one HTTP request on many connections, each as fast as it is answered. Its own process, so that
what it does takes no time from the tests that measure beside it: ``python api_flood.py PORT CONNECTIONS SOURCE``, the
request on standard input; ends when it is killed, and writes the number of answers once a second.
"""

from __future__ import annotations

import asyncio
import sys


async def main(port: int, connections: int, source: str, request: bytes) -> None:
    answers = 0

    async def repeat() -> None:
        nonlocal answers
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
                while True:
                    writer.write(request)
                    head = await reader.readuntil(b"\r\n\r\n")
                    size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                    await reader.readexactly(size)
                    answers += 1
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.05)

    tasks = [asyncio.create_task(repeat()) for _ in range(connections)]
    while tasks:
        await asyncio.sleep(1)
        print(answers, flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.stdin.buffer.read()))
