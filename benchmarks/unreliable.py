"""A resolver that drops, delays, truncates and fails at random, for the soak.

``python -m benchmarks.unreliable SEED LOG``; prints its port on 127.0.0.1 and serves until its
input ends.  What a name has is said by the name itself (:func:`has`).  Of each question that comes
the log has a line: its owner and what it is answered.  It is answered so however often it is sent,
and not dropped more than twice in a row, so that there is an answer to each; at another time, which
is to say with another ID and case, by new chance.
"""

from __future__ import annotations

import asyncio
import random
import socket
import sys
from collections import OrderedDict
from typing import IO, Any

_TYPE_CAA = b"\x01\x01"
_DROPPED, _DELAYED, _TRUNCATED, _FAILED = 0.05, 0.05, 0.01, 0.01
_LONGEST_DELAY = 0.3  # seconds
_MOST_DROPPED = 2
_REMEMBERED = 50_000  # questions

PERMITS, DENIES, NOTHING, NXDOMAIN, SERVFAIL = (
    "permits",
    "denies",
    "nothing",
    "nxdomain",
    "servfail",
)

_RCODES = {NXDOMAIN: 3, SERVFAIL: 2}
_ISSUERS = {PERMITS: b"letsencrypt.org", DENIES: b"other-ca.example"}


def has(owner: str) -> str:
    """What an owner's lookup gives when nothing goes wrong: its first letters say."""
    label = owner.partition(".")[0].partition("-")[0]
    return label if label in {PERMITS, DENIES, NXDOMAIN} else NOTHING


class Unreliable(asyncio.DatagramProtocol):
    """The resolver, over both transports."""

    def __init__(self, seed: str, log: IO[str]) -> None:
        self._chance = random.Random(seed)
        self._log = log
        # By question: what it is answered, and how often it was dropped.
        self._seen: OrderedDict[bytes, list[Any]] = OrderedDict()
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Remember where to answer."""
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        """Drop the question, or answer it now or later, in whole or not."""
        seen = self._see(data)
        if seen[1] < _MOST_DROPPED and self._chance.random() < _DROPPED:
            seen[1] += 1
            return
        seen[1] = 0
        truncated = self._chance.random() < _TRUNCATED
        message = _answer(data, seen[0], truncated=truncated)
        if self._chance.random() < _DELAYED:
            delay = self._chance.random() * _LONGEST_DELAY
            loop = asyncio.get_running_loop()
            loop.call_later(delay, self._transport.sendto, message, address)
        else:
            self._transport.sendto(message, address)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one question over TCP."""
        query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        message = _answer(query, self._see(query)[0], truncated=False)
        writer.write(len(message).to_bytes(2, "big") + message)
        await writer.drain()
        writer.close()

    def _see(self, query: bytes) -> list[Any]:
        seen = self._seen.get(query)
        if seen is None:
            owner = _owner(query)
            answer = has(owner)
            if "." in owner and self._chance.random() < _FAILED:
                answer = SERVFAIL
            seen = self._seen[query] = [answer, 0]
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
            if owner:
                print(owner, answer, file=self._log)
        return seen


def _owner(query: bytes) -> str:
    labels, position = [], 12
    while length := query[position]:
        labels.append(query[position + 1 : position + 1 + length].decode().lower())
        position += 1 + length
    return ".".join(labels)


def _answer(query: bytes, what: str, *, truncated: bool) -> bytes:
    question = query[12 : query.index(b"\0", 12) + 5]
    flags = bytes([0x83 if truncated else 0x81, 0x80 | _RCODES.get(what, 0)])
    records = b""
    if question[-4:-2] != _TYPE_CAA:
        records = b"\xc0\x0c" + question[-4:] + bytes(4) + b"\0\1\0"
    elif what in _ISSUERS:
        rdata = b"\0\5issue" + _ISSUERS[what]
        records = b"\xc0\x0c" + question[-4:] + bytes(4) + len(rdata).to_bytes(2, "big") + rdata
    if truncated:
        records = b""
    counts = b"\0\1" + (b"\0\1" if records else b"\0\0") + bytes(4)
    return query[:2] + flags + counts + question + records


async def _serve(seed: str, path: str) -> None:
    loop = asyncio.get_running_loop()
    with open(path, "w", encoding="ascii") as log:  # noqa: PTH123 - nothing is shorter
        resolver = Unreliable(seed, log)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        udp.bind(("127.0.0.1", 0))
        server = await asyncio.start_server(resolver.serve, *udp.getsockname())
        transport, _ = await loop.create_datagram_endpoint(lambda: resolver, sock=udp)
        print(udp.getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.read)
        transport.close()
        server.close()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
