"""A resolver of one's own on loopback, over UDP and TCP, that answers as a test says."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

_TYPE_CAA = 257


@dataclass(frozen=True)
class Question:
    """One question as it came."""

    wire: bytes
    transport: str
    number: int

    @property
    def message(self) -> dns.message.Message:
        return dns.message.from_wire(self.wire)

    @property
    def has_edns(self) -> bool:
        return self.message.edns >= 0


# Each answer is sent; none is silence. Over TCP, b"" closes the connection.
Answering = Callable[[Question], Sequence[bytes]]


class Responder:
    """Answers on one port of 127.0.0.1, over both transports, until the block is left."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self.questions: list[Question] = []
        self.port = 0
        self._stack = contextlib.ExitStack()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Responder:
        loop = asyncio.get_running_loop()
        udp, tcp = _sockets()
        self.port = udp.getsockname()[1]
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=udp)
        self._server = await asyncio.start_server(self._serve, sock=tcp)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._transport.close()
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def answer(self, wire: bytes, transport: str) -> Sequence[bytes]:
        question = Question(wire, transport, len(self.questions))
        self.questions.append(question)
        return self._answering(question)

    @property
    def transports(self) -> list[str]:
        return [question.transport for question in self.questions]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            for message in self.answer(await reader.readexactly(length), "tcp"):
                writer.write(struct.pack("!H", len(message)) + message if message else b"")
            await writer.drain()
        finally:
            self._tasks.discard(task)
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, responder: Responder) -> None:
        self._responder = responder

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        for message in self._responder.answer(data, "udp"):
            self._transport.sendto(message, address)


def _sockets() -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on the same free port."""
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            tcp.bind(udp.getsockname())
        except OSError:  # somebody else has just that one
            udp.close()
            tcp.close()
            continue
        tcp.listen()
        return udp, tcp


def reply(
    question: Question | bytes,
    *,
    answer: Sequence[str] = (),
    authority: Sequence[str] = (),
    rcode: int = dns.rcode.NOERROR,
    extended: dns.edns.EDEOption | None = None,
    truncated: bool = False,
) -> bytes:
    """An answer by dnspython; records are written as in a zone file."""
    wire = question.wire if isinstance(question, Question) else question
    query = dns.message.from_wire(wire)
    response = dns.message.make_response(query, recursion_available=True)
    response.use_edns(0 if query.edns >= 0 else -1, options=[extended] if extended else None)
    response.set_rcode(rcode)
    response.flags |= dns.flags.TC if truncated else 0
    for section, texts in ((response.answer, answer), (response.authority, authority)):
        for text in texts:
            owner, rtype, rdata = text.split(" ", 2)
            section.append(dns.rrset.from_text(owner, 300, "IN", rtype, rdata))
    return response.to_wire(max_size=65535)


def raw_reply(
    wire: bytes, *, answers: Sequence[bytes] = (), authority: Sequence[bytes] = ()
) -> bytes:
    """An answer octet by octet, for what dnspython would not write."""
    end = wire.index(b"\0", 12) + 5
    counts = struct.pack("!HHHH", 1, len(answers), len(authority), 0)
    return b"".join((wire[:2], b"\x81\x80", counts, wire[12:end], *answers, *authority))


def record(rdata: bytes, *, kind: int = _TYPE_CAA, owner: bytes = b"\xc0\x0c") -> bytes:
    """A resource record; its owner is the name of the question unless said otherwise."""
    return owner + struct.pack("!HHIH", kind, 1, 300, len(rdata)) + rdata
