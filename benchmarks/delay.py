"""A way to a resolver that takes its time: ``python -m benchmarks.delay LISTEN UPSTREAM SECONDS``.

Each question goes on at once and its answer comes back when SECONDS have passed since it came, or
as soon as it is there if that is later.  Prints a line when it is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import cast

_PORT = 53


class Upstream(asyncio.DatagramProtocol):
    """The resolver, as one client's questions reach it."""

    def __init__(self, front: Front, client: tuple[str, int]) -> None:
        self._front = front
        self._client = client

    def datagram_received(self, data: bytes, _address: object) -> None:
        """An answer, by whose ID (the first two octets) the front knows its question."""
        self._front.answer(data, self._client)


class Front(asyncio.DatagramProtocol):
    """What clients take for the resolver."""

    def __init__(self, upstream: str, seconds: float) -> None:
        self._upstream = upstream
        self._seconds = seconds
        self._due: dict[tuple[tuple[str, int], bytes], float] = {}
        self._ways: dict[tuple[str, int], asyncio.Task[asyncio.DatagramTransport]] = {}
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is up."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        """A question."""
        loop = asyncio.get_running_loop()
        self._due[client, data[:2]] = loop.time() + self._seconds
        if client not in self._ways:
            self._ways[client] = loop.create_task(self._open(client))
        way = self._ways[client]
        if way.done():
            way.result().sendto(data)
        else:
            way.add_done_callback(lambda done: done.result().sendto(data))

    def answer(self, data: bytes, client: tuple[str, int]) -> None:
        """Send an answer back when it is due."""
        loop = asyncio.get_running_loop()
        due = self._due.pop((client, data[:2]), loop.time())
        if self._transport is not None:
            loop.call_at(due, self._transport.sendto, data, client)

    async def _open(self, client: tuple[str, int]) -> asyncio.DatagramTransport:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Upstream(self, client), remote_addr=(self._upstream, _PORT)
        )
        return transport


async def serve(listen: str, upstream: str, seconds: float) -> None:
    """Stand between clients and a resolver, for ever."""
    await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Front(upstream, seconds), local_addr=(listen, _PORT)
    )
    print("up", flush=True)
    await asyncio.get_running_loop().create_future()


@contextlib.contextmanager
def delayed(listen: str, upstream: str, seconds: float) -> Iterator[None]:
    """Have such a way until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.delay", listen, upstream, str(seconds)],
        stdout=subprocess.PIPE,
    )
    try:
        if process.stdout is None or not process.stdout.readline():
            raise RuntimeError("the way to the resolver did not come up")
        yield
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], float(sys.argv[3])))
